"""Running commands, written as one types them, on a dataset of its own."""

from __future__ import annotations

from rdbtool.engine import commands
from rdbtool.engine.cells.stream import StreamCell, id_of
from rdbtool.engine.cells.zset import SortedSetCell
from rdbtool.engine.dataset import Dataset
from rdbtool.engine.replies import CommandError, Status
from rdbtool.engine.stream_ids import text_of
from rdbtool.engine.table import execute
from rdbtool.servers.releases import release_named

assert commands  # imported for the table that they fill


class Engine:
    """A dataset that follows a release, and the time 2033-05-18."""

    def __init__(self, release: str = "redis-8.6") -> None:
        self.dataset = Dataset(release_named(release), now_ms=2_000_000_000_000)

    def run(self, text: str, *more: bytes) -> object:
        """The reply to a command whose arguments are split at spaces; an error as its text."""
        try:
            reply = execute(self.dataset, [*text.encode().split(b" "), *more])
        except CommandError as error:
            return error.text
        return reply.text if isinstance(reply, Status) else reply

    def all(self, *texts: str) -> list[object]:
        return [self.run(text) for text in texts]

    def zset(self, key: str) -> dict[str, float]:
        """Members and scores in order."""
        cell = self.dataset.sorted_set(key.encode())
        if cell is None:
            return {}
        return {m.decode(): cell.scores[m] for m in cell.order().slice(0, len(cell.scores))}

    def zset_cell(self, key: str) -> SortedSetCell:
        cell = self.dataset.sorted_set(key.encode())
        assert cell is not None
        return cell

    def stream(self, key: str) -> StreamCell:
        cell = self.dataset.stream(key.encode())
        assert cell is not None
        return cell

    def ids(self, key: str) -> list[str]:
        return [text_of(entry).decode() for entry, _ in self.stream(key).after(-1, 0)]

    def pending(self, key: str, group: str) -> dict[str, tuple[str, int]]:
        """What is pending: id -> consumer and deliveries."""
        pending = self.stream(key).groups[group.encode()].pending
        return {
            text_of(id_of(e)).decode(): (c.consumer.name.decode(), c.deliveries) for e, c in sorted(pending.items())
        }

    def string(self, key: str) -> bytes:
        cell = self.dataset.string(key.encode())
        assert cell is not None
        return cell.get()
