"""CPU time from process start to a fixed accuracy: our pipeline beside a plain PyTorch one, on three data sets.

    python benchmarks/time_to_accuracy.py                              # all: hours; interrupt and run again, it goes on
    python benchmarks/time_to_accuracy.py --datasets mnist --seeds 3
    python benchmarks/time_to_accuracy.py --datasets cifar10 --again   # trains anew what is known already

The plain pipeline (train_plain.py) trains first, so many epochs as its user would; the accuracy that it ends with is
the bar. Then ours (train_ours.py) trains the same network on the same images, and ends with the first epoch that
reaches the bar of the same seed; where none does, it has failed, and says so. Both are processes of their own, one
thread, started as their users would: ours as a worker, with a worker's environment, the plain one as it comes. Each
measures accuracy after every epoch on the same images held out; test images are not touched. CPU time is user and
system time of the whole process, reading the images included. A run is written to results/time_to_accuracy.json as
soon as it has ended.

CIFAR-10 is whatever `nas data` lists: as an archive of JPEG images it was recompressed as JPEG by its source.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from known import Known
from provenance import provenance

from nas.arch.read import architecture_from_json
from nas.arch.spec import Architecture
from nas.blocks.registry import load_blocks
from nas.blocks.trace import cost
from nas.data.names import load_images
from nas.data.places import find
from nas.data.split import held_out
from nas.work.child import KEEP_FREED

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "time_to_accuracy.json"
BAR = 5.0
"""CPU time of the plain pipeline against ours, the median of the data sets."""

SPLIT_SEED = 0
"""As train_ours.py has it."""


class Task(NamedTuple):
    """A data set with its network, and how each pipeline trains on it."""

    parts: tuple[dict[str, Any], ...]
    input: tuple[int, int, int]
    plain_epochs: int
    plain_augmented: bool
    recipe: dict[str, Any]
    head: str = "global_average_pool"

    @property
    def architecture(self) -> Architecture:
        """The network."""
        parts = [*self.parts, {"layer": self.head}, {"layer": "dense", "width": "classes"}]
        return architecture_from_json({"format": 1, "input": list(self.input), "classes": 10, "parts": parts})


def conv(width: int, stride: int = 1) -> dict[str, Any]:
    """A 3×3 convolution with batch norm and ReLU."""
    return {"block": "conv", "width": width, "kernel": 3, "stride": stride}


POOL = {"layer": "max_pool", "size": 2}

# The plain epochs were set before ours were looked at; ours were chosen by accuracy on the images held out.
TASKS = {
    "mnist": Task(
        parts=(conv(16), POOL, conv(28), POOL),
        input=(1, 28, 28),
        plain_epochs=5,
        plain_augmented=False,
        recipe={"epochs": 2},
        head="flatten",
    ),
    "fashion-mnist": Task(
        parts=(conv(28), conv(28), conv(44, 2), conv(44), conv(60, 2), conv(60)),
        input=(1, 28, 28),
        plain_epochs=15,
        plain_augmented=True,
        recipe={"epochs": 5, "batch_size": 48, "start_size": 0.5, "flip": True},
    ),
    "cifar10": Task(
        parts=(conv(32), POOL, conv(64), conv(64), conv(112, 2), conv(112)),
        input=(3, 32, 32),
        plain_epochs=10,
        plain_augmented=True,
        recipe={"epochs": 3, "batch_size": 48, "start_size": 0.6, "flip": True},
    ),
}


def process(script: str, arguments: Sequence[str], begun_in: Mapping[str, str]) -> tuple[list[dict[str, Any]], float]:
    """The epochs that a script tells, and the CPU seconds of its whole process, user and system."""
    environment = {**begun_in, **os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(HERE / script), *arguments]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        epochs = [json.loads(line) for line in child.stdout]
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{script} ended with {child.returncode}")
    return epochs, used.ru_utime + used.ru_stime


class Place(NamedTuple):
    """What both pipelines are given of a data set."""

    name: str
    images: Path
    held_out: Path
    network: Path
    source: str


def place_of(name: str, folder: Path) -> Place:
    """The files of a data set: its images as they lie here, which are held out, and the network."""
    known = find(name)
    if known is None:
        raise SystemExit(f"data set {name!r} is not here; `nas data` says where it may lie")
    images, found = Path(known.path), load_images(name)
    if images.suffix not in (".npz", ".zip") and not (images / "train-images-idx3-ubyte.gz").exists():
        # In a form that the plain pipeline does not read: as arrays, which costs it less.
        images = folder / f"{name}.npz"
        pixels = found.train_images.transpose(0, 2, 3, 1)
        np.savez(images, x_train=pixels[..., 0] if pixels.shape[-1] == 1 else pixels, y_train=found.train_labels)
    held, network = folder / f"{name}.held_out.npy", folder / f"{name}.json"
    np.save(held, held_out(found.train_labels, SPLIT_SEED))
    network.write_text(json.dumps(TASKS[name].architecture.to_json()), encoding="utf-8")
    source = f"{known.form.format}, {len(found.train_labels):,} training images"
    return Place(name, images, held, network, source)


def plain(place: Place, task: Task, seed: int, given: argparse.Namespace, known: Known) -> dict[str, Any]:
    """The plain pipeline's run."""
    epochs = 1 if given.quick else task.plain_epochs
    settings = {"network": task.architecture.fingerprint, "epochs": epochs, "augmented": task.plain_augmented}
    arguments = [place.name, str(place.images), "--held-out", str(place.held_out), "--epochs", str(epochs)]
    arguments += ["--augmented"] if task.plain_augmented else []
    return _run("plain", "train_plain.py", place, arguments, settings, seed, given, known)


