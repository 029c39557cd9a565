"""stacked: k×k convolutions one on another; two 3×3 see 5×5, three see 7×7, for fewer weights.

Source: Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", 2015, section 2.3.
Shapes: (N, c, H, W) -> (N, w, ceil(H / s), ceil(W / s)); weights k²·c·w + (layers - 1)·k²·w².
"""

from __future__ import annotations

from torch import nn

from nas.arch.cost import Cost, CostPath, Shape
from nas.blocks.base import Block, odd
from nas.blocks.hookspecs import hookimpl

MOST_LAYERS = 1_000


class Stacked(Block):
    """k×k convolutions one on another: two 3×3 see 5×5. Source: Simonyan and Zisserman 2015, section 2.3."""

    name = "stacked"
    choices = {"kernel": odd(3), "layers": (2, 3)}
    options = {"norm": "batch"}

    def cost(self, shape: Shape, width: int, stride: int, *, kernel: int, layers: int, norm: str) -> list[Cost]:
        """The first layer strides: k²·c·w weights, then k²·w² each."""
        path = CostPath(shape).conv(width, kernel, stride, norm=norm)
        for _ in range(layers - 1):
            path.conv(width, kernel, norm=norm)
        return path.layers

    def build(self, in_channels: int, width: int, stride: int, *, kernel: int, layers: int, norm: str) -> nn.Module:
        """(N, in_channels, H, W) -> (N, width, ceil(H / stride), ceil(W / stride))."""
        return ConvolutionStack(in_channels, width, kernel, stride, layers=layers, norm=norm)

    def valid(self, in_channels: int, width: int, stride: int, *, kernel: int, layers: int, norm: str) -> bool:
        """Odd kernels, 1 to 1,000 layers; norm is batch or none."""
        return kernel >= 1 and kernel % 2 == 1 and 1 <= layers <= MOST_LAYERS and norm in ("batch", "none")


class ConvolutionStack(nn.Sequential):
    """`layers` k×k convolutions, each followed by batch norm and ReLU, or with a bias and ReLU; the first strides."""

    def __init__(
        self,
        in_channels: int,
        width: int,
        kernel: int,
        stride: int = 1,
        *,
        layers: int = 2,
        norm: str = "batch",
    ) -> None:
        super().__init__()
        for layer in range(layers):
            channels, step = (in_channels, stride) if layer == 0 else (width, 1)
            self.append(nn.Conv2d(channels, width, kernel, step, kernel // 2, bias=norm == "none"))
            if norm == "batch":
                self.append(nn.BatchNorm2d(width))
            self.append(nn.ReLU(inplace=True))


@hookimpl
def nas_register_blocks(register):  # type: ignore[no-untyped-def]
    """Announce the block."""
    register(Stacked)
