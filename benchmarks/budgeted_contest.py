"""What every contestant of the budgeted search is given, and how it tells what it asked for and trained.

The space stands once, in the study file that `nas run` is given; the rivals draw from the space that this file
describes. They are handed the images that train and those that validate as arrays, the same that our study splits
off; reading and decoding costs them nothing. Test images are not among them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader
from train_plain import ImageDataset, accuracy, loader_of, train_epoch, transforms_of

from nas.arch.spec import Architecture
from nas.blocks.registry import load_blocks
from nas.blocks.trace import cost
from nas.data.names import load_images
from nas.data.split import training_split
from nas.errors import BlockError
from nas.net.build import build
from nas.study.file import read_study
from nas.study.space import Picker, Space, make_space

BATCH = 64
BLOCKS = load_blocks(load=())

STUDY = """name = "budgeted"
dataset = "{dataset}"
seed = {seed}

[budget]
params = {params}

[space]
blocks  = ["conv", "stacked", "bottleneck", "grouped", "separable", "inception"]
kernels = [3, 5]
widths  = {{low = 8, high = 96, step = 8}}
stages  = [2, 3, 4]
depths  = [1, 2, 3]
stem    = {{kernels = [3], widths = [8, 16, 24]}}

[search]
trials = {trials}

[train]
epochs = {epochs}
"""
"""About a third of its draws have at most 50,000 parameters."""

REFUSED, OVER, BEGUN, COMPLETE = "refused", "over", "begun", "complete"
"""What becomes of a network asked for: it cannot be built; it is over the budget; its training begins; it ends."""


@dataclass(frozen=True)
class Contest:
    """One contestant's task. `arrays` has the images; in `folder` it works, and tells in `told.jsonl`."""

    dataset: str
    params: int
    epochs: int
    images: int | None
    seed: int
    seconds: float
    cores: int
    trials: int
    arrays: str
    folder: str

    @property
    def study(self) -> Path:
        """The study file."""
        return Path(self.folder) / "study.toml"

    def write(self) -> Path:
        """Write the study file and the contest's own, whose path is given back."""
        Path(self.folder).mkdir(parents=True)
        text = STUDY.format(**asdict(self))
        self.study.write_text(text if self.images is None else f"{text}images = {self.images}\n", encoding="utf-8")
        place = Path(self.folder) / "contest.json"
        place.write_text(json.dumps(asdict(self)), encoding="utf-8")
        return place

    def space(self) -> Space:
        """The space of the study file."""
        table = read_study(self.study).space
        assert table is not None
        with np.load(self.arrays) as arrays:
            shape, labels = arrays["x_train"].shape, arrays["y_train"]
        channels = shape[3] if len(shape) == 4 else 1
        return make_space(table, BLOCKS, (channels, *shape[1:3]), int(labels.max()) + 1)

    def asked(self, picker: Picker, space: Space) -> nn.Module | None:
        """The network that a rival picks, built to be trained; None where it is over the budget, or no network."""
        architecture = space.architecture(space.draw(picker))
        try:
            network = build(architecture, BLOCKS, seed=self.seed)
        except BlockError:
            self.tell(REFUSED, architecture)
            return None
        params = sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
        self.tell(OVER if params > self.params else BEGUN, architecture)
        return None if params > self.params else network

    def tell(self, event: str, architecture: Architecture, accuracy: float | None = None) -> None:
        """Append a line on a network; its validation accuracy where its training ended."""
        line = {"at": time.time(), "event": event, "network": architecture.to_json(), "accuracy": accuracy}
        line |= {} if event == REFUSED else {"params": cost(architecture, BLOCKS).params}
        with (Path(self.folder) / "told.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line | {"fingerprint": architecture.fingerprint}) + "\n")

    def told(self) -> list[dict[str, Any]]:
        """The lines so far; one that a killed process left half written does not count."""
        place = Path(self.folder) / "told.jsonl"
        lines = place.read_text(encoding="utf-8").splitlines() if place.exists() else []
        return [json.loads(line) for line in lines if line.endswith("}")]


def read_contest(place: str) -> Contest:
    """A contest from its file; torch computes in one thread from here on."""
    torch.set_num_threads(1)
    return Contest(**json.loads(Path(place).read_text(encoding="utf-8")))


def write_arrays(dataset: str, images: int | None, seed: int, place: Path) -> None:
    """The images that a study of this seed trains and validates on, (N, H, W) or (N, H, W, C) in bytes."""
    split = training_split(load_images(dataset), seed, images)
    np.savez(
        place,
        x_train=_laid_out(split.train_images),
        y_train=split.train_labels,
        x_validation=_laid_out(split.validation_images),
        y_validation=split.validation_labels,
    )


def _laid_out(images: np.ndarray) -> np.ndarray:
    pixels = np.ascontiguousarray(images.transpose(0, 2, 3, 1))
    return pixels[..., 0] if pixels.shape[-1] == 1 else pixels


class PlainTraining:
    """The plain PyTorch loop on a contest's images: PIL transforms image by image, a DataLoader, Adam at 0.001."""

    def __init__(self, contest: Contest) -> None:
        self.epochs = contest.epochs
        with np.load(contest.arrays) as arrays:
            images, labels = arrays["x_train"], arrays["y_train"]
            held, held_labels = arrays["x_validation"], arrays["y_validation"]
        self.loader = loader_of(images, labels, contest.dataset, augmented=True, batch=BATCH)
        validation = ImageDataset(held, held_labels, transforms_of(contest.dataset, augmented=False))
        self.validation = DataLoader(validation, batch_size=256)

    def __call__(self, network: nn.Module) -> Iterator[float]:
        """Train; the validation accuracy after each epoch."""
        optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
        for _ in range(self.epochs):
            train_epoch(network, self.loader, optimizer)
            yield accuracy(network, self.validation)


class Given:
    """A picker of values chosen elsewhere, by name."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = values

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1) -> int:
        """The number of that name."""
        return int(self.values[name])

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        """The choice of that name."""
        return self.values[name]
