"""Is a server's persistence alive? What it says of itself, held against thresholds."""

from __future__ import annotations

import contextlib
import os
import shutil
import statistics
import time
from typing import Final

from rdbtool.basics.numbers import natural
from rdbtool.errors import InputError, printable_text
from rdbtool.findings import plural
from rdbtool.live.address import ANONYMOUS, UNIX, Access, parse_url, shown_url
from rdbtool.live.connection import Connection, RefusedError
from rdbtool.tasks.judgement import Judgement
from rdbtool.tasks.verify.judge import span

from .state import SAVES_KEPT, Look, State
from .thresholds import DEFAULT, SAVE_AGE_S, Thresholds

GIB: Final = 1 << 30
LOCAL: Final = ("localhost", "127.0.0.1", "::1")
PRODUCTS: Final = ("redis", "valkey", "keydb")
"""What stands in the command lines of servers."""
LOOKED_AT: Final = 1 << 16
"""Characters of a command line that are looked at."""
_SETTINGS: Final = ("save", "appendfsync", "auto-aof-rewrite-percentage", "auto-aof-rewrite-min-size", "dir")


def health(url: str, limits: Thresholds = DEFAULT, access: Access = ANONYMOUS, state: State | None = None) -> Judgement:
    """Judge the persistence of the server at ``url``. What keeps it from being asked is the judgement's ``error``.

    ``state``: of earlier looks, with which this one is compared, and which it becomes part of. Raises `UsageError` for
    what is no URL of a server.
    """
    address = parse_url(url)
    judged = Judgement(subject=shown_url(url), kind="server")
    try:
        with Connection(url, access) as connection:
            info = connection.info()
            settings = _settings(connection, judged)
            if "rdb_last_save_time" not in info:
                with contextlib.suppress(RefusedError):
                    info["rdb_last_save_time"] = str(connection.call("LASTSAVE"))
    except InputError as e:
        judged.error = e
        return judged
    local = address.scheme == UNIX or address.host in LOCAL
    before = state.looks.get(judged.subject) if state is not None else None
    examination = _Examination(judged, limits, info, settings, local, before)
    examination.run()
    if state is not None:
        state.looks[judged.subject] = examination.look
    judged.checks = [check for check in judged.checks if check.name not in limits.ignored]
    return judged


def _settings(connection: Connection, judged: Judgement) -> dict[str, str]:
    """The settings that matter, as far as we may see them."""
    found: dict[str, str] = {}
    for name in _SETTINGS:
        try:
            reply = connection.call("CONFIG", "GET", name)
        except RefusedError as e:
            judged.notes.append(f"its settings are not known: {e.words}")
            return {}
        if isinstance(reply, list) and len(reply) == 2 and isinstance(reply[1], bytes):
            found[name] = reply[1].decode("utf-8", "replace")
    return found


