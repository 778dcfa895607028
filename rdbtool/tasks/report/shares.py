"""Which part of the memory is where: prefixes as boxes within boxes, and the slots of a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rdbtool.analysis.prefixes import Branch
from rdbtool.servers.slots import SLOTS

BOXES: Final = 1000
"""Prefixes in the tree: twice as many take browsers a second to zoom."""
MASTERS: Final = (3, 6, 12)
"""Masters of the clusters whose balance is told."""


@dataclass(frozen=True, slots=True)
class Box:
    """A part of the memory: the keys with a prefix, or within the box ``parent``, an index (-1 for all keys), those
    without a further prefix (``own``), or of all further ones together (``other``); ``name`` is then that of the
    parent.
    """

    name: bytes
    parent: int
    keys: int
    bytes: int
    own: bool = False
    other: bool = False


@dataclass(frozen=True, slots=True)
class Balance:
    """A cluster of ``masters`` that have equal ranges of slots: the share of memory of the least and of the most loaded
    one, 0 to 1.
    """

    masters: int
    least: float
    most: float


def boxes_of(root: Branch, most: int = BOXES) -> list[Box]:
    """The tree of prefixes as boxes, parents before what is in them: the ``most`` greatest prefixes, the sums of the
    others, and of keys that have no further prefix.
    """
    kept = {id(branch) for branch in _greatest(root, most)}
    boxes: list[Box] = []
    waiting = [(root, -1)]
    while waiting:
        branch, parent = waiting.pop()
        at = len(boxes)
        boxes.append(Box(branch.name, parent, int(branch.keys), int(branch.bytes)))
        shown = [child for child in branch.branches if id(child) in kept]
        waiting += [(child, at) for child in reversed(shown)]
        rest = [child for child in branch.branches if id(child) not in kept]
        other_keys = int(branch.other_keys) + sum(int(child.keys) for child in rest)
        other_bytes = int(branch.other_bytes) + sum(int(child.bytes) for child in rest)
        if not shown and not other_keys:
            continue  # all that it has are keys of its own
        if branch.own_keys > 0:
            boxes.append(Box(branch.name, at, int(branch.own_keys), int(branch.own_bytes), own=True))
        if other_keys and shown:
            boxes.append(Box(branch.name, at, other_keys, other_bytes, other=True))
    return boxes


def _greatest(root: Branch, most: int) -> Sequence[Branch]:
    """The greatest branches. None is greater than the one before it, which comes first among equals."""
    found: list[Branch] = []
    waiting = [root]
    while waiting:
        for child in waiting.pop().branches:
            found.append(child)
            waiting.append(child)
    found.sort(key=lambda branch: (-int(branch.bytes), len(branch.name)))
    return found[:most]


def balances_of(slot_bytes: Sequence[int]) -> list[Balance]:
    """How even clusters of `MASTERS` would be: redis-cli --cluster create gives each of them a range of slots."""
    total = sum(slot_bytes) or 1
    balances = []
    for masters in MASTERS:
        ends = [round(i * SLOTS / masters) for i in range(masters + 1)]
        shares = [sum(slot_bytes[ends[i] : ends[i + 1]]) / total for i in range(masters)]
        balances.append(Balance(masters, min(shares), max(shares)))
    return balances
