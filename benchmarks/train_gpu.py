"""What a GPU makes of small networks: a step started kernel by kernel or recorded, and many candidates at once.

    python benchmarks/train_gpu.py                        # all; minutes
    python benchmarks/train_gpu.py --only candidates --at-once 1,4,16 --batch 256

`steps`: milliseconds of one training step on whole batches, forward and backward, by how it is computed (precision,
memory format), started from Python or replayed as a CUDA graph; what the recording takes; and what `torch.compile`
makes of the network and takes to do so, for one network. `whole`: images a second of a training of ours and of the
plain loop, input included. `candidates`: images a second of as many trainings at once, each a process of its own as the
workers of a search are, by one plan, recording included; they take turns unless NVIDIA's multi-process service runs
(`nvidia-cuda-mps-control -d`). Noise stands for CIFAR-10's images: the figures do not depend on it. Each measurement is
a section of the results, the others stay as they are.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from provenance import provenance
from served import Served
from torch.utils.data import DataLoader
from train_networks import BLOCKS, Proposed, proposed
from train_plain import ImageDataset, transforms_of

from nas.arch.recipe import Recipe
from nas.arch.record import Plan
from nas.data.split import Split
from nas.net.augment import augmentation_of
from nas.net.batches import Batches, make_batches
from nas.net.build import build
from nas.net.health import is_shared
from nas.net.plan import Timed, options, probe
from nas.net.replay import replayed
from nas.net.train import train, use_one_thread

RESULTS = Path(__file__).parent / "results" / "train_gpu.json"
GPU = torch.device("cuda", 0)
MEASURED = ("conv", "separable", "inception")
BUDGETS = (20_000, 250_000)
ROUNDS, STEPS = 7, 10
IMAGES = 45_000
AUGMENTED = {"crop": 4, "flip": True}


def milliseconds(step: Callable[[], Any]) -> float:
    """The median of some rounds of steps, the first two apart."""
    taken = []
    for _ in range(2 + ROUNDS):
        torch.cuda.synchronize()
        begun = time.perf_counter()
        for _ in range(STEPS):
            step()
        torch.cuda.synchronize()
        taken.append(1000 * (time.perf_counter() - begun) / STEPS)
    return round(median(taken[2:]), 4)


def steps_of(one: Proposed, batch: int) -> dict[str, Any]:
    """A network's steps by plan."""
    found: dict[str, Any] = {}
    for plan in options(Recipe(), GPU):
        timed = Timed(build(one.architecture, BLOCKS), plan, GPU)
        images, labels = timed.batch(batch)
        eager = milliseconds(lambda timed=timed, images=images, labels=labels: timed.gradients(images, labels))
        begun = time.perf_counter()
        recorded = replayed(timed.gradients, timed.network, images, labels)
        seconds = time.perf_counter() - begun
        replay = milliseconds(lambda step=recorded, images=images, labels=labels: step(images, labels))
        row = {"eager_ms": eager, "replayed_ms": replay, "recording_s": round(seconds, 3)}
        found[f"{plan.precision} {plan.memory_format}"] = row
    begun = time.perf_counter()
    found["probe"] = str(probe(build(one.architecture, BLOCKS), Recipe(batch_size=batch), GPU))
    found["probe_s"] = round(time.perf_counter() - begun, 3)
    return found


def compiled(one: Proposed, batch: int) -> dict[str, float]:
    """The same of `torch.compile`, with graphs of its own."""
    timed = Timed(build(one.architecture, BLOCKS), options(Recipe(), GPU)[0], GPU)
    images, labels = timed.batch(batch)
    network = torch.compile(timed.network, mode="reduce-overhead")

    def step() -> None:
        timed.network.zero_grad()
        torch.nn.functional.cross_entropy(network(images), labels).backward()

    begun = time.perf_counter()
    for _ in range(3):
        step()
    torch.cuda.synchronize()
    seconds = time.perf_counter() - begun
    return {"compiled_ms": milliseconds(step), "compiling_s": round(seconds, 1)}


def noise(batch: int) -> Batches:
    """As many images as CIFAR-10 has to train on."""
    random = np.random.default_rng(0)
    images, labels = random.integers(0, 256, (IMAGES, 3, 32, 32), np.uint8), random.integers(0, 10, IMAGES)
    split = Split(images, labels, images[:batch], labels[:batch])
    return make_batches(split, batch, GPU, augmentation_of(Recipe(**AUGMENTED)))


def serve(block: str, budget: int, batch: int, plan: Plan) -> None:
    """A process's side: for each line of seconds, train so long, and tell images and seconds of the clock."""
    use_one_thread()
    [one] = proposed((block,), (budget,))
    batches, recipe = noise(batch), Recipe(epochs=2, batch_size=batch, **AUGMENTED)
    trained(one, batches, recipe, plan, 0.2)
    print("{}", flush=True)
    for line in sys.stdin:
        print(json.dumps(trained(one, batches, recipe, plan, float(line))), flush=True)


def trained(one: Proposed, batches: Batches, recipe: Recipe, plan: Plan, seconds: float) -> dict[str, float]:
    """Trainings for so long, recording included: the images shown, and the seconds of the clock."""
    begun, images = time.perf_counter(), 0

    def done() -> bool:
        return time.perf_counter() - begun > seconds

    while not done():
        counted: list[int] = []
        counting = Counting(batches, counted)
        train(build(one.architecture, BLOCKS), counting, recipe, seed=0, plan=plan, should_stop=done)
        torch.cuda.synchronize()
        images += sum(counted)
    return {"images": images, "seconds": time.perf_counter() - begun}


