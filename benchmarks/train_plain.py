"""The plain PyTorch pipeline, as people write it: a dataset of PIL images, transforms image by image, a DataLoader.

    python benchmarks/train_plain.py cifar10 PLACE --network network.json --held-out held_out.npy --epochs 10 --seed 0

As a program it is a whole training: loads the images, trains with Adam, measures accuracy on the images held out after
each epoch, a line of JSON each. PLACE is an .npz, a .zip of an image folder, or the folder of MNIST's four .gz files.
The transforms do what torchvision's of the same names do, which need not be installed. Nothing of `nas` is used but to
make the network.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import time
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from nas.arch.read import read_architecture
from nas.blocks.registry import load_blocks
from nas.net.build import build

STATISTICS = {
    "mnist": ((0.1307,), (0.3081,)),
    "fashion-mnist": ((0.2860,), (0.3530,)),
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
}
"""Mean and standard deviation a channel, the numbers that everyone copies."""


class RandomCrop:
    """A window of the image's size from the image with a black border around it."""

    def __init__(self, padding: int) -> None:
        self.padding = padding

    def __call__(self, image: Image.Image) -> Image.Image:
        """The window, drawn anew."""
        width, height = image.size
        padded = ImageOps.expand(image, border=self.padding, fill=0)
        top = int(torch.randint(0, 2 * self.padding + 1, size=(1,)).item())
        left = int(torch.randint(0, 2 * self.padding + 1, size=(1,)).item())
        return padded.crop((left, top, left + width, top + height))


class RandomHorizontalFlip:
    """Mirrors every other image."""

    def __call__(self, image: Image.Image) -> Image.Image:
        """The image, or its mirror image."""
        return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if torch.rand(1) < 0.5 else image


class ToTensor:
    """(C, H, W) from 0 to 1."""

    def __call__(self, image: Image.Image) -> Tensor:
        """Pixels of one channel or more."""
        pixels = torch.from_numpy(np.array(image, np.uint8))
        pixels = pixels.view(image.size[1], image.size[0], len(image.getbands()))
        return pixels.permute((2, 0, 1)).contiguous().to(torch.float32).div(255)


class Normalize:
    """(x − mean) / std, in place."""

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        self.mean = torch.tensor(mean).view(-1, 1, 1)
        self.std = torch.tensor(std).view(-1, 1, 1)

    def __call__(self, image: Tensor) -> Tensor:
        """(C, H, W) to the same."""
        return image.sub_(self.mean).div_(self.std)


class Compose:
    """One transform after the other."""

    def __init__(self, transforms: Sequence[Callable[[Any], Any]]) -> None:
        self.transforms = transforms

    def __call__(self, image: Any) -> Any:
        """The last one's result."""
        for transform in self.transforms:
            image = transform(image)
        return image


class ImageDataset(Dataset[tuple[Tensor, int]]):
    """Images in memory, (N, H, W) or (N, H, W, 3) in bytes, each transformed when it is asked for."""

    def __init__(self, images: np.ndarray, labels: np.ndarray, transform: Compose) -> None:
        self.images = images
        self.labels = labels.tolist()
        self.transform = transform

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.images[index])), self.labels[index]

    def __len__(self) -> int:
        return len(self.labels)


def transforms_of(name: str, *, augmented: bool) -> Compose:
    """The transforms of a data set; cropping and mirroring for training alone."""
    moves = [RandomCrop(4), RandomHorizontalFlip()] if augmented else []
    return Compose([*moves, ToTensor(), Normalize(*STATISTICS[name])])


def loader_of(images: np.ndarray, labels: np.ndarray, name: str, *, augmented: bool, batch: int) -> DataLoader[Any]:
    """The training images, in a new order each epoch."""
    dataset = ImageDataset(images, labels, transforms_of(name, augmented=augmented))
    return DataLoader(dataset, batch_size=batch, shuffle=True, num_workers=0)


def train_epoch(model: nn.Module, loader: DataLoader[Any], optimizer: torch.optim.Optimizer) -> float:
    """One epoch; its mean loss."""
    criterion = nn.CrossEntropyLoss()
    running_loss = 0.0
    model.train()
    for images, labels in loader:
        optimizer.zero_grad()
        outputs = model(images)
        loss = criterion(outputs, labels)
        loss.backward()
        optimizer.step()
        running_loss += loss.item()
    return running_loss / max(1, len(loader))


@torch.no_grad()
def accuracy(model: nn.Module, loader: DataLoader[Any]) -> float:
    """The share that the model gets right."""
    model.eval()
    correct = total = 0
    for images, labels in loader:
        correct += (model(images).argmax(1) == labels).sum().item()
        total += len(labels)
    return correct / total


def read(place: Path) -> tuple[np.ndarray, np.ndarray]:
    """Training images in bytes, and their labels."""
    if place.suffix == ".npz":
        with np.load(place) as arrays:
            return arrays["x_train"], arrays["y_train"]
    if place.suffix == ".zip":
        return read_zip(place)
    images = gzip.decompress((place / "train-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress((place / "train-labels-idx1-ubyte.gz").read_bytes())
    return np.frombuffer(images, np.uint8, offset=16).reshape(-1, 28, 28), np.frombuffer(labels, np.uint8, offset=8)


def read_zip(place: Path) -> tuple[np.ndarray, np.ndarray]:
    """The images of train/<class>/ in an archive, decoded once, in the order of their names."""
    with zipfile.ZipFile(place) as archive:
        names = sorted(name.split("/") for name in archive.namelist() if not name.endswith("/"))
        names = [name for name in names if name[-3] == "train"]
        classes = sorted({name[-2] for name in names})
        images = np.stack([np.asarray(Image.open(io.BytesIO(archive.read("/".join(name))))) for name in names])
    return images, np.array([classes.index(name[-2]) for name in names])


def main() -> None:
    """Train from beginning to end."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", choices=list(STATISTICS))
    parser.add_argument("place", type=Path)
    parser.add_argument("--network", type=Path, required=True, help="an architecture file")
    parser.add_argument("--held-out", type=Path, required=True, help="which images are held out, as booleans in .npy")
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--augmented", action="store_true", help="crop and mirror the training images")
    parser.add_argument("--images", type=int, help="train on so many alone")
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(given.seed)
    images, labels = read(given.place)
    held = np.load(given.held_out)
    chosen = np.flatnonzero(~held)
    if given.images:
        chosen = np.random.default_rng(given.seed).permutation(chosen)[: given.images]
    train_loader = loader_of(images[chosen], labels[chosen], given.dataset, augmented=given.augmented, batch=64)
    validation = ImageDataset(images[held], labels[held], transforms_of(given.dataset, augmented=False))
    validation_loader = DataLoader(validation, batch_size=256)
    model = build(read_architecture(given.network), load_blocks(load=()), seed=given.seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for epoch in range(1, given.epochs + 1):
        loss = train_epoch(model, train_loader, optimizer)
        reached = accuracy(model, validation_loader)
        spent = round(time.process_time(), 2)
        print(json.dumps({"epoch": epoch, "loss": loss, "accuracy": reached, "cpu_seconds": spent}), flush=True)


if __name__ == "__main__":
    main()
