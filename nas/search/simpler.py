"""Skeletons next to a skeleton: mended where a block vetoes, simpler where no width fits, or seeing further."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain

from nas.arch.spec import settings
from nas.search.costs import Costs, stride_of
from nas.study.space import Pick, Skeleton, Stage


def mended(skeleton: Skeleton, costs: Costs) -> Skeleton | None:
    """The skeleton with every stage that no width allows replaced by the nearest one that some do.

    Other choices of its blocks come first, then other block types. None where there is none.
    """
    if costs.grid(skeleton).possible:
        return skeleton
    kept: list[Stage] = []
    places = zip(costs.stages(skeleton), costs.space.width_values(len(skeleton.stages)), strict=True)
    reached: Sequence[int] = (costs.space.input[0],)
    for number, ((stage, size, stride), widths) in enumerate(places):
        # The stem has no other choices: a kernel that its block vetoes is told of when the file is read.
        others = chain([stage], _nearest(stage, costs) if number else [])
        for other in others:
            table = costs.table(other, size, stride)
            there = [width for width in widths if any(table.allows(before, width) for before in reached)]
            if there:
                break
        else:
            return None
        kept.append(other)
        reached = there
    return replace(skeleton, stages=tuple(kept[1:]))


def _nearest(stage: Stage, costs: Costs) -> Iterator[Stage]:
    """Stages like this one: one block changed after the other where they are mixed, all alike, of the types behind."""
    for place in range(len(stage)) if costs.space.mix else ():
        for other in _alike(stage[place], costs):
            yield (*stage[:place], other, *stage[place + 1 :])
    names = list(dict.fromkeys(costs.space.blocks))
    start = names.index(stage[0].block)
    for name in [*names[start:], *names[:start]]:
        for other in _alike(stage[0], costs) if name == stage[0].block else costs.space.picks(name):
            yield (other,) * len(stage)


def _alike(pick: Pick, costs: Costs) -> list[Pick]:
    """The picks of the same block: fewest choices changed first, then the smallest steps of numbers."""
    own = dict(pick.settings)

    def away(other: Pick) -> tuple[int, float]:
        changed = [(own[name], value) for name, value in other.settings if own[name] != value]
        return len(changed), sum(abs(a - b) for a, b in changed if not isinstance(a, str) and not isinstance(b, str))

    return sorted(costs.space.picks(pick.block), key=away)


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
    size, stride = costs.sizes[count][number], stride_of(number)
    before, after = (sorted(values) for values in costs.space.width_values(count)[number : number + 2])
    ways: list[tuple[float, int, Pick]] = []
    for order, other in enumerate(costs.space.picks(pick.block)):
        table = costs.table((other, other), size, stride)
        pairs = ((w, v) for v in after for w in before if table.allows(w, v))
        numbers = next((table.numbers(w, v) for w, v in pairs), None)
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
