"""`nas run`: run a study, or go on with it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import click

from nas.arch.record import FAILED, StudyRecord, StudyStatus
from nas.cli.best import print_ranking
from nas.cli.groups import Place
from nas.cli.options import Duration, Settings, common, format_option, set_option
from nas.cli.output import note
from nas.cli.storage import reading
from nas.show.progress import display
from nas.show.table import seconds
from nas.store.ranking import best
from nas.store.status import status
from nas.store.trials import trials as trials_of
from nas.work.jobs import run_study

TOP = 10
"""How many networks are printed at the end."""


PROCESSES, RAY = "processes", "ray"

ON_RAY = Place("nas.work.cluster", "run_on_ray", "Ray takes a second to import, and need not be installed.")


@click.command
@click.argument("study", metavar="STUDY.toml", type=click.Path(path_type=Path))
@click.option("--trials", metavar="N", type=click.IntRange(1), help="So many trials in all, as --set search.trials=N.")
@click.option("--timeout", metavar="TIME", type=Duration(), help="Stop after so long: 90s, 10m, 1.5h.")
@click.option("--workers", metavar="N", type=click.IntRange(0), help="Processes; default one a core; 0: in this one.")
@click.option("--device", type=click.Choice(("auto", "cpu", "cuda")), default="auto", show_default=True, help="Where.")
@click.option("--on", type=click.Choice((PROCESSES, RAY)), default=PROCESSES, show_default=True, help="Whose workers.")
@click.option("--address", metavar="HOST:PORT", help="The Ray cluster; default RAY_ADDRESS, else one of this machine.")
@click.option("--gpus-per-worker", metavar="X", type=float, help="So much of a GPU for each of Ray's workers, as 0.25.")
@set_option("search.trials=5")
@format_option
@common
@click.pass_obj
def run(
    settings: Settings,
    study: Path,
    trials: int | None,
    timeout: float | None,
    workers: int | None,
    device: str,
    on: str,
    address: str | None,
    gpus_per_worker: float | None,
    overrides: Sequence[str],
    form: str,
) -> None:
    """Run the study of a file to its total of trials and print the ranking; interrupted and run again, it goes on."""
    asked = [*overrides, *([] if trials is None else [f"search.trials={trials}"])]
    runner = _runner(on, address, gpus_per_worker)
    begun = time.monotonic()
    with display(sys.stderr) as watch:
        record = runner(
            study,
            storage=settings.storage,
            plugins=settings.plugins,
            overrides=asked,
            timeout=timeout,
            workers=workers,
            device=device,
            watch=watch,
        )
    storage = reading(settings)
    reached = status(storage, record.name)
    print_ranking(form, best(storage, study=record.name, top=None if record.config.get("architecture") else TOP))
    note(summary(record, reached, time.monotonic() - begun))
    for one in trials_of(storage, record.id, states=(FAILED,)) if record.config.get("architecture") else ():
        note(f"not trained: {one.name}: {one.reason}")


def _runner(on: str, address: str | None, gpus: float | None) -> Callable[..., StudyRecord]:
    """Who runs the study; of a cluster, which one and how much of it."""
    if on == RAY:
        return partial(ON_RAY.load(), address=address, gpus_per_worker=gpus)
    for name, value in (("--address", address), ("--gpus-per-worker", gpus)):
        if value is not None:
            raise click.UsageError(f"{name} {value}: only with --on {RAY}")
    return run_study


def summary(record: StudyRecord, reached: StudyStatus, wall_seconds: float) -> str:
    """The line at the end of a run; `wall_seconds` of this run, the counts of the whole study."""
    trials = reached.trials
    done = trials["complete"] + trials["pruned"]
    numbers = [f"{trials['complete']:,} complete", f"{trials['pruned']:,} pruned", f"{trials['failed']:,} failed"]
    line = f"{record.name}: {done:,} of {record.trials:,} trials ({', '.join(numbers)}, {reached.reused:,} reused)"
    searched = record.exhausted and not record.config.get("architecture")
    known = "; every network of the space is known" if searched and done < record.trials else ""
    return f"{line} in {seconds(wall_seconds)}{known}"
