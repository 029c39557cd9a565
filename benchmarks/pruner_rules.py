"""The rules that pruners.py replays: those of the program, and others beside them."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import fmean, median, stdev

from nas.search.fidelity import MACS_FACTOR, asks_peers, should_prune

FEWEST_PEERS = 5
LAST_SHARE = 0.8
POWERS = (0.25, 0.5, 1.0, 2.0)


@dataclass(frozen=True)
class Standing:
    """Where a training stands at an epoch: its best accuracy so far, and its macs."""

    accuracy: float
    macs: int


@dataclass(frozen=True)
class Asked:
    """A training at the end of an epoch.

    `peers` are the others that came to this epoch, as they stood there; `known` are its own accuracies so far; `finals`
    tells of the whole trainings how each stood at an epoch, and its last accuracy.
    """

    epoch: int
    epochs: int
    number: int
    images: int
    own: Standing
    peers: Sequence[Standing]
    known: Sequence[float]
    finals: Callable[[int], Sequence[tuple[Standing, float]]]


Rule = Callable[[Asked], bool]
"""Whether the training ends here."""


def program(pruner: str, asked: Asked) -> bool:
    """A rule of the program."""
    if not asks_peers(pruner, asked.epoch, asked.epochs, asked.number):
        return False
    return should_prune(pruner, asked.own.accuracy, [peer.accuracy for peer in like(asked, MACS_FACTOR)])


def like(asked: Asked, factor: float) -> list[Standing]:
    """The peers within a factor in macs."""
    return [peer for peer in asked.peers if asked.own.macs / factor <= peer.macs <= asked.own.macs * factor]


def beside_median(asked: Asked, *, first: float = 0.3, factor: float = MACS_FACTOR, deviations: float = 1) -> bool:
    """Below the median of the peers' accuracies, and that by so many deviations."""
    peers = like(asked, factor)
    if not between(asked, first) or len(peers) < FEWEST_PEERS:
        return False
    return with_deviations(asked, deviations) < median(peer.accuracy for peer in peers)


def ranks(
    asked: Asked, *, first: float = 0.2, factor: float = MACS_FACTOR, deviations: float = 1, beaten: bool = True
) -> bool:
    """Ranks of accuracy and macs together below the median of the peers'.

    `beaten`: and some peer of no more macs is ahead in accuracy.
    """
    peers = like(asked, factor)
    if not between(asked, first) or len(peers) < FEWEST_PEERS:
        return False
    own = Standing(with_deviations(asked, deviations), asked.own.macs)
    if beaten and not any(peer.accuracy > own.accuracy and peer.macs <= own.macs for peer in peers):
        return False
    accuracies = sorted(one.accuracy for one in (own, *peers))
    macs = sorted(one.macs for one in (own, *peers))
    sums = [_rank(accuracies, one.accuracy) + _rank(macs, one.macs) for one in (own, *peers)]
    return sums[0] < median(sums[1:])


def ranks_then_median(asked: Asked, *, first: float = 0.2) -> bool:
    """Ranks at the first rung alone, accuracies after it."""
    if asked.epoch == math.ceil(first * asked.epochs):
        return ranks(asked, first=first, beaten=False)
    return beside_median(asked, first=first)


def gain(asked: Asked, *, first: float = 0.2) -> bool:
    """What the whole trainings gained from this epoch on, with one deviation of it, does not reach their third best."""
    whole = asked.finals(asked.epoch)
    if not between(asked, first) or len(whole) < FEWEST_PEERS:
        return False
    gains = [final - at.accuracy for at, final in whole]
    return asked.own.accuracy + fmean(gains) + stdev(gains) < sorted(final for _, final in whole)[-3]


def power(asked: Asked, *, first: float = 0.3) -> bool:
    """A power law through its own accuracies, with one deviation of these about it, does not reach the best."""
    whole = asked.finals(asked.epoch)
    if not between(asked, first) or len(whole) < FEWEST_PEERS or len(asked.known) < 3:
        return False
    error, end = min(_power_law(asked.known, exponent, asked.epochs) for exponent in POWERS)
    spread = math.sqrt(error / max(1, len(asked.known) - 2))
    return min(1.0, end) + spread < max(final for _, final in whole)


def slope(asked: Asked, *, first: float = 0.3) -> bool:
    """The last epoch's gain, gained in every epoch to come, does not reach the best."""
    whole = asked.finals(asked.epoch)
    if not between(asked, first) or len(whole) < FEWEST_PEERS or len(asked.known) < 2:
        return False
    rise = max(0.0, asked.known[-1] - asked.known[-2])
    return asked.known[-1] + rise * (asked.epochs - asked.epoch) < max(final for _, final in whole)


def between(asked: Asked, first: float) -> bool:
    """Whether the epoch is neither among the first nor among the last."""
    return math.ceil(first * asked.epochs) <= asked.epoch <= int(LAST_SHARE * asked.epochs)


def with_deviations(asked: Asked, deviations: float) -> float:
    """The accuracy with so many deviations that the number of validation images gives it."""
    accuracy = asked.own.accuracy
    return accuracy + deviations * math.sqrt(accuracy * (1 - accuracy) / asked.images)


def _rank(ordered: Sequence[float], value: float) -> int:
    """Twice the rank, equals sharing theirs."""
    return bisect_left(ordered, value) + bisect_right(ordered, value)


def _power_law(known: Sequence[float], exponent: float, epochs: int) -> tuple[float, float]:
    """Squares left by the least squares of a - b · epoch^-exponent, b at least 0, and its value at the end."""
    left = [epoch**-exponent for epoch in range(1, len(known) + 1)]
    middle, height = fmean(left), fmean(known)
    rises = sum((x - middle) * (y - height) for x, y in zip(left, known, strict=True))
    rise = min(0.0, rises / sum((x - middle) ** 2 for x in left))
    error = sum((y - height - rise * (x - middle)) ** 2 for x, y in zip(left, known, strict=True))
    return error, height + rise * (epochs**-exponent - middle)


RULES: Mapping[str, Rule] = {
    **{name: partial(program, name) for name in ("none", "median", "hyperband")},
    "median-tie": beside_median,
    "ranks": ranks,
    "ranks-tenth": partial(ranks, first=0.1),
    "ranks-third": partial(ranks, first=0.3),
    "ranks-no-tie": partial(ranks, deviations=0),
    "ranks-two-ties": partial(ranks, deviations=2),
    "ranks-any-macs": partial(ranks, factor=math.inf),
    "ranks-unbeaten-too": partial(ranks, beaten=False),
    "ranks-then-median": ranks_then_median,
    "gain": gain,
    "power": power,
    "slope": slope,
}
