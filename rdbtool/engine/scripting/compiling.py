"""Whether a function library compiles, as servers that load it find out; nothing of it is run."""

from __future__ import annotations

from importlib import import_module

from .process import is_available


def compile_error(code: bytes) -> str:
    """What Lua 5.1 says against the text of a library, or "". Without lupa nothing can be said.

    The first line is left out, as servers do. What remains begins with a line end, so Lua never takes it for bytecode.
    """
    if not is_available():
        return ""
    lua = import_module("lupa.lua51")
    runtime = lua.LuaRuntime(encoding=None, register_eval=False, register_builtins=False)
    text = b"\n" + code.partition(b"\n")[2]
    try:
        runtime.compile(text)
    except lua.LuaError as e:
        said = e.args[0] if e.args else ""
        text = said if isinstance(said, bytes) else str(said).encode()
        return text.replace(b'[string "<python>"]', b"user_function").decode("latin-1")  # as servers call it
    return ""
