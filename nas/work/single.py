"""Training one network: a comparison that lists it alone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nas.arch.recipe import recipe_hash
from nas.arch.record import StudyRecord
from nas.arch.spec import Architecture, canonical, digest
from nas.blocks.registry import Blocks, load_blocks
from nas.data.images import Images
from nas.data.names import load_images
from nas.errors import StudyFileError
from nas.study.candidates import listed
from nas.study.file import StudyFile, study_from_data
from nas.work.jobs import How, run_checked, trained_as
from nas.work.launch import Watch
from nas.work.prepare import checked

PLACE = "nas train"
SHORT = 10
"""So many digits of a fingerprint name a network."""


def train_network(
    architecture: Architecture,
    *,
    dataset: str,
    storage: str,
    epochs: int | None = None,
    seeds: int = 3,
    plugins: Sequence[str] = (),
    overrides: Sequence[str] = (),
    timeout: float | None = None,
    workers: int | None = None,
    device: str = "auto",
    watch: Watch = lambda progress: None,
) -> StudyRecord:
    """Train a network, put onto the images of a data set, from `seeds` seeds, scored on validation images.

    The study that comes back bears data set, network and recipe in its name, so that the same call goes on with it. A
    relative path starts at the current folder. Raises NasErrors: images that cannot be read, a network that they do
    not fit, mistakes in the recipe, Interrupted.
    """
    blocks = load_blocks(plugins)
    images = load_images(dataset)
    data: dict[str, Any] = {
        "name": "train",
        "dataset": dataset,
        "repeats": seeds,
        "architecture": [{"name": "network", "parts": architecture.to_json()["parts"]}],
        "train": trained_as({}, epochs, overrides, PLACE),
    }
    file = _named(data, blocks, images)
    return run_checked(checked(file, blocks, images), How(storage, tuple(plugins), timeout, workers, device, watch))


def _named(data: dict[str, Any], blocks: Blocks, images: Images) -> StudyFile:
    """The study of one network in its normal form, by which study and candidate are called."""
    file = study_from_data(data, PLACE, folder=Path())
    found, problems = listed(file.candidates, blocks, images.input, images.classes)
    if problems:
        raise StudyFileError(PLACE, problems)
    network = found[0].architecture
    called = network.fingerprint[:SHORT]
    one = {"name": called, "parts": network.to_json()["parts"]}
    name = f"train-{_plain(data['dataset'])}-{called}-{_told(file, images)}"
    return study_from_data({**data, "name": name, "architecture": [one]}, PLACE, folder=Path())


def _plain(dataset: str) -> str:
    """A data set's name as a study's name may hold it."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", Path(dataset).stem)[:40]


def _told(file: StudyFile, images: Images) -> str:
    """Six digits that tell other recipes, seeds and images apart."""
    asked = [recipe_hash(file.recipe, file.repeats), file.seed, file.dataset, images.content_hash]
    return digest(canonical({"asked": asked}))[:6]
