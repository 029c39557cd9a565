"""Pruning by epochs, like with like: the same epoch among trials within a factor of two in macs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

MACS_FACTOR = 2.0
"""Peers cost between half and twice as many macs."""

FIRST_SHARE = {"median": 0.3, "hyperband": 0.1}
"""Nothing is pruned in the first epochs: while the learning rate rises accuracies say little about the end. Hyperband
spreads its rungs wider, and keeps a third rather than a half."""

LAST_SHARE = 0.8
"""Nor in the last ones: so near the end a result that can be ranked is worth more than the epochs saved."""

FEWEST_PEERS = 5
"""Nothing is pruned before so many peers have reached the epoch."""

REDUCTION = 3
"""Hyperband: the best third of a rung goes on."""


def first_epoch(pruner: str, epochs: int) -> int:
    """The first epoch at which a trial may be pruned."""
    return max(1, math.ceil(FIRST_SHARE[pruner] * epochs))


def last_epoch(epochs: int) -> int:
    """The last epoch at which a trial may be pruned; never the last of all."""
    return int(LAST_SHARE * epochs)


def pruner_for(name: str, epochs: int) -> str:
    """What `auto` stands for: the median rule where a training is long enough to save something."""
    if name != "auto":
        return name
    return "median" if epochs >= 5 else "none"


def asks_peers(pruner: str, epoch: int, epochs: int, number: int) -> bool:
    """Whether the pruner has a question at this epoch of this trial; the last epochs are never pruned."""
    if pruner == "none":
        return False
    if pruner == "hyperband":
        return epoch in rungs(epochs, number)
    return first_epoch(pruner, epochs) <= epoch <= last_epoch(epochs)


def should_prune(pruner: str, best: float, peers: Sequence[float]) -> bool:
    """Whether a trial whose best accuracy so far is `best` ends here; `peers` are theirs at the same epoch.

    median: below the median of the peers. hyperband: not among the best third. Source: Golovin et al., "Google
    Vizier", 2017, section 3.2.1; Li et al., "Hyperband", 2018, and "A System for Massively Parallel Hyperparameter
    Tuning", 2020, algorithm 2.
    """
    if len(peers) < FEWEST_PEERS:
        return False
    if pruner == "median":
        return best < median(peers)
    ranked = sorted([*peers, best], reverse=True)
    return best < ranked[max(1, len(ranked) // REDUCTION) - 1]


def rungs(epochs: int, number: int) -> list[int]:
    """The epochs at which hyperband looks at a trial: brackets take turns, each starting three times later."""
    start = first_epoch("hyperband", epochs)
    all_rungs = []
    while start <= last_epoch(epochs):
        all_rungs.append(start)
        start *= REDUCTION
    return all_rungs[number % len(all_rungs) :] if all_rungs else []
