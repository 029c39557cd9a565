"""The smallest and the largest network of a space, exactly, stage by stage rather than network by network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from nas.arch.record import LIMITS
from nas.search.costs import Costs
from nas.study.space import Draw, Skeleton, Stage

MOST_WIDTHS = 24
"""Of longer lists of widths only the first and last few are looked at: costs do not fall as widths grow."""


@dataclass(frozen=True, slots=True)
class _Way:
    value: float
    stages: tuple[Stage, ...]
    widths: tuple[int, ...]


def smallest(costs: Costs, metric: str | None = None) -> Draw | None:
    """The network that costs least: of the budget's limits (the largest share of any), or of one metric by name.

    With several limits at once the least sum of shares is taken. None where no network of the space can be built.
    """
    cache: dict[str | None, Draw | None] = costs.__dict__.setdefault("smallest_by_metric", {})
    if metric not in cache:
        cache[metric] = _extreme(costs, _weigher(costs, metric), largest=False)
    return cache[metric]


def largest(costs: Costs, metric: str) -> Draw | None:
    """The network that costs most of one metric."""
    return _extreme(costs, _weigher(costs, metric), largest=True)


def _weigher(costs: Costs, metric: str | None) -> Callable[[tuple[int, ...]], float]:
    if metric is None and costs.limits:
        return lambda numbers: sum(numbers[index] / limit for index, limit in costs.limits)
    index = LIMITS.index(metric or "params")
    return lambda numbers: float(numbers[index])


def _extreme(costs: Costs, weigh: Callable[[tuple[int, ...]], float], *, largest: bool) -> Draw | None:
    """Over stage counts and stem kernels: the best chain of stages by dynamic programming over the width between."""
    sign = -1.0 if largest else 1.0
    best: tuple[float, Draw] | None = None
    for count in costs.space.stages:
        for kernel in costs.space.stem_kernels:
            ways = _stem(costs, weigh, kernel, count, sign)
            for number in range(count):
                ways = _next_stage(costs, weigh, ways, number, count, sign)
            for width, way in ways.items():
                value = way.value + sign * weigh(costs.head(width))
                if best is None or value < best[0]:
                    best = (value, Draw(Skeleton(kernel, way.stages), way.widths))
    return best[1] if best else None


def _stem(
    costs: Costs, weigh: Callable[[tuple[int, ...]], float], kernel: int, count: int, sign: float
) -> dict[int, _Way]:
    ways = {}
    stage = (costs.space.stem_pick(kernel),)
    for width in _few(costs.space.stem_widths):
        numbers = costs.stage(stage, costs.space.input[0], width, costs.sizes[count][0], 1)
        if numbers is not None:
            ways[width] = _Way(sign * weigh(numbers), (), (width,))
    return ways


def _next_stage(
    costs: Costs,
    weigh: Callable[[tuple[int, ...]], float],
    ways: dict[int, _Way],
    number: int,
    count: int,
    sign: float,
) -> dict[int, _Way]:
    """For each width of this stage the best way to it."""
    size, stride = costs.sizes[count][number], 1 if number == 0 else 2
    found: dict[int, _Way] = {}
    for stage in _uniform_stages(costs):
        for before, way in ways.items():
            for width in _few(costs.space.widths):
                if not costs.pair(stage, before, width, stride):
                    continue
                numbers = costs.stage(stage, before, width, size, stride)
                if numbers is None:
                    continue
                value = way.value + sign * weigh(numbers)
                if width not in found or value < found[width].value:
                    found[width] = _Way(value, (*way.stages, stage), (*way.widths, width))
    return found


def _uniform_stages(costs: Costs) -> Iterator[Stage]:
    """Stages of one block type and one set of choices, at every depth."""
    for block in dict.fromkeys(costs.space.blocks):
        for pick in costs.space.picks(block):
            for depth in (min(costs.space.depths), max(costs.space.depths)):
                yield (pick,) * depth


def _few(values: tuple[int, ...]) -> tuple[int, ...]:
    ordered = sorted(values)
    if len(ordered) <= MOST_WIDTHS:
        return tuple(ordered)
    return tuple(ordered[: MOST_WIDTHS // 2] + ordered[-MOST_WIDTHS // 2 :])
