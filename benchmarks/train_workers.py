"""What a second worker adds: two processes as our workers are started, each pinned to a core, against one alone."""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch
from served import Served
from train_networks import BLOCKS, proposed
from train_ours import choose, timed_batches, train_steps

from nas.data.images import Array
from nas.net.build import build
from nas.work.child import KEEP_FREED

BAR = 1.85
"""Images a second of two against one, on an idle machine."""

BUDGET = 100_000
MEASURED = ("conv", "separable")
"""The networks: one dense, one depthwise, of `BUDGET` parameters."""

CONTROL = "control"
"""Instead of a network: products of matrices that fit a core's own cache, which share nothing. What two processes of
this reach against one is what the machine has to give."""


def started(script: Path, block: str, core: int) -> Served:
    """A training process on one core, started as a worker, that trains so many seconds when told to."""
    return Served([str(script), "--serve", block], KEEP_FREED, core)


def serve(block: str, images: Array, labels: Array, batch: int) -> None:
    """The process's side: for each line of seconds, work about so long, and tell images and seconds of the clock."""
    work = products if block == CONTROL else training(block, images, labels, batch)
    work()
    print("{}", flush=True)
    for line in sys.stdin:
        begun, count = time.perf_counter(), 0
        while time.perf_counter() - begun < float(line):
            count += work()
        print(json.dumps({"images": count, "seconds": time.perf_counter() - begun}), flush=True)


def training(block: str, images: Array, labels: Array, batch: int) -> Callable[[], int]:
    """A few training steps at a time, so that two processes end together; tells the images."""
    [one] = proposed((block,), (BUDGET,))
    network, batches = build(one.architecture, BLOCKS), timed_batches(images, labels, batch)
    choice, steps = choose(network, batches), 4

    def some() -> int:
        train_steps(network, batches, choice, steps)
        return steps * batch

    return some


def products() -> int:
    """So many products of matrices; an image stands for each."""
    matrix, count = torch.ones(96, 96), 200
    for _ in range(count):
        torch.mm(matrix, matrix)
    return count


def compared_workers(script: Path, rounds: int, seconds: float) -> dict[str, Any]:
    """Rounds of one alone, on either core by turns, and of both together."""
    cores = sorted(os.sched_getaffinity(0))[:2] if hasattr(os, "sched_getaffinity") else []
    if len(cores) < 2:
        raise SystemExit("two cores are needed, on a system that pins processes to them")
    load = [round(value, 2) for value in os.getloadavg()]
    found = {block: of_block(script, block, cores, rounds, seconds) for block in (*MEASURED, CONTROL)}
    for block, one in found.items():
        print(f"{block:10} alone {one['alone']:,.0f}, together {one['together']:,.0f} images/s: {one['ratio']:.2f}x")
    return {"bar": BAR, "budget": BUDGET, "rounds": rounds, "load_before": load, **found}


def of_block(script: Path, block: str, cores: list[int], rounds: int, seconds: float) -> dict[str, Any]:
    """One network: the rates by round, their medians, and the median of the rounds' ratios."""
    processes = [started(script, block, core) for core in cores]
    alone, together = [], []
    for number in range(rounds):
        alone.append(rate([processes[number % 2]], seconds))
        together.append(rate(processes, seconds))
    for process in processes:
        process.end()
    ratios = [both / one for both, one in zip(together, alone, strict=True)]
    return {
        "alone": round(median(alone), 1),
        "together": round(median(together), 1),
        "ratio": round(median(ratios), 3),
        "ratios": [round(ratio, 3) for ratio in ratios],
    }


def rate(processes: list[Served], seconds: float) -> float:
    """Images a second of the clock, of all together."""
    for process in processes:
        process.tell(seconds)
    told = [process.heard() for process in processes]
    return math.fsum(one["images"] / one["seconds"] for one in told)
