"""Reading a study's trials: what is new of them, and which point each is."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from optuna.trial import FrozenTrial

from nas.search.points import Seen

Look = Callable[[Mapping[str, Any]], Seen | None]
"""The point of a draw by its names; None where it is none."""


class News(NamedTuple):
    """A trial that is new or has ended, and its point."""

    trial: FrozenTrial
    seen: Seen
    ended: bool


class Reading:
    """How far the trials of a study were read, and what was chosen for those under way, by their numbers."""

    def __init__(self) -> None:
        self.read = 0
        self.open: list[int] = []
        self.chosen: dict[int, Seen] = {}
        self.whole: set[int] = set()
        """The trials that are what was chosen for them, though they suggest nothing."""

    def news(self, trials: Sequence[FrozenTrial], look: Look) -> list[News]:
        """What is new of trials in the order of their numbers.

        Some may be left out, as Optuna's Hyperband shows those of one bracket alone: they are read when they are shown.
        """
        found, still = list[News](), list[int]()
        over = trials[-1].number + 1 if trials else 0
        for number in [*self.open, *range(self.read, over)]:
            trial = numbered(trials, number)
            ended = trial is not None and trial.state.is_finished()
            if not ended:
                still.append(number)
            seen = None if trial is None else self._point(trial, look)
            if trial is not None and seen is not None:
                found.append(News(trial, seen, ended))
            if ended:
                self.chosen.pop(number, None)
                self.whole.discard(number)
        self.open, self.read = still, max(self.read, over)
        return found

    def _point(self, trial: FrozenTrial, look: Look) -> Seen | None:
        if trial.params:
            return look(trial.params)
        return self.chosen.get(trial.number) if trial.number in self.whole else None


def numbered(trials: Sequence[FrozenTrial], number: int) -> FrozenTrial | None:
    """The trial of that number, of trials in the order of their numbers."""
    place = bisect_left(trials, number, key=lambda one: one.number)
    return trials[place] if place < len(trials) and trials[place].number == number else None
