"""`nas doctor`: what is wrong with this installation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

import click

from nas.arch.health import PROBLEM, Check
from nas.cli.options import Settings, common, format_option
from nas.cli.output import print_rows
from nas.errors import NasError
from nas.show.table import Column
from nas.work.doctor import examine

FIELDS = [field.name for field in fields(Check)]
COLUMNS = (Column("state", "state"), Column("check", "what"), Column("text", "found"))


@click.command
@format_option
@common
@click.pass_obj
def doctor(settings: Settings, form: str) -> None:
    """Look at all that a study needs: Python, libraries, processor, data, plugins, storage; exit 1 where work stops."""
    checks = examine(settings.storage, settings.plugins)
    print_rows(form, [_record(check) for check in checks], COLUMNS, FIELDS)
    wrong = list(dict.fromkeys(check.check for check in checks if check.state == PROBLEM))
    if wrong:
        raise NasError(f"work is stopped by {', '.join(wrong)}; the lines above say why")


def _record(check: Check) -> Mapping[str, Any]:
    return {**asdict(check), "text": "; ".join(one for one in (check.found, check.advice) if one)}
