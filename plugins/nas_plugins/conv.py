"""conv: one k×k convolution, the plain block the others are measured against.

Source: LeCun et al., "Gradient-based learning applied to document recognition", 1998, section II.
Shapes: (N, c, H, W) -> (N, w, ceil(H / s), ceil(W / s)); weights k²·c·w.
"""

from __future__ import annotations

from torch import nn

from nas.arch.cost import Cost, CostPath, Shape
from nas.blocks.base import Block, odd
from nas.blocks.hookspecs import hookimpl


class Conv(Block):
    """One k×k convolution: the plain rival. Source: LeCun et al. 1998, section II."""

    name = "conv"
    choices = {"kernel": odd(1, default=3)}
    options = {"norm": "batch"}

    def cost(self, shape: Shape, width: int, stride: int, *, kernel: int, norm: str) -> list[Cost]:
        """k²·c·w weights in one layer."""
        return CostPath(shape).conv(width, kernel, stride, norm=norm).layers

    def build(self, in_channels: int, width: int, stride: int, *, kernel: int, norm: str) -> nn.Module:
        """(N, in_channels, H, W) -> (N, width, ceil(H / stride), ceil(W / stride))."""
        return Convolution(in_channels, width, kernel, stride, norm=norm)

    def valid(self, in_channels: int, width: int, stride: int, *, kernel: int, norm: str) -> bool:
        """Odd kernels from 1; norm is batch or none."""
        return kernel >= 1 and kernel % 2 == 1 and norm in ("batch", "none")


class Convolution(nn.Sequential):
    """A k×k convolution padded by k // 2, then batch norm and ReLU, or with a bias and ReLU."""

    def __init__(self, in_channels: int, width: int, kernel: int, stride: int = 1, *, norm: str = "batch") -> None:
        super().__init__(
            nn.Conv2d(in_channels, width, kernel, stride, kernel // 2, bias=norm == "none"),
            *([nn.BatchNorm2d(width)] if norm == "batch" else []),
            nn.ReLU(inplace=True),
        )


@hookimpl
def nas_register_blocks(register):  # type: ignore[no-untyped-def]
    """Announce the block."""
    register(Conv)
