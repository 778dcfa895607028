"""Completion, in real shells: the script is installed, keys are typed, and a stand-in for the program writes down how
it was started: once, with what the shell made of the keys.
"""

from __future__ import annotations

import os
import pty
import select
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from rdbtool.cli.app import COMMANDS
from tests.cli.running import run

SHELLS = [
    pytest.param(shell, marks=pytest.mark.skipif(shutil.which(shell) is None, reason=f"no {shell}, which pip has not"))
    for shell in ("bash", "zsh", "fish")
]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "ZDOTDIR"):
        monkeypatch.delenv(name, raising=False)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    work = tmp_path / "work"
    (work / "sets").mkdir(parents=True)
    (work / "my dump.rdb").touch()
    (work / "sets" / "one.aof").touch()
    programs = tmp_path / "bin"
    programs.mkdir()
    program = programs / "rdbtool"
    program.write_text(f"#!/bin/sh\nfor word; do printf '<%s>' \"$word\"; done >> {tmp_path}/calls\n")
    program.chmod(0o755)
    return tmp_path


def typed(shell: str, keys: str, home: Path) -> str:
    """What the stand-in was started with, after the keys and Return."""
    environment = {
        "HOME": str(home / "home"),
        "PATH": f"{home / 'bin'}:/usr/bin:/bin",
        "TERM": "xterm",
        "LANG": "C.UTF-8",
        "PS1": "ready> ",
    }
    calls = home / "calls"
    calls.unlink(missing_ok=True)
    command = {"bash": ["bash", "--noprofile", "-i"], "zsh": ["zsh", "-i"], "fish": ["fish", "-i"]}[shell]
    pid, master = pty.fork()
    if pid == 0:
        os.chdir(home / "work")
        os.execvpe(command[0], command, environment)
    seen = b""
    try:
        seen += until_quiet(master)
        for key in keys:
            os.write(master, key.encode())
            if key == "\t":
                seen += until_quiet(master)
        os.write(master, b"\r")
        deadline = time.monotonic() + 10
        while not calls.exists() and time.monotonic() < deadline:
            seen += until_quiet(master, 0.1)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(master)
    assert calls.exists(), seen.decode(errors="replace")
    return calls.read_text()


def until_quiet(master: int, seconds: float = 0.4) -> bytes:
    """What comes until nothing has come for that long."""
    seen = b""
    while select.select([master], [], [], seconds)[0]:
        try:
            data = os.read(master, 1 << 16)
        except OSError:
            break
        if not data:
            break
        seen += data
    return seen


@pytest.mark.slow
@pytest.mark.parametrize("shell", SHELLS)
def test_commands_options_values_and_files_are_completed(
    shell: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHELL", f"/bin/{shell}")
    for _ in range(2):
        assert "start a new shell" in run("--install-completion").stdout
    rc = home / "home" / f".{shell}rc"
    assert not rc.exists() or rc.read_text().count("rdbtool") == rc.read_text().count("\n") * 2 == 2
    keys = "rdbtool conv\tmy\tsets/o\t--targ\tredis-7.4\t --on-conf\tme\t"
    words = typed(shell, keys, home).replace("=", "><")
    assert words == "<convert><my dump.rdb><sets/one.aof><--target><redis-7.4><--on-conflict><merge>"


@pytest.mark.parametrize("kept", ["", "alias x=y", "alias x=y\n"])
def test_a_startup_file_gets_one_line_and_keeps_the_others(
    kept: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHELL", "/usr/bin/bash")
    rc = home / "home" / ".bashrc"
    rc.write_text(kept)
    for _ in range(3):
        assert run("--install-completion").returncode == 0
    lines = rc.read_text().splitlines()
    assert lines[:-1] == kept.splitlines()
    assert lines[-1].endswith("# completion of rdbtool")
    assert (home / "home/.local/share/rdbtool/completion.bash").read_text() == run("--show-completion", "bash").stdout


def test_what_cannot_be_installed_is_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELL", "/bin/tcsh")
    told = run("--install-completion")
    assert told.returncode == 2
    assert told.stderr == "rdbtool: no completion for the shell 'tcsh'; there is one for bash, zsh, fish\n"
    monkeypatch.setenv("SHELL", "/bin/bash")
    (home / "home/.local").touch()
    told = run("--install-completion")
    assert told.returncode == 2
    assert told.stderr.endswith("cannot write: Not a directory\n")
    assert run("--show-completion", "tcsh").returncode == 2


def completed(words: list[str]) -> tuple[list[str], float]:
    """What bash offers for the last of these words, and the CPU seconds that it takes."""
    script = run("--show-completion", "bash").stdout
    call = (
        f"COMP_WORDS=({' '.join(f'{word!r}' for word in words)}); COMP_CWORD={len(words) - 1}; TIMEFORMAT='%U %S'; "
        "time _rdbtool; printf '%s\\n' \"${COMPREPLY[@]}\""
    )
    # without PATH nothing can be started
    done = subprocess.run(["/bin/bash", "-c", f"PATH=\n{script}\n{call}"], capture_output=True, text=True, check=True)
    return done.stdout.split(), sum(map(float, done.stderr.split()))


def test_every_command_and_option_is_offered_in_under_100_ms() -> None:
    offered, seconds = completed(["rdbtool", ""])
    assert offered == list(COMMANDS)
    assert seconds < 0.1
    for name in COMMANDS:
        offered, seconds = completed(["rdbtool", name, "-"])
        assert {"--quiet", "--progress", "--help"} <= set(offered)
        assert seconds < 0.1
    assert completed(["rdbtool", "check-rdb", "x", "--format", ""])[0] == ["text", "json"]
    assert completed(["rdbtool", "check-rdb", "--format", "=", "j"])[0] == ["json"]
    assert completed(["rdbtool", "schema", "check-r"])[0] == ["check-rdb"]
    assert completed(["rdbtool", "--ver"])[0] == ["--version"]
    assert completed(["rdbtool", "dump", "x"])[0] == []  # the shell completes files


def test_manual() -> None:
    page = run("--man").stdout
    assert page.startswith(".TH RDBTOOL 1 ")
    for name in COMMANDS:
        assert f".SS rdbtool {name}".replace("-", r"\-") in page
    assert not [line for line in page.splitlines() if line.startswith("'")]


@pytest.mark.skipif(shutil.which("man") is None, reason="no man, which pip has not")
def test_the_manual_is_shown_by_man(tmp_path: Path) -> None:
    page = tmp_path / "rdbtool.1"
    page.write_text(run("--man").stdout)
    shown = subprocess.run(
        ["man", "--warnings", "-l", str(page)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "MANWIDTH": "100", "LC_ALL": "C.UTF-8", "MAN_KEEP_FORMATTING": ""},
    )
    assert shown.stderr == ""
    text = shown.stdout
    for expected in (
        "rdbtool - check, repair, convert",
        "rdbtool dump [OPTION]... PATH [KEY]...",
        "-f, --format text|json",
        "named as the table shows them (\\x00)",
        "rdbtool dump dump.rdb --key 'user:*' --format jsonl",
    ):
        assert expected in " ".join(text.split()), expected
    assert max(map(len, text.splitlines())) <= 100
