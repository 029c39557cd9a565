"""What lies one edit away from the best network of a search: its cost, what to expect of it, whether it was tried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nas.arch.record import COMPLETE, TrialRecord, Value
from nas.search.choices import Chosen, chosen
from nas.search.costs import Costs
from nas.search.edits import Edited, around
from nas.search.expectation import Difference, Expectation, Network
from nas.search.importance import FEWEST, Belief


@dataclass(frozen=True)
class Differing:
    """A choice that differs: its place (`stem`, `stage2`, "" for the whole), its kind, what it was and is by now.

    None where there is no such choice.
    """

    place: str
    choice: str
    before: Value | None
    after: Value | None


@dataclass(frozen=True)
class Change:
    """A network one edit away: the param that was given another value, all that differs, and what it costs.

    `difference` of the expected accuracies, with its 95 % interval, is None where no model is to be believed; `trial`,
    `state` and `accuracy` are those of the study's trial of it, None where it has not been tried.
    """

    edit: str
    differing: tuple[Differing, ...]
    difference: float | None
    difference_low: float | None
    difference_high: float | None
    widths: tuple[int, ...]
    params: int
    macs: int
    trial: int | None
    state: str | None
    accuracy: float | None
    architecture: str
    network: str


@dataclass(frozen=True)
class Nearby:
    """The changes, best first: of each edit that which is expected to do best, and all that were tried.

    `total` networks were looked at, of which `tried` are trials. `widths` are the best network's own, the stem's first;
    `expected_accuracy` is what may be expected of it. Where no model is to be believed, `problem` says why.
    """

    widths: tuple[int, ...]
    expected_accuracy: float | None
    rank_correlation: float | None
    p_value: float | None
    total: int
    tried: int
    changes: tuple[Change, ...]
    problem: str = ""


def nearby(
    costs: Costs, trials: Sequence[TrialRecord], best: TrialRecord, *, fill: bool = True, top: int | None = None
) -> Nearby:
    """The networks one edit away from a study's best. Raises ValueError where the space no longer draws it."""
    edited = [one for one in around(costs, best.params, fill=fill) if one.architecture != best.fingerprint]
    known = {one.fingerprint: one for one in trials}
    expectation = Expectation(costs.space, [one for one in trials if one.state == COMPLETE])
    belief, problem = _believed(expectation)
    expected, differences = None, dict[str, Difference]()
    if not problem:
        own, others = (best.params, best.totals.macs), [Network(one.params, one.numbers.macs) for one in edited]
        expected, told = expectation.differences(Network(*own), others)
        differences = {one.architecture: difference for one, difference in zip(edited, told, strict=True)}
    rows = [
        _change(one, costs, best, known.get(one.architecture), differences)
        for one in _shown(edited, known, differences)
    ]
    return Nearby(
        widths=_widths(best.params),
        expected_accuracy=expected,
        rank_correlation=None if belief is None else belief.rank_correlation,
        p_value=None if belief is None else belief.p_value,
        total=len(edited),
        tried=sum(one.architecture in known for one in edited),
        changes=tuple(sorted(rows, key=_order)[:top]),
        problem=problem,
    )


def _believed(expectation: Expectation) -> tuple[Belief | None, str]:
    """How far the model can be believed, and why it is not to be."""
    count = len(expectation.known)
    if count < FEWEST:
        return None, f"too few complete trials to predict from: {count}; needed: {FEWEST}"
    if len(set(expectation.scores)) < 2:
        return None, f"all {count} complete trials reached the same accuracy, so nothing is predicted"
    found = expectation.belief()
    told = f"rank correlation {found.rank_correlation:.2f} on trials held out"
    return found, "" if found.holds else f"nothing is predicted: the model is no better than chance ({told})"


def _shown(
    edited: Sequence[Edited], known: Mapping[str, TrialRecord], differences: Mapping[str, Difference]
) -> list[Edited]:
    """All that were tried, and of the others of each edit the one expected to do best, else that of most macs."""

    def promise(one: Edited) -> tuple[float, int]:
        found = differences.get(one.architecture)
        return (found.difference if found else 0.0), one.numbers.macs

    of_edit: dict[tuple[str, Value], Edited] = {}
    for one in sorted((one for one in edited if one.architecture not in known), key=promise):
        of_edit[one.edit, one.value] = one
    return [*of_edit.values(), *(one for one in edited if one.architecture in known)]


def _change(
    one: Edited, costs: Costs, best: TrialRecord, trial: TrialRecord | None, differences: Mapping[str, Difference]
) -> Change:
    found = differences.get(one.architecture)
    before, after = (chosen(params, costs.space.blocks) for params in (best.params, one.params))
    return Change(
        edit=one.edit,
        differing=_differing(before, after),
        difference=found.difference if found else None,
        difference_low=found.low if found else None,
        difference_high=found.high if found else None,
        widths=_widths(one.params),
        params=one.numbers.params,
        macs=one.numbers.macs,
        trial=trial.number if trial else None,
        state=trial.state if trial else None,
        accuracy=trial.accuracy if trial else None,
        architecture=one.architecture,
        network=one.network,
    )


def _widths(params: Mapping[str, Value]) -> tuple[int, ...]:
    return tuple(int(value) for name, value in params.items() if name.endswith(".width"))


def _differing(before: Chosen, after: Chosen) -> tuple[Differing, ...]:
    """In the order of the network before, what is new after it."""
    both = dict.fromkeys((*before, *after))
    pairs = [Differing(*choice, before.get(choice), after.get(choice)) for choice in both]
    return tuple(one for one in pairs if one.before != one.after)


def _order(change: Change) -> tuple[float, float]:
    """By what is expected; without a model those first that reached most, then by macs."""
    known = change.accuracy if change.state == COMPLETE else None
    promise = change.difference if change.difference is not None else (known or 0.0)
    return -promise, -change.macs
