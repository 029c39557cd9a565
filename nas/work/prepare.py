"""From a study file to a study ready to run: everything is checked before anything is created."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from nas.arch.recipe import recipe_hash
from nas.arch.record import VALIDATION, StudyRecord
from nas.blocks.registry import Blocks
from nas.blocks.verify import quick_check
from nas.data.images import Images
from nas.data.names import load_images
from nas.data.shared import share
from nas.data.split import held_out, study_split
from nas.errors import BlockError, BudgetError, StorageError, StudyFileError
from nas.net.batches import normalisation_of
from nas.search.costs import Costs
from nas.search.profile import check_feasible
from nas.store.engine import Storage
from nas.store.halting import check_open
from nas.store.studies import create_study, get_study, update_study
from nas.study.candidates import Listed, listed, over
from nas.study.file import StudyFile
from nas.study.rules import changes, check_study, open_study
from nas.study.space import STEM, Space, make_space


@dataclass(frozen=True)
class Study:
    """A checked study: its file, the blocks it may use, its images, and its space or the candidates it lists."""

    file: StudyFile
    blocks: Blocks
    images: Images
    space: Space | None
    listed: tuple[Listed, ...] = ()

    @property
    def block_names(self) -> tuple[str, ...]:
        """The block types that it searches over, or that its candidates are made of."""
        if self.file.space is not None:
            return self.file.space.blocks
        return tuple(dict.fromkeys(name for one in self.listed for name in one.architecture.blocks))


def prepare(path: Path, blocks: Blocks, *, overrides: Sequence[str] = ()) -> Study:
    """The study of a file, all of it checked but whether the budget can be met.

    Raises StudyFileError with every mistake together, DataError, or BlockError for a block that lies.
    """
    return checked(open_study(path, blocks, overrides=overrides), blocks)


def checked(file: StudyFile, blocks: Blocks, images: Images | None = None) -> Study:
    """A study read from wherever it stands, with its images (None: to be loaded), checked as `prepare` does."""
    images = load_images(file.dataset, folder=file.folder) if images is None else images
    check_study(file, blocks, images.input)
    _check_count(file, images)
    if file.space is None:
        study = Study(file, blocks, images, None, _listed(file, blocks, images))
    else:
        study = Study(file, blocks, images, make_space(file.space, blocks, images.input, images.classes))
    lies = quick_check(blocks)
    lying = [lies[name] for name in {*study.block_names, STEM} if name in lies]
    if lying:
        raise BlockError("\n".join(lying))
    return study


def _check_count(file: StudyFile, images: Images) -> None:
    """Raise StudyFileError where more images to train on are asked for than the split leaves."""
    asked, left, purpose = file.recipe.images, len(images.train_labels), "testing"
    if asked is None:
        return
    if file.scored_on == VALIDATION:
        left, purpose = int((~held_out(images.train_labels, file.seed)).sum()), "validation or testing"
    if asked > left:
        told = f"{asked:,} is more than the {left:,} images of {file.dataset} that are not held out for {purpose}"
        raise StudyFileError(file.place, [f"train.images: {told}"])


def _listed(file: StudyFile, blocks: Blocks, images: Images) -> tuple[Listed, ...]:
    found, problems = listed(file.candidates, blocks, images.input, images.classes)
    if problems:
        raise StudyFileError(file.place, problems)
    return found


def check_budget(study: Study) -> None:
    """Raise BudgetError where no network of the space meets the budget, or a listed one does not."""
    if study.space is not None:
        check_feasible(Costs(study.space, study.blocks, study.file.budget), fill=study.file.search.fill)
    elif broken := over(study.listed, study.file.budget):
        raise BudgetError("\n".join(broken))


def enter(storage: Storage, study: Study, priority: int | None = None) -> StudyRecord:
    """The study's record in the storage: created, or resumed where it is there and asks the same question.

    A `priority` of None is that of before, at first 0. Raises StudyFileError naming every key that changed and may not,
    NasError where the study is paused or cancelled.
    """
    record = replace(_record(study), priority=priority or 0)
    before = get_study(storage, record.name)
    if before is None:
        try:
            return create_study(storage, record)
        except StorageError:  # another run that began at the same moment was first
            before = get_study(storage, record.name)
            if before is None:
                raise
    _check_same(study, before, record)
    check_open(storage, before.name)
    blocks = tuple(dict.fromkeys([*before.blocks, *record.blocks]))
    return update_study(
        storage,
        before.id,
        config=record.config,
        trials=record.trials,
        blocks=blocks,
        keep=record.keep,
        priority=priority,
    )


def shared_images(study: Study) -> IO[bytes]:
    """What the study's workers need of its images, in memory that processes of this machine can share."""
    split = study_split(study.images, study.file.seed, study.file.recipe.images, study.file.scored_on)
    return share(vars(split), study.images.content_hash)


def _check_same(study: Study, before: StudyRecord, record: StudyRecord) -> None:
    problems = changes(before.config, record.config)
    if before.dataset_hash != record.dataset_hash:
        problems.append("dataset: the images are not those that the study began with; choose another name")
    elif before.recipe_hash != record.recipe_hash and not problems:
        problems.append("train: the trainer has changed since the study began; choose another name")
    if problems:
        raise StudyFileError(study.file.place, problems)


def _record(study: Study) -> StudyRecord:
    file, images = study.file, study.images
    recipe: Mapping[str, object] = file.recipe.to_json()
    return StudyRecord(
        name=file.name,
        dataset=file.dataset,
        dataset_hash=images.content_hash,
        input=images.input,
        classes=images.classes,
        seed=file.seed,
        trials=file.search.trials,
        config=file.config,
        budget=file.budget.to_json(),
        blocks=study.block_names,
        recipe=recipe,
        recipe_hash=recipe_hash(file.recipe, file.repeats, file.scored_on),
        epochs=file.recipe.epochs,
        keep=file.search.keep,
        images=_facts(study),
        scored_on=file.scored_on,
    )


def _facts(study: Study) -> dict[str, list[float] | list[str]]:
    """What whoever uses a trained network must know of the images: classes, and how pixels are normalised."""
    file = study.file
    seen = normalisation_of(study_split(study.images, file.seed, file.recipe.images, file.scored_on).train_images)
    return {"mean": list(seen.mean), "std": list(seen.std), "class_names": list(study.images.class_names)}
