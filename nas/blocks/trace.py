"""The one walk that carries shapes through a network: normalises a spec, and costs it layer by layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from nas.arch.cost import Cost, Field, Shape, pair
from nas.arch.layers import CLASSES, LAYERS
from nas.arch.record import Totals
from nas.arch.spec import Architecture, Auxiliary, BlockPart, Join, Layer, Part, settings, tidy
from nas.blocks.costing import block_field, block_layers, full_settings
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
    """The cost of a network for one sample; `auxiliary_params` belong to heads that only training has."""

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


@dataclass(frozen=True, slots=True)
class _Map:
    """The map at one place of the walk: shape, receptive field (None: unknown), and blocks and layers so far."""

    shape: Shape
    field: Field | None = Field()
    ended: bool = False
    depth: int = 0


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
    walk = _Walk(architecture.classes, blocks, proven)
    end = walk.parts(architecture.parts, _Map(architecture.input), "parts", auxiliary=False)
    if end.shape != (architecture.classes, 1, 1):
        wanted = f"{architecture.classes} class scores, [{architecture.classes}, 1, 1]"
        raise ArchitectureError(f"the network ends in {list(end.shape)}, not in {wanted}")
    main = [layer for layer in walk.layers if not layer.auxiliary]
    return NetworkCost(
        input=architecture.input,
        output=end.shape,
        params=sum(layer.params for layer in main),
        weights=sum(layer.weights for layer in main),
        macs=sum(layer.macs for layer in main),
        activations=sum(layer.activations for layer in main),
        receptive_field=end.field.largest if end.field else None,
        auxiliary_params=sum(layer.params for layer in walk.layers if layer.auxiliary),
        depth=end.depth,
        layers=tuple(walk.layers),
    )


class _Walk:
    """Carries a map through the parts and collects a row a layer."""

    def __init__(self, classes: int, blocks: Blocks, proven: bool) -> None:
        self.classes, self.blocks, self.proven = classes, blocks, proven
        self.layers: list[LayerCost] = []
        self.counts: dict[str, int] = {}

    def parts(self, parts: tuple[Part, ...], at: _Map, place: str, auxiliary: bool) -> _Map:
        for index, part in enumerate(parts):
            here = f"{place}[{index}]"
            if isinstance(part, Layer):
                at = self.layer(part, at, here, auxiliary)
            elif isinstance(part, BlockPart):
                at = self.block(part, at, here, auxiliary)
            elif isinstance(part, Join):
                at = self.join(part, at, here, auxiliary)
            else:
                self.head(part, at, here)
        return at

    def layer(self, part: Layer, at: _Map, place: str, auxiliary: bool) -> _Map:
        kind, fields = LAYERS[part.kind], part.full
        if fields.get("width") == CLASSES:
            fields["width"] = self.classes
        _check_layer(part.kind, fields, at.shape, place)
        shape = kind.output(at.shape, fields)
        _check_shape(shape, at.shape, place, part.kind)
        field, ended = at.field, at.ended or kind.ends_field(at.shape, fields)
        if field is not None and not ended:
            field = kind.field(field, fields)
        self.row(
            part.name or self.label(part.kind),
            part.kind,
            at.shape,
            shape,
            kind.cost(at.shape, fields),
            field,
            auxiliary,
        )
        return _Map(shape, field, ended, at.depth + kind.counted)

    def block(self, part: BlockPart, at: _Map, place: str, auxiliary: bool) -> _Map:
        width = self.classes if isinstance(part.width, str) else part.width
        block = self.blocks[part.block]
        try:
            given = full_settings(block, dict(part.settings))
            layers = block_layers(block, at.shape, width, part.stride, settings(given))
            if self.proven:
                prove(block, at.shape, width, part.stride, settings(given))
        except BlockError as error:
            raise type(error)(f"{place}: {error}") from None
        name = part.name or self.label(part.block)
        for layer in layers:
            reached = _reach(at, layer.receptive_field)
            label = f"{name}.{layer.name}" if layer.name else name
            self.row(
                label,
                part.block,
                layer.input or at.shape,
                layer.output or at.shape,
                layer,
                reached,
                auxiliary,
            )
        shape = (width, -(-at.shape[1] // part.stride), -(-at.shape[2] // part.stride))
        field = _reach(at, block_field(layers))
        if field is not None and not at.ended:
            field = field._replace(
                jump_height=field.jump_height * part.stride, jump_width=field.jump_width * part.stride
            )
        return _Map(shape, field, at.ended, at.depth + 1)

    def join(self, part: Join, at: _Map, place: str, auxiliary: bool) -> _Map:
        ends = [
            self.parts(branch, at, f"{place}.branches[{index}]", auxiliary)
            for index, branch in enumerate(part.branches)
        ]
        shape = _joined(part.kind, [end.shape for end in ends], place)
        live = [end.field for end in ends if not end.ended]
        fields = live if live else [end.field for end in ends]
        depth = max(end.depth for end in ends)
        return _Map(shape, _widest(fields), at.ended or not live, depth)

    def head(self, part: Auxiliary, at: _Map, place: str) -> None:
        end = self.parts(part.parts, at, f"{place}.auxiliary", auxiliary=True)
        if end.shape != (self.classes, 1, 1):
            raise ArchitectureError(f"{place}: the auxiliary head ends in {list(end.shape)}, not in class scores")

    def label(self, kind: str) -> str:
        self.counts[kind] = self.counts.get(kind, 0) + 1
        return f"{kind}{self.counts[kind]}"

    def row(
        self, name: str, kind: str, input: Shape, output: Shape, cost: Cost, field: Field | None, aux: bool
    ) -> None:
        reached = field.largest if field else None
        counted = (cost.params, cost.weights, cost.macs, cost.activations)
        self.layers.append(LayerCost(name, kind, input, output, *counted, reached, aux))


def _reach(at: _Map, own: int | None) -> Field | None:
    if at.ended or at.field is None:
        return at.field
    return None if own is None else at.field.after(own)


def _widest(fields: list[Field | None]) -> Field | None:
    known = [field for field in fields if field is not None]
    if len(known) < len(fields):
        return None
    return Field(*(max(values) for values in zip(*known, strict=True)))


def _joined(kind: str, shapes: list[Shape], place: str) -> Shape:
    listed = " and ".join(str(list(shape)) for shape in shapes)
    if len({shape[1:] for shape in shapes}) > 1 or (kind == "add" and len(set(shapes)) > 1):
        raise ArchitectureError(f"{place}: branches of shapes {listed} cannot be joined by {kind}")
    channels = shapes[0][0] if kind == "add" else sum(shape[0] for shape in shapes)
    return (channels, *shapes[0][1:])


def _check_layer(kind: str, fields: Mapping[str, Any], shape: Shape, place: str) -> None:
    groups = fields.get("groups", 1)
    if shape[0] % groups or (kind == "conv" and fields["width"] % groups):
        raise ArchitectureError(f"{place}: groups {groups} do not divide the channels of {list(shape)} and the width")
    if kind.endswith("_pool") and "padding" in fields:
        sizes, paddings = pair(fields["size"]), pair(fields["padding"])
        if any(2 * padding > size for size, padding in zip(sizes, paddings, strict=True)):
            raise ArchitectureError(f"{place}.padding: {fields['padding']} is more than half of size {fields['size']}")
    if kind == "dropout" and fields["rate"] >= 1:
        raise ArchitectureError(f"{place}.rate: {fields['rate']:g} is not a share below 1")


def _check_shape(shape: Shape, before: Shape, place: str, kind: str) -> None:
    if min(shape) < 1:
        raise ArchitectureError(f"{place}: {kind} shrinks a map of {list(before)} below one pixel: {list(shape)}")
