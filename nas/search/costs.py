"""What the networks of a space cost under a budget, remembered, so that widths can be tried in microseconds."""

from __future__ import annotations

from functools import cached_property

from nas.arch.cost import Field, Shape, dense
from nas.arch.record import LIMITS
from nas.blocks.costing import block_cost
from nas.blocks.registry import Blocks
from nas.errors import BlockError
from nas.search.stages import Numbers, Passage, StageCosts
from nas.search.widths import WidthGrid
from nas.study.budget import Budget
from nas.study.space import Draw, Pick, Skeleton, Space, Stage

MOST_REMEMBERED = 2_000
"""So many stages, and skeletons, are remembered; a study over a vast space would else fill the memory."""


class Costs:
    """The costs of a space's skeletons and widths under a budget."""

    def __init__(self, space: Space, blocks: Blocks, budget: Budget) -> None:
        self.space, self.blocks, self.budget = space, blocks, budget
        limits = {name: getattr(budget, name) for name in LIMITS}
        self.limits = [(index, limits[name]) for index, name in enumerate(LIMITS) if limits[name] is not None]
        self.smallest: dict[str | None, Draw | None] = {}
        """The smallest networks that `nas.search.extremes` has found so far, by metric."""
        self._tables: dict[tuple[Stage, tuple[int, int], int], StageCosts] = {}
        self._passages: dict[tuple[Pick, frozenset[Pick], int], Passage] = {}
        self._grids: dict[Skeleton, WidthGrid] = {}
        self._heads: dict[int, Numbers] = {}

    @cached_property
    def sizes(self) -> dict[int, list[tuple[int, int]]]:
        """(H, W) entering each stage, by how many stages there are."""
        return {count: self.space.sizes(count) for count in self.space.stages}

    def stages(self, skeleton: Skeleton) -> list[tuple[Stage, tuple[int, int], int]]:
        """The stem and the stages with the (H, W) that enters them and the stride of their first block."""
        sizes = self.sizes[len(skeleton.stages)]
        stem = ((self.space.stem_pick(skeleton.stem_kernel),), sizes[0], 1)
        strides = (stride_of(number) for number in range(len(sizes)))
        return [stem, *zip(skeleton.stages, sizes, strides, strict=True)]

    def table(self, stage: Stage, size: tuple[int, int], stride: int) -> StageCosts:
        """What a stage costs by the channels in and out."""
        key = (stage, size, stride)
        if key not in self._tables:
            if len(self._tables) >= MOST_REMEMBERED:
                self._tables.clear()
            self._tables[key] = StageCosts(stage, self.blocks, size, stride, self._passage(stage, stride))
        return self._tables[key]

    def _passage(self, stage: Stage, stride: int) -> Passage:
        key = (stage[0], frozenset(stage[1:]), stride)
        if key not in self._passages:
            if len(self._passages) >= MOST_REMEMBERED:
                self._passages.clear()
            self._passages[key] = Passage(stage, self.blocks, stride)
        return self._passages[key]

    def grid(self, skeleton: Skeleton) -> WidthGrid:
        """The widths that a skeleton may take."""
        if skeleton not in self._grids:
            if len(self._grids) >= MOST_REMEMBERED:
                self._grids.clear()
            values = self.space.width_values(len(skeleton.stages))
            tables = [self.table(*one) for one in self.stages(skeleton)]
            self._grids[skeleton] = WidthGrid(tables, values, self.space.input[0], self.head, self.limits)
        return self._grids[skeleton]

    def numbers(self, skeleton: Skeleton, widths: tuple[int, ...]) -> Numbers | None:
        """What the network costs, or None where a block vetoes a width."""
        total = self.head(widths[-1])
        before = self.space.input[0]
        for stage, width in zip(self.stages(skeleton), widths, strict=True):
            part = self.table(*stage).numbers(before, width)
            if part is None:
                return None
            total = total.plus(part)
            before = width
        return total

    def head(self, width: int) -> Numbers:
        """The dense layer behind global pooling."""
        if width not in self._heads:
            cost = dense((width, 1, 1), self.space.classes)
            self._heads[width] = Numbers(cost.params, cost.weights, cost.macs, cost.activations)
        return self._heads[width]

    def use(self, numbers: Numbers) -> float:
        """The largest share of a limit that these costs take; 0 without limits."""
        return max((numbers[index] / limit for index, limit in self.limits), default=0.0)

    def field(self, skeleton: Skeleton, widths: tuple[int, ...]) -> int | None:
        """The receptive field in pixels of the image, None where unknown or vetoed."""
        field, before = Field(), self.space.input[0]
        for (stage, size, stride), width in zip(self.stages(skeleton), widths, strict=True):
            shape: Shape = (before, *size)
            for pick in stage:
                own = self.own_field(pick, shape, width, stride)
                if own is None:
                    return None
                field = field.after(own)
                field = field._replace(jump_height=field.jump_height * stride, jump_width=field.jump_width * stride)
                shape, stride = (width, -(-shape[1] // stride), -(-shape[2] // stride)), 1
            before = width
        return field.largest

    def own_field(self, pick: Pick, shape: Shape, width: int, stride: int) -> int | None:
        """A block's own receptive field in pixels of its input, None where unknown or vetoed."""
        try:
            return block_cost(self.blocks[pick.block], shape, width, stride, pick.settings).receptive_field
        except BlockError:
            return None


def stride_of(stage: int) -> int:
    """The stride of a stage's first block: every stage after the first halves the map."""
    return 2 if stage > 0 else 1
