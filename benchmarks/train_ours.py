"""Our trainer as the benchmarks of training call it: what they know of its interface stands in this file alone.

    python benchmarks/train_ours.py mnist --network network.json --recipe '{"epochs": 2}' --bar 0.98 --seed 0

As a program it is a whole training: loads the images, trains by the recipe, measures accuracy on the images held out
after each epoch, a line of JSON each, and ends with the first epoch that reaches the bar.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch

from nas.arch.read import read_architecture
from nas.arch.recipe import Recipe
from nas.arch.record import EpochRecord, Plan
from nas.blocks.registry import load_blocks
from nas.blocks.trace import cost
from nas.data.images import Array
from nas.data.names import load_images
from nas.data.split import Split, training_split
from nas.net.augment import augmentation_of
from nas.net.batches import Batch, Batches, Size, make_batches
from nas.net.build import Network, build
from nas.net.plan import is_brief, probe
from nas.net.train import train, use_one_thread

AUGMENTED = {"crop": 4, "flip": True}
"""Up to four pixels of 32 either way, and mirrored: the recipe's keys."""

BLOCKS = load_blocks(load=())

SPLIT_SEED = 0
"""The seed by which images are held out, the same for both pipelines; those of the trainings are others."""


class Choice(NamedTuple):
    """How the trainer computes, and the CPU seconds that it took to find out."""

    plan: Plan
    seconds: float = 0.0


@dataclass(frozen=True, eq=False)
class TimedBatches(Batches):
    """Batches that note the CPU seconds from the first batch asked for to the last step done."""

    spent: list[float] = field(default_factory=list)

    def epoch(self, seed: int, epoch: int, size: Size | None = None) -> Iterator[Batch]:
        """The same batches."""
        begun = time.process_time()
        yield from super().epoch(seed, epoch, size)
        self.spent.append(time.process_time() - begun)


def timed_batches(images: Array, labels: Array, batch: int) -> TimedBatches:
    """Augmented batches of images (N, C, H, W) in bytes; one batch of them for validation, which is not timed."""
    split = Split(images, labels, images[:batch], labels[:batch])
    made = make_batches(split, batch, augmentation=augmentation_of(Recipe(**AUGMENTED)))
    return TimedBatches(**{one.name: getattr(made, one.name) for one in fields(made)})


def choose(network: Network, batches: Batches) -> Choice:
    """How the trainer computes a network, as of a training that is long enough to be worth the probe."""
    begun = time.process_time()
    plan = probe(network, Recipe(batch_size=batches.batch_size), batches.device)
    return Choice(plan, time.process_time() - begun)


def train_steps(network: Network, batches: TimedBatches, choice: Choice, steps: int) -> float:
    """CPU seconds of so many steps of the trainer, input included, validation and checkpoint apart."""
    count = steps * batches.batch_size
    some = replace(batches, train_images=batches.train_images[:count], train_labels=batches.train_labels[:count])
    train(network, some, Recipe(epochs=1, batch_size=batches.batch_size, **AUGMENTED), seed=0, plan=choice.plan)
    return batches.spent.pop()


def input_steps(batches: TimedBatches, steps: int) -> float:
    """CPU seconds of the input of so many steps alone."""
    count = steps * batches.batch_size
    some = replace(batches, train_images=batches.train_images[:count], train_labels=batches.train_labels[:count])
    for _ in some.epoch(0, 1):
        pass
    return batches.spent.pop()


def train_whole(
    network: Network,
    split: Split,
    recipe: Recipe,
    seed: int,
    on_epoch: Callable[[EpochRecord], bool] = lambda record: True,
) -> float:
    """A whole training, the probe included, ended early where `on_epoch` says so; its last accuracy."""
    batches = make_batches(split, recipe.batch_size, augmentation=augmentation_of(recipe))
    macs = recipe.epochs * len(batches.train_labels) * cost(network.architecture, BLOCKS).macs
    plan = probe(network, recipe, batches.device, brief=is_brief(macs, batches.device))
    told = {"plan": plan, "on_epoch": lambda record, _: on_epoch(record)}
    reached = train(network, batches, recipe, seed=seed, **told).accuracy
    assert reached is not None
    return reached


def main() -> None:
    """Train until the bar is reached."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset")
    parser.add_argument("--network", type=Path, required=True, help="an architecture file")
    parser.add_argument("--recipe", type=json.loads, required=True, help="the recipe's keys that are not at default")
    parser.add_argument("--bar", type=float, default=2.0, help="accuracy on the images held out, 0 to 1")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--images", type=int, help="train on so many alone")
    given = parser.parse_args()
    use_one_thread()
    torch.manual_seed(given.seed)

    def told(record: EpochRecord) -> bool:
        spent = round(time.process_time(), 2)
        line: dict[str, Any] = {"epoch": record.epoch, "loss": record.train_loss, "accuracy": record.accuracy}
        print(json.dumps(line | {"cpu_seconds": spent}), flush=True)
        return record.accuracy < given.bar

    split = training_split(load_images(given.dataset), SPLIT_SEED, given.images)
    network = build(read_architecture(given.network), BLOCKS, seed=given.seed)
    train_whole(network, split, Recipe(**given.recipe), given.seed, told)


if __name__ == "__main__":
    main()
