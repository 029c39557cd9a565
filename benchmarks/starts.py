"""What other starting weights bring to a short training: whitened first kernels, and kernels that begin as identities.

    python benchmarks/starts.py                                      # Fashion-MNIST, four epochs, three seeds
    python benchmarks/starts.py --dataset cifar10 --images 15000     # interrupt and run again, it goes on

The network and the recipe are those of time_to_accuracy.py, but for the epochs; accuracy is measured on the images held
out, test images are not touched. `whitened`: the first kernels are the main directions of patches of the training
images, each divided by its deviation, and their opposites. `identity`: each dense convolution after them begins by
handing its channels on. Both as in Jordan, "94% on CIFAR-10 in 3.29 seconds on a single GPU", 2024, where they save the
greater part of the epochs. A run is written to results/starts.json as soon as it has ended.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch
from known import Known
from provenance import provenance
from time_to_accuracy import TASKS
from torch import Tensor, nn
from train_ours import BLOCKS, SPLIT_SEED

from nas.arch.recipe import Recipe
from nas.data.names import load_images
from nas.data.split import Split, training_split
from nas.net.augment import augmentation_of
from nas.net.batches import make_batches
from nas.net.build import Network, build
from nas.net.train import train, use_one_thread

RESULTS = Path(__file__).parent / "results" / "starts.json"

PATCHED = 2_000
"""The patches of so many images are whitened."""

LEAST = 5e-4
"""Added to the variance of each direction, so that noise is not blown up."""


@torch.no_grad()
def whitened(network: Network, images: Tensor) -> None:
    """Put the main directions of the patches of images (N, C, H, W), and their opposites, into the first kernels."""
    first = convolutions(network)[0]
    patches = nn.functional.unfold(images[:PATCHED].contiguous(), first.kernel_size).transpose(1, 2).flatten(0, 1)
    variances, directions = torch.linalg.eigh((patches.T @ patches / len(patches)).double())
    scaled = (directions / torch.sqrt(variances + LEAST)).T.flip(0).float()
    some = scaled[: first.out_channels // 2]
    paired = torch.cat([some, -some]).view(-1, *first.weight.shape[1:])
    first.weight[: len(paired)] = paired * (first.weight.std() / paired.std())


@torch.no_grad()
def identity(network: Network, images: Tensor) -> None:
    """Let each dense convolution but the first begin by handing its channels on, as many as it has room for."""
    for one in convolutions(network)[1:]:
        if one.groups == 1 and one.kernel_size != (1, 1):
            nn.init.dirac_(one.weight[: one.in_channels])


def both(network: Network, images: Tensor) -> None:
    """Whitened first, identities after."""
    whitened(network, images)
    identity(network, images)


def usual(network: Network, images: Tensor) -> None:
    """As a network is built."""


STARTS: dict[str, Callable[[Network, Tensor], None]] = {
    "usual": usual,
    "whitened": whitened,
    "identity": identity,
    "both": both,
}


def convolutions(network: Network) -> list[nn.Conv2d]:
    """In the order in which they are built, which is that in which images pass them."""
    return [module for module in network.modules() if type(module) is nn.Conv2d]


def accuracies(name: str, split: Split, recipe: Recipe, start: str, seed: int) -> list[float]:
    """The accuracy on the images held out after each epoch."""
    network = build(TASKS[name].architecture, BLOCKS, seed=seed)
    batches = make_batches(split, recipe.batch_size, augmentation=augmentation_of(recipe))
    STARTS[start](network, batches.normalised(batches.train_images[:PATCHED]))
    trained = train(network, batches, recipe, seed=seed)
    return [record.accuracy for record in trained.history if record.accuracy is not None]


def summary(runs: dict[str, Any]) -> dict[str, Any]:
    """By data set and start: the accuracies at the end, their mean, and how seeds deviate."""
    found: dict[str, Any] = {}
    for key in {key.rpartition("/")[0]: None for key in runs}:
        ends = [run["accuracies"][-1] for other, run in runs.items() if other.rpartition("/")[0] == key]
        deviation = round(stdev(ends), 4) if len(ends) > 1 else None
        found[key] = {"ends": ends, "mean": round(mean(ends), 4), "deviation_of_a_seed": deviation}
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Train what is not known yet, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", choices=TASKS, default="fashion-mnist")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--images", type=int, help="train on so many alone")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--again", action="store_true", help="run again what the results file has")
    parser.add_argument("--output", type=Path, default=RESULTS)
    given = parser.parse_args(arguments)
    use_one_thread()
    known = Known(given.output, given.again, lambda runs: {"summary": summary(runs)})
    split = training_split(load_images(given.dataset), SPLIT_SEED, given.images)
    recipe = Recipe(**(TASKS[given.dataset].recipe | {"epochs": given.epochs}))
    for seed in range(given.seeds):
        for start in STARTS:
            key, settings = f"{given.dataset}/{start}/{seed}", {"epochs": given.epochs, "images": given.images}
            found = known.get(key, settings)
            if found is None:
                ends = [round(one, 5) for one in accuracies(given.dataset, split, recipe, start, seed)]
                found = {"settings": settings, "accuracies": ends, **provenance()}
                known.add(key, found)
            print(f"{key}: {100 * found['accuracies'][-1]:.2f} %", flush=True)
    known.write()
    return 0


if __name__ == "__main__":
    sys.exit(main())
