"""Skeletons next to a skeleton: mended where a block vetoes, simpler where no width fits, or seeing further."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from nas.arch.spec import settings
from nas.search.costs import Costs
from nas.study.space import Pick, Skeleton, Stage


def mended(skeleton: Skeleton, costs: Costs) -> Skeleton | None:
    """The skeleton with choices that no width allows replaced by the nearest declared ones; None where none helps."""
    if costs.allowed(skeleton) is not None:
        return skeleton
    values = costs.space.width_values(len(skeleton.stages))
    stages = []
    for number, stage in enumerate(skeleton.stages):
        stride = 1 if number == 0 else 2
        picks = [_nearest_valid(pick, values[number], values[number + 1], stride, costs) for pick in stage]
        stages.append(tuple(picks))
    found = replace(skeleton, stages=tuple(stages))
    return found if costs.allowed(found) is not None else None


def _nearest_valid(pick: Pick, before: tuple[int, ...], after: tuple[int, ...], stride: int, costs: Costs) -> Pick:
    """The pick of the same block, fewest choices changed, that some widths allow at this place."""
    own = dict(pick.settings)

    def changed(other: Pick) -> int:
        return sum(own[name] != value for name, value in other.settings)

    for other in sorted(costs.space.picks(pick.block), key=changed):
        stage: Stage = (other, other)
        if any(costs.pair(stage, w, v, stride) for w in before for v in after):
            return other
    return pick


def simpler(skeleton: Skeleton, costs: Costs) -> Iterator[Skeleton]:
    """Ever simpler skeletons: depth goes first, then kernels, then dear choices, then whole stages."""
    for step in (_shallower, _smaller_kernels, _cheaper_choices, _fewer_stages):
        for one in step(skeleton, costs):
            skeleton = one
            yield one


def _shallower(skeleton: Skeleton, costs: Costs) -> Iterator[Skeleton]:
    """One depth step at a time from the deepest stage, the last of equals."""
    depths = sorted(costs.space.depths)
    while True:
        deepest = max(range(len(skeleton.stages)), key=lambda n: (len(skeleton.stages[n]), n))
        less = [depth for depth in depths if depth < len(skeleton.stages[deepest])]
        if not less:
            return
        skeleton = _with_stage(skeleton, deepest, skeleton.stages[deepest][: less[-1]])
        yield skeleton


def _smaller_kernels(skeleton: Skeleton, costs: Costs) -> Iterator[Skeleton]:
    """The largest kernel one step down at a time, the last stage's of equals, the stem's after the stages'."""
    while True:
        best: tuple[int, int, Skeleton] | None = None
        for number, stage in enumerate(skeleton.stages):
            kernel = max((_kernel(pick) for pick in stage), default=0)
            lowered = tuple(_stepped(pick, costs, up=False) if _kernel(pick) == kernel else pick for pick in stage)
            if lowered != stage and (best is None or (kernel, number) > best[:2]):
                best = (kernel, number, _with_stage(skeleton, number, lowered))
        stem = [kernel for kernel in sorted(costs.space.stem_kernels) if kernel < skeleton.stem_kernel]
        if best is None and not stem:
            return
        skeleton = best[2] if best else replace(skeleton, stem_kernel=stem[-1])
        yield skeleton


def _cheaper_choices(skeleton: Skeleton, costs: Costs) -> Iterator[Skeleton]:
    """All picks at once at their block's cheapest choices."""
    stages = []
    for number, stage in enumerate(skeleton.stages):
        stages.append(tuple(_cheapest(pick, number, len(skeleton.stages), costs) for pick in stage))
    if tuple(stages) != skeleton.stages:
        yield replace(skeleton, stages=tuple(stages))


def _cheapest(pick: Pick, number: int, count: int, costs: Costs) -> Pick:
    size, stride = costs.sizes[count][number], 1 if number == 0 else 2
    widths = costs.space.width_values(count)
    ways: list[tuple[float, int, Pick]] = []
    for order, other in enumerate(costs.space.picks(pick.block)):
        pairs = ((w, v) for v in sorted(widths[number + 1]) for w in sorted(widths[number]))
        first = next(((w, v) for w, v in pairs if costs.pair((other, other), w, v, stride)), None)
        numbers = costs.stage((other, other), *first, size, stride) if first else None
        if numbers is not None:
            ways.append((costs.use(numbers) if costs.limits else numbers.params, order, other))
    return min(ways)[2] if ways else pick


def _fewer_stages(skeleton: Skeleton, costs: Costs) -> Iterator[Skeleton]:
    """The last stages dropped, to each smaller count that the space allows."""
    for count in sorted(costs.space.stages, reverse=True):
        if count < len(skeleton.stages):
            skeleton = replace(skeleton, stages=skeleton.stages[:count])
            yield skeleton


def larger_fields(skeleton: Skeleton, costs: Costs) -> Iterator[Skeleton]:
    """The skeleton itself, then ones that see ever further: larger kernels, then more blocks, then more stages."""
    yield skeleton
    for number in range(len(skeleton.stages) - 1, -1, -1):
        while (raised := tuple(_stepped(pick, costs, up=True) for pick in skeleton.stages[number])) != skeleton.stages[
            number
        ]:
            skeleton = _with_stage(skeleton, number, raised)
            yield skeleton
    for number in range(len(skeleton.stages) - 1, -1, -1):
        for depth in sorted(costs.space.depths):
            stage = skeleton.stages[number]
            if depth > len(stage):
                skeleton = _with_stage(skeleton, number, stage + (stage[-1],) * (depth - len(stage)))
                yield skeleton
    for count in sorted(costs.space.stages):
        if count > len(skeleton.stages):
            more = (skeleton.stages[-1],) * (count - len(skeleton.stages))
            skeleton = replace(skeleton, stages=skeleton.stages + more)
            yield skeleton


def _kernel(pick: Pick) -> int:
    return int(dict(pick.settings).get("kernel", 0))


def _stepped(pick: Pick, costs: Costs, *, up: bool) -> Pick:
    """The pick with its kernel at the next larger or smaller value of the space, itself where there is none."""
    chosen = dict(pick.settings)
    values = sorted(value for value in costs.space.choices[pick.block].get("kernel", ()) if isinstance(value, int))
    kernel = _kernel(pick)
    beyond = [v for v in values if v > kernel][:1] if up else [v for v in values if v < kernel][-1:]
    return Pick(pick.block, settings({**chosen, "kernel": beyond[0]})) if beyond else pick


def _with_stage(skeleton: Skeleton, number: int, stage: Stage) -> Skeleton:
    return replace(skeleton, stages=(*skeleton.stages[:number], stage, *skeleton.stages[number + 1 :]))
