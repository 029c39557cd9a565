"""Projecting a draw onto the budget: the skeleton is kept where its widths alone can meet the limits.

The map is deterministic, so a sampler sees one function of its draws and no trial is wasted on a network over the
budget. Attainable means that some widths of the drawn skeleton cost within [0.9 B, B] of the tightest limit B.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from nas.search.costs import Costs, Numbers
from nas.search.extremes import smallest
from nas.search.simpler import larger_fields, mended, simpler
from nas.study.space import Draw, Skeleton

BAND = 0.9
"""A network that takes at least this share of the tightest limit fills the budget."""

MOST_COMBINATIONS = 20_000
"""Up to so many width combinations are all looked at where single steps do not reach the band."""


@dataclass(frozen=True, slots=True)
class Projected:
    """A network within the budget, what it costs, and whether it differs from the draw."""

    draw: Draw
    numbers: Numbers
    changed: bool


def project(draw: Draw, costs: Costs, *, fill: bool = True) -> Projected | None:
    """The network within the budget that stands for a draw, or None where there is none.

    Widths are scaled by one factor: down when over the budget, up when under 0.9 of it (unless `fill` is off). A
    skeleton that no width can fit loses depth, then kernel, then dearer choices; the last resort is the space's
    smallest network.
    """
    for skeleton in _candidates(draw.skeleton, costs):
        targets = draw.widths[: len(skeleton.stages) + 1]
        found = _fit(skeleton, targets, costs, fill)
        if found is not None:
            widths, numbers = found
            there = Draw(skeleton, widths)
            return Projected(there, numbers, there != draw)
    return None


def _candidates(skeleton: Skeleton, costs: Costs) -> Iterator[Skeleton]:
    """The skeleton, then ever simpler ones; none that sees fewer pixels than the budget demands."""
    start = mended(skeleton, costs)
    if start is not None:
        least = costs.budget.min_receptive_field
        seen = next((wider for wider in larger_fields(start, costs) if _sees(wider, costs, least)), None)
        if seen is not None:
            yield seen
            yield from (one for one in simpler(seen, costs) if _sees(one, costs, least))
    last = smallest(costs)
    if last is not None and _sees(last.skeleton, costs, costs.budget.min_receptive_field):
        yield last.skeleton


def _sees(skeleton: Skeleton, costs: Costs, least: int | None) -> bool:
    if least is None:
        return True
    allowed = costs.allowed(skeleton)
    if allowed is None:
        return False
    field = costs.field(skeleton, snapped(skeleton, tuple(values[0] for values in allowed), costs))
    return field is not None and field >= least


def _fit(
    skeleton: Skeleton, targets: tuple[int, ...], costs: Costs, fill: bool
) -> tuple[tuple[int, ...], Numbers] | None:
    """The widths for a skeleton: as drawn where they fill the budget, else scaled; None where none fits."""
    if costs.allowed(skeleton) is None:
        return None
    drawn = snapped(skeleton, targets, costs)
    numbers = costs.numbers(skeleton, drawn)
    use = math.inf if numbers is None else costs.use(numbers)
    if numbers is not None and use <= 1 and (not costs.limits or not fill or use >= BAND):
        return drawn, numbers
    scaled = _scaled(skeleton, targets, costs, up=use <= 1)
    if scaled is None:
        return None
    widths, numbers = scaled
    if fill and costs.limits and costs.use(numbers) < BAND:
        widths, numbers = _filled(skeleton, widths, numbers, costs)
        if use <= 1 and costs.use(numbers) < BAND and not _reachable(skeleton, costs):
            return drawn, costs.numbers(skeleton, drawn) or numbers
    return widths, numbers


def snapped(skeleton: Skeleton, targets: tuple[float, ...], costs: Costs) -> tuple[int, ...]:
    """The allowed widths nearest to the targets, picked from the stem on so that every block accepts them."""
    allowed = costs.allowed(skeleton)
    assert allowed is not None
    widths: list[int] = []
    before = costs.space.input[0]
    for (stage, _, stride), values, target in zip(costs.stages(skeleton), allowed, targets, strict=True):
        near = sorted(values, key=lambda value: (abs(value - target), value))
        before = next(value for value in near if costs.pair(stage, before, value, stride))
        widths.append(before)
    return tuple(widths)


def _scaled(
    skeleton: Skeleton, targets: tuple[int, ...], costs: Costs, *, up: bool
) -> tuple[tuple[int, ...], Numbers] | None:
    """The widths at the largest common factor that fits, by bisection over the factor."""
    values = costs.space.width_values(len(skeleton.stages))
    low = min(row[0] / target for row, target in zip(map(sorted, values), targets, strict=True))
    high = max(max(row) / target for row, target in zip(values, targets, strict=True))
    best = _at(skeleton, targets, low if not up else 1.0, costs)
    low, high = (1.0, high) if up else (low, 1.0)
    top = _at(skeleton, targets, high, costs)
    if top is not None:
        return top
    for _ in range(24):
        if high / low < 1.0005:
            break
        middle = math.sqrt(low * high)
        found = _at(skeleton, targets, middle, costs)
        if found is None:
            high = middle
        else:
            low, best = middle, found
    return best


def _at(
    skeleton: Skeleton, targets: tuple[int, ...], factor: float, costs: Costs
) -> tuple[tuple[int, ...], Numbers] | None:
    widths = snapped(skeleton, tuple(target * factor for target in targets), costs)
    numbers = costs.numbers(skeleton, widths)
    return None if numbers is None or costs.use(numbers) > 1 else (widths, numbers)


def _filled(
    skeleton: Skeleton, widths: tuple[int, ...], numbers: Numbers, costs: Costs
) -> tuple[tuple[int, ...], Numbers]:
    """Single widths raised step by step into the band; where that ends short, the nearest combination inside it."""
    while costs.use(numbers) < BAND:
        steps = list(_raised(skeleton, widths, costs))
        if not steps:
            break
        widths, numbers = max(steps, key=lambda step: (costs.use(step[1]), step[0]))
    if costs.use(numbers) >= BAND:
        return widths, numbers
    inside = list(_inside(skeleton, costs))
    if not inside:
        return widths, numbers
    logs = [math.log(width) for width in widths]
    return min(inside, key=lambda one: (_distance(one[0], logs), one[0]))


def _distance(widths: tuple[int, ...], logs: list[float]) -> float:
    return sum((math.log(width) - log) ** 2 for width, log in zip(widths, logs, strict=True))


def _raised(skeleton: Skeleton, widths: tuple[int, ...], costs: Costs) -> Iterator[tuple[tuple[int, ...], Numbers]]:
    """The widths with one of them at its next larger value, where that fits."""
    allowed = costs.allowed(skeleton) or []
    for place, values in enumerate(allowed):
        larger = [value for value in values if value > widths[place]]
        if larger:
            raised = (*widths[:place], min(larger), *widths[place + 1 :])
            numbers = costs.numbers(skeleton, raised)
            if numbers is not None and costs.use(numbers) <= 1:
                yield raised, numbers


def _inside(skeleton: Skeleton, costs: Costs) -> Iterator[tuple[tuple[int, ...], Numbers]]:
    """Every width combination in the band, where there are few enough to look at all."""
    allowed = costs.allowed(skeleton) or []
    if not allowed or math.prod(len(values) for values in allowed) > MOST_COMBINATIONS:
        return
    for widths in product(*allowed):
        numbers = costs.numbers(skeleton, widths)
        if numbers is not None and BAND <= costs.use(numbers) <= 1:
            yield widths, numbers


def _reachable(skeleton: Skeleton, costs: Costs) -> bool:
    """Whether the skeleton at its widest takes 0.9 of a limit: if not, a draw stays as it was drawn."""
    allowed = costs.allowed(skeleton) or []
    numbers = costs.numbers(skeleton, snapped(skeleton, tuple(max(values) for values in allowed), costs))
    return numbers is None or costs.use(numbers) >= BAND
