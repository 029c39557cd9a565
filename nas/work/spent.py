"""Where a search's budget went: trials and seconds of training by what became of them, and by block type."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from nas.arch.record import COMPLETE, FAILED, PRUNED, RUNNING, WAITING, TrialRecord
from nas.search.choices import chosen, stage_blocks

REUSED = "reused"


@dataclass(frozen=True)
class StateSpent:
    """The trials of one state and their seconds of training here; `reused` ones are complete, and trained elsewhere."""

    state: str
    trials: int
    seconds: float


@dataclass(frozen=True)
class BlockSpent:
    """The trials whose stages have a block type, and what they reached: None where none is complete.

    The seconds of a trial are shared among its blocks, one share a block, so that those of all types sum up to all.
    """

    block: str
    trials: int
    complete: int
    seconds: float
    best_accuracy: float | None
    median_accuracy: float | None


def by_state(trials: Sequence[TrialRecord]) -> list[StateSpent]:
    """The states that there are."""
    states = {one.id: REUSED if one.reused else one.state for one in trials}
    counted = Counter(states.values())
    seconds = {name: sum(one.seconds for one in trials if states[one.id] == name) for name in counted}
    order = (COMPLETE, PRUNED, FAILED, RUNNING, WAITING, REUSED)
    return [StateSpent(name, counted[name], seconds[name]) for name in order if name in counted]


def by_block(trials: Sequence[TrialRecord], blocks: Sequence[str]) -> list[BlockSpent]:
    """The block types of the study, those of the highest median accuracy first."""
    having = [(one, stage_blocks(chosen(one.params, blocks))) for one in trials]
    names = dict.fromkeys([*blocks, *(name for _, counts in having for name in counts)])
    rows = [_of_block(name, [(one, counts) for one, counts in having if name in counts]) for name in names]
    return sorted(rows, key=lambda row: -(row.median_accuracy if row.median_accuracy is not None else -1.0))


def _of_block(name: str, having: Iterable[tuple[TrialRecord, dict[str, int]]]) -> BlockSpent:
    listed = list(having)
    reached = [one.accuracy for one, _ in listed if one.state == COMPLETE and one.accuracy is not None]
    return BlockSpent(
        block=name,
        trials=len(listed),
        complete=len(reached),
        seconds=sum(one.seconds * counts[name] / sum(counts.values()) for one, counts in listed),
        best_accuracy=max(reached, default=None),
        median_accuracy=median(reached) if reached else None,
    )
