"""`nas db merge`, `nas db export`, `nas db import`: studies moved between storages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from nas.cli.options import Settings, common, format_option
from nas.cli.output import print_rows
from nas.show.table import Column, count, plain
from nas.store.merge import Merged
from nas.work.bundle import export_study, import_study
from nas.work.moving import merge_storages

_COLUMNS = (
    Column("study", "study"),
    Column("new", "new", plain),
    Column("added", "trials added", count, right=True),
    Column("known", "known", count, right=True),
)


def _renamed(_context: click.Context, _option: click.Parameter, values: Sequence[str]) -> dict[str, str]:
    wrong = next((value for value in values if not all(value.partition("="))), None)
    if wrong is not None:
        raise click.BadParameter(f"{wrong!r} is not of the form OLD=NEW")
    return dict(value.split("=", 1) for value in values)


_rename_option = click.option(
    "--rename",
    metavar="OLD=NEW",
    multiple=True,
    callback=_renamed,
    help="Copy a study under another name; repeatable.",
)


@click.command
@click.argument("source", metavar="A")
@click.argument("target", metavar="[B]", required=False)
@_rename_option
@format_option
@common
@click.pass_obj
def merge(settings: Settings, source: str, target: str | None, rename: dict[str, str], form: str) -> None:
    """Copy all studies of the storage A into B, which is made where it is not there; A stays as it is.

    A and B are URLs; B is the storage of --storage unless given. A study that both have is one study: the trials that B
    lacks are added. All is copied, or nothing.
    """
    _print(form, merge_storages(source, target or settings.storage, rename))


@click.command
@click.argument("study")
@click.option(
    "-o", "--output", metavar="FILE", type=click.Path(path_type=Path), required=True, help="As STUDY.nas.zip."
)
@click.option("--weights", is_flag=True, help="The weights that are kept, too.")
@common
@click.pass_obj
def export(settings: Settings, study: str, output: Path, weights: bool) -> None:
    """Write a study as one file: its configuration, versions, seed, trials and epochs; no checkpoints."""
    click.echo(str(export_study(settings.storage, study, output, weights=weights)))


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@_rename_option
@format_option
@common
@click.pass_obj
def import_bundle(settings: Settings, file: Path, rename: dict[str, str], form: str) -> None:
    """Add the study of a FILE of `nas db export` to the storage, which is made where it is not there.

    A study that is there already gets the trials that it lacks.
    """
    _print(form, import_study(file, settings.storage, rename))


def _print(form: str, merged: Sequence[Merged]) -> None:
    print_rows(form, [asdict(one) for one in merged], _COLUMNS, [column.field for column in _COLUMNS])
