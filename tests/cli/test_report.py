"""`report`: the page as a file; `test_report_page` looks at it in a browser."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import shutil
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from rdbtool.findings import Finding, Severity
from tests.cli.running import run
from tests.rdb import craft

ROOT = Path(__file__).resolve().parents[2]
WHOLE = ROOT / "fixtures/rdb/redis-7.4.1/small-plain.rdb"
LOG = ROOT / "fixtures/aof/truncated.aof"
HOSTILE = b"</script><img src=x onerror=\"document.title='run'\">"


class Page(HTMLParser):
    """What a browser makes of a page: tags with their attributes, scripts, and the text that is shown."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.text = ""
        self._inside = ""
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002 - the base class names it
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts[-1] += data
        elif self._inside != "style":
            self.text += data

    @property
    def data(self) -> Any:
        return json.loads(self.scripts[0])


def page(source: Path, *options: object) -> Page:
    out = source.parent / "page.html"
    done = run("report", source, "-o", out, "--force", *options)
    assert done.returncode in {0, 1}, done.stderr
    return Page(out)


def crafted(tmp_path: Path, *keys: bytes) -> Path:
    path = tmp_path / "crafted.rdb"
    path.write_bytes(craft.rdb(*(craft.record(0, key, craft.string(b"v" * 100)) for key in keys)))
    return path


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    return Path(shutil.copy(WHOLE, tmp_path))


def test_a_page_tells_everything_that_memory_and_check_rdb_tell(whole: Path) -> None:
    shown = page(whole)
    facts = json.loads(run("memory", whole, "--format", "json", "--top", "500").stdout)
    told = {(branch["prefix"], branch["keys"], branch["bytes"]) for branch in facts["prefixes"]["prefixes"]}
    boxes = shown.data["boxes"]
    assert {one for one in told if len(one[0]) < 80} <= set(
        zip(boxes["labels"], boxes["keys"], boxes["bytes"], strict=True)
    )
    for key in facts["top"]:
        assert key["key"][:40] in shown.text or r"\x" in key["key"]
    for text in ("RDB 12 of Redis, written by redis 7.4.1", "2026-11-20 21:06:30 UTC", "checksum ok", "lib_two, mylib"):
        assert text in shown.text
    assert "Sound: the check found no errors" in shown.text
    assert "PARTIAL" not in shown.text
    assert "115 of 115." in shown.text
    assert "9 of 115 keys have an expiry" in shown.text
    assert (boxes["keys"][0], boxes["bytes"][0]) == (115, facts["total"]["bytes"])
    for chart in shown.data["charts"].values():
        assert sum(chart["bytes"]) == facts["total"]["bytes"]
        assert sum(chart.get("keys", [115])) == 115


def test_boxes_add_up_to_the_one_that_they_are_in(whole: Path) -> None:
    boxes = page(whole, "--depth", "3").data["boxes"]
    inside: dict[int, list[int]] = {}
    for i, parent in enumerate(boxes["parents"]):
        assert parent < i
        inside.setdefault(parent, []).append(i)
    assert inside.pop(-1) == [0]
    assert len(inside) == 3
    for parent, found in inside.items():
        for what in ("keys", "bytes"):
            assert sum(boxes[what][i] for i in found) == boxes[what][parent]


def test_a_page_needs_nothing_but_itself_and_runs_no_script_but_its_own(whole: Path) -> None:
    shown = page(whole)
    for tag, attributes in shown.tags:
        assert tag not in {"link", "img", "iframe", "object", "embed", "base"}
        assert not {name for name in attributes if name.startswith("on") or name in {"src", "srcset", "action"}}
        assert (attributes.get("href") or "#").startswith("#")
    policy = next(a["content"] for tag, a in shown.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert "default-src 'none'" in policy
    allowed = re.findall(r"'sha256-([^']+)'", policy)
    assert allowed == [base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in shown.scripts[1:]]
    assert (whole.parent / "page.html").stat().st_size < 6_000_000


def test_hostile_names_are_text(tmp_path: Path) -> None:
    keys = (HOSTILE, HOSTILE + b":a", b"\x1b[31m\x00:b", "café:\u202eevil".encode(), b"\xff\xfe", b"a" * 5000, b"<b>:1")
    shown = page(crafted(tmp_path, *keys))
    assert {tag for tag, _ in shown.tags} & {"img", "b"} == set()
    assert HOSTILE.decode() in shown.text
    for text in (r"\x1b[31m\x00:b", r"café:\xe2\x80\xaeevil", r"\xff\xfe", "a" * 117 + "..."):
        assert text in shown.text
    source = (tmp_path / "page.html").read_text()
    assert source.count("</script>") == 3
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f\u202e]", source.partition('<script type="application/json"')[0])


@pytest.mark.parametrize("text", ['"', "'", "<", "\U00010400", "\x01", "\u202e", "k"])
def test_the_page_stays_small_whatever_the_names(tmp_path: Path, text: str) -> None:
    """A thousand keys that are large, others that have many elements, and as many prefixes as are shown."""
    name = (text * 200).encode()
    records = [craft.record(0, b"%d:" % i + name + b":%d:" % i + name, craft.string(b"v" * 2000)) for i in range(1000)]
    records += [craft.record(2, name + b"%d" % i, craft.counted(*(b"%d" % n for n in range(9)))) for i in range(1000)]
    libraries = [b"\xf5" + craft.string(b"#!lua name=" + b"n" * 60 + b"%d\n" % i) for i in range(1000)]
    path = tmp_path / "x.rdb"
    path.write_bytes(craft.rdb(*libraries, *records, magic=b"REDIS0010"))
    shown = page(path, "--top", 1000)
    size = (tmp_path / "page.html").stat().st_size
    assert 5_000_000 < size < 6_000_000
    rows = [attributes for tag, attributes in shown.tags if tag == "td" and attributes.get("class") == "name"]
    assert len(rows) > 1900
    assert len(shown.data["boxes"]["labels"]) > 1000


