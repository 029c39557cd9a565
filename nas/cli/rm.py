"""`nas rm`: remove a study, from our tables and from Optuna's."""

from __future__ import annotations

import sys

import click

from nas.cli.options import Settings, common
from nas.cli.output import note
from nas.cli.storage import reading
from nas.search.mirror import forget
from nas.store.studies import find_study, remove_study
from nas.store.trials import trials as trials_of


@click.command
@click.argument("study")
@click.option("-y", "--yes", is_flag=True, help="Do not ask; needed where there is no terminal.")
@click.option("--force", is_flag=True, help="Even while workers are at it.")
@common
@click.pass_obj
def rm(settings: Settings, study: str, yes: bool, force: bool) -> None:
    """Remove STUDY and all its trials; what other studies took over from it they keep."""
    storage = reading(settings)
    count = len(trials_of(storage, find_study(storage, study).id))
    if not yes and not sys.stdin.isatty():
        raise click.UsageError(f"there is no terminal to ask on: add --yes to remove study {study!r}")
    if not yes:
        click.confirm(f"Remove study {study!r} with {count:,} trials?", abort=True, err=True)
    remove_study(storage, study, force=force)
    forget(storage, study)
    note(f"removed study {study!r} with {count:,} trials")
