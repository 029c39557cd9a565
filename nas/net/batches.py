"""Images as tensors on one device, and the order in which they are shown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nas.data.images import Array
from nas.data.split import Split
from nas.net.augment import Augmentation

Batch = tuple[Tensor, Tensor]
"""Normalised images (N, C, H, W) in float32, channels last in memory, and labels (N,) in int64."""


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation of each channel over the training images, in the units of the pixels."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Batches:
    """A split on a device: images (N, C, H, W) as they came (bytes stay bytes), labels (N,)."""

    train_images: Tensor
    train_labels: Tensor
    validation_images: Tensor
    validation_labels: Tensor
    normalisation: Normalisation
    batch_size: int
    augmentation: Augmentation | None = None

    @property
    def device(self) -> torch.device:
        """Where the images lie."""
        return self.train_images.device

    @property
    def steps(self) -> int:
        """Batches in an epoch: whole ones alone, since batch norm cannot work on a rest of one image."""
        return max(1, len(self.train_labels) // self.batch_size)

    def epoch(self, seed: int, epoch: int) -> Iterator[Batch]:
        """The training images, augmented, in an order drawn from seed and epoch."""
        generator = torch.Generator().manual_seed(mixed(seed, epoch))
        order = torch.randperm(len(self.train_labels), generator=generator)
        for index in torch.split(order.to(self.device), self.batch_size)[: self.steps]:
            images = self.normalised(self.train_images[index])
            if self.augmentation is not None:
                images = self.augmentation(images, generator).contiguous(memory_format=torch.channels_last)
            yield images, self.train_labels[index]

    def validation(self) -> Iterator[Batch]:
        """The validation images, always in the same batches."""
        return self.fixed(self.validation_images, self.validation_labels)

    def others(self, images: Array, labels: Array) -> Iterator[Batch]:
        """Other images (N, C, H, W) and labels (N,), test images say, normalised as the training images are."""
        return self.fixed(on(images, self.device), torch.from_numpy(labels).to(self.device))

    def fixed(self, images: Tensor, labels: Tensor) -> Iterator[Batch]:
        """Images in the order given; twice the batch size, since nothing is kept for a gradient."""
        size = 2 * self.batch_size
        for some, of_them in zip(torch.split(images, size), torch.split(labels, size), strict=True):
            yield self.normalised(some), of_them

    def normalised(self, images: Tensor) -> Tensor:
        """(images − mean) / std in float32, channels last in memory."""
        mean, std = (
            torch.tensor(values, device=images.device).view(-1, 1, 1)
            for values in (self.normalisation.mean, self.normalisation.std)
        )
        return ((images.float() - mean) / std).contiguous(memory_format=torch.channels_last)


def make_batches(
    split: Split,
    batch_size: int,
    device: str | torch.device = "cpu",
    augmentation: Augmentation | None = None,
    normalisation: Normalisation | None = None,
) -> Batches:
    """The split on a device, normalised as given, else by its training images; these alone are augmented."""
    return Batches(
        on(split.train_images, device),
        torch.from_numpy(split.train_labels).to(device),
        on(split.validation_images, device),
        torch.from_numpy(split.validation_labels).to(device),
        normalisation or normalisation_of(split.train_images),
        batch_size,
        augmentation,
    )


def on(images: Array, device: str | torch.device) -> Tensor:
    """Images (N, C, H, W) on a device, channels last in memory; those that lie there so are not copied."""
    return torch.from_numpy(images).to(device, memory_format=torch.channels_last)


def normalisation_of(images: Array) -> Normalisation:
    """Mean and standard deviation a channel of (N, C, H, W); a channel of one value alone has deviation 1."""
    mean: Array = np.asarray(np.mean(images, axis=(0, 2, 3), dtype=np.float64))
    squares = np.zeros_like(mean)
    for first in range(0, len(images), 1024):
        centred = images[first : first + 1024] - mean[:, None, None]
        squares += np.square(centred).sum(axis=(0, 2, 3))
    std: Array = np.sqrt(squares / (images.size / images.shape[1]))
    std[std <= 1e-6 * np.abs(mean)] = 1.0
    return Normalisation(tuple(mean.tolist()), tuple(std.tolist()))


def mixed(seed: int, epoch: int) -> int:
    """One seed of a seed and an epoch, for torch's generators."""
    return (seed * 1_000_003 + epoch) % 2**63
