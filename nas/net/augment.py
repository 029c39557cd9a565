"""Training images moved at random: turned, shifted and flipped in one resampling of the whole batch."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from nas.arch.recipe import Recipe


@dataclass(frozen=True)
class Augmentation:
    """How far an image may be moved: degrees either way, a share of the side either way, mirrored or not."""

    rotation: float = 0.0
    shift: float = 0.0
    flip: bool = False

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Images (N, C, H, W) in float, each moved by numbers of its own; what comes in from outside is the edge."""
        if not self.rotation and not self.shift:
            return _flipped(images, generator) if self.flip else images
        grid = affine_grid(self.moves(images.shape, generator).to(images), list(images.shape), align_corners=False)
        return grid_sample(images, grid, padding_mode="border", align_corners=False)

    def moves(self, shape: torch.Size, generator: torch.Generator) -> Tensor:
        """(N, 2, 3) matrices from places in the moved image to places in the given one, both from −1 to 1."""
        count, _, height, width = shape
        angle = (2 * torch.rand(count, generator=generator) - 1) * math.radians(self.rotation)
        shifts = (2 * torch.rand(count, 2, generator=generator) - 1) * 2 * self.shift
        mirror = torch.where(torch.rand(count, generator=generator) < 0.5 * self.flip, -1.0, 1.0)
        cos, sin = torch.cos(angle), torch.sin(angle)
        # Places are shares of each side: a turn of an image that is no square needs the ratio of its sides.
        across = torch.stack((cos * mirror, -sin * (height / width), shifts[:, 0]), dim=1)
        down = torch.stack((sin * (width / height) * mirror, cos, shifts[:, 1]), dim=1)
        return torch.stack((across, down), dim=1)


def augmentation_of(recipe: Recipe) -> Augmentation | None:
    """The augmentation that a recipe asks for; None where it asks for none."""
    asked = Augmentation(recipe.rotation, recipe.shift, recipe.flip)
    return None if asked == Augmentation() else asked


def _flipped(images: Tensor, generator: torch.Generator) -> Tensor:
    mirrored = (torch.rand(len(images), generator=generator) < 0.5).to(images.device)
    return torch.where(mirrored.view(-1, 1, 1, 1), images.flip(3), images)
