"""Studies and trials for eyes, and a trial as a plain record."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from nas.arch.record import COMPLETE, StudyStatus, TrialRecord
from nas.show.table import count, fingerprint, pairs, percent, seconds

TRIAL_FIELDS = (
    "study",
    "trial",
    "state",
    "architecture",
    "body",
    "accuracy",
    "params",
    "weights",
    "macs",
    "activations",
    "receptive_field",
    "auxiliary_params",
    "depth",
    "blocks",
    "epochs",
    "epochs_done",
    "seed",
    "seconds",
    "projected",
    "reused",
    "device",
    "precision",
    "reason",
    "worker",
    "summary",
    "started",
    "finished",
    "repeats",
    "name",
)
"""The fields of a trial in JSON and CSV; `started` and `finished` in seconds since 1970."""


def trial_record(trial: TrialRecord) -> dict[str, Any]:
    """A trial under the names that rankings use; `progress` and `network` are for tables alone."""
    own = {"trial": trial.number, "architecture": trial.fingerprint, "blocks": list(trial.blocks), "name": trial.name}
    # Of a complete trial the epochs of one training count, before that those of all.
    asked = trial.epochs if trial.state == COMPLETE else trial.epochs * trial.repeats
    progress = f"{trial.epochs_done}/{asked}"
    return {**vars(trial), **asdict(trial.totals), **own, "progress": progress, "network": trial.name or trial.summary}


def status_text(status: StudyStatus) -> str:
    """Where a study stands."""
    trials = status.trials
    done = trials["complete"] + trials["pruned"]
    parts = [f"{trials[name]:,} {name}" for name in trials if name != "total" and trials[name]]
    best = status.best
    lines = [
        ("study", f"{status.study} ({status.state})"),
        ("data set", status.dataset),
        ("budget", ", ".join(f"{name} {limit:,}" for name, limit in status.budget.items()) or "none"),
        ("trials", f"{done:,} of {trials['total']:,}{': ' if parts else ''}{', '.join(parts)}"),
        ("over budget", f"{status.trained_over_budget:,} trained"),
        ("twice", f"{status.trained_twice:,} trained"),
        ("projected", count(status.projected)),
        ("reused", count(status.reused)),
        ("time", seconds(status.seconds)),
        ("best", "none yet"),
    ]
    if best is not None:
        network = f"{fingerprint(best.architecture)}, {best.params:,} params, trial {best.trial}"
        lines[-1] = ("best", f"{percent(best.accuracy)}  {network}")
    return pairs(lines)
