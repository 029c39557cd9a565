"""Whether bf16 costs accuracy: the same network and recipe in both precisions, five seeds each, on 3,000 images."""

from __future__ import annotations

from dataclasses import replace
from statistics import mean, stdev
from typing import Any

from train_networks import BLOCKS
from train_ours import SPLIT_SEED, train_whole

from nas.arch.read import architecture_from_json
from nas.arch.recipe import Recipe
from nas.data.names import load_images
from nas.data.split import Split, training_split
from nas.net.build import build

PRECISIONS = ("fp32", "bf16")
IMAGES, VALIDATION = 3_000, 3_000
RECIPE = Recipe(epochs=4)
SEEDS = range(5)

# Small and behind a pool: where a CPU has no instructions for it, bf16 takes ten times as long.
NETWORK = architecture_from_json(
    {
        "format": 1,
        "input": [1, 28, 28],
        "classes": 10,
        "parts": [
            {"block": "conv", "width": 8, "kernel": 3, "stride": 2},
            {"block": "conv", "width": 16, "kernel": 3},
            {"block": "separable", "width": 32, "kernel": 3, "stride": 2},
            {"block": "bottleneck", "width": 32, "kernel": 3, "reduction": 2},
            {"layer": "global_average_pool"},
            {"layer": "dense", "width": "classes"},
        ],
    }
)


def images(count: int) -> Split:
    """So many of MNIST's training images, and the first of those held out."""
    split = training_split(load_images("mnist"), SPLIT_SEED, count)
    held = {"validation_images": split.validation_images[:VALIDATION]}
    return replace(split, **held, validation_labels=split.validation_labels[:VALIDATION])


def compared_precision(*, quick: bool) -> dict[str, Any]:
    """Accuracies by precision and seed, the means, the seeds' deviation, and the difference of the means."""
    split, seeds = images(640 if quick else IMAGES), SEEDS[:2] if quick else SEEDS
    recipe = replace(RECIPE, epochs=1) if quick else RECIPE
    accuracies: dict[str, list[float]] = {name: [] for name in PRECISIONS}
    for seed in seeds:
        for name in PRECISIONS:
            reached = train_whole(build(NETWORK, BLOCKS, seed=seed), split, replace(recipe, precision=name), seed)
            accuracies[name].append(reached)
            print(f"seed {seed}, {name}: {100 * reached:.2f} %", flush=True)
    difference = mean(accuracies["bf16"]) - mean(accuracies["fp32"])
    deviation = {name: stdev(values) for name, values in accuracies.items()}
    within = abs(difference) <= max(deviation.values())
    print(f"bf16 − fp32: {100 * difference:+.2f} points; deviation of a seed {100 * deviation['fp32']:.2f} in fp32")
    return {
        "dataset": "mnist",
        "images": len(split.train_labels),
        "validation_images": len(split.validation_labels),
        "recipe": recipe.to_json(),
        "accuracies": {name: [round(value, 5) for value in values] for name, values in accuracies.items()},
        "mean": {name: round(mean(values), 5) for name, values in accuracies.items()},
        "deviation_of_a_seed": {name: round(value, 5) for name, value in deviation.items()},
        "difference": round(difference, 5),
        "within_one_deviation": within,
    }
