"""The contenders of train.py, each in a process of its own, with the environment that its user would give it.

    echo 12 | python benchmarks/train_contenders.py plain conv 50000 images.npz

The process says when it is ready, then for each line the CPU seconds of so many steps; ours, told `input 12`, those of
the input alone.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from served import Served
from train_networks import BLOCKS, Proposed, proposed
from train_ours import choose, input_steps, timed_batches, train_steps
from train_plain import loader_of, train_epoch

from nas.data.images import Array
from nas.net.build import build
from nas.net.train import use_one_thread
from nas.work.child import KEEP_FREED

BATCH = 64

Run = Callable[[int], float]
"""CPU seconds of so many steps."""

ENVIRONMENTS: Mapping[str, Mapping[str, str]] = {"ours": KEEP_FREED, "plain": {}, "keras": {}}
"""What is set where a contender's process is started: ours is a worker's, the others' start as they come."""


def started(contender: str, one: Proposed, images: Path) -> Served:
    """The process of a contender for a network; `images` has images (N, 3, 32, 32) in bytes, and labels."""
    command = [__file__, contender, one.block, str(one.budget), str(images)]
    return Served(command, ENVIRONMENTS[contender])


def ours(one: Proposed, images: Array, labels: Array) -> tuple[dict[str, Run], dict[str, Any]]:
    """Our steps and their input alone, and what our trainer chose to compute in."""
    network, batches = build(one.architecture, BLOCKS), timed_batches(images, labels, BATCH)
    choice = choose(network, batches)
    runs: dict[str, Run] = {
        "steps": lambda steps: train_steps(network, batches, choice, steps),
        "input": lambda steps: input_steps(batches, steps),
    }
    return runs, asdict(choice.plan) | {"seconds": round(choice.seconds, 3)}


def plain(one: Proposed, images: Array, labels: Array) -> tuple[dict[str, Run], dict[str, Any]]:
    """The loop as people write it."""
    model = build(one.architecture, BLOCKS)
    pixels = np.ascontiguousarray(images.transpose(0, 2, 3, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4, nesterov=True)

    def run(steps: int) -> float:
        count = steps * BATCH
        loader = loader_of(pixels[:count], labels[:count], "cifar10", augmented=True, batch=BATCH)
        begun = time.process_time()
        train_epoch(model, loader, optimizer)
        return time.process_time() - begun

    return {"steps": run}, {}


def keras(one: Proposed, images: Array, labels: Array) -> tuple[dict[str, Run], dict[str, Any]]:
    """Keras' fit, of one epoch."""
    import train_keras  # noqa: PLC0415 (a contender that may be missing)

    model = train_keras.compiled(train_keras.translated(build(one.architecture, BLOCKS)))
    pixels = train_keras.laid_out(images)

    def run(steps: int) -> float:
        begun = time.process_time()
        model.fit(pixels[: steps * BATCH], labels[: steps * BATCH], batch_size=BATCH, verbose=0)
        return time.process_time() - begun

    return {"steps": run}, {"keras": train_keras.keras.__version__}


CONTENDERS = {"ours": ours, "plain": plain, "keras": keras}


def main() -> None:
    """Get ready, say so, and answer each line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("contender", choices=CONTENDERS)
    parser.add_argument("block")
    parser.add_argument("budget", type=int)
    parser.add_argument("images", type=Path)
    given = parser.parse_args()
    use_one_thread()
    [one] = proposed((given.block,), (given.budget,))
    with np.load(given.images) as arrays:
        runs, facts = CONTENDERS[given.contender](one, arrays["images"], arrays["labels"])
    print(json.dumps(facts), flush=True)
    for line in sys.stdin:
        what, steps = ["steps", *line.split()][-2:]
        print(json.dumps(runs[what](int(steps))), flush=True)


if __name__ == "__main__":
    main()
