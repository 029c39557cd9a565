"""What one part of a network makes of the map that enters it: shape, receptive field and sums, remembered by part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

from nas.arch.cost import Cost, Field, Shape, pair
from nas.arch.layers import CLASSES, LAYERS, filled
from nas.arch.spec import Settings, settings
from nas.blocks.base import Block
from nas.blocks.costing import block_field, block_layers, full_settings
from nas.errors import ArchitectureError

Reach = tuple[int, int, int, int]
"""A `Field` as a plain tuple, which the walk takes apart faster."""

Shared = TypeVar("Shared", Shape, Reach | None)

MOST_REMEMBERED = 5_000
"""So many steps of one block with its settings are remembered; over a vast space they would else fill the memory."""


@dataclass(slots=True)
class Step:
    """What a part, or parts one behind another, make of a map; the sums are those of one sample.

    `reach` is their own field in pixels of that map, None where unknown; no part behind one that `ends` it, such as a
    dense layer, adds to it. Never changed once made; not frozen, since that would take several times as long to make.
    """

    output: Shape
    reach: Reach | None = Field()
    ends: bool = False
    params: int = 0
    weights: int = 0
    macs: int = 0
    activations: int = 0
    depth: int = 0
    layers: tuple[Cost, ...] = ()


class BlockSteps(dict[tuple[Shape, int, int], Step]):
    """The steps of a block with its settings by map (C, H, W), width and stride, each made when first asked for.

    Raises BlockError where the block has not these settings, and where it vetoes a step or breaks.
    """

    def __init__(self, block: Block, given: Settings) -> None:
        super().__init__()
        self.block, self.given = block, settings(full_settings(block, dict(given)))

    def __missing__(self, key: tuple[Shape, int, int]) -> Step:
        shape, width, stride = key
        layers = block_layers(self.block, shape, width, stride, self.given)
        own = block_field(layers)
        reach = None if own is None else (own, own, stride, stride)
        output = (width, -(-shape[1] // stride), -(-shape[2] // stride))
        if len(self) >= MOST_REMEMBERED:
            self.clear()
        self[key] = step = _counted(output, reach, False, layers, 1)
        return step


@lru_cache(maxsize=500)
def block_steps(block: Block, given: Settings, kinds: tuple[type, ...]) -> BlockSteps:
    """The steps of a block with its settings; `kinds` are the types of their values, lest True be taken for 1."""
    return BlockSteps(block, given)


@lru_cache(maxsize=10_000)
def layer_step(kind: str, given: Settings, shape: Shape, classes: int) -> Step:
    """A plain layer on a map (C, H, W).

    Raises ArchitectureError where it does not take the map; the message goes on from the layer's place.
    """
    layer, values = LAYERS[kind], filled(kind, dict(given))
    if values.get("width") == CLASSES:
        values["width"] = classes
    _check_values(kind, values, shape)
    output = layer.output(shape, values)
    if min(output) < 1:
        raise ArchitectureError(f": {kind} shrinks a map of {list(shape)} below one pixel: {list(output)}")
    ends = layer.ends_field(shape, values)
    field = Field() if ends else layer.field(Field(), values)
    return _counted(output, (*field,), ends, (layer.cost(shape, values),), int(layer.counted))


def _counted(output: Shape, reach: Reach | None, ends: bool, layers: tuple[Cost, ...], depth: int) -> Step:
    step = Step(_shared(output), _shared(reach), ends, depth=depth, layers=layers)
    for layer in layers:
        step.params += layer.params
        step.weights += layer.weights
        step.macs += layer.macs
        step.activations += layer.activations
    return step


@lru_cache(maxsize=10_000)
def _shared(value: Shared) -> Shared:
    """One object for all equal shapes, or reaches: the walk compares them by the thousand."""
    return value


def joined(kind: str, branches: Sequence[Step], place: str) -> Step:
    """Branches from one map as one step; raises ArchitectureError where their shapes do not meet."""
    live = [branch for branch in branches if not branch.ends]
    return Step(
        _joined_shape(kind, [branch.output for branch in branches], place),
        _widest([branch.reach for branch in live or branches]),
        not live,
        sum(branch.params for branch in branches),
        sum(branch.weights for branch in branches),
        sum(branch.macs for branch in branches),
        sum(branch.activations for branch in branches),
        max(branch.depth for branch in branches),
    )


def _widest(reaches: Sequence[Reach | None]) -> Reach | None:
    known = [reach for reach in reaches if reach is not None]
    return Field(*map(max, *known, known[0])) if len(known) == len(reaches) else None


def _joined_shape(kind: str, shapes: list[Shape], place: str) -> Shape:
    listed = " and ".join(str(list(shape)) for shape in shapes)
    if len({shape[1:] for shape in shapes}) > 1 or (kind == "add" and len(set(shapes)) > 1):
        raise ArchitectureError(f"{place}: branches of shapes {listed} cannot be joined by {kind}")
    channels = shapes[0][0] if kind == "add" else sum(shape[0] for shape in shapes)
    return (channels, *shapes[0][1:])


def _check_values(kind: str, values: Mapping[str, Any], shape: Shape) -> None:
    groups = values.get("groups", 1)
    if shape[0] % groups or (kind == "conv" and values["width"] % groups):
        raise ArchitectureError(f": groups {groups} do not divide the channels of {list(shape)} and the width")
    if kind.endswith("_pool") and "padding" in values:
        sizes, paddings = pair(values["size"]), pair(values["padding"])
        if any(2 * padding > size for size, padding in zip(sizes, paddings, strict=True)):
            raise ArchitectureError(f".padding: {values['padding']} is more than half of size {values['size']}")
    if kind == "dropout" and values["rate"] >= 1:
        raise ArchitectureError(f".rate: {values['rate']:g} is not a share below 1")
