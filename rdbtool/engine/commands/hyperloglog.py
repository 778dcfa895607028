"""HyperLogLog commands."""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from rdbtool.engine import hll
from rdbtool.engine.cells.cell import RAW, StringCell
from rdbtool.engine.dataset import Dataset
from rdbtool.engine.replies import OK, CommandError, Status
from rdbtool.engine.table import handles


def _hyperloglog(dataset: Dataset, key: bytes) -> StringCell | None:
    cell = dataset.string(key)
    if cell is not None:
        hll.check(cell)
    return cell


AT_ONCE: Final = 64
"""Registers that are compared at once."""


@handles(b"PFADD")
def pfadd(dataset: Dataset, args: list[bytes]) -> object:
    cell = _hyperloglog(dataset, args[1])
    updated: i64 = 0
    if cell is None:
        cell = StringCell(hll.EMPTY, RAW)
        dataset.put(args[1], cell)
        updated = 1
    for i in range(2, len(args)):
        if hll.add(cell, args[i]):
            updated += 1
    if updated == 0:
        return 0
    hll.invalidate(cell)
    dataset.dirty += updated
    return 1


@handles(b"PFCOUNT")
def pfcount(dataset: Dataset, args: list[bytes]) -> object:
    if len(args) > 2:
        return hll.cardinality(_union(dataset, args[1:]))
    cell = _hyperloglog(dataset, args[1])
    if cell is None:
        return 0
    known = hll.cached(cell)
    if known is not None:
        return known
    dataset.dirty += 1
    return hll.refresh(cell)


def _union(dataset: Dataset, keys: list[bytes]) -> bytes:
    """The highest value of every register among the HyperLogLogs at ``keys``."""
    highest = bytes(hll.REGISTERS)
    for key in keys:
        cell = _hyperloglog(dataset, key)
        if cell is not None:
            highest = hll.highest_of(highest, hll.registers_of(cell.get()))
    return highest


@handles(b"PFMERGE")
def pfmerge(dataset: Dataset, args: list[bytes]) -> object:
    highest = _union(dataset, args[1:])
    dense = False
    for key in args[1:]:
        source = dataset.string(key)
        dense = dense or (source is not None and hll.is_dense(source))
    cell = dataset.string(args[1])
    if cell is None:
        cell = StringCell(hll.EMPTY, RAW)
        dataset.put(args[1], cell)
    if dense:
        hll.to_dense(cell)
    present = hll.registers_of(cell.get())
    for start in range(0, hll.REGISTERS, AT_ONCE):
        if highest[start : start + AT_ONCE] == present[start : start + AT_ONCE]:
            continue  # most are, where one is merged after the other
        for index in range(start, start + AT_ONCE):
            if highest[index] > present[index]:
                hll.raise_register(cell, index, highest[index])
    hll.invalidate(cell)
    dataset.dirty += 1
    return OK


@handles(b"PFDEBUG")
def pfdebug(dataset: Dataset, args: list[bytes]) -> object:
    name = args[1].upper()
    cell = dataset.string(args[2])
    if cell is None:
        raise CommandError("ERR The specified key does not exist")
    hll.check(cell)
    if name not in {b"TODENSE", b"GETREG", b"ENCODING", b"DECODE"}:
        raise CommandError(f"ERR Unknown PFDEBUG subcommand '{args[1].decode('latin-1')}'")
    was_dense = hll.is_dense(cell)
    if name == b"ENCODING":
        return Status(b"dense" if was_dense else b"sparse")
    if name == b"DECODE":
        if was_dense:
            raise CommandError("ERR HLL encoding is not sparse")
        return None
    hll.to_dense(cell)
    if not was_dense:
        dataset.dirty += 1
    return list(hll.registers_of(cell.get())) if name == b"GETREG" else int(not was_dense)
