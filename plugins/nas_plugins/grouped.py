"""grouped: a k×k convolution in groups, then a channel shuffle so that the groups meet.

Source: Krizhevsky et al. 2012, section 3.2; Xie et al., "Aggregated Residual Transformations", 2017; the shuffle from
Zhang et al., "ShuffleNet", 2018, section 3.1.
Shapes: (N, c, H, W) -> (N, w, ceil(H / s), ceil(W / s)); weights k²·c·w / groups.
"""

from __future__ import annotations

from torch import nn

from nas.arch.cost import Cost, CostPath, Shape
from nas.blocks.base import Block, odd
from nas.blocks.hookspecs import hookimpl


class Grouped(Block):
    """A k×k convolution in groups, then a channel shuffle. Source: Xie et al. 2017; Zhang et al. 2018, section 3.1."""

    name = "grouped"
    choices = {"kernel": odd(3), "groups": (2, 4, 8, 32)}
    options = {"norm": "batch"}

    def cost(self, shape: Shape, width: int, stride: int, *, kernel: int, groups: int, norm: str) -> list[Cost]:
        """k²·c·w / groups weights in one layer; the shuffle costs nothing."""
        return CostPath(shape).conv(width, kernel, stride, groups=groups, norm=norm).layers

    def build(self, in_channels: int, width: int, stride: int, *, kernel: int, groups: int, norm: str) -> nn.Module:
        """(N, in_channels, H, W) -> (N, width, ceil(H / stride), ceil(W / stride))."""
        return GroupedConvolution(in_channels, width, kernel, stride, groups=groups, norm=norm)

    def valid(self, in_channels: int, width: int, stride: int, *, kernel: int, groups: int, norm: str) -> bool:
        """The groups divide the channels on both sides; odd kernels; norm is batch or none."""
        fits = groups >= 1 and in_channels % groups == 0 and width % groups == 0
        return fits and kernel >= 1 and kernel % 2 == 1 and norm in ("batch", "none")


class GroupedConvolution(nn.Sequential):
    """A grouped k×k convolution, batch norm (or a bias) and ReLU, then a channel shuffle."""

    def __init__(
        self,
        in_channels: int,
        width: int,
        kernel: int,
        stride: int = 1,
        *,
        groups: int = 2,
        norm: str = "batch",
    ) -> None:
        super().__init__(
            nn.Conv2d(in_channels, width, kernel, stride, kernel // 2, groups=groups, bias=norm == "none"),
            *([nn.BatchNorm2d(width)] if norm == "batch" else []),
            nn.ReLU(inplace=True),
            nn.ChannelShuffle(groups),
        )


@hookimpl
def nas_register_blocks(register):  # type: ignore[no-untyped-def]
    """Announce the block."""
    register(Grouped)
