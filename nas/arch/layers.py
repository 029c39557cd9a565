"""The plain layers an architecture file may name: their fields, defaults, output shapes and costs.

One table, `LAYERS`, says it all; `nas.net.layers` makes the modules from the same fields.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from nas.arch.cost import Cost, Field, Pair, Shape, convolution, dense, pair, window

Fields = Mapping[str, Any]
"""A layer's fields, all of them, defaults filled in."""

CLASSES = "classes"
"""The width that stands for the number of classes."""


@dataclass(frozen=True)
class Rule:
    """What a field may hold: `kind` is count, index, pair, flag or number; `default` may be made from the others."""

    kind: str
    default: Any = None
    low: float = 1
    derived: Callable[[Fields], Any] | None = None
    required: bool = False

    def value(self, fields: Fields) -> Any:
        """The default, given the other fields."""
        return self.derived(fields) if self.derived else self.default


@dataclass(frozen=True)
class LayerKind:
    """One kind of layer: its fields, the shape and cost of its output, and how it widens the receptive field."""

    rules: Mapping[str, Rule]
    output: Callable[[Shape, Fields], Shape]
    cost: Callable[[Shape, Fields], Cost] = lambda shape, fields: Cost()
    field: Callable[[Field, Fields], Field] = lambda field, fields: field
    ends_field: Callable[[Shape, Fields], bool] = lambda shape, fields: False
    counted: bool = False


def _half(value: Pair) -> Pair:
    return value // 2 if isinstance(value, int) else (value[0] // 2, value[1] // 2)


def _same(shape: Shape, fields: Fields) -> Shape:
    return shape


def _conv_cost(shape: Shape, fields: Fields) -> Cost:
    names = ("padding", "dilation", "groups", "bias")
    settings = {name: fields[name] for name in names}
    return convolution(shape, fields["width"], fields["kernel"], fields["stride"], **settings)


def _conv_output(shape: Shape, fields: Fields) -> Shape:
    output = _conv_cost(shape, fields).output
    assert output is not None
    return output


def _pool_output(shape: Shape, fields: Fields) -> Shape:
    sizes, strides, paddings = (pair(fields[name]) for name in ("size", "stride", "padding"))
    height = window(shape[1], sizes[0], strides[0], paddings[0], ceil=fields["ceil"])
    width = window(shape[2], sizes[1], strides[1], paddings[1], ceil=fields["ceil"])
    return shape[0], height, width


def _to_one_pixel(shape: Shape, fields: Fields) -> bool:
    return _pool_output(shape, fields)[1:] == (1, 1) and shape[1:] != (1, 1)


_CONV = {
    "width": Rule("width", required=True),
    "kernel": Rule("pair", required=True),
    "stride": Rule("pair", 1),
    "padding": Rule("pair", low=0, derived=lambda fields: _half(fields["kernel"])),
    "dilation": Rule("pair", 1),
    "groups": Rule("count", 1),
    "bias": Rule("flag", True),
}
_POOL = {
    "size": Rule("pair", required=True),
    "stride": Rule("pair", derived=lambda fields: fields["size"]),
    "padding": Rule("pair", 0, low=0),
    "ceil": Rule("flag", False),
}


def _pool_field(field: Field, fields: Fields) -> Field:
    return field.after(fields["size"], fields["stride"])


_PLAIN = LayerKind({}, _same)

LAYERS: dict[str, LayerKind] = {
    "conv": LayerKind(
        _CONV,
        _conv_output,
        _conv_cost,
        lambda field, fields: field.after(fields["kernel"], fields["stride"], fields["dilation"]),
        counted=True,
    ),
    "dense": LayerKind(
        {"width": Rule("width", required=True), "bias": Rule("flag", True)},
        lambda shape, fields: (fields["width"], 1, 1),
        lambda shape, fields: dense(shape, fields["width"], bias=fields["bias"]),
        ends_field=lambda shape, fields: True,
        counted=True,
    ),
    "max_pool": LayerKind(_POOL, _pool_output, field=_pool_field),
    "avg_pool": LayerKind(_POOL, _pool_output, field=_pool_field, ends_field=_to_one_pixel),
    "global_average_pool": LayerKind({}, lambda shape, fields: (shape[0], 1, 1), ends_field=lambda shape, fields: True),
    "adaptive_avg_pool": LayerKind(
        {"size": Rule("pair", required=True)},
        lambda shape, fields: (shape[0], *pair(fields["size"])),
        ends_field=lambda shape, fields: pair(fields["size"]) != shape[1:],
    ),
    "batch_norm": LayerKind(
        {"eps": Rule("number", 1e-5, low=0), "momentum": Rule("number", 0.1, low=0)},
        _same,
        lambda shape, fields: Cost(params=2 * shape[0]),
    ),
    "local_response_norm": LayerKind(
        {
            "size": Rule("count", 5),
            "alpha": Rule("number", 1e-4, low=0),
            "beta": Rule("number", 0.75, low=0),
            "k": Rule("number", 1.0, low=0),
        },
        _same,
    ),
    "dropout": LayerKind({"rate": Rule("number", 0.5, low=0)}, _same),
    "channel_shuffle": LayerKind({"groups": Rule("count", required=True)}, _same),
    "flatten": LayerKind({}, lambda shape, fields: (shape[0] * shape[1] * shape[2], 1, 1)),
    **dict.fromkeys(("relu", "relu6", "gelu", "silu", "hardswish", "sigmoid", "tanh"), _PLAIN),
}
"""Every kind of layer by name. A kind may gain fields with defaults; it may never lose or rename one, since
fingerprints are made from them."""


def filled(kind: str, fields: Fields) -> dict[str, Any]:
    """The fields of a layer with every default filled in."""
    full = dict(fields)
    for name, rule in LAYERS[kind].rules.items():
        if name not in full:
            full[name] = rule.value(full)
    return full
