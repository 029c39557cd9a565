"""bottleneck: 1×1 down to w / reduction, k×k there, 1×1 up again; a skip connection where shapes allow.

Source: He et al., "Deep Residual Learning for Image Recognition", 2016, figure 5.
Shapes: (N, c, H, W) -> (N, w, ceil(H / s), ceil(W / s)); weights c·w/r + k²·(w/r)² + w²/r.
"""

from __future__ import annotations

import torch
from torch import nn

from nas.arch.cost import Cost, CostPath, Shape
from nas.blocks.base import Block, odd
from nas.blocks.hookspecs import hookimpl


class Bottleneck(Block):
    """1×1 down, k×k, 1×1 up, with a skip connection where shapes allow. Source: He et al. 2016, figure 5."""

    name = "bottleneck"
    choices = {"kernel": odd(3), "reduction": (2, 4, 8)}
    options = {"norm": "batch"}

    def cost(self, shape: Shape, width: int, stride: int, *, kernel: int, reduction: int, norm: str) -> list[Cost]:
        """c·w/r, then k²·(w/r)², then w²/r weights."""
        path = CostPath(shape).conv(width // reduction, 1, norm=norm, name="down")
        path.conv(width // reduction, kernel, stride, norm=norm, name="middle")
        return path.conv(width, 1, norm=norm, name="up").layers

    def build(self, in_channels: int, width: int, stride: int, *, kernel: int, reduction: int, norm: str) -> nn.Module:
        """(N, in_channels, H, W) -> (N, width, ceil(H / stride), ceil(W / stride))."""
        return BottleneckUnit(in_channels, width, kernel, stride, reduction=reduction, norm=norm)

    def valid(self, in_channels: int, width: int, stride: int, *, kernel: int, reduction: int, norm: str) -> bool:
        """The reduction divides the width; odd kernels; norm is batch or none."""
        fits = reduction >= 1 and width % reduction == 0
        return fits and kernel >= 1 and kernel % 2 == 1 and norm in ("batch", "none")


class BottleneckUnit(nn.Module):
    """x -> relu(up(middle(down(x))) + x), the sum only where stride is 1 and channels agree."""

    def __init__(
        self,
        in_channels: int,
        width: int,
        kernel: int,
        stride: int = 1,
        *,
        reduction: int = 4,
        norm: str = "batch",
    ) -> None:
        super().__init__()
        inner = width // reduction
        self.down = convolution(in_channels, inner, 1, norm=norm)
        self.middle = convolution(inner, inner, kernel, stride, norm=norm)
        self.up = convolution(inner, width, 1, norm=norm)
        self.relu = nn.ReLU(inplace=True)
        self.skip = stride == 1 and in_channels == width

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, c, H, W) -> (N, w, ceil(H / s), ceil(W / s))."""
        y: torch.Tensor = self.up(self.relu(self.middle(self.relu(self.down(x)))))
        if self.skip:
            y = y + x
        return torch.relu(y)


def convolution(in_channels: int, width: int, kernel: int, stride: int = 1, *, norm: str) -> nn.Sequential:
    """A k×k convolution padded by k // 2, then batch norm, or with a bias."""
    layers: list[nn.Module] = [nn.Conv2d(in_channels, width, kernel, stride, kernel // 2, bias=norm == "none")]
    if norm == "batch":
        layers.append(nn.BatchNorm2d(width))
    return nn.Sequential(*layers)


@hookimpl
def nas_register_blocks(register):  # type: ignore[no-untyped-def]
    """Announce the block."""
    register(Bottleneck)
