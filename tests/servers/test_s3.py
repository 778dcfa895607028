"""Files in S3: moto's server over loopback, asked by s3fs."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import boto3
import pytest
import s3fs
from moto.server import ThreadedMotoServer

from rdbtool.io.remote import RANGE
from tests.cli.running import Done, run
from tests.rdb import craft
from tests.rdb.corpus import FIXTURES

pytestmark = [pytest.mark.slow, pytest.mark.cold]

SECRET = "wJalrXUtnFEMI"
PARTS = 3


class Proxy:
    """Passes bytes between whoever connects and a port; ``left``: answers' bytes until it cuts all lines, -1: never."""

    def __init__(self, port: int) -> None:
        self.left = -1
        self._target = port
        self._lock = threading.Lock()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listening.close()

    def _serve(self) -> None:
        while True:
            try:
                here, _ = self._listening.accept()
            except OSError:
                return
            if self.left == 0:
                here.close()
                continue
            there = socket.create_connection(("127.0.0.1", self._target))
            threading.Thread(target=self._pass, args=(here, there, False), daemon=True).start()
            threading.Thread(target=self._pass, args=(there, here, True), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, counted: bool) -> None:
        with closing(source), closing(target):
            try:
                while data := source.recv(1 << 16):
                    if counted and self.left >= 0:
                        with self._lock:
                            data = data[: self.left]
                            self.left -= len(data)
                    target.sendall(data)
                    if self.left == 0:
                        target.shutdown(socket.SHUT_RDWR)
                        source.shutdown(socket.SHUT_RDWR)
                        return
            except OSError:
                pass


@pytest.fixture(scope="module")
def server() -> Iterator[int]:
    made = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    made.start()
    yield made.get_host_and_port()[1]
    made.stop()


@pytest.fixture
def s3(server: int) -> Iterator[Any]:
    """A bucket with two shards, one of several ranges."""
    client = boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{server}",
        aws_access_key_id="AK",
        aws_secret_access_key=SECRET,
        region_name="us-east-1",
    )
    client.create_bucket(Bucket="fleet")
    big = craft.rdb(*(craft.record(0, b"big:%d" % i, craft.string(os.urandom(RANGE // 2))) for i in range(2 * PARTS)))
    client.put_object(Bucket="fleet", Key="shard-1.rdb", Body=(FIXTURES / "redis-7.4.1/small-plain.rdb").read_bytes())
    client.put_object(Bucket="fleet", Key="shard-2.rdb", Body=big)
    yield client
    for item in client.list_objects_v2(Bucket="fleet").get("Contents", ()):
        client.delete_object(Bucket="fleet", Key=item["Key"])
    client.delete_bucket(Bucket="fleet")


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Done]]:
    """Runs the program with the S3 at a port."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "AK",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_MAX_ATTEMPTS": "1",
    }.items():
        monkeypatch.setenv(name, value)

    def run_at(port: int, *arguments: object) -> Done:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        s3fs.S3FileSystem.clear_instance_cache()
        done = run(*arguments)
        assert SECRET not in done.stdout + done.stderr
        return done

    yield run_at
    s3fs.S3FileSystem.clear_instance_cache()


def test_shards_are_read_and_written_there(server: int, at: Callable[..., Done], s3: Any, tmp_path: Path) -> None:
    done = at(server, "digest", "s3://fleet/shard-*.rdb")
    assert done.returncode == 0, done.stderr
    assert [line.split("  ")[1] for line in done.stdout.splitlines()] == [
        "s3://fleet/shard-1.rdb",
        "s3://fleet/shard-2.rdb",
    ]
    done = at(server, "convert", "s3://fleet/shard-2.rdb", "s3://fleet/new/copy.rdb")
    assert done.returncode == 0, done.stderr
    assert (
        at(server, "digest", "s3://fleet/new/copy.rdb").stdout.split()[0]
        == at(server, "digest", "s3://fleet/shard-2.rdb").stdout.split()[0]
    )
    done = at(server, "dump", "s3://fleet/shard-*.rdb", "-f", "parquet", "-o", "s3://fleet/keys/")
    assert done.returncode == 0, done.stderr
    listed = [item["Key"] for item in s3.list_objects_v2(Bucket="fleet", Prefix="keys/")["Contents"]]
    assert listed == ["keys/shard=shard-1.rdb/keys.parquet", "keys/shard=shard-2.rdb/keys.parquet"]


def test_what_cannot_be_reached_is_one_line_and_code_2(server: int, at: Callable[..., Done], s3: Any) -> None:
    for arguments in (
        ["check-rdb", "s3://none/x.rdb"],
        ["check-rdb", "s3://fleet/none.rdb"],
        ["check-rdb", "s3://fleet/none-*.rdb"],
        ["dump", "s3://none/x.rdb"],
        ["convert", "s3://fleet/shard-1.rdb", "s3://none/x.rdb"],
        ["convert", "s3://fleet/shard-2.rdb", "s3://none/x.rdb"],
    ):
        done = at(server, *arguments)
        assert done.returncode == 2, done
        said = (done.stdout + done.stderr).splitlines()
        assert any("there is no such file" in line or "no file matches" in line for line in said), done
    free = socket.create_server(("127.0.0.1", 0))
    port = free.getsockname()[1]
    free.close()
    done = at(port, "check-rdb", "s3://fleet/shard-1.rdb")
    assert done.returncode == 2
    assert "Could not connect" in done.stdout + done.stderr


def test_a_network_that_is_cut_in_the_middle_is_one_line_and_code_2(
    server: int, at: Callable[..., Done], s3: Any, tmp_path: Path
) -> None:
    for arguments in (
        ["check-rdb", "s3://fleet/shard-2.rdb"],
        ["dump", "s3://fleet/shard-2.rdb", "-o", str(tmp_path / "x.csv")],
    ):
        proxy = Proxy(server)
        proxy.left = (PARTS - 1) * RANGE
        done = at(proxy.port, *arguments)
        proxy.close()
        assert done.returncode == 2, done
        assert "cannot read from byte" in done.stdout + done.stderr
        assert list(tmp_path.iterdir()) == []


def test_an_upload_that_is_cut_leaves_no_object(server: int, at: Callable[..., Done], s3: Any) -> None:
    done = at(server, "convert", "s3://fleet/shard-2.rdb", "s3://fleet/copy.rdb", "--key", "big:1")
    assert done.returncode == 0
    s3.put_object(
        Bucket="fleet", Key="bad.rdb", Body=s3.get_object(Bucket="fleet", Key="shard-2.rdb")["Body"].read()[:-9]
    )
    for name in ("x.rdb", "copy.rdb"):
        before = [item["ETag"] for item in s3.list_objects_v2(Bucket="fleet", Prefix=name).get("Contents", ())]
        assert at(server, "convert", "s3://fleet/bad.rdb", f"s3://fleet/{name}", "--force").returncode == 1
        after = [item["ETag"] for item in s3.list_objects_v2(Bucket="fleet", Prefix=name).get("Contents", ())]
        assert after == before
    assert "Uploads" not in s3.list_multipart_uploads(Bucket="fleet")
