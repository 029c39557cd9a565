"""The rules that pruners.py replays: those of the program, and others beside them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import fmean, stdev

from nas.arch.record import Standing
from nas.search import fidelity
from nas.search.fidelity import FEWEST_PEERS, LAST_PERCENT, asks_peers, should_prune

POWERS = (0.25, 0.5, 1.0, 2.0)


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


def program(pruner: str, asked: Asked, *, deviations: float = 1) -> bool:
    """A rule of the program; without deviations it is as if more images validated than there are."""
    if not asks_peers(pruner, asked.epoch, asked.epochs, asked.number):
        return False
    return should_prune(pruner, asked.own, asked.peers, asked.images if deviations else 10**18)


def ranks(
    asked: Asked, *, first: float = 0.2, deviations: float = 1, like_macs: bool = False, beaten: bool = True
) -> bool:
    """The program's rule, changed: `like_macs` has peers of half to twice the macs, not `beaten` spares no front."""
    peers = fidelity.like(asked.own, asked.peers) if like_macs else asked.peers
    if not between(asked, first) or len(peers) < FEWEST_PEERS:
        return False
    favour = deviations * fidelity.deviation(asked.own.accuracy, asked.images)
    own = Standing(asked.own.accuracy + favour, asked.own.macs)
    behind = fidelity.ranked_behind(own, peers)
    return behind and (not beaten or fidelity.beaten(own, peers))


def ranks_then_median(asked: Asked, *, first: float = 0.2) -> bool:
    """Ranks at the first rung alone, accuracies after it."""
    if asked.epoch == math.ceil(first * asked.epochs):
        return ranks(asked, first=first, beaten=False)
    return between(asked, first) and should_prune("median", asked.own, asked.peers, asked.images)


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
    return math.ceil(first * asked.epochs) <= asked.epoch <= LAST_PERCENT * asked.epochs // 100


def _power_law(known: Sequence[float], exponent: float, epochs: int) -> tuple[float, float]:
    """Squares left by the least squares of a - b · epoch^-exponent, b at least 0, and its value at the end."""
    left = [epoch**-exponent for epoch in range(1, len(known) + 1)]
    middle, height = fmean(left), fmean(known)
    rises = sum((x - middle) * (y - height) for x, y in zip(left, known, strict=True))
    rise = min(0.0, rises / sum((x - middle) ** 2 for x in left))
    error = sum((y - height - rise * (x - middle)) ** 2 for x, y in zip(left, known, strict=True))
    return error, height + rise * (epochs**-exponent - middle)


RULES: Mapping[str, Rule] = {
    **{name: partial(program, name) for name in ("none", "ranks", "median", "hyperband")},
    **{f"{name}-untied": partial(program, name, deviations=0) for name in ("ranks", "median", "hyperband")},
    "ranks-two-deviations": partial(ranks, deviations=2),
    "ranks-from-10": partial(ranks, first=0.1),
    "ranks-from-30": partial(ranks, first=0.3),
    "ranks-of-like-macs": partial(ranks, like_macs=True),
    "ranks-unbeaten-too": partial(ranks, beaten=False),
    "ranks-then-median": ranks_then_median,
    "gain": gain,
    "power": power,
    "slope": slope,
}
