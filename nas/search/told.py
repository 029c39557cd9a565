"""What of a study's trials a sampler is told: of a long study our own learns the best and the latest alone."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import nlargest
from typing import NamedTuple

from optuna.trial import TrialState

from nas.arch.record import COMPLETE, FAILED, PRUNED
from nas.search.sampler import REMEMBERED, BudgetSampler
from nas.search.tried import Tried

MOST_TRIALS = 2_000
"""Our own sampler is told of so many trials at once, and its in-memory study then begins anew."""

STATES = {COMPLETE: TrialState.COMPLETE, PRUNED: TrialState.PRUNED, FAILED: TrialState.FAIL}
"""Optuna's names for how a trial ends."""


class End(NamedTuple):
    """How the training of a network ended."""

    state: str
    accuracy: float | None
    epochs_done: int


def told_of(records: Sequence[Tried], sampler: BudgetSampler) -> Sequence[Tried]:
    """The records that become trials of our own sampler, so that its cost does not grow with the study.

    Of too many those that it would remember; the others it is to pass over.
    """
    if len(records) <= MOST_TRIALS:
        return records
    sampler.pass_over(record.choices for record in records)
    return remembered(records)


def remembered(records: Sequence[Tried]) -> list[Tried]:
    """Of many records those that our own sampler remembers: the best and the latest of those over, and those under way.

    In the order given.
    """
    over = [record for record in records if record.state in STATES and record.accuracy is not None]
    best = nlargest(REMEMBERED, over, key=lambda one: one.accuracy or 0.0)
    kept = {one.number for one in [*best, *over[-REMEMBERED:]]}
    return [record for record in records if record.number in kept or record.state not in STATES]
