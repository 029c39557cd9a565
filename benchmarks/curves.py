"""Learning curves of whole trainings, study by study: from a storage, a file that was kept of one, or a table.

A file of curves is JSON: {"studies": [{"name": ..., "about": ..., "epochs": 10, "images": 288, "trainings": [[macs, 31,
...], ...]}]}, after the macs the validation images that were told right after each epoch. A table (replay_tables.py) is
a study whose signal stands after three of ten epochs and whose score after the last.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from replay_tables import TableError, read_table

from nas.arch.record import COMPLETE, VALIDATION
from nas.store.engine import Storage
from nas.store.studies import list_studies
from nas.store.trials import trained_epochs, trials

FEWEST = 8
"""Studies of fewer whole curves say nothing."""

MOST_IMAGES = 100_000
TABLE_EPOCHS, TABLE_RUNG, TABLE_IMAGES, TABLE_DRAW = 10, 3, 25_000, 60


@dataclass(frozen=True)
class Training:
    """One network: its macs, and its accuracy after each epoch; None where it is not known."""

    macs: int
    curve: tuple[float | None, ...]

    @property
    def final(self) -> float:
        """The last accuracy."""
        assert self.curve[-1] is not None
        return self.curve[-1]


@dataclass(frozen=True)
class Study:
    """Trainings to replay. `images` validate; `draw`: so many of them at a time (None: all)."""

    name: str
    epochs: int
    images: int
    trainings: Sequence[Training]
    draw: int | None = None
    about: str = ""


def studies_in(storage: Storage, names: Sequence[str] = ()) -> list[Study]:
    """What of a storage can be replayed: searches scored on validation images, with enough whole curves."""
    found = []
    for record in list_studies(storage):
        if record.scored_on != VALIDATION or record.repeats > 1 or (names and record.name not in names):
            continue
        trainings = []
        for trial in trials(storage, record.id, states=(COMPLETE,)):
            curve = tuple(epoch.accuracy for epoch in trained_epochs(storage, trial.id))
            if len(curve) == record.epochs and None not in curve:
                trainings.append(Training(trial.totals.macs, curve))
        if len(trainings) >= FEWEST:
            found.append(Study(record.name, record.epochs, images_of(trainings), trainings))
    return found


def images_of(trainings: Sequence[Training]) -> int:
    """How many images validate: the smallest number of which all accuracies are whole shares."""
    shares = {accuracy for one in trainings for accuracy in one.curve if accuracy is not None}
    for images in range(1, MOST_IMAGES):
        if all(abs(share * images - round(share * images)) < 1e-6 for share in shares):
            return images
    return MOST_IMAGES


def read_curves(path: Path, names: Sequence[str] = ()) -> list[Study]:
    """The studies of a file of curves. Raises TableError."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))["studies"]
        return [_study(**one) for one in told if not names or one["name"] in names]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TableError(f"{path}: {error}") from error


def _study(name: str, epochs: int, images: int, trainings: Sequence[Sequence[int]], about: str = "") -> Study:
    curves = [Training(macs, tuple(right / images for right in told)) for macs, *told in trainings]
    if any(len(one.curve) != epochs for one in curves):
        raise ValueError(f"{name!r}: a training has not {epochs} epochs")
    return Study(name, epochs, images, curves, about=about)


def keep_curves(path: Path, studies: Sequence[Study]) -> None:
    """Write studies of whole curves to a file, a training a line."""
    told = []
    for study in studies:
        head = {"name": study.name, "about": study.about, "epochs": study.epochs, "images": study.images}
        lines = [[one.macs, *(round(share * study.images) for share in one.curve)] for one in study.trainings]
        rows = ",\n".join(json.dumps(line, separators=(",", ":")) for line in lines)
        told.append(f'{json.dumps(head)[:-1]}, "trainings": [\n{rows}\n]}}')
    path.write_text('{"studies": [\n' + ",\n".join(told) + "\n]}\n", encoding="utf-8")


def study_of_table(path: Path) -> Study:
    """A table as a study. Raises TableError."""
    table = read_table(path)
    if "macs" not in table.costs:
        raise TableError(f"{path}: costs have no macs")
    scale = 100 if table.score.max() > 1 else 1
    trainings = []
    for macs, signal, score in zip(table.costs["macs"], table.signal, table.score, strict=True):
        curve: list[float | None] = [None] * TABLE_EPOCHS
        curve[TABLE_RUNG - 1], curve[-1] = float(signal) / scale, float(score) / scale
        trainings.append(Training(int(macs), tuple(curve)))
    return Study(table.name, TABLE_EPOCHS, TABLE_IMAGES, trainings, min(TABLE_DRAW, len(trainings)))
