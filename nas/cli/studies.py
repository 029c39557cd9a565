"""`nas studies`, `status` and `trials`: what is in the storage."""

from __future__ import annotations

import sys
from dataclasses import asdict, fields
from functools import partial

import click

from nas.arch.record import CANCELLED, StudyStatus
from nas.cli.options import Settings, common, format_option
from nas.cli.output import print_rows, record_text, rows_text
from nas.cli.storage import reading
from nas.show.columns import STUDIES, TRIALS
from nas.show.studies import TRIAL_FIELDS, status_text, trial_record
from nas.show.watch import watch
from nas.store.engine import Storage
from nas.store.halting import OVER
from nas.store.status import StudyLine
from nas.store.status import status as study_status
from nas.store.status import studies as all_studies
from nas.store.studies import find_study
from nas.store.trials import trials as trials_of


@click.command
@format_option
@common
@click.pass_obj
def studies(settings: Settings, form: str) -> None:
    """The studies in the storage, oldest first."""
    click.echo(_all(reading(settings), form)[0])


@click.command
@click.argument("study", required=False)
@click.option("--watch", "watched", is_flag=True, help="Show it again whenever it has changed, until the study ends.")
@format_option
@common
@click.pass_obj
def status(settings: Settings, study: str | None, watched: bool, form: str) -> None:
    """Where STUDY stands, or every study, all of it counted by query."""
    storage = reading(settings)
    look = partial(_all, storage, form) if study is None else partial(_one, storage, study, form)
    if watched:
        watch(look, sys.stdout, in_place=form == "table")
    else:
        click.echo(look()[0])


def _all(storage: Storage, form: str) -> tuple[str, bool]:
    """The studies as text, and whether all have ended."""
    lines = all_studies(storage)
    text = rows_text(form, [asdict(line) for line in lines], STUDIES, [field.name for field in fields(StudyLine)])
    return text, all(_has_ended(line.state, line.running) for line in lines)


def _one(storage: Storage, name: str, form: str) -> tuple[str, bool]:
    """Where a study stands as text, and whether it has ended."""
    found: StudyStatus = study_status(storage, name)
    return record_text(form, asdict(found), status_text(found)), _has_ended(found.state, found.trials["running"])


def _has_ended(state: str, running: int) -> bool:
    return state in OVER or (state == CANCELLED and not running)


@click.command
@click.argument("study")
@format_option
@common
@click.pass_obj
def trials(settings: Settings, study: str, form: str) -> None:
    """The trials of STUDY in the order in which they were begun."""
    storage = reading(settings)
    found = trials_of(storage, find_study(storage, study).id)
    print_rows(form, [trial_record(trial) for trial in found], TRIALS, TRIAL_FIELDS)
