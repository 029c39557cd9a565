"""A study that the storage has, made ready to be worked on here: its blocks and images are looked for and checked."""

from __future__ import annotations

import os
from pathlib import Path

from nas.arch.recipe import recipe_hash
from nas.arch.record import StudyRecord
from nas.blocks.registry import Blocks
from nas.data.images import Images
from nas.data.names import NAMES, load_images
from nas.data.places import folders
from nas.errors import DataError, NasError
from nas.study.file import study_from_data
from nas.work.prepare import Study, checked


def recorded(record: StudyRecord, blocks: Blocks) -> Study:
    """The study as its worker here sees it. Raises NasErrors, without the study's name, on what is lacking here."""
    images, folder = _images(record)
    file = study_from_data(record.config, f"study {record.name!r}", folder=folder)
    if recipe_hash(file.recipe, file.repeats, file.scored_on) != record.recipe_hash:
        raise NasError("it was submitted by a nas with another version of the trainer; install that version here")
    return checked(file, blocks, images)


def _images(record: StudyRecord) -> tuple[Images, Path]:
    """The study's images, told by their hash, and the folder from which their name leads to them.

    A path may start at the current folder, or at those in which known data sets lie.
    """
    if record.dataset in NAMES:
        places = [Path.cwd()]
    else:
        places = [folder for folder in (Path.cwd(), *folders()) if os.path.exists(folder / record.dataset)]
    for folder in places:
        images = load_images(record.dataset, folder=folder)
        if images.content_hash == record.dataset_hash:
            return images, folder
    name = f"data set {record.dataset!r}"
    if places:
        raise DataError(f"{name}: its images here are not those that the study began with")
    looked = " and ".join(map(str, dict.fromkeys((Path.cwd(), *folders()))))
    raise DataError(f"{name} is not on this machine; looked for in {looked}")
