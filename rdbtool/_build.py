"""The build hook: compile the hot rooms with mypyc, or leave them as they are.

hatchling runs this while it builds a wheel. The same sources work uncompiled, so a machine without a C
compiler, or ``RDBTOOL_PURE=1``, gets those, with a notice. An editable install compiles in place; then
`rdbtool._compiled` tells which sources the compiled files were made from.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

if TYPE_CHECKING:
    from setuptools import Extension
    from setuptools.command.build_ext import build_ext

GROUPS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (
        "rdbtool_core",
        "3",
        (
            *("model", "io", "basics", "servers", "rdb", "outputs", "inputs/keys", "inputs/selection"),
            *("aof/resp", "aof/options", "aof/scan", "aof/command_writer", "aof/entry_ids"),
            *("analysis/collecting", "analysis/contents", "analysis/costs", "analysis/encodings"),
            *("analysis/measure", "analysis/packed", "analysis/prefixes", "analysis/rax", "analysis/stream_size"),
            "analysis/tallies",
        ),
    ),
    ("rdbtool_engine", "3", ("engine", "aof", "analysis", "inputs")),
)
"""What is compiled: the name of a group, the level of optimisation that a wheel gets, and the rooms and modules in it;
where two groups name a module, the first one has it.

In a wheel the groups are one library, optimised as a whole when it is linked. In an editable install each is one: after
an edit, a group whose sources are the same is not compiled again.
"""

LEFT_OUT = (
    *(
        "basics/collector",
        "io/archive",
        "io/compression",
        "io/copying",
        "io/destination",
        "io/lock",
        "io/open_files",
        "io/ownership",
        "io/remote",
        "io/signals",
        "io/sink",
        "io/vcs",
    ),
    "io/progress",
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
    *("inputs/key_stream", "inputs/replaying", "outputs/outlets", "rdb/opening"),
)
"""Modules and folders of those rooms that are called once per file: compiling them makes nothing faster."""

FLAGS = ("-w", "-g0", "-fvisibility=hidden", "-fno-plt", "-fcommon", "-ffp-contract=off")
"""For gcc and clang. No function is called from outside, so they may inline it or call it directly; the tables through
which groups call each other are defined in a header, so one for all files. Products of doubles are rounded before they
are added to, which `basics.decimals` counts on.
"""
LINK_TIME = {"clang": ("-flto=thin",), "gcc": ("-flto=auto", "-fno-fat-lto-objects")}
"""What optimises functions of several files together when they are linked."""

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


def compile_sources(root: Path, work: Path, *, editable: bool = False, level: str = "") -> list[tuple[Path, Path]]:
    """Compile under ``work`` and return the files made there, each with its place relative to ``root``. Raises what the
    compiler raises.

    ``level``: of optimisation, for all groups; "" for that of `GROUPS`.
    """
    from mypyc.build import mypycify
    from setuptools import Distribution
    from setuptools.command.build_ext import build_ext

    before = Path.cwd()
    os.chdir(root)  # mypyc names modules by relative paths, and mypy finds pyproject.toml here
    try:
        members = groups(root)
        # Each module is a C file of its own: no process needs much memory, and all processors have work.
        options: dict[str, Any] = {"opt_level": level or "2", "debug_level": "0", "multi_file": True}
        if editable:
            options["separate"] = [(files, group) for group, files in members.items()]
        else:
            options["group_name"] = "rdbtool"
        extensions = mypycify([f"--cache-dir={work / 'mypy'}", *sources(root)], target_dir=str(work / "c"), **options)
        levels = {c_file(name): level or own for group, own, _ in GROUPS for name in members[group]}
        command = build_ext(Distribution({"name": "rdbtool", "ext_modules": extensions}))
        command.build_temp = str(work)
        command.build_extensions = lambda: None  # run() sets up the compiler, and then calls this
        command.ensure_finalized()
        command.run()
        return Compilation(command, work, levels, across_files=not editable).run()
    finally:
        os.chdir(before)


class Compilation:
    """Compiles and links what mypyc wrote, file by file and side by side.

    Each object and library is in a folder named after all that it was made from: what a build before left in ``work``
    and is still right is not made again, and nothing that was left half made is taken for whole.

    ``levels``: of optimisation, by the name of a C file; ``across_files``: whether functions of several files are
    optimised together where the compiler can do that.
    """

    def __init__(self, command: build_ext, work: Path, levels: dict[str, str], *, across_files: bool) -> None:
        self.command = command
        self.work = work
        self.levels = levels
        self.used: set[Path] = set()
        self.link_time = self.link_time_flags() if across_files else []

    def run(self) -> list[tuple[Path, Path]]:
        """Make all; return the libraries, each with its place."""
        # A module that is loaded by itself is one small file, which asks one of the libraries for its contents.
        libraries = [extension for extension in self.command.extensions if len(extension.sources) > 1]
        shims = [extension for extension in self.command.extensions if len(extension.sources) == 1]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            compiling = [[pool.submit(self.compiled, e, source) for source in e.sources] for e in libraries]
            objects = [[job.result() for job in jobs] for jobs in compiling]
            # The largest first: while its link does one thing after another, the rest keeps other processors busy.
            linking = [pool.submit(self.linked, *of_one) for of_one in zip(libraries, objects, strict=True)]
            linking += [pool.submit(lambda e: self.linked(e, [self.compiled(e, e.sources[0])]), e) for e in shims]
            made = sorted(job.result() for job in linking)
        for folder in self.work.glob("made/*"):
            if folder not in self.used:
                shutil.rmtree(folder)
        return made

    def compiled(self, extension: Extension, source: str) -> Path:
        """The object file of a C file."""
        if self.command.compiler.compiler_type == "unix":
            name = Path(source).name
            # What mypyc's own library does stands in the hottest loops: compiled with less, it is not inlined there.
            level = self.levels.get(name) or ("1" if name.startswith("__native") else "3")
            flags = [*FLAGS, f"-O{level}", *(self.link_time if len(extension.sources) > 1 else [])]
        else:
            flags = extension.extra_compile_args
        read = sorted(path for path in [source, *extension.depends] if Path(path).exists())
        folder = self.made_once(
            [*(Path(path).read_bytes() for path in read), repr((Path(source).name, flags)).encode()],
            lambda folder: self.command.compiler.compile(
                [source], output_dir=str(folder), include_dirs=extension.include_dirs, extra_postargs=flags
            ),
        )
        return next(path for path in folder.rglob("*") if path.is_file())

    def linked(self, extension: Extension, objects: list[Path]) -> tuple[Path, Path]:
        """The library of an extension, and its place."""
        place = Path(self.command.get_ext_filename(extension.name))
        flags = [*FLAGS, "-O3", *self.link_time] if self.link_time and len(objects) > 1 else []
        folder = self.made_once(
            [*(str(path).encode() for path in objects), repr((place, flags)).encode()],
            lambda folder: self.command.compiler.link_shared_object(
                [str(path) for path in objects],
                str(folder / place.name),
                libraries=self.command.get_libraries(extension),
                export_symbols=self.command.get_export_symbols(extension),
                extra_postargs=flags,
                build_temp=str(folder),
            ),
        )
        return folder / place.name, place

    def made_once(self, made_from: list[bytes], make: Callable[[Path], object]) -> Path:
        """The folder that ``make`` fills, unless a build before had it filled from the same."""
        digest = hashlib.sha256(repr((sys.version, self.command.compiler.compiler_type)).encode())
        for part in made_from:
            digest.update(hashlib.sha256(part).digest())
        folder = self.work / "made" / digest.hexdigest()[:32]
        self.used.add(folder)
        if not folder.exists():
            unfinished = folder.with_suffix(".unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir(parents=True)
            make(unfinished)
            unfinished.rename(folder)
        return folder

    def link_time_flags(self) -> list[str]:
        """Those of `LINK_TIME` that the compiler has, if it and its linker can do with them, or none."""
        from setuptools.errors import CompileError, LinkError

        compiler = self.command.compiler
        if compiler.compiler_type != "unix":
            return []
        told = subprocess.run([compiler.compiler_so[0], "--version"], capture_output=True, text=True, check=False)
        flags = [*LINK_TIME["clang" if "clang" in told.stdout else "gcc"]]
        with tempfile.TemporaryDirectory() as trial:
            source = Path(trial) / "trial.c"
            source.write_text("int rdbtool_trial(void) { return 0; }\n")
            try:
                objects = compiler.compile([str(source)], output_dir=trial, extra_postargs=flags)
                compiler.link_shared_object(objects, f"{trial}/trial.so", extra_postargs=flags)
            except (CompileError, LinkError):
                return []
        return flags


def c_file(source: str) -> str:
    """The name of the file that mypyc writes for a module."""
    return f"__native_{'___'.join(Path(source).with_suffix('').parts)}.c"


def remove_compiled(root: Path) -> None:
    """Remove what an editable install compiled in place."""
    for pattern in ("*.so", "*.pyd"):
        for path in [*root.glob(f"rdbtool*__mypyc{pattern}"), *(root / "rdbtool").rglob(pattern)]:
            path.unlink()
    (root / STAMP).unlink(missing_ok=True)


class CustomBuildHook(BuildHookInterface[Any]):
    """What hatchling calls."""

    def dependencies(self) -> list[str]:
        """What this build needs beside hatchling: nothing, where nothing is compiled."""
        return [] if self.reason_not_to() else list(self.config["compiler"])

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
        work = root / "build" / f"{tag}-{version}"
        if not editable:
            shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True, exist_ok=True)
        made = compile_sources(root, work, editable=editable, level=level)
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        for path, place in made:
            if editable:
                shutil.copy2(path, root / place)
            else:
                build_data["force_include"][str(path)] = str(place)
        if editable:
            (root / STAMP).write_text(stamp(root))

    def reason_not_to(self) -> str:
        """Why nothing is compiled here, or ""."""
        if sys.version_info < (3, 11):  # noqa: UP036 - what refuses to install there asks this first
            return "Python is older than 3.11"
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