class _Examination:
    """Of one server: ``info`` and ``settings`` say what it says; ``local``: it seems to run on this machine;
    ``before``: the last look at it, and ``look`` this one.
    """

    def __init__(
        self,
        judged: Judgement,
        limits: Thresholds,
        info: dict[str, str],
        settings: dict[str, str],
        local: bool,
        before: Look | None,
    ) -> None:
        self.judged = judged
        self.limits = limits
        self.info = info
        self.settings = settings
        self.local = local
        self.logged = self.number("aof_enabled") == 1
        self.memory = max(self.number("used_memory"), self.number("used_memory_rss"))
        self.before = before
        self.look = Look(int(time.time()), printable_text(info.get("run_id", "")))

    def run(self) -> None:
        """Make all checks for which the server says enough."""
        self.introduce()
        self.loaded()
        self.persistence()
        self.snapshot()
        if self.logged:
            self.log()
        self.fork()
        self.copied()
        self.disk()

    def number(self, name: str, otherwise: int = 0) -> int:
        """A field of INFO."""
        text = self.info.get(name, "").strip()
        number = natural(text.removeprefix("-"))
        return otherwise if number < 0 else -number if text[0] == "-" else number

    def setting(self, name: str) -> int:
        """A number among the settings; -1 where it is not known."""
        text = self.settings.get(name, "")
        return natural(text)

    def says_ok(self, check: str, field: str, what: str) -> None:
        """Whether the server says that something went well."""
        said = self.info.get(field)
        if said is not None:
            self.judged.expect(check, f"the last {what} went well", printable_text(said), met=said == "ok")

    def introduce(self) -> None:
        """Say which server it is."""
        info = self.info
        version = info.get("valkey_version") or info.get("redis_version", "of unknown version")
        product = "valkey" if "valkey_version" in info else "redis"
        role = info.get("role", "")
        up = span(self.number("uptime_in_seconds"))
        self.judged.notes.append(printable_text(f"{product} {version}, {role}, up {up}"))
        self.judged.measure("up_seconds", "Seconds since the server started.", self.number("uptime_in_seconds"))
        self.judged.measure("used_memory_bytes", "Memory that the server uses for data.", self.number("used_memory"))

    def loaded(self) -> None:
        """Whether it has read its data."""
        loading = self.number("loading") == 1
        done = self.info.get("loading_loaded_perc", "?")
        told = f"loading, {printable_text(done)} % done" if loading else "loaded"
        self.judged.expect("loaded", "not loading its data", told, met=not loading)

    def persistence(self) -> None:
        """Whether anything is written down at all."""
        if self.logged:
            told, met = "a log", True
        elif "save" in self.settings:
            points = self.settings["save"]
            told, met = (f"save points {points}", True) if points else ("neither a log nor save points", False)
        else:
            return
        self.judged.expect("persistence", "a log, or save points", printable_text(told), met=met)

    def snapshot(self) -> None:
        """Whether the last snapshot went well, and is not too old."""
        self.says_ok("last-bgsave", "rdb_last_bgsave_status", "save in the background")
        saved, changes = self.number("rdb_last_save_time", -1), self.number("rdb_changes_since_last_save")
        if saved < 0:
            return
        age = max(0, int(time.time()) - saved)
        self.judged.measure("last_save_age_seconds", "Seconds since the last snapshot, or the start.", age)
        self.judged.measure("changes_since_last_save", "Changes since the last snapshot.", changes)
        limit = self.limits.max_save_age_s
        if limit is None:
            if self.logged and not self.settings.get("save"):
                return
            limit = SAVE_AGE_S
        told = f"{span(age)} old, {plural(changes, 'change')} since"
        if self.number("rdb_bgsave_in_progress"):
            told += ", saving"
        expected = f"at most {span(limit)} old, or no changes since"
        self.judged.expect("last-save", expected, told, met=age <= limit or not changes)

    def log(self) -> None:
        """Whether the log is written, synced, and rewritten in time."""
        judged, limits = self.judged, self.limits
        self.says_ok("aof-write", "aof_last_write_status", "write to the log")
        self.says_ok("aof-rewrite", "aof_last_bgrewrite_status", "rewrite of the log")
        size, base = self.number("aof_current_size"), self.number("aof_base_size")
        judged.measure("aof_size_bytes", "Bytes of the log.", size)
        judged.measure("aof_base_size_bytes", "Bytes of the log after its last rewrite, or at the start.", base)
        percent, least = self.setting("auto-aof-rewrite-percentage"), self.setting("auto-aof-rewrite-min-size")
        if percent == 0:
            judged.notes.append("its log is never rewritten by itself: auto-aof-rewrite-percentage is 0")
        elif percent > 0:
            grown = (size - base) * 100 // max(base, 1)
            busy = any(
                self.number(name)
                for name in ("aof_rewrite_in_progress", "aof_rewrite_scheduled", "rdb_bgsave_in_progress")
            )
            limit = int(percent * (1 + limits.rewrite_slack))
            due = size >= least and grown > limit and not busy
            told = f"grown by {grown:,} % to {plural(size, 'byte')}"
            judged.expect(
                "aof-rewrite-due", f"rewritten at {percent} % growth from {least:,} bytes on", told, met=not due
            )
        if "appendfsync" in self.settings:
            policy = self.settings["appendfsync"]
            judged.expect("fsync", "always or everysec", printable_text(policy), met=policy != "no")
        delayed = self.number("aof_delayed_fsync")
        judged.measure("delayed_fsyncs", "Writes to the log that had to wait for the disk, since the start.", delayed)
        self.look.delayed_fsyncs = delayed
        seconds = self.number("uptime_in_seconds")
        if self.before is not None and self.before.run_id == self.look.run_id and self.before.delayed_fsyncs <= delayed:
            delayed -= self.before.delayed_fsyncs
            seconds = max(0, self.look.at_s - self.before.at_s)
        told = f"{delayed:,} in {span(seconds)}"
        met = delayed / max(seconds / 3600, 1.0) <= limits.max_delayed_fsyncs
        judged.expect("delayed-fsync", f"at most {limits.max_delayed_fsyncs:,} in an hour", told, met=met)

    def fork(self) -> None:
        """Whether the server can fork, and what that costs."""
        judged, limits, memory = self.judged, self.limits, self.memory
        took = self.number("latest_fork_usec") / 1e6
        if "latest_fork_usec" in self.info:
            judged.measure("latest_fork_seconds", "How long the last fork took, in which the server stood still.", took)
            each = took / max(memory / GIB, 1.0)
            expected = f"at most {limits.max_fork_s * 1000:g} ms for a GiB"
            told = f"{each * 1000:.3g} ms ({took * 1000:.3g} ms in all)"
            judged.expect("fork-time", expected, told, met=each <= limits.max_fork_s)
        total = self.number("total_system_memory")
        if total and memory:
            spare = max(0, total - memory)
            expected = f"{_percent(limits.min_fork_memory)} of what it uses, beside it"
            told = f"it uses {memory:,} of {plural(total, 'byte')}"
            judged.expect("fork-memory", expected, told, met=spare >= limits.min_fork_memory * memory)

    def copied(self) -> None:
        """How much memory saves and rewrites copy, as the server goes on writing to it, and whether that grows."""
        judged, limits, look, before = self.judged, self.limits, self.look, self.before
        last = [self.number("rdb_last_cow_size"), self.number("aof_last_cow_size")]
        cow = max(*last, self.number("current_cow_size"))
        data = self.number("used_memory_dataset") or self.number("used_memory")
        if "rdb_last_cow_size" not in self.info or not data:
            return
        part = cow / data
        judged.measure("copy_on_write_bytes", "Memory copied during the last save or rewrite.", cow)
        judged.measure("copy_on_write_ratio", "The same as a part of the dataset.", part)
        small = cow <= limits.cow_floor
        but = f", or {plural(limits.cow_floor, 'byte')}"
        told = f"{_percent(part)}, {plural(cow, 'byte')}"
        met = small or part <= limits.max_cow
        judged.expect("copy-on-write", f"at most {_percent(limits.max_cow)} of the dataset{but}", told, met=met)
        look.saved = " ".join([self.info.get("rdb_last_save_time", ""), *map(str, last)])
        look.copied = list(before.copied) if before is not None else []
        if before is not None and before.saved == look.saved:
            look.copied = look.copied[:-1]
        if look.copied:
            usual = statistics.median_low(look.copied)
            expected = f"at most {_percent(limits.max_cow_growth)} of the dataset more than before{but}"
            earlier = "the one before" if len(look.copied) == 1 else f"the middle one of {len(look.copied)} before"
            told += f"; {earlier}: {_percent(usual)}"
            met = small or part - usual <= limits.max_cow_growth
            judged.expect("copy-on-write-growth", expected, told, met=met)
        if cow:
            look.copied = [*look.copied, part][-SAVES_KEPT:]

    def disk(self) -> None:
        """Whether its disk has room for one more snapshot or rewritten log."""
        needed = max(self.number("used_memory_dataset"), self.number("aof_base_size"))
        self.judged.measure("disk_needed_bytes", "Disk that the next snapshot or rewritten log may take.", needed)
        directory = self.directory_here()
        if not directory:
            known = self.settings.get("dir", "")
            named = f" ({printable_text(known)})" if known else ""
            self.judged.notes.append(
                f"unknown: how full its disk is. Servers do not tell, and its directory{named} cannot be seen from "
                f"here; the next snapshot may take {plural(needed, 'byte')}"
            )
            return
        usage = shutil.disk_usage(directory)
        part = usage.used / max(usage.used + usage.free, 1)  # as df has it: what is kept for root is neither
        self.judged.measure("disk_used_ratio", "Part of the disk that is used, 0 to 1.", part)
        expected = f"at most {_percent(self.limits.max_disk_used)}"
        self.judged.expect("disk-used", expected, _percent(part), met=part <= self.limits.max_disk_used)
        told = f"{usage.free:,} free"
        self.judged.expect("disk-for-fork", f"{plural(needed, 'byte')} for a snapshot", told, met=usage.free >= needed)

    def directory_here(self) -> str:
        """The server's directory, where it is one of this machine; else "".

        A server works in its directory, which its process tells, also where it may not say so itself. That a port of
        this machine leads to it does not prove that it runs here: it may be in a container, or behind a tunnel.
        """
        said = self.settings.get("dir", "")
        if not self.local:
            return ""
        process = f"/proc/{self.number('process_id')}"
        if not os.path.isdir("/proc/self"):
            return said if os.path.isdir(said) else ""
        try:
            with open(f"{process}/cmdline", encoding="utf-8", errors="replace") as stream:
                words = stream.read(LOOKED_AT)
        except OSError:
            return ""
        if not any(product in words for product in PRODUCTS):
            return ""
        try:
            if not said or os.readlink(f"{process}/cwd") == os.path.realpath(said):
                return f"{process}/cwd"
        except OSError:  # of another user
            return said if os.path.isdir(said) else ""
        return ""


def _percent(part: float) -> str:
    """A part of 1, for reading."""
    return f"{part * 100:.3g} %"
