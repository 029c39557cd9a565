"""What the networks of a space cost, stage by stage, so that widths can be tried in microseconds."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

from nas.arch.cost import Field, Shape, dense
from nas.arch.record import LIMITS
from nas.blocks.registry import Blocks
from nas.blocks.trace import block_cost, is_valid
from nas.errors import BlockError
from nas.study.budget import Budget
from nas.study.space import Pick, Skeleton, Space, Stage


class Numbers(NamedTuple):
    """Additive costs of a part of a network, for one sample, in the order of `LIMITS`."""

    params: int = 0
    weights: int = 0
    macs: int = 0
    activations: int = 0

    def plus(self, other: Numbers) -> Numbers:
        """Both together."""
        return Numbers(*(a + b for a, b in zip(self, other, strict=True)))


class Costs:
    """The costs of a space's skeletons and widths under a budget, each stage remembered once known."""

    def __init__(self, space: Space, blocks: Blocks, budget: Budget) -> None:
        self.space, self.blocks, self.budget = space, blocks, budget
        limits = {name: getattr(budget, name) for name in LIMITS}
        self.limits = [(index, limits[name]) for index, name in enumerate(LIMITS) if limits[name] is not None]
        self._stages: dict[tuple[Stage, int, int, tuple[int, int], int], Numbers | None] = {}
        self._allowed: dict[Skeleton, list[tuple[int, ...]] | None] = {}
        self._pairs: dict[tuple[Stage, int, int, int], bool] = {}

    @cached_property
    def sizes(self) -> dict[int, list[tuple[int, int]]]:
        """(H, W) entering each stage, by how many stages there are."""
        return {count: self.space.sizes(count) for count in self.space.stages}

    def stages(self, skeleton: Skeleton) -> list[tuple[Stage, tuple[int, int], int]]:
        """The stem and the stages with the (H, W) that enters them and the stride of their first block."""
        sizes = self.sizes[len(skeleton.stages)]
        stem = ((self.space.stem_pick(skeleton.stem_kernel),), sizes[0], 1)
        strides = (1 if number == 0 else 2 for number in range(len(sizes)))
        return [stem, *zip(skeleton.stages, sizes, strides, strict=True)]

    def numbers(self, skeleton: Skeleton, widths: tuple[int, ...]) -> Numbers | None:
        """What the network costs, or None where a block vetoes a width."""
        total = self.head(widths[-1])
        before = self.space.input[0]
        for (stage, size, stride), width in zip(self.stages(skeleton), widths, strict=True):
            part = self.stage(stage, before, width, size, stride)
            if part is None:
                return None
            total = total.plus(part)
            before = width
        return total

    def head(self, width: int) -> Numbers:
        """The dense layer behind global pooling."""
        cost = dense((width, 1, 1), self.space.classes)
        return Numbers(cost.params, cost.weights, cost.macs, cost.activations)

    def stage(self, stage: Stage, in_channels: int, width: int, size: tuple[int, int], stride: int) -> Numbers | None:
        """What one stage costs, or None where a block vetoes or breaks."""
        key = (stage, in_channels, width, size, stride)
        if key not in self._stages:
            self._stages[key] = self._stage_numbers(*key)
        return self._stages[key]

    def _stage_numbers(
        self, stage: Stage, in_channels: int, width: int, size: tuple[int, int], stride: int
    ) -> Numbers | None:
        total, shape = Numbers(), (in_channels, *size)
        for pick in stage:
            try:
                cost = block_cost(self.blocks[pick.block], shape, width, stride, pick.settings)
            except BlockError:
                return None
            total = total.plus(Numbers(cost.params, cost.weights, cost.macs, cost.activations))
            shape, stride = _after(shape, width, stride), 1
        return total

    def use(self, numbers: Numbers) -> float:
        """The largest share of a limit that these costs take; 0 without limits."""
        return max((numbers[index] / limit for index, limit in self.limits), default=0.0)

    def field(self, skeleton: Skeleton, widths: tuple[int, ...]) -> int | None:
        """The receptive field in pixels of the image, None where unknown or vetoed."""
        field, before = Field(), self.space.input[0]
        for (stage, size, stride), width in zip(self.stages(skeleton), widths, strict=True):
            shape = (before, *size)
            for pick in stage:
                try:
                    own = block_cost(self.blocks[pick.block], shape, width, stride, pick.settings).receptive_field
                except BlockError:
                    return None
                if own is None:
                    return None
                field = field.after(own)
                field = field._replace(jump_height=field.jump_height * stride, jump_width=field.jump_width * stride)
                shape, stride = _after(shape, width, stride), 1
            before = width
        return field.largest

    def allowed(self, skeleton: Skeleton) -> list[tuple[int, ...]] | None:
        """The widths that each place may take so that some choice behind it is left; None where there is none.

        From the last stage forward, so that picking from the first on never ends in a dead end.
        """
        if skeleton not in self._allowed:
            if len(self._allowed) > 100_000:
                self._allowed.clear()
            self._allowed[skeleton] = self._consistent(skeleton)
        return self._allowed[skeleton]

    def _consistent(self, skeleton: Skeleton) -> list[tuple[int, ...]] | None:
        values = self.space.width_values(len(skeleton.stages))
        stages = self.stages(skeleton)
        kept = [values[-1]]
        for place in range(len(stages) - 1, -1, -1):
            stage, _, stride = stages[place]
            before = values[place - 1] if place else (self.space.input[0],)
            live = tuple(w for w in before if any(self.pair(stage, w, after, stride) for after in kept[0]))
            if not live:
                return None
            kept.insert(0, live)
        return kept[1:]

    def pair(self, stage: Stage, in_channels: int, width: int, stride: int) -> bool:
        """Whether every block of a stage allows these channels in and out."""
        key = (stage, in_channels, width, stride)
        if key not in self._pairs:
            self._pairs[key] = all(
                self._valid(pick, in_channels if n == 0 else width, width, stride if n == 0 else 1)
                for n, pick in enumerate(stage)
            )
        return self._pairs[key]

    def _valid(self, pick: Pick, in_channels: int, width: int, stride: int) -> bool:
        try:
            return is_valid(self.blocks[pick.block], in_channels, width, stride, pick.settings)
        except BlockError:
            return False


def _after(shape: Shape, width: int, stride: int) -> Shape:
    return (width, -(-shape[1] // stride), -(-shape[2] // stride))
