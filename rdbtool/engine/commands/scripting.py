"""Scripts and functions."""

from __future__ import annotations

from rdbtool.engine.dataset import Dataset
from rdbtool.engine.functions import load_library, loadable_name, pre_release_library
from rdbtool.engine.payload import functions_of_payload
from rdbtool.engine.replies import OK, CommandError, NotRunError
from rdbtool.engine.scripts import Scripts
from rdbtool.engine.table import handles


def _scripts(dataset: Dataset) -> Scripts:
    scripts = dataset.scripts
    if not isinstance(scripts, Scripts):
        scripts = Scripts(dataset)
        dataset.scripts = scripts
    return scripts


@handles(b"EVAL")
def eval_(dataset: Dataset, args: list[bytes]) -> object:
    scripts = _scripts(dataset)
    scripts.add(args[1])
    return scripts.run(args[1], args[2:])


@handles(b"EVALSHA")
def evalsha(dataset: Dataset, args: list[bytes]) -> object:
    scripts = _scripts(dataset)
    code = scripts.codes.get(args[1].lower())
    if code is None:
        raise CommandError("NOSCRIPT No matching script. Please use EVAL.")
    return scripts.run(code, args[2:])


@handles(b"FCALL")
def fcall(dataset: Dataset, args: list[bytes]) -> object:
    """Servers log what functions did, never their calls."""
    raise NotRunError("functions are not run")


@handles(b"SCRIPT|LOAD")
def script_load(dataset: Dataset, args: list[bytes]) -> object:
    return _scripts(dataset).add(args[2])


@handles(b"SCRIPT|FLUSH")
def script_flush(dataset: Dataset, args: list[bytes]) -> object:
    _scripts(dataset).codes.clear()
    return OK


@handles(b"FUNCTION|LOAD")
def function_load(dataset: Dataset, args: list[bytes]) -> object:
    replace = False
    for i in range(2, len(args) - 1):
        option = args[i].upper()
        if i == 2 and option == b"LUA":
            replace, code = pre_release_library(args)
            dataset.dirty += 1
            return load_library(dataset, code, replace=replace)
        if option != b"REPLACE":
            raise CommandError(f"ERR Unknown option given: {args[i].decode('latin-1')}")
        replace = True
    name = load_library(dataset, args[-1], replace=replace)
    dataset.dirty += 1
    return name


@handles(b"FUNCTION|DELETE")
def function_delete(dataset: Dataset, args: list[bytes]) -> object:
    if dataset.functions.pop(args[2], None) is None:
        raise CommandError("ERR Library not found")
    dataset.dirty += 1
    return OK


@handles(b"FUNCTION|FLUSH")
def function_flush(dataset: Dataset, args: list[bytes]) -> object:
    if len(args) > 3:
        raise CommandError("ERR unknown subcommand or wrong number of arguments for 'flush'. Try FUNCTION HELP.")
    if len(args) == 3 and args[2].upper() not in {b"SYNC", b"ASYNC"}:
        raise CommandError("ERR FUNCTION FLUSH only supports SYNC|ASYNC option")
    dataset.functions.clear()
    dataset.dirty += 1
    return OK


@handles(b"FUNCTION|RESTORE")
def function_restore(dataset: Dataset, args: list[bytes]) -> object:
    if len(args) > 4:
        raise CommandError("ERR unknown subcommand or wrong number of arguments for 'restore'. Try FUNCTION HELP.")
    policy = args[3].upper() if len(args) == 4 else b"APPEND"
    if policy not in {b"APPEND", b"REPLACE", b"FLUSH"}:
        raise CommandError("ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.")
    restored: dict[bytes, bytes] = {}
    for code in functions_of_payload(args[2]):
        name = loadable_name(code)
        if name in restored or (policy == b"APPEND" and name in dataset.functions):
            raise CommandError(f"ERR Library {name.decode()} already exists")
        restored[name] = code
    if policy == b"FLUSH":
        dataset.functions.clear()
    dataset.functions.update(restored)
    dataset.dirty += 1
    return OK
