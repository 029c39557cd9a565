"""What may vary in a study: the skeletons and widths that a picker draws, and the network that a draw describes."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise, product
from typing import Any, Protocol

from nas.arch.layers import CLASSES
from nas.arch.record import Value
from nas.arch.spec import Architecture, BlockPart, Layer, Part, settings
from nas.blocks.base import Block, allowed
from nas.blocks.registry import Blocks
from nas.study.tables import SpaceTable

Settings = tuple[tuple[str, Value], ...]

STEM = "conv"
"""The block type of every stem."""


class Picker(Protocol):
    """Whatever chooses: an Optuna trial, a random generator, an enumeration."""

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1) -> int:
        """A number from low to high in steps."""
        ...

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """One of the choices."""
        ...


@dataclass(frozen=True, slots=True)
class Pick:
    """A block type with its choices: `settings` holds choices and the study's options, sorted by name."""

    block: str
    settings: Settings


Stage = tuple[Pick, ...]
"""The blocks of one stage; all of one resolution and one width."""


@dataclass(frozen=True, slots=True)
class Skeleton:
    """A draw without its widths."""

    stem_kernel: int
    stages: tuple[Stage, ...]


@dataclass(frozen=True, slots=True)
class Draw:
    """A skeleton and its widths: the stem's, then one a stage."""

    skeleton: Skeleton
    widths: tuple[int, ...]


