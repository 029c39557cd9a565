"""Images a second and core of our training loop, beside the loop as people write it and Keras, on 35 networks.

    python benchmarks/train.py                             # all block types: half an hour
    python benchmarks/train.py --blocks conv,separable
    python benchmarks/train.py --workers                   # two pinned processes together against one alone
    python benchmarks/train.py --precision                 # accuracy of bf16 against fp32, five seeds each

Each training step counts from the picking of images to the optimizer's step: cropping, mirroring and normalising
included. Each contender is a process of its own, one thread, started as its user would start it: ours as a worker, the
others as they come (train_contenders.py). They take turns, in rounds of a second of CPU time each or more; a ratio is
that of one round, and a network's the median of its rounds'. Keras (`pip install keras`, beside torch) is left out
where it is not installed. CIFAR-10's images are used where they are at hand, else noise: the figures do not depend on
it. Each measurement is a section of results/train.json, and leaves the others as they are.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from provenance import provenance
from served import Served
from train_contenders import BATCH, started
from train_networks import BLOCKS, CHOICES, DEPTHWISE, FORMS, Proposed, proposed
from train_precision import compared_precision
from train_workers import compared_workers, serve

from nas.data.images import Array
from nas.data.names import load_images
from nas.errors import DataError
from nas.net.build import build, trainable

RESULTS = Path(__file__).parent / "results" / "train.json"
IMAGES = 128 * BATCH
"""So many images are in memory: what one round takes at most."""

BARS = {"dense": 2.1, "depthwise": 1.5, "input_share": 0.03}
"""Ours against the plain loop, and the most that input may take of our step."""


def images_at_hand(quick: bool) -> tuple[str, Array, Array]:
    """Where the images come from, images (N, 3, 32, 32) in bytes, and labels."""
    random = np.random.default_rng(0)
    try:
        if quick:
            raise DataError("noise is made faster than files are read")
        found = load_images("cifar10")
    except DataError:
        pixels = random.integers(0, 256, (IMAGES, 3, 32, 32), dtype=np.uint8)
        return "noise", pixels, random.integers(0, 10, IMAGES)
    chosen = random.permutation(len(found.train_labels))[:IMAGES]
    return "cifar10", found.train_images[chosen], found.train_labels[chosen]


def measured(one: Proposed, images: Path, rivals: Sequence[str], rounds: int, seconds: float) -> dict[str, Any]:
    """A network's images a second by contender and round, and what follows from them."""
    processes = {name: started(name, one, images) for name in ("ours", *rivals)}
    steps = {name: enough(process, seconds) for name, process in processes.items()}
    rates: dict[str, list[float]] = {name: [] for name in (*processes, "input")}
    for _ in range(rounds):
        for name, process in processes.items():
            rates[name].append(steps[name] * BATCH / process.asked(steps[name]))
        rates["input"].append(steps["ours"] * BATCH / processes["ours"].asked(f"input {steps['ours']}"))
    for process in processes.values():
        process.end()
    return {
        "block": one.block,
        "budget": one.budget,
        "params": trainable(build(one.architecture, BLOCKS)),
        "macs": one.cost.macs,
        "architecture": one.architecture.to_json()["parts"],
        "choice": processes["ours"].ready,
        "steps_a_round": steps,
        "images_per_second": {name: spread(values) for name, values in rates.items()},
        "ratio": {name: spread(quotients(rates["ours"], rates[name])) for name in rivals},
        "input_share": spread(quotients(rates["ours"], rates["input"])),
    }


