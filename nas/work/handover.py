"""Handing over a network from the storage or a file: source, weights, figures, and the check that they agree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nas.arch.record import TrialRecord
from nas.arch.spec import Architecture
from nas.blocks.registry import BUILT_IN, Blocks
from nas.blocks.trace import cost
from nas.errors import ExportError
from nas.net.batches import Normalisation
from nas.net.export import Exported, export
from nas.store.engine import Storage
from nas.store.studies import find_study
from nas.store.weights import get_weights


def export_network(
    architecture: Architecture,
    trial: TrialRecord | None,
    folder: Path,
    *,
    storage: Storage | None,
    blocks: Blocks,
    onnx: bool = False,
) -> Exported:
    """Write a network into a folder: with weights and figures where it is a trial's, else as drawn.

    `onnx` adds `model.onnx`.

    Raises ExportError where the folder holds something else, the network cannot be written, or a plugin has changed
    since the trial was trained: its weights in another module would be another network.
    """
    _check_unchanged(architecture, trial, blocks)
    weights: bytes | None = None
    images: Mapping[str, Any] = {}
    metrics = asdict(cost(architecture, blocks).totals)
    title = ["A convolutional network."]
    if trial is not None and storage is not None:
        weights = get_weights(storage, trial.id)
        record = find_study(storage, trial.study)
        images = record.images
        metrics |= _figures(trial) | {"dataset": record.dataset, "recipe": dict(record.recipe), "images": dict(images)}
        title = [f"Trial {trial.number} of the study {trial.study!r}, trained on {record.dataset}."]
    return export(
        architecture,
        blocks,
        folder,
        weights=weights,
        metrics={**metrics, "architecture": architecture.fingerprint, "weights_kept": weights is not None},
        normalisation=_normalisation(images, architecture.input[0]),
        class_names=images.get("class_names", ()),
        title=title,
        onnx=onnx,
    )


def _check_unchanged(architecture: Architecture, trial: TrialRecord | None, blocks: Blocks) -> None:
    # Releases of our own keep what the built-in blocks compute; a stranger's version is the word we have.
    strange = [name for name in architecture.blocks if name in blocks and blocks.registered[name].plugin != BUILT_IN]
    for name in strange:
        trained, now = trial.versions.get(name) if trial else None, blocks.version(name)
        if trained is not None and trained != now:
            raise ExportError(
                f"block {name!r} was of plugin {trained} when the trial was trained and is of {now} now: export with "
                "the plugin as it was, or train the network again in a study of another name"
            )


def _figures(trial: TrialRecord) -> dict[str, Any]:
    names = [
        "study",
        "state",
        "accuracy",
        "epochs_done",
        "seed",
        "seconds",
        "device",
        "precision",
        "reused",
        "scored_on",
    ]
    if trial.name is not None:
        names += ["name", "repeats", "accuracy_low", "accuracy_high"]
    figures = {name: getattr(trial, name) for name in names}
    last_seed = trial.seed + trial.repeats - 1
    return {"trial": trial.number, "weights_seed": last_seed, **figures, "versions": dict(trial.versions)}


def _normalisation(images: Mapping[str, Any], channels: int) -> Normalisation:
    """The training images' mean and deviation; none known, images are taken as they come."""
    mean = images.get("mean", [0.0] * channels)
    std = images.get("std", [1.0] * channels)
    return Normalisation(tuple(mean), tuple(std))