@dataclass(frozen=True)
class Space:
    """The networks of a study for one input (C, H, W): what each choice may take, in the order given.

    `blocks` is append-only, since draws name a block by its place in it. `choices` holds for each block the values of
    its choices (kernels already met with the study's), `options` the study's options that the block has.
    """

    input: tuple[int, int, int]
    classes: int
    blocks: tuple[str, ...]
    choices: Mapping[str, Mapping[str, tuple[Value, ...]]]
    options: Mapping[str, Mapping[str, Value]]
    widths: tuple[int, ...]
    stages: tuple[int, ...]
    depths: tuple[int, ...]
    stem_kernels: tuple[int, ...]
    stem_widths: tuple[int, ...]
    mix: bool = False
    defaults: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)
    """Each block's own option defaults, which an architecture does not spell out."""

    @cached_property
    def _steps(self) -> tuple[int, int, int, int, int]:
        """By how much the values grow of stem kernel and width, stages, depths and widths: found once, since there may
        be ten thousand of them.
        """
        kernel, width = _step(self.stem_kernels), _step(self.stem_widths)
        return kernel, width, _step(self.stages), _step(self.depths), _step(self.widths)

    @cached_property
    def _choices(self) -> Mapping[str, Sequence[tuple[str, tuple[Value, ...], int]]]:
        """Of each block its choices: name, values, and by how much these grow."""
        named = {block: self.choices[block].items() for block in self.blocks}
        return {block: [(name, values, _step(values)) for name, values in items] for block, items in named.items()}

    def draw(self, picker: Picker) -> Draw:
        """One network as the picker chooses it."""
        of_kernel, of_stem, of_stages, of_depth, of_width = self._steps
        kernel = _pick(picker, "stem.kernel", self.stem_kernels, of_kernel)
        widths = [_pick(picker, "stem.width", self.stem_widths, of_stem)]
        stages = []
        for stage in range(1, _pick(picker, "stages", self.stages, of_stages) + 1):
            depth = _pick(picker, f"stage{stage}.depth", self.depths, of_depth)
            widths.append(_pick(picker, f"stage{stage}.width", self.widths, of_width))
            places = [f"stage{stage}.{n}" for n in range(1, depth + 1)] if self.mix else [f"stage{stage}"]
            picks = [self._pick_block(picker, place) for place in places]
            stages.append(tuple(picks if self.mix else picks * depth))
        return Draw(Skeleton(kernel, tuple(stages)), tuple(widths))

    def _pick_block(self, picker: Picker, place: str) -> Pick:
        block = self.blocks[_pick_category(picker, f"{place}.block", tuple(range(len(self.blocks))))]
        kinds = self._choices[block]
        chosen = {name: _pick(picker, f"{place}.{block}.{name}", values, step) for name, values, step in kinds}
        return Pick(block, settings({**self.options[block], **chosen}))

    def names(self, draw: Draw) -> dict[str, Value]:
        """The draw by the names a picker would have been asked, so that drawing from them gives it back."""
        named: dict[str, Value] = {
            "stem.kernel": draw.skeleton.stem_kernel,
            "stem.width": draw.widths[0],
            "stages": len(draw.skeleton.stages),
        }
        for number, stage in enumerate(draw.skeleton.stages, start=1):
            named[f"stage{number}.depth"] = len(stage)
            named[f"stage{number}.width"] = draw.widths[number]
            for n, pick in enumerate(stage if self.mix else stage[:1], start=1):
                place = f"stage{number}.{n}" if self.mix else f"stage{number}"
                named[f"{place}.block"] = self.blocks.index(pick.block)
                chosen = dict(pick.settings)
                named.update({f"{place}.{pick.block}.{name}": chosen[name] for name in self.choices[pick.block]})
        return named

    def architecture(self, draw: Draw) -> Architecture:
        """The network of a draw, in normal form: stem, stages that halve the resolution between them, head."""
        stem = self._part(Pick(STEM, self._stem_settings(draw.skeleton.stem_kernel)), draw.widths[0], 1)
        parts: list[Part] = [stem]
        for number, stage in enumerate(draw.skeleton.stages):
            for n, pick in enumerate(stage):
                stride = 2 if number > 0 and n == 0 else 1
                parts.append(self._part(pick, draw.widths[number + 1], stride))
        parts.append(Layer("global_average_pool"))
        parts.append(Layer("dense", (("width", CLASSES),)))
        return Architecture(self.input, self.classes, tuple(parts))

    def _stem_settings(self, kernel: int) -> Settings:
        return settings({**self.options.get(STEM, {}), "kernel": kernel})

    def _part(self, pick: Pick, width: int, stride: int) -> BlockPart:
        defaults = self.defaults.get(pick.block, {})
        kept = tuple((name, value) for name, value in pick.settings if defaults.get(name, _NONE) != value)
        return BlockPart(pick.block, width, stride, kept)

    def stem_pick(self, kernel: int) -> Pick:
        """The stem's block for a kernel."""
        return Pick(STEM, self._stem_settings(kernel))

    def picks(self, block: str) -> Iterator[Pick]:
        """Every combination of a block's choices."""
        names = list(self.choices[block])
        for values in product(*self.choices[block].values()):
            yield Pick(block, settings({**self.options[block], **dict(zip(names, values, strict=True))}))

    def width_values(self, stages: int) -> list[tuple[int, ...]]:
        """What each width of a skeleton may take: the stem's, then one a stage."""
        return [self.stem_widths, *([self.widths] * stages)]

    def sizes(self, stages: int) -> list[tuple[int, int]]:
        """(H, W) of the map that enters each stage's blocks: halved, rounded up, from the second stage on."""
        size = self.input[1:]
        entering = []
        for stage in range(stages):
            entering.append(size)
            size = (-(-size[0] // 2), -(-size[1] // 2)) if stage > 0 else size
        return entering

    def size(self) -> int:
        """How many networks can be drawn, before any budget or veto."""
        picks: int = sum(math.prod(len(values) for values in self.choices[block].values()) for block in self.blocks)
        depths: int = sum(picks**depth for depth in self.depths) if self.mix else picks * len(self.depths)
        stage = depths * len(self.widths)
        stages: int = sum(stage**count for count in self.stages)
        return len(self.stem_kernels) * len(self.stem_widths) * stages

    def draws(self) -> Iterator[Draw]:
        """Every draw once, the last choice turning fastest."""
        odometer = Odometer()
        while odometer.start():
            yield self.draw(odometer)

    def only(self, block: str) -> Space:
        """The space with one block type; draws keep the place that the block has in the whole list."""
        return replace(self, blocks=tuple(block for _ in self.blocks))


_NONE = object()


def make_space(
    table: SpaceTable, blocks: Blocks, input: tuple[int, int, int], classes: int, *, order: Sequence[str] = ()
) -> Space:
    """The space of a study file's `[space]` for images (C, H, W); `order` is the study's append-only list of blocks.

    The file has been checked: its blocks are registered and take some of its kernels and all of its options.
    """
    names = tuple(dict.fromkeys([*order, *table.blocks]))
    used = [*names, STEM]
    return Space(
        input=input,
        classes=classes,
        blocks=names,
        choices={name: _choices(blocks[name], table.kernels) for name in names},
        options={name: {**blocks[name].options, **_own(blocks[name], table.options)} for name in used},
        widths=table.widths,
        stages=table.stages,
        depths=table.depths,
        stem_kernels=table.stem.kernels,
        stem_widths=table.stem.widths,
        mix=table.mix,
        defaults={name: dict(blocks[name].options) for name in used},
    )


def _choices(block: Block, kernels: Sequence[int]) -> dict[str, tuple[Value, ...]]:
    """A block's choices, its `kernel` met with the study's kernels."""
    return {
        name: allowed(values, kernels) if name == "kernel" else tuple(values) for name, values in block.choices.items()
    }


def _own(block: Block, options: Mapping[str, Value]) -> dict[str, Value]:
    return {name: value for name, value in options.items() if name in block.options}


class RandomPicker:
    """A picker that draws uniformly."""

    def __init__(self, generator: random.Random) -> None:
        self.random = generator

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1) -> int:
        """A number from low to high in steps."""
        return self.random.randrange(low, high + 1, step)

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """One of the choices."""
        return self.random.choice(choices)


class Odometer:
    """A picker that, drawn from again and again, goes through every combination."""

    def __init__(self) -> None:
        self.wheels: list[list[int]] = []
        self.at = 0
        self.begun = False

    def start(self) -> bool:
        """Turn to the next combination; False when all have been seen."""
        self.at = 0
        if not self.begun:
            self.begun = True
            return True
        while self.wheels and self.wheels[-1][0] + 1 >= self.wheels[-1][1]:
            self.wheels.pop()
        if not self.wheels:
            return False
        self.wheels[-1][0] += 1
        return True

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1) -> int:
        """The number at which this wheel stands."""
        return low + step * self._turn((high - low) // step + 1)

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """The choice at which this wheel stands."""
        return choices[self._turn(len(choices))]

    def _turn(self, count: int) -> int:
        if self.at == len(self.wheels):
            self.wheels.append([0, count])
        index = self.wheels[self.at][0]
        self.at += 1
        return index


def _pick(picker: Picker, name: str, values: Sequence[Any], step: int) -> Any:
    """One of the values; those that grow by a `step` (0: they do not) as a range, so that a sampler knows them."""
    if len(values) == 1:
        return values[0]
    if step:
        return picker.suggest_int(name, values[0], values[-1], step=step)
    return picker.suggest_categorical(name, tuple(values))


def _step(values: Sequence[Any]) -> int:
    """By how much each of the values is more than the one before; 0 where they are not evenly spaced whole numbers."""
    if len(values) < 2 or any(type(value) is not int for value in values):
        return 0
    step: int = values[1] - values[0]
    return step if step > 0 and all(b - a == step for a, b in pairwise(values)) else 0


def _pick_category(picker: Picker, name: str, values: tuple[int, ...]) -> int:
    index: int = values[0] if len(values) == 1 else picker.suggest_categorical(name, values)
    return index
