"""What one stage costs, by the channels in and out: counted once for each pair, then remembered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from nas.arch.cost import Shape
from nas.blocks.costing import block_cost, block_layers, is_valid
from nas.blocks.registry import Blocks
from nas.errors import BlockError
from nas.study.space import Pick, Stage


class Numbers(NamedTuple):
    """Additive costs of a part of a network, for one sample, in the order of `LIMITS`."""

    params: int = 0
    weights: int = 0
    macs: int = 0
    activations: int = 0

    def plus(self, other: Numbers, times: int = 1) -> Numbers:
        """Both together, the other one so many times."""
        return Numbers(
            self.params + times * other.params,
            self.weights + times * other.weights,
            self.macs + times * other.macs,
            self.activations + times * other.activations,
        )


def total_of(parts: Iterable[Sequence[int]]) -> Numbers:
    """The sum of the costs of several parts."""
    return Numbers(*map(sum, zip(*parts, strict=True)))


class Passage:
    """Which channels in and out the blocks of a stage take, whatever the size of its maps."""

    def __init__(self, stage: Stage, blocks: Blocks, stride: int) -> None:
        self.blocks, self.stride = blocks, stride
        self.first, self.rest = stage[0], set(stage[1:])
        self._allowed: dict[tuple[int, int], bool] = {}
        self._live: dict[tuple[tuple[int, ...], tuple[int, ...]], tuple[int, ...]] = {}

    def allows(self, before: int, width: int) -> bool:
        """Whether every block takes these channels in and out."""
        pair = (before, width)
        if pair not in self._allowed:
            self._allowed[pair] = self._valid(self.first, before, width, self.stride) and all(
                self._valid(pick, width, width, 1) for pick in self.rest
            )
        return self._allowed[pair]

    def live(self, before: tuple[int, ...], after: tuple[int, ...]) -> tuple[int, ...]:
        """Those of the channels in from which the stage leads to some of the channels out."""
        key = (before, after)
        if key not in self._live:
            self._live[key] = tuple(c for c in before if any(self.allows(c, width) for width in after))
        return self._live[key]

    def _valid(self, pick: Pick, before: int, width: int, stride: int) -> bool:
        try:
            return is_valid(self.blocks[pick.block], before, width, stride, pick.settings)
        except BlockError:
            return False


class StageCosts:
    """The costs of a stage on maps of one size (H, W), its first block at one stride."""

    def __init__(
        self, stage: Stage, blocks: Blocks, size: tuple[int, int], stride: int, passage: Passage | None = None
    ) -> None:
        passage = passage or Passage(stage, blocks, stride)
        self.allows, self.live = passage.allows, passage.live
        self.stage, self.blocks, self.size, self.stride = stage, blocks, size, stride
        self.first, self.rest = stage[0], Counter(stage[1:])
        self.after = (-(-size[0] // stride), -(-size[1] // stride))
        self._known: dict[tuple[int, int], Numbers | None] = {}
        self._rest_known: dict[int, Numbers | None] = {}

    def numbers(self, before: int, width: int) -> Numbers | None:
        """What the stage costs from `before` channels to `width`, or None where a block vetoes or breaks."""
        pair = (before, width)
        if pair not in self._known:
            self._known[pair] = self._counted(before, width)
        return self._known[pair]

    def _counted(self, before: int, width: int) -> Numbers | None:
        if width not in self._rest_known:
            self._rest_known[width] = self._counted_rest(width)
        rest = self._rest_known[width]
        first = None if rest is None else self._block(self.first, (before, *self.size), width, self.stride)
        return None if first is None or rest is None else first.plus(rest)

    def _counted_rest(self, width: int) -> Numbers | None:
        total = Numbers()
        for pick, times in self.rest.items():
            numbers = self._block(pick, (width, *self.after), width, 1)
            if numbers is None:
                return None
            total = total.plus(numbers, times)
        return total

    def _block(self, pick: Pick, shape: Shape, width: int, stride: int) -> Numbers | None:
        try:
            layers = block_layers(self.blocks[pick.block], shape, width, stride, pick.settings)
        except BlockError:
            return None
        return total_of([(layer.params, layer.weights, layer.macs, layer.activations) for layer in layers])

    def pixels(self, before: int, width: int, jump: int) -> int | None:
        """By how many pixels of the image the stage widens the field, where the outputs before it lie `jump` apart.

        None where that is unknown, or a block vetoes or breaks.
        """
        added, shape, stride = 0, (before, *self.size), self.stride
        for pick in self.stage:
            own = self._own_field(pick, shape, width, stride)
            if own is None:
                return None
            added += (own - 1) * jump
            shape, jump, stride = (width, *self.after), jump * stride, 1
        return added

    def _own_field(self, pick: Pick, shape: Shape, width: int, stride: int) -> int | None:
        try:
            return block_cost(self.blocks[pick.block], shape, width, stride, pick.settings).receptive_field
        except BlockError:
            return None