def ours(place: Place, task: Task, seed: int, bar: float, given: argparse.Namespace, known: Known) -> dict[str, Any]:
    """Our run up to the bar."""
    recipe = task.recipe | ({"epochs": 1} if given.quick else {})
    settings = {"network": task.architecture.fingerprint, "recipe": recipe, "bar": bar, "environment": KEEP_FREED}
    arguments = [place.name, "--recipe", json.dumps(recipe), "--bar", repr(bar)]
    return _run("ours", "train_ours.py", place, arguments, settings, seed, given, known)


def _run(
    contender: str,
    script: str,
    place: Place,
    arguments: list[str],
    settings: dict[str, Any],
    seed: int,
    given: argparse.Namespace,
    known: Known,
) -> dict[str, Any]:
    key = f"{place.name}/{contender}/{seed}"
    found = known.get(key, settings)
    if found is None:
        arguments = [*arguments, "--network", str(place.network), "--seed", str(seed)]
        images = ["--images", "2000"] if given.quick else []
        epochs, seconds = process(script, [*arguments, *images], KEEP_FREED if contender == "ours" else {})
        accuracy = epochs[-1]["accuracy"]
        found = {"settings": settings, "accuracy": accuracy, "cpu_seconds": round(seconds, 2), "epochs": epochs}
        found |= {"source": place.source, **provenance(), "load": round(os.getloadavg()[0], 2)}
        known.add(key, found)
    count, spent = len(found["epochs"]), found["cpu_seconds"]
    print(f"{key}: {100 * found['accuracy']:.2f} % after {count} epochs, {spent:,.1f} CPU seconds", flush=True)
    return found


def summary(runs: dict[str, Any]) -> dict[str, Any]:
    """By data set: the seeds' ratios and their median; and the median of the data sets."""
    found = {name: compared for name in TASKS if (compared := of_dataset(name, runs))}
    ratios = [one["ratio"] for one in found.values() if one["ratio"] is not None]
    complete = ratios and len(ratios) == len(found)
    return {**found, "median_ratio": round(median(ratios), 2) if complete else None}


def of_dataset(name: str, runs: dict[str, Any]) -> dict[str, Any] | None:
    """Plain / ours in CPU seconds, seed by seed; no ratio where one of ours ended below its bar.

    `ratio_to_first` counts the plain pipeline too only up to the first epoch that reaches what it ends with.
    """
    pairs = list(of_seeds(name, runs))
    if not pairs:
        return None
    reached = [own["accuracy"] >= plainly["accuracy"] for plainly, own in pairs]
    ratios = [plainly["cpu_seconds"] / own["cpu_seconds"] for plainly, own in pairs]
    first = [first_at(plainly) / own["cpu_seconds"] for plainly, own in pairs]
    return {
        "params": cost(TASKS[name].architecture, load_blocks(load=())).params,
        "seeds": len(pairs),
        "failed": reached.count(False),
        "bar_accuracies": [plainly["accuracy"] for plainly, _ in pairs],
        "plain_cpu_seconds": median(plainly["cpu_seconds"] for plainly, _ in pairs),
        "our_cpu_seconds": median(own["cpu_seconds"] for _, own in pairs),
        "ratio": round(median(ratios), 2) if all(reached) else None,
        "ratios": [round(ratio, 2) for ratio in ratios],
        "ratio_to_first": round(median(first), 2) if all(reached) else None,
    }


def of_seeds(name: str, runs: dict[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """The plain run and ours of each seed that has both, ours against the bar of that plain run."""
    for key, plainly in runs.items():
        own = runs.get(key.replace("/plain/", "/ours/"))
        if key.startswith(f"{name}/plain/") and own and own["settings"]["bar"] == plainly["accuracy"]:
            yield plainly, own


def first_at(run: dict[str, Any]) -> float:
    """CPU seconds at the end of the first epoch that reaches the last one's accuracy."""
    return float(next(one["cpu_seconds"] for one in run["epochs"] if one["accuracy"] >= run["accuracy"]))


def main() -> int:
    """Run what is not known yet, print, write; 1 where one of ours ended below its bar."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--datasets", default=",".join(TASKS), help="by commas; default: all")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--again", action="store_true", help="run again what the results file has")
    parser.add_argument("--quick", action="store_true", help="2,000 images, one epoch; no file without --output")
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    names = given.datasets.split(",")
    if unknown := [name for name in names if name not in TASKS]:
        parser.error(f"--datasets: {', '.join(unknown)}: not among {', '.join(TASKS)}")
    path = given.output or (None if given.quick else RESULTS)
    known = Known(path, given.again, lambda runs: {"bar": BAR, "summary": summary(runs)})
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            place, task = place_of(name, Path(folder)), TASKS[name]
            for seed in range(given.seeds):
                bar = plain(place, task, seed, given, known)["accuracy"]
                reached = ours(place, task, seed, bar, given, known)["accuracy"]
                if reached < bar:
                    print(f"{name}, seed {seed}: ours ended below the bar of {100 * bar:.2f} %")
    known.write()
    found = summary(known.runs)
    for name, one in found.items():
        print(f"{name}: {json.dumps(one)}")
    return int(any(found[name]["failed"] for name in names))


if __name__ == "__main__":
    sys.exit(main())
