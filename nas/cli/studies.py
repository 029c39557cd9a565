"""`nas studies`, `status` and `trials`: what is in the storage."""

from __future__ import annotations

from dataclasses import asdict, fields

import click

from nas.arch.record import StudyStatus
from nas.cli.options import Settings, common, format_option
from nas.cli.output import print_record, print_rows
from nas.cli.storage import reading
from nas.show.columns import STUDIES, TRIALS
from nas.show.studies import TRIAL_FIELDS, status_text, trial_record
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
    lines = all_studies(reading(settings))
    print_rows(form, [asdict(line) for line in lines], STUDIES, [field.name for field in fields(StudyLine)])


@click.command
@click.argument("study")
@format_option
@common
@click.pass_obj
def status(settings: Settings, study: str, form: str) -> None:
    """Where STUDY stands, all of it counted by query."""
    found: StudyStatus = study_status(reading(settings), study)
    print_record(form, asdict(found), status_text(found))


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