def enough(process: Served, seconds: float) -> int:
    """How many steps take so long, after two to warm up; within the images that there are."""
    process.asked(2)
    return min(IMAGES // BATCH, max(2, math.ceil(2 * seconds / process.asked(2))))


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Median, least and most, and the values by round."""
    return {
        "median": round(median(values), 4),
        "least": round(min(values), 4),
        "most": round(max(values), 4),
        "rounds": [round(value, 4) for value in values],
    }


def quotients(values: Sequence[float], others: Sequence[float]) -> list[float]:
    """Round by round."""
    return [value / other for value, other in zip(values, others, strict=True)]


def summary(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The median ratio of each block type, and of dense and depthwise ones, against each rival; the input's share."""
    groups = {name: [row for row in rows if row["block"] == name] for name in CHOICES}
    groups["dense"] = [row for row in rows if row["block"] not in DEPTHWISE]
    groups["depthwise"] = [row for row in rows if row["block"] in DEPTHWISE]
    ratios = {name: middle(some) for name, some in groups.items() if some}
    shares = [row["input_share"]["median"] for row in rows]
    slowest = min(row["ratio"]["plain"]["median"] for row in rows)
    return {"ratios": ratios, "slowest_against_plain": slowest, "input_share": spread(shares), "bars": BARS}


def middle(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """The median of the rows' ratios against each rival."""
    return {rival: round(median(row["ratio"][rival]["median"] for row in rows), 3) for rival in rows[0]["ratio"]}


def show(row: dict[str, Any]) -> None:
    """One line of the table."""
    rates = {name: f"{value['median']:,.0f}" for name, value in row["images_per_second"].items()}
    cells = [f"{row['block']:10}", f"{row['params']:7,}", f"{row['macs'] / 1e6:5.1f}"]
    cells += [f"{rates.get(name, ''):>7}" for name in ("ours", "plain", "keras")]
    for rival in ("plain", "keras"):
        ratio = row["ratio"].get(rival)
        cells.append(f"{ratio['median']:.2f} ({ratio['least']:.2f} to {ratio['most']:.2f})" if ratio else f"{'':19}")
    choice = row["choice"]
    cells.append(f"{100 * row['input_share']['median']:4.1f} %")
    cells.append(f"{choice['precision']}, {choice['memory_format']}, {choice['seconds']:.2f} s")
    print(f"| {' | '.join(cells)} |", flush=True)


def steps_section(given: argparse.Namespace) -> dict[str, Any]:
    """All networks asked for, and their summary."""
    rivals = ["plain", *(["keras"] if find_spec("keras") else [])]
    if "keras" not in rivals:
        print("Keras is left out: it is not installed here; `pip install keras` beside torch")
    source, images, labels = images_at_hand(given.quick)
    print("| block | params | M macs | images/s: ours | plain | Keras | ours / plain | ours / Keras | input | chosen |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    budgets = tuple(form.budget for form in FORMS[:2]) if given.quick else ()
    seconds = 0.2 if given.quick else 1.0
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        arrays = Path(folder) / "images.npz"
        np.savez(arrays, images=images, labels=labels)
        for one in proposed(given.blocks, budgets):
            rows.append(measured(one, arrays, rivals, given.rounds, seconds))
            show(rows[-1])
    found = summary(rows)
    print(json.dumps(found["ratios"], indent=2))
    versions = {name: version(name) for name in ("torch", *rivals) if name != "plain"}
    facts = {"images": source, "batch_size": BATCH, "threads": 1, "rounds": given.rounds, "versions": versions}
    return {**facts, **found, "networks": rows}


def blocks_of(text: str) -> tuple[str, ...]:
    """Block types, as given on the command line."""
    names = tuple(text.split(","))
    if unknown := [name for name in names if name not in CHOICES]:
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: not among {', '.join(CHOICES)}")
    return names


def main() -> None:
    """Parse, measure, write one section."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--blocks", type=blocks_of, default=tuple(CHOICES), help="block types, by commas")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--workers", action="store_true", help="measure two processes against one instead")
    parser.add_argument("--precision", action="store_true", help="compare the accuracy of bf16 with fp32 instead")
    parser.add_argument("--quick", action="store_true", help="few and short; nothing is written without --output")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--serve", metavar="BLOCK", help=argparse.SUPPRESS)
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.serve:
        serve(given.serve, *images_at_hand(quick=True)[1:], BATCH)
        return
    if given.workers:
        name, section = "workers", compared_workers(Path(__file__), given.rounds, 0.3 if given.quick else 3.0)
    elif given.precision:
        name, section = "precision", compared_precision(quick=given.quick)
    else:
        name, section = "steps", steps_section(given)
    output = given.output or (None if given.quick else RESULTS)
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        kept = json.loads(output.read_text(encoding="utf-8")) if output.exists() else {}
        text = json.dumps(kept | {name: provenance() | section}, indent=2)
        output.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
