"""Scores as text; see `rdbtool.rdb.values.fpconv`."""

from __future__ import annotations

from rdbtool.rdb.values.fpconv import seventeen, shortest

__all__ = ["seventeen", "shortest"]
