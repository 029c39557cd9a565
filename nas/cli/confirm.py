"""`nas confirm`: train a study's best anew, and score them on the test images once."""

from __future__ import annotations

import sys
from dataclasses import asdict, fields
from typing import Any

import click

from nas.cli.options import WHOLE, Duration, Settings, common, format_option, set_option
from nas.cli.output import note, print_rows
from nas.show.columns import CONFIRMATION
from nas.show.confirmation import notes, row_for_eyes
from nas.show.progress import display
from nas.work.confirm import confirm_study
from nas.work.confirmed import Confirmed

FIELDS = [field.name for field in fields(Confirmed)]


@click.command
@click.argument("study")
@click.option("--top", metavar="K", type=WHOLE, default=5, show_default=True, help="So many of the best.")
@click.option(
    "--seeds", metavar="N", type=click.IntRange(1, 1000), default=3, show_default=True, help="Trainings each."
)
@click.option("--epochs", metavar="N", type=WHOLE, help="Epochs of a training; default the study's.")
@click.option("--baseline", is_flag=True, help="Search at random to as many trials first, and confirm its best too.")
@click.option("--timeout", metavar="TIME", type=Duration(), help="Stop after so long: 90s, 10m, 1.5h.")
@click.option("--workers", metavar="N", type=click.IntRange(0), help="Processes; default one a core; 0: in this one.")
@click.option("--device", type=click.Choice(("auto", "cpu", "cuda")), default="auto", show_default=True, help="Where.")
@set_option("train.label_smoothing=0")
@format_option
@common
@click.pass_obj
def confirm(settings: Settings, /, study: str, form: str, **asked: Any) -> None:
    """Train the best of STUDY anew from fresh seeds, on all images but the test images; score them on these once.

    Interrupted and run again, it goes on; a larger --top adds to what was confirmed before.
    """
    with display(sys.stderr) as watch:
        found = confirm_study(study, storage=settings.storage, plugins=settings.plugins, watch=watch, **asked)
    print_rows(form, [{**asdict(row), **row_for_eyes(row)} for row in found.rows], CONFIRMATION, FIELDS)
    for line in notes(study, found):
        note(line)
