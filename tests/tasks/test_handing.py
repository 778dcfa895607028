"""What workers keep is written once, in its turn, to whatever the output is."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import pytest

from rdbtool.errors import LostWorkerError, OutputError
from rdbtool.io.sink import Sink, open_sink
from rdbtool.tasks import handing
from rdbtool.tasks.handing import Handed, Handing, held_ahead, write_rest
from rdbtool.tasks.workers import Workers

SIZE = 2 * handing.PIECE + 5


def text_of(number: int) -> bytes:
    return bytes([number + 1]) * SIZE


def keep(number: int, ahead: int) -> Handed:
    kept = Handing(number, ahead)
    data = text_of(number)
    kept.write(data[:10])
    kept.write(data[10:])
    return kept.done()


def how_many_are_kept() -> int:
    return len(handing._held)


def memory_of_next(number: int, ahead: int) -> int:
    return len(Handing(number, ahead)._memory)


@pytest.fixture
def workers() -> Iterator[Workers]:
    with Workers(2) as made:
        yield made


def write_some(workers: Workers, sink: Sink) -> bytes:
    """What stands in the sink when a process and two of its workers have written in turn."""
    sink.write(b"begin")
    for answer in [workers.submit(keep, number, 4) for number in (0, 1)]:
        write_rest(answer.result(), workers, "in.rdb", sink)
        sink.write(b"between")
    sink.flush()
    assert sink.written == 5 + 2 * (SIZE + 7)
    return b"begin" + text_of(0) + b"between" + text_of(1) + b"between"


def test_a_file_gets_all_in_order(workers: Workers, tmp_path: Path) -> None:
    with open_sink(str(tmp_path / "out")) as sink:
        expected = write_some(workers, sink)
    assert (tmp_path / "out").read_bytes() == expected


def test_a_file_that_is_appended_to_gets_all_behind_what_is_there(workers: Workers, tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"old")
    with open(tmp_path / "out", "ab", buffering=0) as stream:
        expected = write_some(workers, Sink("appended", stream))
    assert (tmp_path / "out").read_bytes() == b"old" + expected


def test_a_file_that_stands_in_the_middle_is_written_from_there(workers: Workers, tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"old text")
    with open(tmp_path / "out", "r+b", buffering=0) as stream:
        stream.seek(4)
        expected = write_some(workers, Sink("shared", stream))
        stream.write(b"!")
    assert (tmp_path / "out").read_bytes() == b"old " + expected + b"!"


def test_a_pipe_gets_all_in_order(workers: Workers) -> None:
    workers.submit(how_many_are_kept).result()  # they begin before the pipe is there, and the thread
    read, write = os.pipe()
    got: list[bytes] = []

    def take() -> None:
        with open(read, "rb") as stream:
            got.append(stream.read())

    reader = threading.Thread(target=take)
    reader.start()
    with open(write, "wb", buffering=0) as stream:
        expected = write_some(workers, Sink("pipe", stream))
    reader.join()
    assert got == [expected]


def test_what_is_no_open_file_gets_it_piece_by_piece(workers: Workers) -> None:
    sink = BytesIO()
    for number in (0, 1):
        write_rest(workers.submit(keep, number, 4).result(), workers, "in.rdb", sink)
    assert sink.getvalue() == text_of(0) + text_of(1)


def test_where_a_worker_cannot_open_the_file_it_gets_it_piece_by_piece(
    workers: Workers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rdbtool.io.sink.OPEN_FILES", str(tmp_path / "none" / "{}" / "{}"))
    with open_sink(str(tmp_path / "out")) as sink:
        expected = write_some(workers, sink)
    assert (tmp_path / "out").read_bytes() == expected


def closed_pipe() -> BinaryIO:
    read, write = os.pipe()
    os.close(read)
    return open(write, "wb", buffering=0)


@pytest.mark.skipif(sys.platform != "linux", reason="Linux's device that is always full")
@pytest.mark.parametrize("kind", ["full device", "pipe without a reader"])
def test_what_goes_wrong_with_the_output_is_told_as_when_one_process_writes(kind: str, workers: Workers) -> None:
    with open("/dev/full", "wb", buffering=0) if kind == "full device" else closed_pipe() as stream:
        sink = Sink("there", stream)
        with pytest.raises(OutputError) as caught:
            write_rest(workers.submit(keep, 0, 4).result(), workers, "in.rdb", sink)
        with pytest.raises(OutputError) as expected:
            Sink("there", stream).write(text_of(0))
    assert (str(caught.value), caught.value.offset) == (str(expected.value), 0)
    assert workers.submit(abs, -1).result() == 1


def test_a_worker_that_is_killed_takes_what_it_kept_with_it(workers: Workers) -> None:
    kept = workers.submit(keep, 0, 4).result()
    os.kill(kept.pid, signal.SIGKILL)
    for _ in range(2):
        with pytest.raises(LostWorkerError) as caught:
            write_rest(kept, workers, "in.rdb", BytesIO())
    assert caught.value.path == "in.rdb"


def test_what_nobody_asks_for_is_dropped_when_it_is_old_enough() -> None:
    with Workers(1) as workers:
        for number in range(20):
            workers.submit(keep, number, 3).result()
            assert workers.submit(how_many_are_kept).result() <= 3


@pytest.mark.parametrize("kept", [SIZE - 1, SIZE])
def test_memory_is_used_again_unless_it_is_unusually_large(kept: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handing, "KEPT", kept)
    with Workers(1) as workers:
        workers.submit(keep, 0, 1).result()
        assert workers.submit(memory_of_next, 1, 1).result() == (SIZE if kept >= SIZE else 0)


def test_a_worker_is_asked_while_it_is_busy() -> None:
    with Workers(1) as workers:
        kept = workers.submit(keep, 0, 3).result()
        busy = workers.submit(time.sleep, 60)
        sink = BytesIO()
        write_rest(kept, workers, "in.rdb", sink)
        assert not busy.done()
    assert sink.getvalue() == text_of(0)


def test_only_processes_of_this_machine_keep_results() -> None:
    executor: Executor
    with Workers(1) as executor:
        assert held_ahead(executor, 4) == 4
    with ThreadPoolExecutor(1) as executor:
        assert held_ahead(executor, 4) == 0
