"""inception: branches of 1×1, 3×3 and k×k behind 1×1 reductions, and a pooled one, side by side.

Source: Szegedy et al., "Going Deeper with Convolutions", 2015, figure 2b and table 1.
Shapes: (N, c, H, W) -> (N, w, ceil(H / s), ceil(W / s)); weights c·b1 + (c·r3 + 9·r3·b3) + (c·rk + k²·rk·bk) + c·bp for
branches b1, b3, bk, bp that sum to w, and reductions r3, rk.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import torch
from torch import nn

from nas.arch.cost import Cost, CostPath, Shape
from nas.blocks.base import Block, odd
from nas.blocks.hookspecs import hookimpl


class Branches(NamedTuple):
    """Output channels of the four branches, and of the reductions before the 3×3 and the k×k."""

    one: int
    reduce_three: int
    three: int
    reduce_large: int
    large: int
    pool: int


class Inception(Block):
    """1×1, 3×3, k×k and pooled branches, joined. Source: Szegedy et al. 2015, figure 2b and table 1."""

    name = "inception"
    choices = {"kernel": odd(3, default=5), "split": ("paper", "even")}
    options = {"norm": "batch", "branches": ""}

    def cost(
        self, shape: Shape, width: int, stride: int, *, kernel: int, split: str, norm: str, branches: str
    ) -> list[Cost]:
        """The sum of the branches; each 1×1 reduction and the convolution behind it a layer of its own."""
        b = branch_widths(width, split, branches)
        one = CostPath(shape).conv(b.one, 1, stride, norm=norm, name="one")
        three = CostPath(shape).conv(b.reduce_three, 1, norm=norm, name="reduce_three")
        three.conv(b.three, 3, stride, norm=norm, name="three")
        large = CostPath(shape).conv(b.reduce_large, 1, norm=norm, name="reduce_large")
        large.conv(b.large, kernel, stride, norm=norm, name="large")
        pool = CostPath(shape).pool(3, stride).conv(b.pool, 1, norm=norm, name="pool")
        return one.layers + three.layers + large.layers + pool.layers

    def build(
        self, in_channels: int, width: int, stride: int, *, kernel: int, split: str, norm: str, branches: str
    ) -> nn.Module:
        """(N, in_channels, H, W) -> (N, width, ceil(H / stride), ceil(W / stride))."""
        return InceptionUnit(in_channels, *branch_widths(width, split, branches), kernel, stride, norm=norm)

    def valid(
        self, in_channels: int, width: int, stride: int, *, kernel: int, split: str, norm: str, branches: str
    ) -> bool:
        """Widths of at least 8 that the branches sum to; given branches leave nothing to split."""
        if kernel < 1 or kernel % 2 == 0 or norm not in ("batch", "none") or split not in self.choices["split"]:
            return False
        if branches and split != self.choices["split"][0]:
            return False
        widths = branch_widths(width, split, branches)
        return min(widths) >= 1 and widths.one + widths.three + widths.large + widths.pool == width


def branch_widths(width: int, split: str, branches: str = "") -> Branches:
    """The widths written as "b1,r3:b3,rk:bk,bp", or the split's shares: paper 2:4:1:1 of 8 (module 3a), even 1:1:1:1.

    Behind the reductions stand 3/4 and 1/2 of the branch's width, as in module 3a. Raises ValueError on another form.
    """
    if branches:
        found = re.fullmatch(r"(\d+),(\d+):(\d+),(\d+):(\d+),(\d+)", branches.replace(" ", ""))
        if found is None:
            raise ValueError(f'branches {branches!r} are not of the form "64,96:128,16:32,32"')
        return Branches(*map(int, found.groups()))
    three, rest = (width // 2, width // 8) if split == "paper" else (width // 4, width // 4)
    return Branches(width - three - 2 * rest, max(1, 3 * three // 4), three, max(1, rest // 2), rest, rest)


class InceptionUnit(nn.Module):
    """Four branches from one map, concatenated in the order 1×1, 3×3, k×k, pooled."""

    def __init__(
        self,
        in_channels: int,
        one: int,
        reduce_three: int,
        three: int,
        reduce_large: int,
        large: int,
        pool: int,
        kernel: int = 5,
        stride: int = 1,
        *,
        norm: str = "batch",
    ) -> None:
        super().__init__()
        self.one = convolution(in_channels, one, 1, stride, norm=norm)
        self.three = nn.Sequential(
            convolution(in_channels, reduce_three, 1, norm=norm),
            convolution(reduce_three, three, 3, stride, norm=norm),
        )
        self.large = nn.Sequential(
            convolution(in_channels, reduce_large, 1, norm=norm),
            convolution(reduce_large, large, kernel, stride, norm=norm),
        )
        self.pool = nn.Sequential(nn.MaxPool2d(3, stride, 1), convolution(in_channels, pool, 1, norm=norm))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, c, H, W) -> (N, w, ceil(H / s), ceil(W / s))."""
        return torch.cat([self.one(x), self.three(x), self.large(x), self.pool(x)], dim=1)


def convolution(in_channels: int, width: int, kernel: int, stride: int = 1, *, norm: str) -> nn.Sequential:
    """A k×k convolution padded by k // 2, then batch norm and ReLU, or with a bias and ReLU."""
    return nn.Sequential(
        nn.Conv2d(in_channels, width, kernel, stride, kernel // 2, bias=norm == "none"),
        *([nn.BatchNorm2d(width)] if norm == "batch" else []),
        nn.ReLU(inplace=True),
    )


@hookimpl
def nas_register_blocks(register):  # type: ignore[no-untyped-def]
    """Announce the block."""
    register(Inception)
