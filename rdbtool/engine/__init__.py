"""The mini-engine: a log's commands replayed into a dataset.

Imports go from the last of these to the first:

- `cells`: how a value lives in memory, a cell per type, mutable in place.
- the modules of this folder: `dataset` has the databases; handlers look keys up with `string`, `list`, `hash`...
  which give the cell of that type, None, or WRONGTYPE; they remove elements and then call `settle`, which is the one
  place where an empty collection takes its key with it. `table` attaches handlers to the rows of
  `servers.commands`. `encodings` knows what OBJECT ENCODING would say. Where releases differ,
  `Dataset.release` tells (`servers.features`).
- `commands`: the handlers. A handler takes the dataset and the arguments, the name first, and returns the reply
  (None, int, bytes, `Status`, list). A new command is one row in `servers.commands` and one handler here.
- `replay`: SELECT, MULTI, errors as findings, where to stop; bases and logs as files; the history of keys.

A handler checks everything before it changes anything: a command that fails must leave no trace.
"""
