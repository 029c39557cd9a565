"""`nas explain`: what a search found out, and what lies beside its best."""

from __future__ import annotations

import click

from nas.cli.options import WHOLE, Settings, common, format_option
from nas.cli.output import print_record, print_rows, terminal_width
from nas.show.explanation import CSV_FIELDS, explanation_record, explanation_rows, explanation_text
from nas.work.explain import Explanation, explain_study


@click.command
@click.argument("study")
@click.option("--top", metavar="K", type=WHOLE, default=10, show_default=True, help="So many edits.")
@format_option
@common
@click.pass_obj
def explain(settings: Settings, study: str, top: int, form: str) -> None:
    """Which choices of STUDY mattered, where its budget went, and what one edit of its best may bring."""
    found: Explanation = explain_study(study, storage=settings.storage, plugins=settings.plugins, top=top)
    if form == "csv":
        print_rows(form, explanation_rows(found), (), CSV_FIELDS)
    else:
        print_record(form, explanation_record(found), explanation_text(found, terminal_width()))
