"""Values of modules: opaque, but self-delimiting."""

from __future__ import annotations

from rdbtool.model import Module
from rdbtool.rdb.names import module_name
from rdbtool.rdb.primitives import read_u64
from rdbtool.rdb.skip import skip_module_pre_ga, skip_module_values
from rdbtool.source import Window


def decode(w: Window) -> Module:
    """The module's value: everything after its id, the end mark included."""
    number = read_u64(w)
    w.pin = w.pos
    try:
        skip_module_values(w)
    except BaseException:
        w.pin = -1
        raise
    return Module(module_name(number), number & 1023, w.unpin())


def decode_pre_ga(w: Window) -> Module:
    """Raises `UnsupportedError`."""
    skip_module_pre_ga(w)
    raise AssertionError
