"""Explaining a searched study from its storage alone: what mattered, what it took, what lies beside the best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nas.arch.read import architecture_from_json
from nas.arch.record import COMPLETE, TEST, Ranked, StudyRecord, TrialRecord
from nas.blocks.registry import Blocks, load_blocks
from nas.errors import BlockError, NasError
from nas.search.anatomy import PartCost, parts
from nas.search.costs import Costs
from nas.search.drawing import replayed
from nas.search.named import sampler_for
from nas.store.engine import Storage, open_storage
from nas.store.ranking import best, find
from nas.store.studies import find_study
from nas.store.trials import trials
from nas.study.file import StudyFile, study_from_data
from nas.study.space import make_space
from nas.work.baseline import find_baseline
from nas.work.mattered import Mattered, mattered
from nas.work.nearby import Nearby, nearby
from nas.work.pace import PacePoint, pace
from nas.work.remembered import Recalled, recalled
from nas.work.spent import BlockSpent, StateSpent, by_block, by_state


@dataclass(frozen=True)
class Explanation:
    """What a search's storage tells of it.

    `parts` and `nearby` are of its best network; they are empty and None where a problem says which block is missing.
    `baseline` is the random search of equal cost, None where `baseline_problem` says how to get one.
    """

    study: str
    dataset: str
    complete: int
    best: Ranked
    mattered: Mattered
    states: tuple[StateSpent, ...]
    blocks: tuple[BlockSpent, ...]
    parts: tuple[PartCost, ...]
    parts_problem: str
    nearby: Nearby | None
    nearby_problem: str
    recalled: Recalled
    baseline: str | None
    pace: tuple[PacePoint, ...]
    baseline_problem: str


def explain_study(name: str, *, storage: str, plugins: Sequence[str] = (), top: int | None = 10) -> Explanation:
    """Explain a search; nothing is trained. Of the changes of its best network the `top` are told (None: all).

    Raises NasErrors: no such study, one that lists its candidates or confirms others, no complete trial.
    """
    store = open_storage(storage)
    try:
        record = find_study(store, name)
        _check_searched(record)
        ranked = best(store, study=name, top=1)
        if not ranked:
            raise NasError(f"study {name!r} has no complete trials yet, so nothing to explain: `nas run` it first")
        return _explanation(store, record, ranked[0], plugins, top)
    finally:
        store.close()


def _check_searched(record: StudyRecord) -> None:
    if record.scored_on == TEST:
        told = "is scored on test images: a confirmation itself; allowed: a search, as the study that it confirms"
        raise NasError(f"study {record.name!r} {told}")
    if "search" not in record.config:
        told = f"lists its candidates, so nothing was chosen; allowed: a search (`nas best {record.name}` ranks it)"
        raise NasError(f"study {record.name!r} {told}")


def _explanation(
    storage: Storage, record: StudyRecord, ranked: Ranked, plugins: Sequence[str], top: int | None
) -> Explanation:
    all_of, blocks = trials(storage, record.id), load_blocks(plugins)
    complete = [one for one in all_of if one.state == COMPLETE]
    winner = next(one for one in complete if one.number == ranked.trial)
    anatomy, parts_problem = _parts(storage, winner, blocks)
    near, problem = _nearby(record, all_of, winner, blocks, top)
    file = study_from_data(record.config, f"study {record.name!r}")
    rival = find_baseline(storage, record)
    itself = "" if rival.record else f"no baseline: {record.name!r} is a random search itself"
    return Explanation(
        study=record.name,
        dataset=record.dataset,
        complete=len(complete),
        best=ranked,
        mattered=mattered(complete, record.blocks),
        states=tuple(by_state(all_of)),
        blocks=tuple(by_block(all_of, record.blocks)),
        parts=anatomy,
        parts_problem=parts_problem,
        nearby=near,
        nearby_problem=problem,
        recalled=recalled(storage, record, file, _sampler(file, record, blocks)),
        baseline=None if rival.record is None else rival.record.name,
        pace=() if rival.record is None else tuple(pace(storage, record.id, rival.record.id)),
        baseline_problem=rival.problem or itself,
    )


def _sampler(file: StudyFile, record: StudyRecord, blocks: Blocks) -> str:
    """Who proposed the networks; what `auto` stood for cannot be told where the plugin of a block is not here."""
    assert file.space is not None
    try:
        space = make_space(file.space, blocks, record.input, record.classes, order=record.blocks)
    except BlockError:
        return file.search.sampler
    return sampler_for(file.search.sampler, space, record.trials)


def _parts(storage: Storage, winner: TrialRecord, blocks: Blocks) -> tuple[tuple[PartCost, ...], str]:
    """The parts of the best network, or why they cannot be told: the plugin of a block of its own is not here."""
    spec, _ = find(storage, f"{winner.study}#{winner.number}")
    depths = [int(value) for name, value in winner.params.items() if name.endswith(".depth")]
    try:
        return tuple(parts(architecture_from_json(spec), depths, blocks)), ""
    except BlockError as error:
        return (), f"left out: {error}"


def _nearby(
    record: StudyRecord, all_of: Sequence[TrialRecord], winner: TrialRecord, blocks: Blocks, top: int | None
) -> tuple[Nearby | None, str]:
    """What lies beside the best network, or why that cannot be told: the plugin of a block of the space is not here."""
    file = study_from_data(record.config, f"study {record.name!r}")
    assert file.space is not None
    try:
        space = make_space(file.space, blocks, record.input, record.classes, order=record.blocks)
        replayed(space.draw, winner.params)
    except BlockError as error:
        return None, f"left out: {error}"
    except ValueError as error:
        return None, f"left out: the study's space no longer draws its best network ({error})"
    costs = Costs(space, blocks, file.budget)
    return nearby(costs, all_of, winner, fill=file.search.fill, top=top), ""
