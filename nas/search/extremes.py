"""The smallest and the largest network of a space, block by block rather than network by network.

Costs add up along a network, and so do the pixels by which blocks widen the receptive field: of all ways to a place
with a given width only those need be kept that no other one beats in every cost and in pixels seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from nas.arch.record import LIMITS
from nas.search.costs import Costs, stride_of
from nas.search.stages import Numbers
from nas.study.space import Draw, Pick, Skeleton, Stage

MOST_WAYS = 64
"""So many ways to a width are kept, those of the least largest cost."""

FEW_WIDTHS = 3
"""Only so many widths from the end are looked at, and as many that each block takes: costs do not fall with width."""

FEW_PICKS = 8
"""Where blocks are mixed only so many kinds are put together: the cheapest and those that see furthest."""

Weigh = Callable[[Numbers], tuple[float, ...]]


@dataclass(frozen=True, slots=True)
class _Way:
    """A way through the stages so far: what it costs, the pixels it adds to what is seen, and how it goes."""

    costs: tuple[float, ...]
    pixels: int
    stages: tuple[Stage, ...] = ()
    widths: tuple[int, ...] = ()

    def then(self, costs: tuple[float, ...], pixels: int, stage: Stage, width: int) -> _Way:
        """The way with one more stage."""
        total = tuple([a + b for a, b in zip(self.costs, costs, strict=True)])
        return _Way(total, self.pixels + pixels, (*self.stages, stage), (*self.widths, width))


def smallest(costs: Costs, metric: str | None = None) -> Draw | None:
    """The network that sees enough pixels and costs least: in the largest share of a limit, or in one metric by name.

    None where no network of the space can be built or sees enough.
    """
    if metric not in costs.smallest:
        costs.smallest[metric] = _Walk(costs, _weigher(costs, metric)).best()
    return costs.smallest[metric]


def largest(costs: Costs, metric: str) -> Draw | None:
    """The network that costs most of one metric."""
    index = LIMITS.index(metric)
    return _Walk(costs, lambda numbers: (-float(numbers[index]),), sees=0, up=True).best()


def largest_field(costs: Costs) -> int | None:
    """The most pixels that a network of the space sees; None where that is known of none."""
    most = _Walk(costs, lambda numbers: (), sees=2**31).best(most_pixels=True)
    return None if most is None else costs.field(most.skeleton, most.widths)


def _weigher(costs: Costs, metric: str | None) -> Weigh:
    if metric is None and costs.limits:
        return lambda numbers: tuple([numbers[index] / limit for index, limit in costs.limits])
    index = LIMITS.index(metric or "params")
    return lambda numbers: (float(numbers[index]),)


class _Walk:
    """Dynamic programming over the width between two stages; `sees` pixels are enough, 0: it does not matter."""

    def __init__(self, costs: Costs, weigh: Weigh, *, sees: int | None = None, up: bool = False) -> None:
        self.costs, self.space, self.weigh = costs, costs.space, weigh
        self.sees = (costs.budget.min_receptive_field or 0) if sees is None else sees
        self.picks = [pick for block in dict.fromkeys(self.space.blocks) for pick in self.space.picks(block)]
        self.widths = self._few(self.space.widths, up)
        self.stem_widths = self._few(self.space.stem_widths, up)

    def _few(self, values: Sequence[int], up: bool) -> list[int]:
        """The first widths from the end in question, and the first that each block takes on both sides."""
        ordered = sorted(values, reverse=up)
        found = set(ordered[:FEW_WIDTHS])
        for pick in self.picks:
            table = self.costs.table((pick,), self.space.input[1:], 1)
            taken = (width for width in ordered if table.allows(width, width))
            found.update(width for width, _ in zip(taken, range(FEW_WIDTHS), strict=False))
        return sorted(found)

    def best(self, *, most_pixels: bool = False) -> Draw | None:
        """The best network over stem kernels and numbers of stages."""
        found = [(way, kernel) for kernel in self.space.stem_kernels for way in self._whole(kernel)]
        if not most_pixels:
            found = [(way, kernel) for way, kernel in found if self.sees <= 1 + way.pixels or not self.sees]
        if not found:
            return None
        way, kernel = min(found, key=lambda one: (-one[0].pixels if most_pixels else 0, max(one[0].costs, default=0)))
        return Draw(Skeleton(kernel, way.stages), way.widths)

    def _whole(self, kernel: int) -> Iterator[_Way]:
        """Ways to the head, of every number of stages."""
        ways = self._stem(kernel)
        for number in range(max(self.space.stages)):
            ways = self._next(ways, number)
            if number + 1 in self.space.stages:
                for width, there in ways.items():
                    head = self.weigh(self.costs.head(width))
                    yield from (_plus(way, head) for way in there)

    def _stem(self, kernel: int) -> dict[int, list[_Way]]:
        stage = (self.space.stem_pick(kernel),)
        start = [_Way(tuple(0.0 for _ in self.weigh(Numbers())), 0)]
        sizes = self.costs.sizes[max(self.space.stages)]
        found = {w: self._onward(start, [stage], self.space.input[0], w, sizes[0], 1, 1) for w in self.stem_widths}
        # A stage is what follows the stem: the way forgets it but for its width.
        return {
            width: [_Way(way.costs, way.pixels, (), way.widths) for way in ways]
            for width, ways in found.items()
            if ways
        }

    def _next(self, ways: dict[int, list[_Way]], number: int) -> dict[int, list[_Way]]:
        """For each width of a stage the ways to it."""
        size, stride = self.costs.sizes[max(self.space.stages)][number], stride_of(number)
        jump = 2 ** max(0, number - 1)
        found = {}
        for width in self.widths:
            there = chain.from_iterable(
                self._onward(ways[before], self._stages(before, width, size, stride), before, width, size, stride, jump)
                for before in ways
            )
            kept = self._kept(there)
            if kept:
                found[width] = kept
        return found

    def _onward(
        self,
        ways: Sequence[_Way],
        stages: Iterable[Stage],
        before: int,
        width: int,
        size: tuple[int, int],
        stride: int,
        jump: int,
    ) -> list[_Way]:
        options = []
        for stage in stages:
            numbers = self.costs.table(stage, size, stride).numbers(before, width)
            pixels = None if numbers is None else self._pixels(stage, before, width, size, stride, jump)
            if numbers is not None and pixels is not None:
                options.append(_Way(self.weigh(numbers), pixels, (stage,)))
        kept = self._kept(options)
        return self._kept(way.then(one.costs, one.pixels, one.stages[0], width) for way in ways for one in kept)

    def _stages(self, before: int, width: int, size: tuple[int, int], stride: int) -> Iterator[Stage]:
        """Stages worth looking at: alike throughout, or where blocks are mixed the best first and the best others."""
        if not self.space.mix:
            yield from ((pick,) * depth for pick in self.picks for depth in self._depths)
            return
        after = (-(-size[0] // stride), -(-size[1] // stride))
        firsts = self._best_picks(before, width, size, stride)
        others = self._best_picks(width, width, after, 1)
        for first in firsts:
            for depth in self._depths:
                yield from ((first, *rest) for rest in _repeats(others, depth - 1))

    @property
    def _depths(self) -> Sequence[int]:
        """Without a question of pixels only the shallowest and the deepest matter."""
        depths = self.space.depths
        return depths if self.sees else sorted({min(depths), max(depths)})

    def _best_picks(self, before: int, width: int, size: tuple[int, int], stride: int) -> list[Pick]:
        single = ((pick,) for pick in self.picks)
        start = [_Way(tuple(0.0 for _ in self.weigh(Numbers())), 0)]
        found = [way.stages[0][0] for way in self._onward(start, single, before, width, size, stride, 1)]
        return found if len(found) <= FEW_PICKS else [*found[: FEW_PICKS // 2], *found[-FEW_PICKS // 2 :]]

    def _pixels(
        self, stage: Stage, before: int, width: int, size: tuple[int, int], stride: int, jump: int
    ) -> int | None:
        """By how many pixels of the image a stage widens the field; 0 where nobody asks, None where unknown."""
        if not self.sees:
            return 0
        added, shape = 0, (before, *size)
        for pick in stage:
            own = self.costs.own_field(pick, shape, width, stride)
            if own is None:
                return None
            added += (own - 1) * jump
            shape = (width, -(-shape[1] // stride), -(-shape[2] // stride))
            jump, stride = jump * stride, 1
        return added

    def _kept(self, ways: Iterable[_Way]) -> list[_Way]:
        """The ways that no other one beats in every cost and in pixels, beyond those needed; the best few of them."""
        kept: list[_Way] = []
        for way in sorted(ways, key=lambda way: (max(way.costs, default=0), way.costs, -way.pixels)):
            seen = self._enough(way)
            if not any(
                self._enough(one) >= seen and all(a <= b for a, b in zip(one.costs, way.costs, strict=True))
                for one in kept
            ):
                kept.append(way)
        if len(kept) <= MOST_WAYS:
            return kept
        # The ways that see furthest stay whatever they cost: a short-sighted prefix may have no way on.
        return kept[: MOST_WAYS // 2] + sorted(kept[MOST_WAYS // 2 :], key=lambda w: -w.pixels)[: MOST_WAYS // 2]

    def _enough(self, way: _Way) -> int:
        return min(way.pixels, max(0, self.sees - 1))


def _plus(way: _Way, costs: tuple[float, ...]) -> _Way:
    return _Way(tuple([a + b for a, b in zip(way.costs, costs, strict=True)]), way.pixels, way.stages, way.widths)


def _repeats(picks: Sequence[Pick], count: int) -> Iterator[Stage]:
    """So many blocks from a few kinds: each alone, and from one kind to another in turn."""
    if count == 0:
        yield ()
        return
    for number, one in enumerate(picks):
        yield (one,) * count
        for other in picks[number + 1 :]:
            yield from ((one,) * split + (other,) * (count - split) for split in range(1, count))
