"""`nas pause`, `nas cancel` and `nas resume`: whether workers may go on with a study."""

from __future__ import annotations

import click

from nas.arch.record import StudyStatus
from nas.cli.options import Settings, common
from nas.cli.output import note
from nas.cli.storage import reading
from nas.store.halting import cancel_study, pause_study, resume_study


@click.command
@click.argument("study")
@common
@click.pass_obj
def pause(settings: Settings, study: str) -> None:
    """Have STUDY rest: running trials end at their next epoch, to be taken up again, and no new ones begin."""
    _tell(pause_study(reading(settings), study))


@click.command
@click.argument("study")
@common
@click.pass_obj
def cancel(settings: Settings, study: str) -> None:
    """End STUDY before its time: running trials end at their next epoch, and no new ones begin."""
    _tell(cancel_study(reading(settings), study))


@click.command
@click.argument("study")
@common
@click.pass_obj
def resume(settings: Settings, study: str) -> None:
    """Open STUDY again that was paused or cancelled; its trials go on from their checkpoints."""
    _tell(resume_study(reading(settings), study))


def _tell(found: StudyStatus) -> None:
    trials, running = found.trials, found.trials["running"]
    done = f"{trials['complete'] + trials['pruned']:,} of {trials['total']:,} trials"
    note(f"study {found.study!r}: {found.state}, {done}{f', {running:,} still running' if running else ''}")
