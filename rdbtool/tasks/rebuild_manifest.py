"""Write the manifest of a set of files anew."""

from __future__ import annotations

import os
from shlex import quote

from rdbtool.aof.in_place import alone
from rdbtool.aof.layout import layout_by
from rdbtool.aof.rebuilding import Rebuilt
from rdbtool.io.sink import open_sink


def write_manifest(rebuilt: Rebuilt, *, save: bool = True, force: bool = False) -> list[str]:
    """Write it where it belongs; answers the shell commands that undo that.

    ``save``: keep the damaged one beside it; ``force``: go on where a process has the log open for writing. Raises
    `OutputError`.
    """
    path = rebuilt.path
    layout = layout_by(path, rebuilt.text)
    with alone(lambda: layout, force=force):
        undo = [f"rm {quote(path)}"]
        if rebuilt.exists and save:
            with open(path, "rb") as stream:
                old = stream.read()
            kept = _free_name(path)
            with open_sink(kept, like=path, exclusive=True) as sink:
                sink.write(old)
            undo = [f"mv {quote(kept)} {quote(path)}"]
        like = path if rebuilt.exists else layout.files[0].path
        with open_sink(path, like=like) as sink:
            sink.write(rebuilt.text)
    return undo


def _free_name(path: str) -> str:
    name = f"{path}.cut-0"
    number = 1
    while os.path.lexists(name):
        name = f"{path}.cut-0.{number}"
        number += 1
    return name
