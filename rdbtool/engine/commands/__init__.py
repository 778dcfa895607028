"""The commands, one module per group. Importing this package fills the table."""

from __future__ import annotations

from . import keys, server, strings

__all__ = ["keys", "server", "strings"]
