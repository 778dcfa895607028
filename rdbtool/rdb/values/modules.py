"""Values of modules: opaque, but self-delimiting."""

from __future__ import annotations

from librt.strings import BytesWriter

from rdbtool.io.window import Window
from rdbtool.model import Module
from rdbtool.rdb.layout.encoders import put_u64
from rdbtool.rdb.layout.module_names import module_id, module_name
from rdbtool.rdb.layout.primitives import read_u64
from rdbtool.rdb.skip import skip_module_pre_ga, skip_module_values


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


def encode(value: Module, out: BytesWriter) -> str:
    """Write the payload; answers the name of its type."""
    put_u64(out, module_id(value.name, value.version))
    out.write(value.payload)
    return "module2"
