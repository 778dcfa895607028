"""The build hook: compile the hot rooms with mypyc, or leave them as they are.

hatchling runs this while it builds a wheel. The same sources work uncompiled, so a machine without a C
compiler, or ``RDBTOOL_PURE=1``, gets those, with a notice. An editable install compiles in place; then
`rdbtool._compiled` tells which sources the compiled files were made from.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import sysconfig
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

COMPILED = ("model.py", "io", "basics", "servers", "rdb", "aof", "engine", "inputs", "outputs", "analysis")
"""What is compiled: where bytes are looked at one by one, and what those modules call."""

FLAGS = ["-fvisibility=hidden", "-fno-plt"]
"""For gcc and clang, besides those of mypyc: no function is called from outside, so they may inline it or call it
directly.
"""

STAMP = "rdbtool/_compiled.py"


def sources(root: Path) -> list[str]:
    """The sources to compile, relative to ``root``, in a fixed order."""
    found: list[Path] = []
    for name in COMPILED:
        path = root / "rdbtool" / name
        found += sorted(path.rglob("*.py")) if path.is_dir() else [path]
    # A package's __init__ holds a docstring only; compiling it would make nothing faster.
    return [str(path.relative_to(root)) for path in found if path.name != "__init__.py"]


def stamp(root: Path) -> str:
    """The text of `rdbtool._compiled`: which sources the compiled files were made from."""
    rows = []
    for name in sources(root):
        path = root / name
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        rows.append(f'    "{Path(name).as_posix()}": ({path.stat().st_mtime_ns}, "{digest}"),\n')
    return (
        '"""Made by the build: when each source compiled in place was written (ns), and its SHA-256."""\n\n'
        f"SOURCES = {{\n{''.join(rows)}}}\n"
    )


def compile_sources(root: Path, out: Path) -> list[Path]:
    """Compile into ``out`` and return the files made there. Raises what the compiler raises."""
    from mypyc.build import mypycify
    from setuptools import Distribution
    from setuptools.command.build_ext import build_ext

    before = Path.cwd()
    os.chdir(root)  # mypyc names modules by relative paths, and mypy finds pyproject.toml here
    try:
        with TemporaryDirectory(prefix="rdbtool-mypyc-") as scratch:
            extensions = mypycify(
                sources(root),
                opt_level=os.environ.get("RDBTOOL_OPT_LEVEL", "3"),
                debug_level="0",
                target_dir=scratch,
                group_name="rdbtool",
            )
            if os.name == "posix":
                for extension in extensions:
                    # a new list: mypyc gives all of them the same
                    extension.extra_compile_args = [*extension.extra_compile_args, *FLAGS]
            command = build_ext(Distribution({"name": "rdbtool", "ext_modules": extensions}))
            command.build_lib = str(out)
            command.build_temp = scratch
            command.ensure_finalized()
            command.run()
    finally:
        os.chdir(before)
    return sorted(path for path in out.rglob("*") if path.suffix in {".so", ".pyd"})


def remove_compiled(root: Path) -> None:
    """Remove what an editable install compiled in place."""
    for pattern in ("*.so", "*.pyd"):
        for path in [*root.glob(f"rdbtool__mypyc{pattern}"), *(root / "rdbtool").rglob(pattern)]:
            path.unlink()
    (root / STAMP).unlink(missing_ok=True)


class CustomBuildHook(BuildHookInterface[Any]):
    """What hatchling calls."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile and add the results to the wheel (or, for an editable install, to the tree)."""
        root = Path(self.root)
        editable = version == "editable"
        if editable:
            remove_compiled(root)
        why = self.reason_not_to()
        if why:
            self._notice(f"rdbtool is installed uncompiled ({why}): it works, 8 to 80 times slower")
            return
        out = Path(self.directory) / "compiled"
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        made = compile_sources(root, out)
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        if editable:
            for path in made:
                shutil.move(path, root / path.relative_to(out))
            (root / STAMP).write_text(stamp(root))
        else:
            for path in made:
                build_data["force_include"][str(path)] = str(path.relative_to(out))

    def reason_not_to(self) -> str:
        """Why nothing is compiled here, or ""."""
        if os.environ.get("RDBTOOL_PURE"):
            return "RDBTOOL_PURE is set"
        compiler = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0]
        if os.name == "posix" and shutil.which(compiler) is None:
            return f"no C compiler: {compiler} not found"
        include = Path(sysconfig.get_path("include")) / "Python.h"
        return "" if include.exists() else "no Python.h"

    def _notice(self, text: str) -> None:
        print(text, file=sys.stderr)
        self.app.display_warning(text)
