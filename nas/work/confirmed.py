"""What came of a confirmation: its networks ranked by test accuracy, and which of them differ from the first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from nas.arch.record import COMPLETE, Ranked, StudyRecord, TrialRecord
from nas.store.engine import Storage
from nas.store.ranking import best
from nas.store.status import training_seconds
from nas.store.trials import confirm_trial, trained_epochs, trials
from nas.work.interval import LEVEL, holm, welch
from nas.work.repeats import last_of_each


@dataclass(frozen=True)
class Confirmed:
    """A network trained anew: the trial by which it was chosen, and its test accuracy over seeds.

    `accuracy` is the validation accuracy of the trial `trial` of `study`, `test_accuracy` the mean of
    `seed_accuracies`. `p_value` and `distinguishable` compare it with the first; None for the first itself, and where
    the seeds do not allow to say. `confirmation` is the trial that holds the new weights, `search_seconds` what its
    study trained.
    """

    rank: int
    study: str
    trial: int
    name: str | None
    architecture: str
    baseline: bool
    accuracy: float
    test_accuracy: float
    test_low: float | None
    test_high: float | None
    seeds: tuple[int, ...]
    seed_accuracies: tuple[float, ...]
    p_value: float | None
    distinguishable: bool | None
    params: int
    weights: int
    macs: int
    activations: int
    receptive_field: int | None
    auxiliary_params: int
    depth: int
    blocks: tuple[str, ...]
    dataset: str
    epochs: int
    seconds: float
    search_seconds: float
    precision: str
    confirmation: str


def confirmed(storage: Storage, record: StudyRecord, sources: Sequence[StudyRecord]) -> list[Confirmed]:
    """The complete trials of a confirmation, best first, each beside its trial in one of the sources.

    `sources` are the study that is confirmed and its baseline; a network that both chose is told as the study's.
    """
    chosen: dict[str, tuple[StudyRecord, TrialRecord]] = {}
    for source in reversed(sources):
        chosen |= {one.fingerprint: (source, one) for one in trials(storage, source.id, states=(COMPLETE,))}
    seconds = {source.name: training_seconds(storage, source.id) for source in sources}
    ids = {one.number: one.id for one in trials(storage, record.id)}
    rows = []
    for ranked in best(storage, study=record.name, top=None):
        source, trial = chosen[ranked.architecture]
        scores = last_of_each(trained_epochs(storage, ids[ranked.trial]), record.epochs)
        rows.append(_row(ranked, record, source, trial, scores, seconds[source.name]))
    return _told_apart(rows)


def _row(
    ranked: Ranked,
    record: StudyRecord,
    source: StudyRecord,
    trial: TrialRecord,
    scores: Sequence[float],
    search_seconds: float,
) -> Confirmed:
    assert trial.accuracy is not None
    same = ("architecture", "params", "weights", "macs", "activations", "receptive_field", "auxiliary_params", "depth")
    return Confirmed(
        **{name: getattr(ranked, name) for name in (*same, "rank", "dataset", "epochs", "seconds", "precision")},
        study=source.name,
        trial=trial.number,
        name=trial.name,
        baseline=False,
        accuracy=trial.accuracy,
        test_accuracy=ranked.accuracy,
        test_low=ranked.accuracy_low,
        test_high=ranked.accuracy_high,
        seeds=tuple(range(record.seed, record.seed + record.repeats)),
        seed_accuracies=tuple(scores),
        p_value=None,
        distinguishable=None,
        blocks=tuple(ranked.blocks),
        search_seconds=search_seconds,
        confirmation=f"{record.name}#{ranked.trial}",
    )


def _told_apart(rows: Sequence[Confirmed]) -> list[Confirmed]:
    """The rows with what Welch's test says of each beside the first, at `LEVEL` for all comparisons together."""
    found = {row.rank: welch(rows[0].seed_accuracies, row.seed_accuracies) for row in rows[1:]}
    known = {rank: p_value for rank, p_value in found.items() if p_value is not None}
    raised = dict(zip(known, holm(list(known.values())), strict=True))
    return [
        replace(row, p_value=raised[row.rank], distinguishable=raised[row.rank] < LEVEL) if row.rank in raised else row
        for row in rows
    ]


def write_back(storage: Storage, rows: Sequence[Confirmed], sources: Sequence[StudyRecord]) -> None:
    """Put the test accuracies beside the validation accuracies of the trials, in the studies that chose them."""
    tested = {row.architecture: (row.test_accuracy, row.test_low, row.test_high) for row in rows}
    for source in sources:
        for trial in trials(storage, source.id, states=(COMPLETE,)):
            if trial.fingerprint in tested:
                confirm_trial(storage, trial.id, test=tested[trial.fingerprint])
