"""What mattered in a search: its choices and its costs, as far as its complete trials can tell."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from nas.arch.record import TrialRecord, Value
from nas.search.choices import ChoiceTable, Chosen, Floats, chosen
from nas.search.importance import FEWEST, Belief, Importance, believed, correlations, importances, ranked
from nas.work.interval import LEVEL, holm

COSTS = ("params", "macs", "activations", "receptive_field", "depth")

MOST_VALUES = 5
"""More values of a number are told in thirds."""


@dataclass(frozen=True)
class ValueReached:
    """What a choice took, by how many trials, and the median of their accuracies; a trial counts once for a place."""

    value: str
    trials: int
    accuracy: float


@dataclass(frozen=True)
class ChoiceMattered:
    """The share of the variance of the ranks that goes with a kind of choice, and its 95 % interval.

    `p_value`, raised by Holm's method for all kinds together, is how often chance alone would show as much.
    """

    choice: str
    importance: float
    importance_low: float
    importance_high: float
    p_value: float
    distinguishable: bool
    values: tuple[ValueReached, ...]


@dataclass(frozen=True)
class CostMattered:
    """The rank correlation of a cost with accuracy, its median among the best third of trials and the others."""

    cost: str
    rank_correlation: float
    p_value: float
    distinguishable: bool
    median_best_third: float
    median_others: float


@dataclass(frozen=True)
class Mattered:
    """Choices and costs, those first that go with most; no choices where `problem` says why nothing can be told.

    `rank_correlation` and its `p_value`: how trials held out were ranked from their `choices`, their `costs`, `both`.
    """

    rank_correlation: Mapping[str, float]
    p_value: Mapping[str, float]
    choices: tuple[ChoiceMattered, ...] = ()
    costs: tuple[CostMattered, ...] = ()
    problem: str = ""


def mattered(complete: Sequence[TrialRecord], blocks: Sequence[str]) -> Mattered:
    """What the complete trials tell; `blocks` is the study's list, in which its params name a block by its place."""
    accuracies = [one.accuracy or 0.0 for one in complete]
    if len(complete) < FEWEST:
        return Mattered({}, {}, problem=f"too few complete trials to tell: {len(complete)}; needed: {FEWEST}")
    if len(set(accuracies)) < 2:
        return Mattered({}, {}, problem=f"all {len(complete)} complete trials reached the same accuracy")
    rows = [chosen(one.params, blocks) for one in complete]
    table, values = ChoiceTable(rows), ranked(accuracies)
    own, found = importances(table, values) if table.kinds else (Belief(0.0, 1.0), [])
    beliefs = {"choices": own, **_other_beliefs(table, complete, values)}
    problem = "" if own.holds else _nothing(len(complete), beliefs)
    return Mattered(
        rank_correlation={name: one.rank_correlation for name, one in beliefs.items()},
        p_value={name: one.p_value for name, one in beliefs.items()},
        choices=_choices(found, rows, table, accuracies) if own.holds else (),
        costs=_costs(complete, accuracies),
        problem=problem,
    )


def _other_beliefs(table: ChoiceTable, complete: Sequence[TrialRecord], values: Floats) -> dict[str, Belief]:
    costs = np.log1p(np.array([[_cost(one, name) for name in COSTS] for one in complete]))
    return {"costs": believed(costs, values), "both": believed(np.hstack([table.encoded(table.codes), costs]), values)}


def _nothing(count: int, beliefs: Mapping[str, Belief]) -> str:
    costs = "; their costs tell more" if beliefs["costs"].holds else ""
    return f"the choices of {count} complete trials explain nothing that chance would not{costs}"


def _choices(
    found: Sequence[Importance], rows: Sequence[Chosen], table: ChoiceTable, accuracies: Sequence[float]
) -> tuple[ChoiceMattered, ...]:
    raised = holm([one.p_value for one in found])
    return tuple(
        ChoiceMattered(
            choice=one.kind,
            importance=one.importance,
            importance_low=one.importance_low,
            importance_high=one.importance_high,
            p_value=p_value,
            distinguishable=p_value < LEVEL,
            values=_values(one.kind, rows, table, accuracies),
        )
        for one, p_value in zip(found, raised, strict=True)
    )


def _values(
    kind: str, rows: Sequence[Chosen], table: ChoiceTable, accuracies: Sequence[float]
) -> tuple[ValueReached, ...]:
    """The values of a kind, the best first where they are no numbers."""
    reached: dict[str, list[float]] = defaultdict(list)
    names = _names(kind, table)
    for row, accuracy in zip(rows, accuracies, strict=True):
        for choice, value in row.items():
            if choice.kind == kind and choice in table.columns:
                reached[names[value]].append(accuracy)
    found = [ValueReached(name, len(reached[name]), median(reached[name])) for name in dict.fromkeys(names.values())]
    return tuple(found if table.is_ordered(kind) else sorted(found, key=lambda one: -one.accuracy))


def _names(kind: str, table: ChoiceTable) -> dict[Value, str]:
    """What each value is told as: itself, or one of three ranges."""
    values = table.values[kind]
    if len(values) <= MOST_VALUES or not table.is_ordered(kind):
        return {value: str(value) for value in values}
    thirds = [values[len(values) * n // 3 : len(values) * (n + 1) // 3] for n in range(3)]
    return {value: f"{third[0]} to {third[-1]}" for third in thirds for value in third}


def _costs(complete: Sequence[TrialRecord], accuracies: Sequence[float]) -> tuple[CostMattered, ...]:
    columns = {name: [_cost(one, name) for one in complete] for name in COSTS}
    found = correlations(columns, np.array(accuracies))
    raised = dict(zip(found, holm([p_value for _, p_value in found.values()]), strict=True))
    order = sorted(range(len(complete)), key=lambda place: -accuracies[place])
    third = len(complete) // 3
    rows = [
        CostMattered(
            cost=name,
            rank_correlation=correlation,
            p_value=raised[name],
            distinguishable=raised[name] < LEVEL,
            median_best_third=median(columns[name][place] for place in order[:third]),
            median_others=median(columns[name][place] for place in order[third:]),
        )
        for name, (correlation, _) in found.items()
    ]
    return tuple(sorted(rows, key=lambda row: -abs(row.rank_correlation)))


def _cost(trial: TrialRecord, name: str) -> float:
    """A cost; a receptive field that is unknown counts as 0."""
    return float(getattr(trial.totals, name) or 0)
