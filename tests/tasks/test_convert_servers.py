"""What is written holds, for real servers, what was read."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path

import pytest

from rdbtool.io.output import Output
from rdbtool.outputs.options import OutputOptions, RdbOptions
from rdbtool.outputs.registry import make_exporter
from rdbtool.rdb.targets import target, target_names
from rdbtool.servers.slots import hash_slot
from rdbtool.tasks.convert import convert
from rdbtool.tasks.dump import dump
from tests.outputs.collected import Collected
from tests.rdb.corpus import CORPUS, FIXTURES
from tests.servers.harness import SERVERS, Server, ServerKind, running

OLDER = {
    "redis": {(8, 6): "redis-8.6.3", (7, 4): "redis-7.4.1", (7, 0): "redis-7.0.15"},
    "valkey": {(9, 1): "valkey-9.1.2", (7, 2): "valkey-7.2.7"},
}
KINDS = [kind for kind in SERVERS if kind.name in target_names()]


def files_for(kind: ServerKind) -> list[Path]:
    """Files that this server loads: of its own line, and older ones that both lines load."""
    own = OLDER["valkey" if kind.is_valkey else "redis"]
    found = []
    for name in [*(name for version, name in own.items() if version <= kind.version), "redis-5.0.14"]:
        for root in (FIXTURES, CORPUS / "made"):
            found += [
                p
                for p in sorted((root / name).glob("*.rdb"))
                if p.name in {"alltypes.rdb", "small-plain.rdb", "small-nochecksum.rdb"}
            ]
    assert found
    return found[:4]


def digest_of(kind: ServerKind, directory: Path, rdb: Path) -> str:
    directory.mkdir(exist_ok=True)
    shutil.copy(rdb, directory / "dump.rdb")
    with running(kind, directory) as server:
        return server.digest()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_json_lines_and_back_give_the_same_digest(kind: ServerKind, tmp_path: Path) -> None:
    for i, path in enumerate(files_for(kind)):
        lines, back = tmp_path / f"{i}.jsonl", tmp_path / f"{i}.rdb"
        convert([str(path)], str(lines), OutputOptions("jsonl"))
        report = convert([str(lines)], str(back), OutputOptions("rdb", RdbOptions(target(kind.name))))
        assert not report.loss
        assert digest_of(kind, tmp_path / "a", path) == digest_of(kind, tmp_path / "b", back), path


def pipe(server: Server, data: bytes) -> None:
    """Send commands as ``redis-cli --pipe`` does; every reply must be good."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
        peer.settimeout(60)
        peer.connect(server._path)
        peer.sendall(data + b"*2\r\n$4\r\nECHO\r\n$8\r\nthe end.\r\n")
        replies = b""
        while not replies.endswith(b"the end.\r\n"):
            more = peer.recv(1 << 20)
            assert more, replies[-200:]
            replies += more
    assert not [line for line in replies.split(b"\r\n") if line.startswith(b"-")]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_commands_give_the_same_digest(kind: ServerKind, tmp_path: Path) -> None:
    for i, path in enumerate(files_for(kind)):
        commands = tmp_path / f"{i}.resp"
        convert([str(path)], str(commands), OutputOptions("resp", RdbOptions(target(kind.name))))
        (tmp_path / f"{i}").mkdir()
        with running(kind, tmp_path / f"{i}") as server:
            pipe(server, commands.read_bytes())
            assert server.digest() == digest_of(kind, tmp_path / "a", path), path


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_commands_are_those_of_bgrewriteaof(kind: ServerKind, tmp_path: Path) -> None:
    """Key by key: a server goes through its own tables in an order of its own."""
    path = files_for(kind)[0]
    shutil.copy(path, tmp_path / "dump.rdb")
    options = ["--appendonly", "no", "--aof-use-rdb-preamble", "no"]
    with running(kind, tmp_path, *options) as server:
        server.execute("CONFIG", "SET", "appendonly", "yes")
        while True:
            info = server.execute("INFO", "persistence")
            assert isinstance(info, bytes)
            if b"aof_rewrite_in_progress:0" in info and b"aof_rewrite_scheduled:0" in info:
                break
    (log,) = [*tmp_path.glob("appendonlydir/*.base.aof"), *tmp_path.glob("appendonly.aof")]
    sink = Collected()
    out = make_exporter(Output(sink), OutputOptions("resp", RdbOptions(target(kind.name))))
    dump(str(path), out)
    theirs, ours = shapes(log.read_bytes()), shapes(sink.getvalue())
    assert set(theirs) == set(ours)
    for key, commands in theirs.items():
        if commands[0][0] == b"HSETEX":  # Valkey keeps the fields that expire apart
            assert sorted(ours[key], key=repr) == sorted(commands, key=repr)
        elif not key[1].startswith(b"hash:hfe:"):  # Redis writes their fields one by one, where any may expire
            assert ours[key] == commands, key


def shapes(data: bytes) -> dict[tuple[bytes, bytes], list[tuple[object, ...]]]:
    """Per database and key: the commands, their names, and how many arguments each has; for streams, all of it."""
    from rdbtool.aof.resp import Command, CommandReader
    from rdbtool.io.window import window_over

    reader = CommandReader(window_over(data))
    found: dict[tuple[bytes, bytes], list[tuple[object, ...]]] = {}
    db = b""
    while (event := reader.next()) is not None:
        assert isinstance(event, Command)
        args = event.args
        if args[0] == b"SELECT":
            db = args[1]
        elif args[0] in {b"FUNCTION", b"function"}:
            found.setdefault((b"", args[2]), []).append((args[0].upper(), len(args)))
        else:
            name = args[0].upper()
            key = args[2] if name == b"XGROUP" else args[1]
            shape = tuple(args) if name.startswith((b"X", b"P", b"SET")) else (name, len(args))
            found.setdefault((db, key), []).append(shape)
    return found


@pytest.mark.server
def test_slots_are_those_of_a_server(tmp_path: Path) -> None:
    kind = next(kind for kind in SERVERS if kind.name == "valkey-9.1")
    with running(kind, tmp_path, "--cluster-enabled", "yes") as server:
        for key in (b"a", b"", b"{}x", b"x{a}y{b}", b"{{a}}", b"a{", b"}a{b}", bytes(range(256))):
            assert server.execute("CLUSTER", "KEYSLOT", key) == hash_slot(key), key
