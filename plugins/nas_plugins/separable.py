"""separable: a depthwise k×k convolution, then a pointwise 1×1.

Source: Chollet, "Xception: Deep Learning with Depthwise Separable Convolutions", 2017, section 2; Howard et al.,
"MobileNets", 2017, section 3.1.
Shapes: (N, c, H, W) -> (N, w, ceil(H / s), ceil(W / s)); weights c·k² + c·w.
"""

from __future__ import annotations

from torch import nn

from nas.arch.cost import Cost, CostPath, Shape
from nas.blocks.base import Block, odd
from nas.blocks.hookspecs import hookimpl


class Separable(Block):
    """A depthwise k×k convolution, then a pointwise 1×1. Source: Chollet 2017; Howard et al. 2017, section 3.1."""

    name = "separable"
    choices = {"kernel": odd(3)}
    options = {"norm": "batch"}

    def cost(self, shape: Shape, width: int, stride: int, *, kernel: int, norm: str) -> list[Cost]:
        """c·k² depthwise, then c·w pointwise weights."""
        channels = shape[0]
        path = CostPath(shape).conv(channels, kernel, stride, groups=channels, norm=norm, name="depthwise")
        return path.conv(width, 1, norm=norm, name="pointwise").layers

    def build(self, in_channels: int, width: int, stride: int, *, kernel: int, norm: str) -> nn.Module:
        """(N, in_channels, H, W) -> (N, width, ceil(H / stride), ceil(W / stride))."""
        return SeparableConvolution(in_channels, width, kernel, stride, norm=norm)

    def valid(self, in_channels: int, width: int, stride: int, *, kernel: int, norm: str) -> bool:
        """Odd kernels; norm is batch or none."""
        return kernel >= 1 and kernel % 2 == 1 and norm in ("batch", "none")


class SeparableConvolution(nn.Sequential):
    """Depthwise k×k, then pointwise 1×1, each followed by batch norm and ReLU, or with a bias and ReLU."""

    def __init__(self, in_channels: int, width: int, kernel: int, stride: int = 1, *, norm: str = "batch") -> None:
        plain = norm == "none"
        super().__init__(
            nn.Conv2d(in_channels, in_channels, kernel, stride, kernel // 2, groups=in_channels, bias=plain),
            *([] if plain else [nn.BatchNorm2d(in_channels)]),
            nn.ReLU(inplace=True),
            nn.Conv2d(in_channels, width, 1, bias=plain),
            *([] if plain else [nn.BatchNorm2d(width)]),
            nn.ReLU(inplace=True),
        )


@hookimpl
def nas_register_blocks(register):  # type: ignore[no-untyped-def]
    """Announce the block."""
    register(Separable)
