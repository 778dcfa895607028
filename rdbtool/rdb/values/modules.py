"""Values of modules: opaque, but self-delimiting."""

from __future__ import annotations

from librt.strings import BytesWriter

from rdbtool.io.window import Window
from rdbtool.model import Module
from rdbtool.rdb.layout.encoders import put_u64
from rdbtool.rdb.layout.modules import module_id, module_name, module_version, skip_module_pre_ga, take_module


def decode(w: Window) -> Module:
    """The module's value: everything after its id, the end mark included."""
    number, raw = take_module(w)
    return Module(module_name(number), module_version(number), raw)


def decode_pre_ga(w: Window) -> Module:
    """Raises `UnsupportedError`."""
    skip_module_pre_ga(w)
    raise AssertionError


def encode(value: Module, out: BytesWriter) -> str:
    """Write the payload; answers the name of its type."""
    put_u64(out, module_id(value.name, value.version))
    out.write(value.payload)
    return "module2"
