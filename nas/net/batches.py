"""Images as tensors on one device, and the order in which they are shown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from nas.data.images import Array
from nas.data.split import Split
from nas.net.augment import Augmentation

Batch = tuple[Tensor, Tensor]
"""Normalised images (N, C, H, W) in float32, as a rule channels last in memory, and labels (N,) in int64."""

Size = tuple[int, int]
"""Height and width in pixels."""


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
    augmentation: Augmentation = Augmentation()

    @property
    def device(self) -> torch.device:
        """Where the images lie."""
        return self.train_images.device

    @property
    def steps(self) -> int:
        """Batches in an epoch: whole ones alone, since batch norm cannot work on a rest of one image."""
        return max(1, len(self.train_labels) // self.batch_size)

    def epoch(self, seed: int, epoch: int, size: Size | None = None) -> Iterator[Batch]:
        """The training images, augmented, in an order drawn from seed and epoch; scaled down to `size` where given."""
        generator = torch.Generator(self.device).manual_seed(mixed(seed, epoch))
        order = torch.randperm(len(self.train_labels), generator=generator, device=self.device)
        for index in torch.split(order, self.batch_size)[: self.steps]:
            yield self._shown(index, generator, size), self.train_labels[index]

    def _shown(self, index: Tensor, generator: torch.Generator, size: Size | None) -> Tensor:
        """The training images of an index as they are shown; no other copy lives on while they are trained on."""
        images = scaled(self.augmentation.taken(self.train_images, index, generator), size)
        return self.augmentation.moved(self.normalised(images), generator)

    def like(self, size: Size | None = None) -> Batch:
        """Noise in the form of the batches that an epoch shows."""
        count = min(self.batch_size, len(self.train_labels))
        shape = (count, self.train_images.shape[1], *(size or self.train_images.shape[2:]))
        images = torch.randn(shape, device=self.device).contiguous(memory_format=torch.channels_last)
        return images, self.train_labels[:count].clone()

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
        """(images − mean) / std in float32."""
        if images.dtype == torch.uint8:
            return torch.addcmul(-self._mean / self._std, images.float(), 1 / self._std)  # one pass over the pixels
        return (images.float() - self._mean) / self._std

    @cached_property
    def _mean(self) -> Tensor:
        return torch.tensor(self.normalisation.mean, device=self.device).view(-1, 1, 1)

    @cached_property
    def _std(self) -> Tensor:
        return torch.tensor(self.normalisation.std, device=self.device).view(-1, 1, 1)


def scaled(images: Tensor, size: Size | None) -> Tensor:
    """Images (N, C, H, W) made smaller, smoothed first, to (N, C, *size); None: as they are."""
    if size is None or size == tuple(images.shape[2:]):
        return images
    # Bytes stay bytes on the CPU, where torch has a fast path for them; other devices have none at all.
    given = images if images.device.type == "cpu" else images.float()
    return interpolate(given, size=size, mode="bilinear", align_corners=False, antialias=True)


def make_batches(
    split: Split,
    batch_size: int,
    device: str | torch.device = "cpu",
    augmentation: Augmentation = Augmentation(),  # noqa: B008 (frozen)
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
