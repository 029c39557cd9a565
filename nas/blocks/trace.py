"""The one walk that carries shapes through a network: normalises a spec, and costs it layer by layer."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from nas.arch.cost import Field, Shape
from nas.arch.record import Totals
from nas.arch.spec import Architecture, Auxiliary, BlockPart, Join, Layer, Part, settings, tidy
from nas.blocks.parts import Reach, Step, block_steps, joined, layer_step
from nas.blocks.registry import Blocks
from nas.blocks.verify import prove
from nas.errors import ArchitectureError, BlockError


@dataclass(frozen=True, slots=True)
class LayerCost:
    """One row of `nas cost`: shapes (C, H, W); receptive field in pixels of the image, None where unknown."""

    name: str
    block: str
    input: Shape
    output: Shape
    params: int
    weights: int
    macs: int
    activations: int
    receptive_field: int | None
    auxiliary: bool = False


@dataclass(frozen=True)
class NetworkCost:
    """The cost of a network for one sample; `auxiliary_params` belong to heads that only training has.

    `cost` leaves `layers` to be listed when they are first asked for: the sums take a tenth of the time.
    """

    input: Shape
    output: Shape
    params: int
    weights: int
    macs: int
    activations: int
    receptive_field: int | None
    auxiliary_params: int
    depth: int
    layers: tuple[LayerCost, ...]

    def __getattr__(self, name: str) -> tuple[LayerCost, ...]:
        if name != "layers" or "_listed" not in vars(self):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        architecture, blocks = vars(self)["_listed"]
        layers = tuple(_Listing(architecture, blocks).layers)
        vars(self)["layers"] = layers
        return layers

    def __getstate__(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @property
    def totals(self) -> Totals:
        """The sums alone."""
        return Totals(
            self.params,
            self.weights,
            self.macs,
            self.activations,
            self.receptive_field,
            self.auxiliary_params,
            self.depth,
        )


def normalise(architecture: Architecture, blocks: Blocks) -> Architecture:
    """The architecture without what its blocks default to, with the plugins' versions beside.

    A block that is not registered is left as it stands: what is stored was normalised when it was made.
    """
    parts = tidy(_normal(architecture.parts, blocks), architecture.classes)
    versions = {name: blocks.version(name) for name in architecture.blocks if name in blocks}
    return replace(architecture, parts=parts, plugins=settings({**dict(architecture.plugins), **versions}))


def _normal(parts: tuple[Part, ...], blocks: Blocks) -> tuple[Part, ...]:
    return tuple(_normal_part(part, blocks) for part in parts)


def _normal_part(part: Part, blocks: Blocks) -> Part:
    if isinstance(part, Join):
        return replace(part, branches=tuple(_normal(branch, blocks) for branch in part.branches))
    if isinstance(part, Auxiliary):
        return replace(part, parts=_normal(part.parts, blocks))
    if isinstance(part, BlockPart) and part.block in blocks:
        options = blocks[part.block].options
        kept = {name: value for name, value in part.settings if name not in options or options[name] != value}
        return replace(part, settings=settings(kept))
    return part


def cost(architecture: Architecture, blocks: Blocks, *, proven: bool = False) -> NetworkCost:
    """What the network costs, in all and layer by layer; nothing is built, unless `proven` holds each block's closed
    form against its module on meta tensors.

    Raises ArchitectureError where shapes do not meet, BlockError where a block cannot be built as asked.
    """
    classes = architecture.classes
    walk = _Walk(classes, blocks, proven)
    whole = walk.through(architecture.parts, architecture.input, "parts")
    if whole.output != (classes, 1, 1):
        raise ArchitectureError(
            f"the network ends in {list(whole.output)}, not in {classes} class scores, [{classes}, 1, 1]"
        )
    found = object.__new__(NetworkCost)
    # Past the frozen `__init__`, which takes half as long as the walk.
    vars(found).update(
        input=architecture.input,
        output=whole.output,
        params=whole.params,
        weights=whole.weights,
        macs=whole.macs,
        activations=whole.activations,
        receptive_field=max(whole.reach[:2]) if whole.reach else None,
        auxiliary_params=walk.auxiliary,
        depth=whole.depth,
        _listed=(architecture, blocks),
    )
    return found


class _Walk:
    """Carries a shape through the parts, and adds up the steps that it remembers."""

    def __init__(self, classes: int, blocks: Blocks, proven: bool = False) -> None:
        self.classes, self.blocks, self.proven = classes, blocks, proven
        self.registered = blocks.registered
        self.auxiliary = 0
        """The params met so far in heads that only training has."""

    def through(self, parts: tuple[Part, ...], shape: Shape, place: str) -> Step:
        """All the parts, one behind another, on a map (C, H, W)."""
        high = wide = down = along = 1
        known, ended = True, False
        params = weights = macs = activations = depth = 0
        for index, part in enumerate(parts):
            step = self.step(part, shape, place, index)
            shape = step.output
            params += step.params
            weights += step.weights
            macs += step.macs
            activations += step.activations
            depth += step.depth
            if not ended:
                ended = step.ends
                if step.reach is None:
                    known = False
                else:
                    # `Field.then`, spelled out: this loop is what costing a network takes.
                    own_high, own_wide, own_down, own_along = step.reach
                    high += (own_high - 1) * down
                    wide += (own_wide - 1) * along
                    down *= own_down
                    along *= own_along
        reach = (high, wide, down, along) if known else None
        return Step(shape, reach, ended, params, weights, macs, activations, depth)

    def step(self, part: Part, shape: Shape, place: str, index: int) -> Step:
        """One part on a map (C, H, W); it stands at `place[index]`."""
        if isinstance(part, BlockPart):
            width = self.classes if isinstance(part.width, str) else part.width
            found = self.registered.get(part.block)
            block = found.block if found else self.blocks[part.block]
            try:
                steps = block_steps(block, part.settings, part.kinds)
                step = steps[shape, width, part.stride]
                if self.proven:
                    prove(block, shape, width, part.stride, steps.given)
            except BlockError as error:
                raise type(error)(f"{place}[{index}]: {error}") from None
            return step
        if isinstance(part, Layer):
            try:
                return layer_step(part.kind, part.fields, shape, self.classes)
            except ArchitectureError as error:
                raise ArchitectureError(f"{place}[{index}]{error}") from None
        here = f"{place}[{index}]"
        return self.join(part, shape, here) if isinstance(part, Join) else self.head(part, shape, here)

    def join(self, part: Join, shape: Shape, place: str) -> Step:
        """Branches from one map."""
        ends = [self.through(branch, shape, f"{place}.branches[{n}]") for n, branch in enumerate(part.branches)]
        return joined(part.kind, ends, place)

    def head(self, part: Auxiliary, shape: Shape, place: str) -> Step:
        """A head that leaves the map as it is."""
        end = self.through(part.parts, shape, f"{place}.auxiliary")
        if end.output != (self.classes, 1, 1):
            raise ArchitectureError(f"{place}: the auxiliary head ends in {list(end.output)}, not in class scores")
        self.auxiliary += end.params
        return Step(shape)


class _Listing:
    """A row a layer, named by what it is and how many of its kind came before, with the field at its place."""

    def __init__(self, architecture: Architecture, blocks: Blocks) -> None:
        self.walk = _Walk(architecture.classes, blocks)
        self.layers: list[LayerCost] = []
        self.counts: dict[str, int] = {}
        self.parts(architecture.parts, Step(architecture.input), auxiliary=False)

    def parts(self, parts: tuple[Part, ...], at: Step, auxiliary: bool) -> None:
        """The rows of parts, one behind another, on the map at some place."""
        for part in parts:
            step = self.walk.step(part, at.output, "", 0)
            if isinstance(part, Join):
                for branch in part.branches:
                    self.parts(branch, at, auxiliary)
            elif isinstance(part, Auxiliary):
                self.parts(part.parts, at, auxiliary=True)
            else:
                self.rows(part, step, at, auxiliary)
            at = Step(step.output, _beyond(at, step.reach), at.ends or step.ends)

    def rows(self, part: Layer | BlockPart, step: Step, at: Step, auxiliary: bool) -> None:
        """The rows of one layer or block."""
        kind = part.kind if isinstance(part, Layer) else part.block
        name = part.name or self.label(kind)
        for layer in step.layers:
            if isinstance(part, Layer):
                shapes, own = (at.output, step.output), step.reach
            else:
                shapes, own = (layer.input or at.output, layer.output or at.output), _square(layer.receptive_field)
            reach = _beyond(at, own)
            counted = (layer.params, layer.weights, layer.macs, layer.activations)
            label = f"{name}.{layer.name}" if layer.name else name
            self.layers.append(LayerCost(label, kind, *shapes, *counted, max(reach[:2]) if reach else None, auxiliary))

    def label(self, kind: str) -> str:
        self.counts[kind] = self.counts.get(kind, 0) + 1
        return f"{kind}{self.counts[kind]}"


def _beyond(at: Step, own: Reach | None) -> Reach | None:
    """The field of the map at some place behind a part with a field of its own."""
    if at.ends or at.reach is None:
        return at.reach
    return None if own is None else Field(*at.reach).then(Field(*own))


def _square(own: int | None) -> Reach | None:
    return None if own is None else (own, own, 1, 1)
