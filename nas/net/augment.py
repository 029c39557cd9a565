"""Training images moved at random, a batch at a time: cropped and mirrored as pixels, turned and shifted in between."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from nas.arch.recipe import Recipe


@dataclass(frozen=True)
class Augmentation:
    """How far an image may be moved: pixels, degrees and a share of the side either way, mirrored or not.

    `cutout`: the side of the square that is blanked, as a share of the image's.
    """

    crop: int = 0
    rotation: float = 0.0
    shift: float = 0.0
    flip: bool = False
    cutout: float = 0.0

    def taken(self, images: Tensor, index: Tensor, generator: torch.Generator) -> Tensor:
        """The images (N, C, H, W) of an index (B,), cropped and mirrored; pixels stay what they are.

        A crop shows as much as the image has, up to `crop` pixels off its middle; what comes in from outside is the
        image mirrored at its edge. One gather of pixels does it all.
        """
        if not self.crop and not self.flip:
            return images[index]
        count, (channels, height, width) = len(index), images.shape[1:]
        device = images.device
        rows = torch.arange(height, device=device).expand(count, height)
        columns = torch.arange(width, device=device).expand(count, width)
        if self.crop:
            moves = torch.randint(-self.crop, self.crop + 1, (2, count, 1), generator=generator, device=device)
            rows, columns = _reflected(rows + moves[0], height), _reflected(columns + moves[1], width)
        if self.flip:
            mirrored = torch.rand(count, 1, generator=generator, device=device) < 0.5
            columns = torch.where(mirrored, columns.flip(1), columns)
        places = (index.view(-1, 1, 1) * height + rows.unsqueeze(2)) * width + columns.unsqueeze(1)
        pixels = images.permute(0, 2, 3, 1).reshape(-1, channels)
        chosen = pixels.index_select(0, places.view(-1))
        return chosen.view(count, height, width, channels).permute(0, 3, 1, 2)

    def moved(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Normalised images (N, C, H, W), turned, shifted and blanked, each by numbers of its own.

        What comes in from outside repeats the edge; what is blanked has the mean of the training images.
        """
        if self.rotation or self.shift:
            grid = affine_grid(self.places(images.shape, generator).to(images), list(images.shape), align_corners=False)
            images = grid_sample(images, grid, padding_mode="border", align_corners=False)
        if self.cutout:
            images = images.masked_fill(self.blanked(images.shape, generator), 0.0)
        return images

    def places(self, shape: torch.Size, generator: torch.Generator) -> Tensor:
        """(N, 2, 3) matrices from places in the moved image to places in the given one, both from −1 to 1."""
        count, _, height, width = shape
        device = generator.device
        angle = (2 * torch.rand(count, generator=generator, device=device) - 1) * math.radians(self.rotation)
        shifts = (2 * torch.rand(count, 2, generator=generator, device=device) - 1) * 2 * self.shift
        cos, sin = torch.cos(angle), torch.sin(angle)
        # Places are shares of each side: a turn of an image that is no square needs the ratio of its sides.
        across = torch.stack((cos, -sin * (height / width), shifts[:, 0]), dim=1)
        down = torch.stack((sin * (width / height), cos, shifts[:, 1]), dim=1)
        return torch.stack((across, down), dim=1)

    def blanked(self, shape: torch.Size, generator: torch.Generator) -> Tensor:
        """(N, 1, H, W), true in a rectangle round any pixel of each image, cut at the edge.

        Source: DeVries and Taylor, "Improved Regularization of Convolutional Neural Networks with Cutout", 2017.
        """
        rows, columns = (self._stretch(shape[0], side, generator) for side in shape[2:])
        return (rows.unsqueeze(2) & columns.unsqueeze(1)).unsqueeze(1)

    def _stretch(self, count: int, side: int, generator: torch.Generator) -> Tensor:
        """(count, side), true in a stretch round any place."""
        length = max(1, round(self.cutout * side))
        device = generator.device
        first = torch.randint(side, (count, 1), generator=generator, device=device) - length // 2
        places = torch.arange(side, device=device)
        return (places >= first) & (places < first + length)


def augmentation_of(recipe: Recipe) -> Augmentation:
    """The augmentation that a recipe asks for."""
    return Augmentation(recipe.crop, recipe.rotation, recipe.shift, recipe.flip, recipe.cutout)


def _reflected(places: Tensor, side: int) -> Tensor:
    """Places up to side − 1 outside of 0 to side − 1, mirrored at the first and the last of these."""
    places = places.abs()
    return torch.where(places >= side, 2 * (side - 1) - places, places)
