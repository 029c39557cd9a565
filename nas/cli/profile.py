"""`nas profile`: what a space holds, before any training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from nas.cli.options import Settings, common, format_option, set_option
from nas.cli.output import print_record
from nas.errors import BudgetError
from nas.search.profile import Profile
from nas.show.profile import profile_record, profile_text
from nas.work.jobs import profile_study


@click.command
@click.argument("study", metavar="STUDY.toml", type=click.Path(path_type=Path))
@set_option("budget.params=20k")
@format_option
@common
@click.pass_obj
def profile(settings: Settings, study: Path, overrides: Sequence[str], form: str) -> None:
    """What the space of a study holds under its budget; exit 3, naming what would do, where nothing fits."""
    found: Profile = profile_study(study, plugins=settings.plugins, overrides=overrides)
    print_record(form, profile_record(found), profile_text(found))
    if not found.feasible:
        raise BudgetError(found.problem)
