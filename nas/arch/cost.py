"""The cost algebra: what a convolution, a dense layer or a pool costs, and how receptive fields grow.

Shapes are (C, H, W) of one sample. `macs` are multiply-adds: flops are twice as many.
Source: Dumoulin and Visin, "A guide to convolution arithmetic for deep learning", 2016 (output sizes);
Araujo, Norris and Sim, "Computing Receptive Fields of Convolutional Neural Networks", Distill 2019.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import NamedTuple

Shape = tuple[int, int, int]
"""(channels, height, width)"""

Pair = int | tuple[int, int]
"""One number for both axes, or (vertical, horizontal)."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one layer, or one block, costs for one sample.

    `params` are trainable numbers, biases and batch-norm affine included; `weights` the kernel weights alone;
    `macs` multiply-adds; `activations` output elements of convolutions and dense layers; `receptive_field` in
    pixels of the block's own input, None where it cannot be determined. In a list of layers each one's
    `receptive_field` reaches back to the input of the block; `name`, `input` and `output` are for display.
    """

    params: int = 0
    weights: int = 0
    macs: int = 0
    activations: int = 0
    receptive_field: int | None = 1
    name: str = ""
    input: Shape | None = None
    output: Shape | None = None

    def __add__(self, other: Cost) -> Cost:
        """Both together; the receptive field is the larger, or None where one of them is."""
        fields = (self.receptive_field, other.receptive_field)
        return Cost(
            self.params + other.params,
            self.weights + other.weights,
            self.macs + other.macs,
            self.activations + other.activations,
            None if fields[0] is None or fields[1] is None else max(fields[0], fields[1]),
        )


class Field(NamedTuple):
    """Receptive field and jump (input pixels between neighbouring outputs), vertical and horizontal."""

    height: int = 1
    width: int = 1
    jump_height: int = 1
    jump_width: int = 1

    def after(self, kernel: Pair, stride: Pair = 1, dilation: Pair = 1) -> Field:
        """The field behind a window of `kernel` moved by `stride`."""
        (kh, kw), (sh, sw), (dh, dw) = pair(kernel), pair(stride), pair(dilation)
        return Field(
            self.height + (kh - 1) * dh * self.jump_height,
            self.width + (kw - 1) * dw * self.jump_width,
            self.jump_height * sh,
            self.jump_width * sw,
        )

    def then(self, other: Field) -> Field:
        """The field behind a second part whose own field, for a map of its own, is the other."""
        return Field(
            self.height + (other.height - 1) * self.jump_height,
            self.width + (other.width - 1) * self.jump_width,
            self.jump_height * other.jump_height,
            self.jump_width * other.jump_width,
        )

    @property
    def largest(self) -> int:
        """The larger of both axes, in pixels."""
        return max(self.height, self.width)


def pair(value: Pair) -> tuple[int, int]:
    """(vertical, horizontal) of one number or of two."""
    return (value, value) if isinstance(value, int) else value


def window(size: int, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1, ceil: bool = False) -> int:
    """Output pixels along one axis: 1 + (H + 2p − d(k − 1) − 1) / s, rounded down, or up with `ceil`.

    As in PyTorch a window that would start beyond the input and its left padding is dropped.
    """
    free = size + 2 * padding - dilation * (kernel - 1) - 1
    if not ceil:
        return free // stride + 1
    out = -(-free // stride) + 1
    return out - 1 if (out - 1) * stride >= size + padding else out


def convolution(
    shape: Shape,
    width: int,
    kernel: Pair,
    stride: Pair = 1,
    *,
    padding: Pair | None = None,
    dilation: Pair = 1,
    groups: int = 1,
    bias: bool = False,
    affine: bool = False,
    name: str = "",
    receptive_field: int | None = None,
) -> Cost:
    """A convolution from `shape` to `width` channels; padding is k // 2 unless given.

    weights = kh·kw·(c / groups)·w; macs = weights·H'·W'; `bias` adds w params, `affine` (batch norm) 2w.
    """
    (kh, kw), (sh, sw), (dh, dw) = pair(kernel), pair(stride), pair(dilation)
    ph, pw = (kh // 2, kw // 2) if padding is None else pair(padding)
    channels, height, wide = shape
    out = (width, window(height, kh, sh, ph, dh), window(wide, kw, sw, pw, dw))
    weights = kh * kw * (channels // groups) * width
    pixels = out[1] * out[2]
    own = max((kh - 1) * dh, (kw - 1) * dw) + 1
    return Cost(
        params=weights + width * bias + 2 * width * affine,
        weights=weights,
        macs=weights * pixels,
        activations=width * pixels,
        receptive_field=own if receptive_field is None else receptive_field,
        name=name,
        input=shape,
        output=out,
    )


def dense(shape: Shape, width: int, *, bias: bool = True, name: str = "") -> Cost:
    """A dense layer on the flattened map: weights = C·H·W·width = macs."""
    weights = shape[0] * shape[1] * shape[2] * width
    return Cost(weights + width * bias, weights, weights, width, 1, name, shape, (width, 1, 1))


@dataclass
class CostPath:
    """One convolution after another, for a block's closed form: the lines of `cost` follow those of `build`.

    `layers` collects a Cost a convolution; `shape` is the map after the last one. `norm` is "batch" (no bias, two
    numbers a channel) or "none" (a bias).
    """

    shape: Shape
    field: Field = Field()
    layers: list[Cost] = dataclasses.field(default_factory=list)

    def conv(
        self,
        width: int,
        kernel: Pair,
        stride: Pair = 1,
        *,
        groups: int = 1,
        norm: str = "batch",
        name: str = "",
    ) -> CostPath:
        """A convolution padded by k // 2, followed by batch norm or with a bias."""
        self.field = self.field.after(kernel, stride)
        layer = convolution(
            self.shape,
            width,
            kernel,
            stride,
            groups=groups,
            bias=norm == "none",
            affine=norm == "batch",
            name=name or f"conv{len(self.layers) + 1}",
            receptive_field=self.field.largest,
        )
        assert layer.output is not None
        self.shape = layer.output
        self.layers.append(layer)
        return self

    def pool(self, kernel: int, stride: int = 1) -> CostPath:
        """A pool padded by k // 2: costs nothing, widens the receptive field."""
        height, width = (window(size, kernel, stride, kernel // 2) for size in self.shape[1:])
        self.field = self.field.after(kernel, stride)
        self.shape = (self.shape[0], height, width)
        return self
