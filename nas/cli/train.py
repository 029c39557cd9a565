"""`nas train`: train one architecture."""

from __future__ import annotations

import sys
from typing import Any

import click

from nas.blocks.registry import load_blocks
from nas.cli.architectures import find_architecture
from nas.cli.best import print_ranking
from nas.cli.options import WHOLE, Duration, Settings, common, format_option, set_option
from nas.cli.output import note
from nas.cli.storage import reading
from nas.show.progress import display
from nas.store.ranking import best
from nas.work.single import train_network


@click.command
@click.argument("arch")
@click.option("--dataset", metavar="NAME", required=True, help="A name that `nas data` lists, or a path.")
@click.option("--epochs", metavar="N", type=WHOLE, help="Epochs of a training; default 10.")
@click.option("--seeds", metavar="N", type=click.IntRange(1, 1000), default=3, show_default=True, help="Trainings.")
@click.option("--timeout", metavar="TIME", type=Duration(), help="Stop after so long: 90s, 10m, 1.5h.")
@click.option("--workers", metavar="N", type=click.IntRange(0), help="Processes; default one a core; 0: in this one.")
@click.option("--device", type=click.Choice(("auto", "cpu", "cuda")), default="auto", show_default=True, help="Where.")
@set_option("train.learning_rate=0.05")
@format_option
@common
@click.pass_obj
def train(settings: Settings, /, arch: str, form: str, **asked: Any) -> None:
    """Train ARCH on a data set from several seeds, scored on validation images.

    ARCH: a fingerprint or its beginning, STUDY#TRIAL, a JSON file, or a reference's name; it is put onto the images'
    shape and classes. Interrupted and run again, it goes on.
    """
    found = find_architecture(arch, settings, load_blocks(settings.plugins))
    with display(sys.stderr) as watch:
        record = train_network(
            found.architecture, storage=settings.storage, plugins=settings.plugins, watch=watch, **asked
        )
    ranked = best(reading(settings), study=record.name, top=None)
    print_ranking(form, ranked)
    if ranked:
        note(f"take it along: nas export {record.name}#{ranked[0].trial} -o DIR")
    else:
        note(f"{record.name}: stopped; run the same command again and it goes on")
