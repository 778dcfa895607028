"""Which backups stay, and the removal of the others."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from rdbtool.errors import OutputError, reason
from rdbtool.io.temporary import discard

from .naming import Naming
from .record import Made, made_in


@dataclass(frozen=True, slots=True)
class Keep:
    """How many stay: the ``newest``, and the last of each of so many days and weeks (UTC, Monday to Sunday); None and 0
    for none by that rule. Without any rule all stay.
    """

    newest: int | None = None
    daily: int = 0
    weekly: int = 0

    @property
    def all(self) -> bool:
        """Whether all stay."""
        return self.newest is None and not self.daily and not self.weekly


def chosen(backups: Sequence[Made], keep: Keep) -> set[str]:
    """The paths of those that stay; the newest is always one of them."""
    ordered = sorted(backups, key=lambda made: (made.taken_s, made.path), reverse=True)
    stay = {made.path for made in ordered[: max(1, keep.newest or 0)]}
    return stay | _last_of(ordered, "%Y-%m-%d", keep.daily) | _last_of(ordered, "%G-%V", keep.weekly)


def _last_of(ordered: Sequence[Made], period: str, count: int) -> set[str]:
    """The last one of each of the last ``count`` periods that have any."""
    last: dict[str, str] = {}
    for made in ordered:
        last.setdefault(f"{datetime.fromtimestamp(made.taken_s, UTC):{period}}", made.path)
    return set(list(last.values())[:count])


def remove_others(naming: Naming, new: Made, keep: Keep, on_removed: Callable[[str], object]) -> None:
    """Remove the backups that do not stay, of those that we made of the same source under names of this kind.

    ``new``: the one that was just made, and is good; it stays. Raises `InputError`, `OutputError`.
    """
    if keep.all:
        return
    ours = [
        made
        for made in made_in(naming.directory)
        if made.source == new.source and naming.is_name(os.path.basename(made.path))
    ]
    there = [made for made in ours if os.path.lexists(made.path)]
    stay = chosen(there, keep) | {new.path}
    for made in ours:
        if made.path not in stay:
            try:
                if made in there:
                    discard(made.path)
                    on_removed(made.path)
                os.unlink(made.record)
            except FileNotFoundError:  # another run was faster
                continue
            except OSError as e:
                raise OutputError(f"cannot remove: {reason(e)}", path=made.path) from e