def whole(one: Proposed, batch: int, seconds: float, loaders: int) -> dict[str, float]:
    """Images a second of our training and of the plain loop, input included; each warmed by a moment of its own."""
    batches, recipe = noise(batch), Recipe(epochs=2, batch_size=batch, **AUGMENTED)
    plan = probe(build(one.architecture, BLOCKS), recipe, GPU)
    trained(one, batches, recipe, plan, 0.2)
    ours = trained(one, batches, recipe, plan, seconds)
    plain = plain_rate(one, batches, seconds, loaders)
    rate = ours["images"] / ours["seconds"]
    return {"ours": round(rate), "plain": round(plain), "ratio": round(rate / plain, 2), "loaders": loaders}


def plain_rate(one: Proposed, batches: Batches, seconds: float, loaders: int) -> float:
    """The loop as people write it for a GPU: PIL transforms in processes of a DataLoader, pinned memory, fp32."""
    pixels = batches.train_images.permute(0, 2, 3, 1).contiguous().cpu().numpy()
    dataset = ImageDataset(pixels, batches.train_labels.cpu().numpy(), transforms_of("cifar10", augmented=True))
    loader = DataLoader(dataset, batches.batch_size, shuffle=True, num_workers=loaders, pin_memory=True, drop_last=True)
    network = build(one.architecture, BLOCKS).to(GPU).train()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, nesterov=True)
    begun, images, running_loss = 0.0, 0, 0.0
    for step, (some, labels) in enumerate(loader):
        if step == 2 * loaders:  # what was fetched ahead is used up
            begun, images = time.perf_counter(), 0
        scores = network(some.to(GPU, non_blocking=True))
        loss = torch.nn.functional.cross_entropy(scores, labels.to(GPU, non_blocking=True))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        running_loss += loss.item()
        images += len(labels)
        if begun and time.perf_counter() - begun > seconds:
            break
    return images / (time.perf_counter() - begun)


class Counting(Batches):
    """Batches that count the images shown."""

    def __init__(self, batches: Batches, counted: list[int]) -> None:
        super().__init__(**{name: getattr(batches, name) for name in Batches.__dataclass_fields__})
        object.__setattr__(self, "counted", counted)

    def epoch(self, *given: Any) -> Any:
        """The same batches."""
        for images, labels in super().epoch(*given):
            self.counted.append(len(labels))  # type: ignore[attr-defined]
            yield images, labels


def candidates(block: str, budget: int, batch: int, counts: list[int], seconds: float) -> dict[str, Any]:
    """Images a second of all together, by how many there are."""
    [one] = proposed((block,), (budget,))
    plan = probe(build(one.architecture, BLOCKS), Recipe(batch_size=batch), GPU)
    command = [str(Path(__file__)), "--serve", block, "--budget", str(budget), "--batch", str(batch)]
    command += ["--plan", json.dumps(asdict(plan))]
    with ThreadPoolExecutor(max(counts)) as together:
        processes = list(together.map(lambda _: Served(command, {}), range(max(counts))))
    found: dict[str, Any] = {"plan": asdict(plan)}
    for count in counts:
        for process in processes[:count]:
            process.tell(seconds)
        told = [process.heard() for process in processes[:count]]
        found[str(count)] = round(math.fsum(one["images"] / one["seconds"] for one in told))
    for process in processes:
        process.end()
    return found


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("steps", "whole", "candidates"), action="append")
    parser.add_argument("--blocks", default=",".join(MEASURED), help="by commas")
    parser.add_argument("--budgets", default=",".join(map(str, BUDGETS)), help="by commas")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--at-once", default="1,2,4,8,16", help="candidates, by commas")
    parser.add_argument("--seconds", type=float, default=3.0, help="of a round of candidates")
    parser.add_argument("--loaders", type=int, default=8, help="processes of the plain loop's DataLoader")
    parser.add_argument("--compile", action="store_true", help="torch.compile beside, for the first network")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--budget", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--plan", type=json.loads, help=argparse.SUPPRESS)
    parser.add_argument("--output", type=Path, default=RESULTS)
    given = parser.parse_args()
    if given.serve:
        serve(given.serve, given.budget, given.batch, Plan(**given.plan))
        return
    use_one_thread()
    origin = {"gpu": torch.cuda.get_device_name(GPU), "batch": given.batch, **provenance()}
    found: dict[str, Any] = json.loads(given.output.read_text("utf-8")) if given.output.exists() else {}
    blocks, budgets = given.blocks.split(","), [int(budget) for budget in given.budgets.split(",")]
    only = given.only or ("steps", "whole", "candidates")
    name = f"steps on batches of {given.batch}"
    if "steps" in only:
        found[name] = {**origin}
        for one in proposed(tuple(blocks), tuple(budgets)):
            row = steps_of(one, given.batch)
            found[name][f"{one.block} {one.budget}"] = row
            print(one.block, one.budget, json.dumps(row), flush=True)
        if given.compile:
            [one] = proposed((blocks[0],), (budgets[-1],))
            found["compile"] = {**origin, **compiled(one, given.batch)}
            print("compile", json.dumps(found["compile"]), flush=True)
    if "whole" in only:
        found["whole"] = {**origin}
        for one in proposed(tuple(blocks), (budgets[-1],)):
            row = found["whole"][f"{one.block} {one.budget}"] = whole(one, given.batch, given.seconds, given.loaders)
            print(one.block, one.budget, json.dumps(row), flush=True)
    if "candidates" in only:
        how = "candidates side by side" if is_shared() else "candidates taking turns"
        found[how] = {**origin}
        counts = [int(count) for count in given.at_once.split(",")]
        for block in blocks:
            row = candidates(block, budgets[-1], given.batch, counts, given.seconds)
            found[how][f"{block} {budgets[-1]}"] = row
            print(how, block, budgets[-1], json.dumps(row), flush=True)
    given.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