@pytest.mark.parametrize("cut", [5000, 8000])
def test_a_page_about_a_part_says_so_everywhere(whole: Path, cut: int) -> None:
    whole.write_bytes(whole.read_bytes()[:cut])
    done = run("report", whole, "-o", whole.parent / "page.html")
    assert done.returncode == 1
    assert done.stderr.startswith("error ")
    shown = Page(whole.parent / "page.html")
    assert "PARTIAL" in shown.text
    assert "Damaged: 1 error" in shown.text
    titles = re.findall(r"<h2>(.*?)</h2>", (whole.parent / "page.html").read_text())
    assert [title for title in titles if "(partial)" not in title] == ["What it is"]
    assert len(titles) == 9


def test_a_value_that_only_the_check_finds_bad_is_told(tmp_path: Path) -> None:
    """The walk that measures does not look into values."""
    path = tmp_path / "bad.rdb"
    path.write_bytes(craft.rdb(craft.record(2, b"twice", craft.counted(b"a", b"a"))))
    shown = page(path)
    assert "Damaged: 1 error" in shown.text
    assert "PARTIAL" not in shown.text


@pytest.mark.parametrize("data", [b"", b"rubbish" * 100, b"REDIS0010", b"REDIS0010\xff" + bytes(8)])
def test_what_holds_no_keys_is_a_page_too(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.rdb"
    path.write_bytes(data)
    assert "0 keys" in page(path).text


def test_a_log_is_replayed_and_checked(tmp_path: Path) -> None:
    path = Path(shutil.copy(LOG, tmp_path))
    shown = page(path)
    for text in ("truncated-command", "the log was replayed first", "a log (AOF)", "26 of 26."):
        assert text in shown.text


def test_what_cannot_be_checked_is_said_not_to_be(whole: Path, tmp_path: Path) -> None:
    done = run("report", "-", "-o", tmp_path / "page.html", stdin=whole.read_bytes())
    assert done.returncode == 0
    assert "Not checked: standard input is read once" in Page(tmp_path / "page.html").text
    text = tmp_path / "commands"
    text.write_text("SET a 1\n")
    assert "Not checked" in page(text).text


def test_options_choose_what_is_shown(whole: Path) -> None:
    shown = page(whole, "--key", "str:*", "--top", "3", "--for", "redis-6.2", "--prefix-sep", "")
    assert shown.data["boxes"]["labels"] == []
    assert "redis-6.2" in shown.text
    assert "of 65." in shown.text
    assert "the figures are of keys that were chosen" in shown.text
    assert "stream:groups" not in shown.text
    assert "{n}" in page(whole, "--patterns").data["boxes"]["labels"]


def test_a_page_is_written_whole_or_not_at_all_and_not_over_another(whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.html"
    assert run("report", tmp_path / "missing", "-o", out).returncode == 2
    assert list(tmp_path.glob("*out*")) == []
    out.write_text("mine")
    refused = run("report", whole, "-o", out)
    assert (refused.returncode, out.read_text()) == (2, "mine")
    assert "--force" in refused.stderr
    assert run("report", whole, "-o", whole, "--force").returncode == 2
    assert run("report", whole, "-o", tmp_path / "no" / "dir.html").returncode == 2
    assert run("report", whole, "-o", out, "--force").returncode == 0
    assert out.read_text().startswith("<!doctype html>")
    assert run("report", whole, "-o", "-", "--now", "1700000000").output.startswith(b"<!doctype html>")
    quiet = run("report", whole, "-o", out, "--force", "-q")
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "", "")


def test_a_compressed_snapshot_is_read(whole: Path, tmp_path: Path) -> None:
    packed = tmp_path / "x.rdb.gz"
    packed.write_bytes(gzip.compress(whole.read_bytes()))
    assert "115 of 115." in page(packed).text


def test_without_its_libraries_one_line_names_the_extra(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "plotly", None)
    monkeypatch.delitem(sys.modules, "rdbtool.cli.report_page", raising=False)
    told = run("report", whole, "-o", tmp_path / "out.html")
    assert told.returncode == 2
    assert told.stderr == "rdbtool: a page needs plotly and Jinja2: pip install 'rdbtoolkit[report]'\n"
    assert not (tmp_path / "out.html").exists()


def test_of_very_many_findings_the_worst_are_shown(whole: Path) -> None:
    from rdbtool.cli.report_page import FINDINGS, page_of
    from rdbtool.tasks.report.run import report

    told = report(whole)
    for i in range(FINDINGS + 1):
        told.findings.add(Finding(Severity.ERROR if i == FINDINGS else Severity.NOTE, f"code-{i}", "<b>"))
    text = page_of(told).decode()
    assert "... and 1 more" in text
    assert f"code-{FINDINGS}<" in text
    assert f"code-{FINDINGS - 1}<" not in text
