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
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

GROUPS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (
        "rdbtool_core",
        "3",
        (
            *("model", "io", "basics", "servers", "rdb", "outputs", "inputs/keys", "inputs/selection"),
            *("aof/resp", "aof/scan", "aof/command_writer", "aof/entry_ids"),
        ),
    ),
    ("rdbtool_engine", "3", ("engine", "aof", "analysis", "inputs")),
)
"""What is compiled, where bytes are looked at one by one and what those modules call: the name of a group, the level of
optimisation of a wheel, and the rooms and modules in it; where two groups name a module, the first one has it.

A group is one C file: what calls each other most stands in one, because a call into another group is not inlined, and
groups are compiled side by side.
"""

LEFT_OUT = (
    *("io/compression", "io/destination", "io/lock", "io/open_files", "io/ownership", "io/signals", "io/sink"),
    *(
        "io/temporary",
        "io/terminal",
        "aof/repair",
        "aof/in_place",
        "engine/scripting",
        "inputs/filters",
        "inputs/opening",
        "inputs/salvaging",
    ),
    *("inputs/replaying", "outputs/outlets"),
)
"""Modules and folders of those rooms that are called once per file: compiling them makes nothing faster."""

FLAGS = ["-fvisibility=hidden", "-fno-plt"]
"""For gcc and clang, besides those of mypyc: no function is called from outside, so they may inline it or call it
directly.
"""

STAMP = "rdbtool/_compiled.py"


def groups(root: Path) -> dict[str, list[str]]:
    """The sources to compile, relative to ``root``, by group, in a fixed order."""
    found: dict[str, list[str]] = {}
    left_out = [root / "rdbtool" / name for name in LEFT_OUT]
    taken = {path.with_suffix(".py") for path in left_out} | {file for path in left_out for file in path.rglob("*.py")}
    for group, _, places in GROUPS:
        members: list[Path] = []
        for place in places:
            path = root / "rdbtool" / place
            members += sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]
        # A package's __init__ holds a docstring only; compiling it would make nothing faster.
        members = [path for path in members if path.name != "__init__.py" and path not in taken]
        taken.update(members)
        found[group] = [str(path.relative_to(root)) for path in members]
    return found


def sources(root: Path) -> list[str]:
    """All sources to compile, relative to ``root``."""
    return [name for members in groups(root).values() for name in members]


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


def compile_sources(root: Path, work: Path, *, level: str = "") -> list[Path]:
    """Compile under ``work`` and return the files made there, under ``work/lib``. Raises what the compiler raises.

    What a build before left in ``work`` and is still right is not made again. ``level``: of optimisation, for all
    groups; "" for that of `GROUPS`.
    """
    from mypyc.build import mypycify
    from setuptools import Distribution
    from setuptools.command.build_ext import build_ext

    before = Path.cwd()
    os.chdir(root)  # mypyc names modules by relative paths, and mypy finds pyproject.toml here
    try:
        members = groups(root)
        extensions = mypycify(
            [f"--cache-dir={work / 'mypy'}", *sources(root)],
            opt_level="1",
            debug_level="0",
            target_dir=str(work / "c"),
            separate=[(files, group) for group, files in members.items()],
        )
        levels = {f"{group}__mypyc": level or of_group for group, of_group, _ in GROUPS}
        if os.name == "posix":
            for extension in extensions:
                flags = [flag for flag in extension.extra_compile_args if not flag.startswith("-O")]
                extension.extra_compile_args = [*flags, f"-O{levels.get(extension.name, '1')}", *FLAGS]
        # The largest first: at the end the processors have about as much to do as each other.
        extensions.sort(key=lambda extension: -sum(Path(source).stat().st_size for source in extension.sources))
        command = build_ext(Distribution({"name": "rdbtool", "ext_modules": extensions}))
        command.build_lib = str(work / "lib")
        command.build_temp = str(work / "o")
        command.parallel = os.cpu_count()
        command.ensure_finalized()
        command.run()
        made = {work / "lib" / command.get_ext_filename(extension.name) for extension in extensions}
    finally:
        os.chdir(before)
    return sorted(made)


def remove_compiled(root: Path) -> None:
    """Remove what an editable install compiled in place."""
    for pattern in ("*.so", "*.pyd"):
        for path in [*root.glob(f"rdbtool_*__mypyc{pattern}"), *(root / "rdbtool").rglob(pattern)]:
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
        level = os.environ.get("RDBTOOL_OPT_LEVEL", "1" if editable else "")
        tag = sysconfig.get_config_var("SOABI") or sysconfig.get_platform()
        work = root / "build" / f"{tag}-O{level or 'groups'}"
        if not editable:
            shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True, exist_ok=True)
        made = compile_sources(root, work, level=level)
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        for path in made:
            place = path.relative_to(work / "lib")
            if editable:
                shutil.copy2(path, root / place)
            else:
                build_data["force_include"][str(path)] = str(place)
        if editable:
            (root / STAMP).write_text(stamp(root))

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
