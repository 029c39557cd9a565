"""Predicted memory of a training step against what torch allocates, and against what the process really grows by.

    python benchmarks/memory.py

Each network is predicted without allocating anything; then two training steps run for real, in fresh processes: once
under torch's profiler, whose records come from torch's allocator; once with the resident memory of the process read
from the system (Linux); and once more so with the C library told to give freed blocks back at once, which is the same
without what it keeps in reserve. With `--device cuda` CUDA's allocator is asked instead. Ends with 1 where a peak is
further from the prediction than docs/memory.md promises.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import torch
from provenance import provenance
from torch.profiler import ProfilerActivity, profile, record_function

from nas.arch.recipe import Recipe
from nas.arch.reference import read_reference
from nas.blocks.registry import load_blocks
from nas.net.build import build
from nas.net.memory import memory
from nas.net.optimizer import optimizer_of
from nas.net.score import loss_of

TOLERANCE = {"fp32": 0.01, "bf16": 0.15}
"""How far the allocator's peak may be from the prediction, as a share; fp16 is no format of the trainer."""

RESIDENT = 0.05
"""The same of a fp32 process that gives its memory back at once."""

GIVE_BACK = {"MALLOC_MMAP_THRESHOLD_": "65536"}
"""Makes glibc take each large block from the system by itself, and give it back when it is freed."""

FORMATS = {"fp32": torch.float32, "bf16": torch.bfloat16}


class Case(NamedTuple):
    """One training: network, batch, precision, optimizer."""

    name: str
    batch: int
    precision: str = "fp32"
    optimizer: str = "sgd"


CASES = (
    Case("keras_cifar10", 64),
    Case("keras_cifar10", 256, optimizer="adam"),
    Case("mobilenet_v1", 16),
    Case("googlenet", 16),
    Case("resnet50", 8),
    Case("resnet50", 8, precision="bf16"),
    Case("vgg16", 4),
)


def steps(case: Case, device: str) -> None:
    """The network built and trained for two steps as the trainer does it, on random images."""
    architecture = read_reference(case.name)
    network = build(architecture, load_blocks(load=())).to(device, memory_format=torch.channels_last)
    images = torch.randn(case.batch, *architecture.input, device=device).contiguous(memory_format=torch.channels_last)
    labels = torch.zeros(case.batch, dtype=torch.int64, device=device)
    optimizer = optimizer_of(network.train(), Recipe(optimizer=case.optimizer))
    for number in range(2):
        with record_function(f"step {number}"):
            with torch.autocast(device, FORMATS[case.precision], enabled=case.precision != "fp32"):
                loss = loss_of(network, images, labels, Recipe().label_smoothing)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def allocated(case: Case) -> int:
    """The most bytes that torch's allocator held in the second step."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as prof:
        steps(case, "cpu")
    events = prof.profiler.kineto_results.events()
    [step] = [event for event in events if event.name() == "step 1"]
    live = most = 0
    for moment, size in sorted((event.start_ns(), event.nbytes()) for event in events if event.name() == "[memory]"):
        live += size
        if step.start_ns() <= moment <= step.end_ns():
            most = max(most, live)
    return most


def resident(case: Case) -> int:
    """How far the most memory that this process ever had resident grows while it trains, in bytes; Linux alone."""
    steps(Case("keras_cifar10", 1, case.precision, case.optimizer), "cpu")  # loads what every training loads once
    before = _most_resident()
    steps(case, "cpu")
    return _most_resident() - before


def _most_resident() -> int:
    # Not getrusage, whose maximum a process inherits from the one that started it.
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return 1024 * int(found[1])


def on_cuda(case: Case) -> int:
    """The most bytes that CUDA's allocator held."""
    steps(case, "cuda")
    return int(torch.cuda.max_memory_allocated())


MEASURES = {"allocated": allocated, "resident": resident, "cuda": on_cuda}


def measured(how: str, case: Case, **environment: str) -> int | None:
    """What a fresh process measures; None for resident memory where the system does not tell it."""
    if how == "resident" and not Path("/proc/self/status").exists():
        return None
    command = [sys.executable, __file__, "--measure", how, "--case", json.dumps(case)]
    told = subprocess.run(command, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True, check=True)
    return int(told.stdout.splitlines()[-1])


def row(case: Case, device: str) -> dict[str, Any]:
    """One training, predicted and measured; ratios are measured / predicted."""
    begun = time.perf_counter()
    predicted = memory(
        read_reference(case.name),
        load_blocks(load=()),
        batch=case.batch,
        precision=case.precision,
        optimizer=case.optimizer,
    )
    seconds = time.perf_counter() - begun
    peak = predicted.training_peak_bytes
    found = measured("cuda" if device == "cuda" else "allocated", case)
    grown = measured("resident", case) if device == "cpu" else None
    exact = measured("resident", case, **GIVE_BACK) if device == "cpu" else None
    return {
        **case._asdict(),
        "seconds_to_predict": round(seconds, 2),
        "activation_bytes": predicted.activation_bytes,
        "saved_bytes": predicted.saved_bytes,
        "training_peak_bytes": peak,
        "allocated_bytes": found,
        "allocated_ratio": round((found or 0) / peak, 4),
        "resident_bytes": grown,
        "resident_ratio": None if grown is None else round(grown / peak, 4),
        "resident_without_reserve_bytes": exact,
        "resident_without_reserve_ratio": None if exact is None else round(exact / peak, 4),
    }


def show(one: dict[str, Any]) -> None:
    """One line of the table, as docs/memory.md has it: MiB, and percent by which reality is more."""
    kinds = ("allocated", "resident_without_reserve", "resident")
    cells = [one["name"], f"{one['batch']}, {one['precision']}, {one['optimizer']}"]
    cells += [f"{one[name] / 2**20:,.1f}" for name in ("activation_bytes", "saved_bytes", "training_peak_bytes")]
    cells += ["" if one[f"{kind}_bytes"] is None else _compared(one, kind) for kind in kinds]
    print(f"| {' | '.join(cells)} |", flush=True)


def _compared(one: dict[str, Any], kind: str) -> str:
    return f"{one[f'{kind}_bytes'] / 2**20:,.1f} ({100 * (one[f'{kind}_ratio'] - 1):+.1f} %)"


def kept(one: dict[str, Any]) -> bool:
    """Whether the prediction is as near as promised."""
    exact = one["resident_without_reserve_ratio"] if one["precision"] == "fp32" else None
    return abs(one["allocated_ratio"] - 1) <= TOLERANCE[one["precision"]] and abs((exact or 1) - 1) <= RESIDENT


def main() -> int:
    """Run, print, write; 1 where a prediction is further off than promised."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "memory.json")
    parser.add_argument("--measure", choices=list(MEASURES), help=argparse.SUPPRESS)
    parser.add_argument("--case", help=argparse.SUPPRESS)
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.measure:
        print(MEASURES[given.measure](Case(*json.loads(given.case))))
        return 0
    rows = []
    for case in CASES:
        rows.append(row(case, given.device))
        show(rows[-1])
    promised = {"allocated": TOLERANCE, "resident_without_reserve": {"fp32": RESIDENT}}
    data = {**provenance(), "device": given.device, "tolerance": promised, "trainings": rows}
    given.output.parent.mkdir(parents=True, exist_ok=True)
    given.output.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
    return int(not all(map(kept, rows)))


if __name__ == "__main__":
    sys.exit(main())
