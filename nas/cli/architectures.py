"""From what a user calls an architecture by to the architecture: the one place where names are looked up."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from nas.arch.read import architecture_from_json, read_architecture
from nas.arch.record import TrialRecord
from nas.arch.reference import read_reference, references
from nas.arch.spec import Architecture
from nas.blocks.registry import Blocks
from nas.blocks.trace import normalise
from nas.cli.options import Settings
from nas.cli.storage import reading
from nas.errors import NotFound, StorageError, nearest
from nas.store.engine import Storage
from nas.store.ranking import find


@dataclass(frozen=True)
class Found:
    """An architecture in its normal form; with trial and storage where it comes from a study."""

    architecture: Architecture
    trial: TrialRecord | None = None
    storage: Storage | None = None


def find_architecture(name: str, settings: Settings, blocks: Blocks) -> Found:
    """The architecture in a JSON file, of `STUDY#TRIAL`, of a fingerprint or its beginning, or of a reference's name.

    A reference's name is no beginning of a fingerprint, so it needs no storage. Raises ArchitectureError for a file
    that is none, NotFound with all that was tried.
    """
    if name.endswith(".json") or os.path.isfile(name):
        return Found(normalise(read_architecture(Path(name)), blocks))
    known = references()
    if name in known:
        return Found(normalise(read_reference(name), blocks))
    hint = nearest(name.lower(), known)
    try:
        storage = reading(settings)
    except StorageError as error:
        tried = f"there is no such reference network{hint}, no such JSON file"
        raise NotFound(f"architecture {name!r}: {tried}, and {error}") from error
    try:
        spec, trial = find(storage, name)
    except NotFound as error:
        if "#" in name:
            raise
        raise NotFound(f"{error}; nor is there a JSON file or a reference network {name!r}{hint}") from None
    return Found(normalise(architecture_from_json(spec, name), blocks), trial, storage)
