"""The mini-engine: a log's commands replayed into a dataset.

How it is put together:

- `table`: `command` registers a handler under its name, arity, key positions and flags. A handler takes the
  dataset and the arguments, the name first, and returns the reply (None, int, bytes, `Status`, list).
- `dataset`: `Dataset.keys` is the selected database. Handlers look up with `string`, `list`, `hash`... which
  give the cell of that type, None, or WRONGTYPE; they remove elements and then call `settle`, which is the
  one place where an empty collection takes its key with it.
- `cells`, `zset`, `stream`: a cell per type, mutable in place.
- `encodings`: what OBJECT ENCODING would say. Where releases differ, `Dataset.release` tells (`servers.features`).
- `replay`: SELECT, MULTI, errors as findings, stop conditions.

A handler checks everything before it changes anything: a command that fails must leave no trace.
"""
