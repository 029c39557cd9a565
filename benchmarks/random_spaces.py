"""Random spaces and budgets: every mix of blocks, narrow and wide widths, small and large images, every limit."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

from torch import nn

from nas.blocks.base import Block
from nas.blocks.registry import Blocks
from nas.study.budget import Budget
from nas.study.space import Space, make_space
from nas.study.tables import SpaceTable

BUDGETS = (5_000, 20_000, 100_000, 500_000, 2_000_000, 10_000_000, 50_000_000)
IMAGES = ((1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 33, 17), (3, 64, 64))
WIDTHS = (
    {"low": 2, "high": 16, "step": 2},
    {"low": 8, "high": 64, "step": 8},
    {"low": 4, "high": 128, "step": 4},
    {"low": 16, "high": 256, "step": 16},
    {"low": 16, "high": 1024, "step": 16},
    {"low": 64, "high": 1024, "step": 64},
    [8, 12, 24, 48, 96, 192, 384],
    [32, 64, 128, 256, 512, 1024],
)
STEM_WIDTHS = ([8, 16], [16, 32, 64], {"low": 8, "high": 64, "step": 8}, [3])
KERNELS = ([3], [3, 5], [3, 5, 7], [1, 3], [5, 7])
PIXELS = (7, 15, 31, 63)


class Stranger(Block):
    """A plugin's block without a closed form: a k×k convolution squeezed through a quarter of the width."""

    name = "stranger"
    choices = {"kernel": (3, 5)}

    def build(self, in_channels: int, width: int, stride: int, *, kernel: int) -> nn.Module:
        """(N, in_channels, H, W) -> (N, width, ceil(H / stride), ceil(W / stride))."""
        inner = max(1, width // 4)
        return nn.Sequential(
            nn.Conv2d(in_channels, inner, kernel, stride, kernel // 2, bias=False),
            nn.GELU(),
            nn.Conv2d(inner, width, 1),
        )


def random_space(generator: random.Random, blocks: Blocks) -> Space:
    """A space over some of the blocks."""
    images = generator.choice(IMAGES)
    most = min(5, min(images[1:]).bit_length())
    stages = sorted(generator.sample(range(1, most + 1), generator.randint(1, min(3, most))))
    own = sorted(set(blocks) - {"stranger"})
    names = generator.sample(own, generator.randint(1, len(own)))
    chosen: dict[str, Any] = {
        "blocks": names,
        "kernels": generator.choice(KERNELS[:3] if set(names) - {"conv", "separable", "spatial"} else KERNELS),
        "widths": generator.choice(WIDTHS),
        "stages": stages,
        "depths": sorted(generator.sample(range(1, 5), generator.randint(1, 3))),
        "stem": {"kernels": generator.choice(([3], [3, 5], [1, 7])), "widths": generator.choice(STEM_WIDTHS)},
        "mix": generator.random() < 0.3,
        "norm": generator.choice(("batch", "none")),
    }
    if generator.random() < 0.05:
        # Every shape of a block without a closed form is measured for itself, which takes its time: few of them.
        images = (1, 8, 8)
        chosen |= {"blocks": [*names, "stranger"], "widths": [8, 16, 24, 32], "stages": [1, 2], "kernels": [3, 5]}
        chosen["stem"] = {"kernels": [3], "widths": [8]}
    return make_space(SpaceTable(**chosen), blocks, images, generator.choice((2, 10, 100)))


def random_budget(generator: random.Random, limit: int, space: Space) -> Budget:
    """A budget around the limit: on one cost, on two, or on one with a least receptive field."""
    pixels = space.input[1] * space.input[2]
    kind = generator.choice(("params", "params", "weights", "macs", "activations", "pair", "field"))
    if kind == "pair":
        return Budget(params=limit, macs=limit * max(1, pixels // generator.choice((2, 8, 32))))
    if kind == "field":
        return Budget(params=limit, min_receptive_field=generator.choice(PIXELS))
    if kind == "macs":
        return Budget(macs=limit * max(1, pixels // 8))
    return replace(Budget(), **{kind: limit})
