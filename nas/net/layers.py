"""The modules of the plain layers: one line a kind, from the same fields that `nas.arch.layers` costs."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from nas.arch.cost import Shape
from nas.arch.layers import Fields

ANY_RANK = frozenset(
    (
        "dense",
        "flatten",
        "batch_norm",
        "dropout",
        "relu",
        "relu6",
        "gelu",
        "silu",
        "hardswish",
        "sigmoid",
        "tanh",
    )
)
"""Kinds that take a flat (N, C) as well as a map (N, C, H, W); a dense layer takes nothing else than flat."""

FLATTENING = frozenset(("dense", "flatten"))
"""Kinds that give a flat (N, C)."""


def layer_module(kind: str, fields: Fields, shape: Shape, *, flat: bool = False) -> nn.Module:
    """The module of a layer on a map (C, H, W), all fields given, width as a number.

    `flat` says that the input comes as (N, C); a dense layer's input must have been flattened.
    """
    if kind == "batch_norm" and flat:
        return nn.BatchNorm1d(shape[0], eps=fields["eps"], momentum=fields["momentum"])
    return _MAKERS[kind](fields, shape)


def _conv(fields: Fields, shape: Shape) -> nn.Module:
    return nn.Conv2d(
        shape[0],
        fields["width"],
        fields["kernel"],
        stride=fields["stride"],
        padding=fields["padding"],
        dilation=fields["dilation"],
        groups=fields["groups"],
        bias=fields["bias"],
    )


def _max_pool(fields: Fields, shape: Shape) -> nn.Module:
    return nn.MaxPool2d(fields["size"], fields["stride"], fields["padding"], ceil_mode=fields["ceil"])


def _avg_pool(fields: Fields, shape: Shape) -> nn.Module:
    return nn.AvgPool2d(fields["size"], fields["stride"], fields["padding"], ceil_mode=fields["ceil"])


# Activations never work in place: in a join the same map goes into other branches too.
_MAKERS: dict[str, Callable[[Fields, Shape], nn.Module]] = {
    "conv": _conv,
    "dense": lambda fields, shape: nn.Linear(shape[0] * shape[1] * shape[2], fields["width"], bias=fields["bias"]),
    "max_pool": _max_pool,
    "avg_pool": _avg_pool,
    "global_average_pool": lambda fields, shape: nn.AdaptiveAvgPool2d(1),
    "adaptive_avg_pool": lambda fields, shape: nn.AdaptiveAvgPool2d(fields["size"]),
    "batch_norm": lambda fields, shape: nn.BatchNorm2d(shape[0], eps=fields["eps"], momentum=fields["momentum"]),
    "local_response_norm": lambda fields, shape: nn.LocalResponseNorm(
        fields["size"], alpha=fields["alpha"], beta=fields["beta"], k=fields["k"]
    ),
    "dropout": lambda fields, shape: nn.Dropout(fields["rate"]),
    "channel_shuffle": lambda fields, shape: nn.ChannelShuffle(fields["groups"]),
    "flatten": lambda fields, shape: nn.Flatten(),
    "relu": lambda fields, shape: nn.ReLU(),
    "relu6": lambda fields, shape: nn.ReLU6(),
    "gelu": lambda fields, shape: nn.GELU(),
    "silu": lambda fields, shape: nn.SiLU(),
    "hardswish": lambda fields, shape: nn.Hardswish(),
    "sigmoid": lambda fields, shape: nn.Sigmoid(),
    "tanh": lambda fields, shape: nn.Tanh(),
}
