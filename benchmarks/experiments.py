"""The articles' experiments, trained: runs the comparison studies and writes down what came out, seed by seed.

    python benchmarks/experiments.py                         # all four: hours; interrupt and run again, it goes on
    python benchmarks/experiments.py stacked-vs-5x5          # one
    python benchmarks/experiments.py keras-cifar10 --read    # what a storage knows of it, nothing trained

CIFAR-10 must be at hand (`nas data`). A result goes to results/experiments/NAME.json. Accuracies are of the images held
out for validation; test images are not touched.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from statistics import fmean
from typing import Any

from provenance import provenance

from nas.arch.record import COMPLETE, StudyRecord, TrialRecord
from nas.store.engine import Storage, open_storage
from nas.store.ranking import best
from nas.store.studies import find_study
from nas.store.trials import history, trial_epochs, trials
from nas.work.jobs import run_study

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results" / "experiments"
STUDIES = ("stacked-vs-5x5", "separable-vs-plain", "blocks-at-equal-budget", "keras-cifar10")


def experiment(storage: Storage, name: str) -> dict[str, Any]:
    """A study as its storage knows it: its recipe and images, and each candidate with its trainings."""
    record = find_study(storage, name)
    intervals = {row.trial: (row.accuracy_low, row.accuracy_high) for row in best(storage, study=name, top=None)}
    candidates = [candidate(storage, record, trial, intervals) for trial in history(storage, record.id)]
    return {
        "study": name,
        "dataset": record.dataset,
        "dataset_hash": record.dataset_hash,
        "seed": record.seed,
        "repeats": record.repeats,
        "recipe": dict(record.recipe),
        "candidates": sorted(candidates, key=lambda one: -(one["accuracy"] or 0)),
    }


def candidate(storage: Storage, record: StudyRecord, trial: TrialRecord, intervals: dict[int, Any]) -> dict[str, Any]:
    """One candidate: its cost, the mean with its interval, each seed's last accuracy, and the mean of each epoch."""
    accuracies = curves(storage, record, trial)
    low, high = intervals.get(trial.number, (None, None))
    totals = trial.totals
    return {
        "name": trial.name,
        "architecture": trial.fingerprint,
        "params": totals.params,
        "weights": totals.weights,
        "macs": totals.macs,
        "activations": totals.activations,
        "receptive_field": totals.receptive_field,
        "complete": trial.state == COMPLETE,
        "accuracy": trial.accuracy,
        "accuracy_low": low,
        "accuracy_high": high,
        "accuracies": [round(curve[-1], 4) for curve in accuracies if len(curve) == record.epochs],
        "by_epoch": [round(fmean(values), 4) for values in zip(*accuracies, strict=False)],
        "seconds": round(sum(one.seconds for one in trial_epochs(storage, trained(storage, trial).id)), 1),
        "precision": trial.precision,
        "versions": dict(trial.versions),
    }


def curves(storage: Storage, record: StudyRecord, trial: TrialRecord) -> list[list[float]]:
    """The accuracies by epoch of each training."""
    found = [one.accuracy for one in trial_epochs(storage, trained(storage, trial).id)]
    return [found[start : start + record.epochs] for start in range(0, len(found), record.epochs)]


def trained(storage: Storage, trial: TrialRecord) -> TrialRecord:
    """The trial that trained the network: of a result taken over, the other study's."""
    if not trial.reused:
        return trial
    same = (one for one in trials(storage) if one.fingerprint == trial.fingerprint and one.accuracy == trial.accuracy)
    return next(one for one in same if not one.reused)


def main() -> None:
    """Parse, run, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("studies", nargs="*", metavar="STUDY", help=f"of {', '.join(STUDIES)}; default: all")
    parser.add_argument("--storage", default="sqlite:///experiments.db")
    parser.add_argument("--workers", type=int, help="processes; default one a core")
    parser.add_argument("--read", action="store_true", help="train nothing: write what the storage knows")
    given = parser.parse_args()
    for name in given.studies or STUDIES:
        if not given.read:
            run_study(ROOT / "studies" / f"{name}.toml", storage=given.storage, workers=given.workers)
        storage = open_storage(given.storage)
        found = provenance() | experiment(storage, name)
        storage.close()
        RESULTS.mkdir(parents=True, exist_ok=True)
        (RESULTS / f"{name}.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
        for one in found["candidates"]:
            known = "" if one["accuracy_low"] is None else f"  {one['accuracy_low']:.4f} to {one['accuracy_high']:.4f}"
            print(f"{name}: {one['name']}  {one['accuracy']}{known}  {one['params']:,} params")


if __name__ == "__main__":
    main()
