"""What other studies of a storage tell of networks that nobody trained: more or less is to be expected of them.

Networks of other spaces, budgets and images have no choices in common with those of a study, but they have costs,
widths, kernels and block types. What goes with accuracy within each of those studies is asked of a ridge regression on
these; that its levels of accuracy differ from study to study does not matter.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from nas.arch.read import architecture_from_json
from nas.arch.record import Trained
from nas.arch.spec import Architecture, BlockPart
from nas.errors import NasError
from nas.search.common import Floats
from nas.search.surrogate import ranked_scores

FEWEST = 8
"""A study of fewer trained networks tells nothing: of these too little is known of what was common to all."""

RIDGE = 30.0
"""How many networks' worth of evidence stands against every coefficient, in deviations within a study."""


def expected(params: int, last_width: int) -> float:
    """What is expected of networks before anything is known: params times the root of the width they end with.

    The logarithm of it. Where widths fill a budget multiply-adds say nothing of accuracy; see `benchmarks/orders.py`.
    """
    return math.log(max(1, params)) + 0.5 * math.log(last_width)


def features(architecture: Architecture, costs: Mapping[str, float]) -> dict[str, float]:
    """A network as figures that any other one has too; costs by name: params, macs, activations."""
    blocks = _blocks(architecture)
    widths = [math.log(width) for _, width in blocks]
    body = [part for part, _ in blocks[1:] or blocks]
    kernels = [kernel for part in body if isinstance(kernel := dict(part.settings).get("kernel"), int)]
    counted = Counter(part.block for part in body)
    return {
        **{f"log {name}": math.log(max(1.0, costs[name])) for name in ("params", "macs", "activations")},
        "log blocks": math.log(len(body)),
        "halvings": float(sum(part.stride > 1 for part, _ in blocks)),
        "mean log width": math.fsum(widths) / len(widths),
        "log last width": widths[-1],
        "log stem width": widths[0],
        "mean kernel": sum(kernels) / len(kernels) if kernels else 0.0,
        **{f"share {block}": number / len(body) for block, number in counted.items()},
    }


@dataclass(frozen=True)
class Past:
    """A network that another study trained: its features, what it reached, and what was expected of it."""

    study: int
    accuracy: float
    features: Mapping[str, float]
    expected: float


def past(trained: Sequence[Trained], *, fewest: int = FEWEST) -> list[Past]:
    """What is remembered of trained networks, of studies with so many of them; those without blocks are left out."""
    found = [one for one in map(_past, trained) if one is not None]
    counted = Counter(one.study for one in found)
    return [one for one in found if counted[one.study] >= fewest]


def _past(trained: Trained) -> Past | None:
    try:
        architecture = architecture_from_json(trained.spec)
    except NasError:
        return None
    blocks = _blocks(architecture)
    if not blocks:
        return None
    costs = {"params": trained.params, "macs": trained.macs, "activations": trained.activations}
    plain = expected(trained.params, blocks[-1][1])
    return Past(trained.study_id, trained.accuracy, features(architecture, costs), plain)


def _blocks(architecture: Architecture) -> list[tuple[BlockPart, int]]:
    """Its blocks with their widths, those left out that are as wide as there are classes."""
    parts = [part for part in architecture.parts if isinstance(part, BlockPart)]
    return [(part, part.width) for part in parts if isinstance(part.width, int)]


class Memory:
    """Ranks networks by what goes with accuracy within each of the studies remembered."""

    def __init__(self, networks: Sequence[Past]) -> None:
        self.networks = networks
        self.names = sorted({name for one in networks for name in one.features})
        self.places = {name: place for place, name in enumerate(self.names)}
        studies = np.array([one.study for one in networks])
        rows = np.stack([self._row(one.features) for one in networks])
        scores = np.zeros(len(networks))
        for study in set(studies.tolist()):
            own = studies == study
            rows[own] -= rows[own].mean(0)
            scores[own] = ranked_scores(np.array([one.accuracy for one in networks])[own])
        self.deviations = np.where(rows.std(0) > 0, rows.std(0), 1.0)
        rows /= self.deviations
        self.weights = np.linalg.solve(rows.T @ rows + RIDGE * np.eye(len(self.names)), rows.T @ scores)

    def score(self, told: Mapping[str, float]) -> float:
        """Higher where more is to be expected; features that no network remembered had do not count."""
        return float(self._row(told) / self.deviations @ self.weights)

    def _row(self, told: Mapping[str, float]) -> Floats:
        row = np.zeros(len(self.names))
        for name, value in told.items():
            if name in self.places:
                row[self.places[name]] = value
        return row

    @cached_property
    def correlations(self) -> tuple[float, float]:
        """How well it ranks a study that it has not seen, and how well what is expected without it does: the mean rank
        correlation over the studies remembered. Of a single study each half is told from the other.
        """
        groups = np.array([one.study for one in self.networks])
        if len(set(groups.tolist())) == 1:
            groups = np.arange(len(groups)) % 2
        told = []
        for group in sorted(set(groups.tolist())):
            own = [one for one, other in zip(self.networks, groups, strict=True) if other == group]
            rest = Memory([one for one, other in zip(self.networks, groups, strict=True) if other != group])
            accuracies = [one.accuracy for one in own]
            by_memory = rank_correlation([rest.score(one.features) for one in own], accuracies)
            told.append((by_memory, rank_correlation([one.expected for one in own], accuracies)))
        memory, plain = np.mean(told, axis=0)
        return float(memory), float(plain)

    @property
    def believed(self) -> bool:
        """Whether it ranks better than what is expected without it."""
        memory, plain = self.correlations
        return memory > plain


def rank_correlation(ones: Sequence[float], others: Sequence[float]) -> float:
    """Spearman's, 0 where all of one are alike."""
    if len(set(ones)) < 2 or len(set(others)) < 2:
        return 0.0
    return float(np.corrcoef(_mean_ranks(ones), _mean_ranks(others))[0, 1])


def _mean_ranks(values: Sequence[float]) -> Floats:
    """The places in ascending order, of equals their mean; importing `scipy.stats` would take every worker a second."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: Floats = (np.cumsum(counts) - (counts - 1) / 2)[places]
    return ranks
