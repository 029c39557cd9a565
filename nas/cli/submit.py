"""`nas submit` and `nas worker`: a study handed to the storage, and whoever runs it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from nas.cli.options import Settings, common, set_option
from nas.cli.output import note
from nas.show.progress import trial_line
from nas.work.crew import Told
from nas.work.rounds import run_worker
from nas.work.submit import submit_study

PRIORITIES = click.IntRange(-1_000_000, 1_000_000)


@click.command
@click.argument("study", metavar="STUDY.toml", type=click.Path(path_type=Path))
@click.option("--priority", metavar="N", type=PRIORITIES, help="Higher ones are run first; 0, or as it is.")
@click.option("--trials", metavar="N", type=click.IntRange(1), help="So many trials in all, as --set search.trials=N.")
@set_option("search.trials=5")
@common
@click.pass_obj
def submit(settings: Settings, study: Path, priority: int | None, trials: int | None, overrides: Sequence[str]) -> None:
    """Put the study of a file into the storage, checked as `nas run` does, and return; workers run it."""
    asked = [*overrides, *([] if trials is None else [f"search.trials={trials}"])]
    record = submit_study(study, storage=settings.storage, plugins=settings.plugins, overrides=asked, priority=priority)
    note(f"study {record.name!r}: submitted, {record.trials:,} trials, priority {record.priority}")


@click.command
@click.option("--study", metavar="STUDY", help="Work on this study alone.")
@click.option("--concurrency", metavar="N", type=click.IntRange(1), help="Processes; default one a core.")
@click.option("--wait", is_flag=True, help="Where nothing is left to do, wait for new studies, until stopped.")
@click.option("--device", type=click.Choice(("auto", "cpu", "cuda")), default="auto", show_default=True, help="Where.")
@common
@click.pass_obj
def worker(settings: Settings, study: str | None, concurrency: int | None, wait: bool, device: str) -> None:
    """Work on the open studies of the storage, of the highest priority first, until nothing is left to do."""
    run_worker(
        storage=settings.storage,
        plugins=settings.plugins,
        study=study,
        concurrency=concurrency,
        wait=wait,
        device=device,
        told=Told(note, lambda trial: note(f"{trial.study}: {trial_line(trial, '')}")),
    )
