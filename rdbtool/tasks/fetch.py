"""Copy the snapshot that a live server sends, byte by byte, and read it on the way."""

from __future__ import annotations

from rdbtool.errors import FormatError
from rdbtool.inputs.detect import Progress
from rdbtool.inputs.keys import Facts
from rdbtool.io.copying import Tee
from rdbtool.io.sink import commit_all, open_named
from rdbtool.io.source import open_input
from rdbtool.io.window import Metered, Readable, Window
from rdbtool.outputs.rdb import target_of
from rdbtool.rdb.events import Aux, End, Header
from rdbtool.rdb.frame import Frame
from rdbtool.rdb.reader import RdbReader


def fetch(url: str, output: str, progress: Progress | None = None) -> tuple[int, str]:
    """Copy a snapshot to ``output``, which is there only if all of it came and can be read, and its checksum is right.

    Returns how many keys it has, and the release that it is for. Raises `InputError`, `OutputError`, and `FormatError`
    for what does not read.
    """
    facts = Facts()
    keys = 0
    with open_input(url) as raw:
        sink = open_named(output)
        try:
            tee = Tee(raw.stream, sink)
            source: Readable = tee if progress is None else Metered(tee, raw.size, progress)
            w = Window(source, path=raw.name, size=raw.size)
            reader = RdbReader(w)
            while (event := reader.next()) is not None:
                if isinstance(event, Frame):
                    keys += 1
                elif isinstance(event, Aux):
                    facts.aux[event.name] = event.value
                elif isinstance(event, Header):
                    facts.dialect = event.dialect
                    facts.version = event.version
                elif isinstance(event, End) and event.checksum == "bad":
                    message = "the checksum is wrong: some byte has changed on its way"
                    raise FormatError(message, path=raw.name, offset=event.offset, doing="reading the checksum")
            if not w.at_end():
                raise FormatError("bytes behind the snapshot", path=raw.name, offset=w.offset())
            commit_all([sink])
        except FormatError as e:
            raw.refuse_change(e)
            raise
        finally:
            sink.abort()  # does nothing after a commit
    return keys, target_of(facts).name
