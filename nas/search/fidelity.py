"""Pruning by epochs: a trial is compared with those that came to the same epoch, at what they cost."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import replace
from statistics import median

from nas.arch.record import Standing

MACS_FACTOR = 2.0
"""Where accuracies alone are compared, peers cost between half and twice as many macs."""

FIRST_PERCENT = {"ranks": 20, "median": 30, "hyperband": 10}
"""Nothing is pruned in the first epochs: while the learning rate rises accuracies say little about the end. Beside macs
they may be asked earlier; hyperband spreads its rungs wider, and keeps a third rather than a half. Never under 10."""

LAST_PERCENT = 80
"""Nor in the last ones: so near the end a result that can be ranked is worth more than the epochs saved."""

FEWEST_PEERS = 5
"""Nothing is pruned before so many peers have reached the epoch."""

REDUCTION = 3
"""Hyperband: the best third of a rung goes on."""


def first_epoch(pruner: str, epochs: int) -> int:
    """The first epoch at which a trial may be pruned."""
    return -(-FIRST_PERCENT[pruner] * epochs // 100)


def last_epoch(epochs: int) -> int:
    """The last epoch at which a trial may be pruned; never the last of all."""
    return LAST_PERCENT * epochs // 100


def pruner_for(name: str, epochs: int) -> str:
    """What `auto` stands for: ranks where a training is long enough to save something."""
    if name != "auto":
        return name
    return "ranks" if epochs >= 5 else "none"


def asks_peers(pruner: str, epoch: int, epochs: int, number: int) -> bool:
    """Whether the pruner has a question at this epoch of this trial; the last epochs are never pruned."""
    if pruner == "none":
        return False
    if pruner == "hyperband":
        return epoch in rungs(epochs, number)
    return first_epoch(pruner, epochs) <= epoch <= last_epoch(epochs)


def should_prune(pruner: str, own: Standing, peers: Sequence[Standing], images: int) -> bool:
    """Whether a trial ends here: behind its peers at the same epoch by more than a seed's deviation.

    Its accuracy is on so many `images`. ranks: beaten at its cost, and behind in accuracy and macs together, whatever
    the others cost. median: below the median of those of like macs. hyperband: not among their best third. Source:
    Golovin et al., "Google Vizier", 2017, section 3.2.1; Li et al., "Hyperband", 2018, and "A System for Massively
    Parallel Hyperparameter Tuning", 2020, algorithm 2.
    """
    compared = peers if pruner == "ranks" else like(own, peers)
    if len(compared) < FEWEST_PEERS:
        return False
    favoured = replace(own, accuracy=own.accuracy + deviation(own.accuracy, images))
    if pruner == "ranks":
        return beaten(favoured, compared) and ranked_behind(favoured, compared)
    accuracies = [peer.accuracy for peer in compared]
    if pruner == "median":
        return favoured.accuracy < median(accuracies)
    ranked = sorted([*accuracies, favoured.accuracy], reverse=True)
    return favoured.accuracy < ranked[max(1, len(ranked) // REDUCTION) - 1]


def like(own: Standing, peers: Sequence[Standing]) -> list[Standing]:
    """The peers that cost about as many macs."""
    return [peer for peer in peers if own.macs / MACS_FACTOR <= peer.macs <= own.macs * MACS_FACTOR]


def beaten(own: Standing, peers: Sequence[Standing]) -> bool:
    """Whether a peer of no more macs is ahead in accuracy; so whatever is on the front of the two is not."""
    return any(peer.accuracy > own.accuracy and peer.macs <= own.macs for peer in peers)


def ranked_behind(own: Standing, peers: Sequence[Standing]) -> bool:
    """Whether the ranks of accuracy and of macs, among all, add up to less than the median of the peers' sums."""
    everybody = [own, *peers]
    accuracies, macs = sorted(one.accuracy for one in everybody), sorted(one.macs for one in everybody)
    sums = [_rank(accuracies, one.accuracy) + _rank(macs, one.macs) for one in everybody]
    return sums[0] < median(sums[1:])


def deviation(accuracy: float, images: int) -> float:
    """The deviation of an accuracy by the number of its images alone.

    At the end of a training seeds deviate by half to twice as much; in its first third by three to five times.
    """
    return math.sqrt(accuracy * (1 - accuracy) / images)


def rungs(epochs: int, number: int) -> list[int]:
    """The epochs at which hyperband looks at a trial: brackets take turns, each starting three times later."""
    start = first_epoch("hyperband", epochs)
    all_rungs = []
    while start <= last_epoch(epochs):
        all_rungs.append(start)
        start *= REDUCTION
    return all_rungs[number % len(all_rungs) :] if all_rungs else []


def _rank(ordered: Sequence[float], value: float) -> int:
    """Twice the rank among ordered values, equals sharing theirs."""
    return bisect_left(ordered, value) + bisect_right(ordered, value)
