"""spatial: a 1×k convolution, then k×1: the k×k window taken apart along its axes.

Source: Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", 2016, section 3.2.
Shapes: (N, c, H, W) -> (N, w, ceil(H / s), ceil(W / s)); weights k·c·w + k·w².
"""

from __future__ import annotations

from torch import nn

from nas.arch.cost import Cost, CostPath, Shape
from nas.blocks.base import Block, odd
from nas.blocks.hookspecs import hookimpl


class Spatial(Block):
    """A 1×k convolution, then k×1. Source: Szegedy et al. 2016, section 3.2."""

    name = "spatial"
    choices = {"kernel": odd(3)}
    options = {"norm": "batch"}

    def cost(self, shape: Shape, width: int, stride: int, *, kernel: int, norm: str) -> list[Cost]:
        """k·c·w, then k·w² weights; the first strides."""
        path = CostPath(shape).conv(width, (1, kernel), stride, norm=norm, name="row")
        return path.conv(width, (kernel, 1), norm=norm, name="column").layers

    def build(self, in_channels: int, width: int, stride: int, *, kernel: int, norm: str) -> nn.Module:
        """(N, in_channels, H, W) -> (N, width, ceil(H / stride), ceil(W / stride))."""
        return SpatialConvolution(in_channels, width, kernel, stride, norm=norm)

    def valid(self, in_channels: int, width: int, stride: int, *, kernel: int, norm: str) -> bool:
        """Odd kernels; norm is batch or none."""
        return kernel >= 1 and kernel % 2 == 1 and norm in ("batch", "none")


class SpatialConvolution(nn.Sequential):
    """1×k, then k×1, each followed by batch norm and ReLU, or with a bias and ReLU; the first strides."""

    def __init__(self, in_channels: int, width: int, kernel: int, stride: int = 1, *, norm: str = "batch") -> None:
        plain, half = norm == "none", kernel // 2
        super().__init__(
            nn.Conv2d(in_channels, width, (1, kernel), stride, (0, half), bias=plain),
            *([] if plain else [nn.BatchNorm2d(width)]),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, (kernel, 1), 1, (half, 0), bias=plain),
            *([] if plain else [nn.BatchNorm2d(width)]),
            nn.ReLU(inplace=True),
        )


@hookimpl
def nas_register_blocks(register):  # type: ignore[no-untyped-def]
    """Announce the block."""
    register(Spatial)
