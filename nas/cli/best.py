"""`nas best`: the ranking."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any

import click

from nas.arch.record import LIMITS, TEST, Ranked
from nas.cli.options import WHOLE, Count, Settings, common, format_option
from nas.cli.output import note, print_rows
from nas.cli.storage import reading
from nas.search.front import hypervolume
from nas.show.columns import COMPARISON, CONFIRMED, RANKING, REPEATED
from nas.show.table import interval
from nas.store.ranking import best as ranking
from nas.store.studies import find_study

FIELDS = [field.name for field in fields(Ranked)]


@click.command
@click.argument("study", required=False)
@click.option("--top", metavar="K", type=WHOLE, default=10, show_default=True, help="So many.")
@click.option("--max-params", metavar="N", type=Count(), help="At most so many parameters, as 500k.")
@click.option("--max-weights", metavar="N", type=Count(), help="At most so many weights.")
@click.option("--max-macs", metavar="N", type=Count(), help="At most so many multiply-adds, as 1.5M.")
@click.option("--max-activations", metavar="N", type=Count(), help="At most so many activations.")
@click.option("--min-receptive-field", metavar="N", type=WHOLE, help="At least so many pixels.")
@click.option("--block", metavar="NAME", help="Networks that contain this block.")
@click.option("--dataset", metavar="NAME", help="Studies on this data set.")
@click.option("--pareto", type=click.Choice(LIMITS), help="Only those that none beats in accuracy for no more of it.")
@format_option
@common
@click.pass_obj
def best(settings: Settings, /, form: str, **asked: Any) -> None:
    """The best networks of STUDY, or of all; over several data sets the rank starts anew in each."""
    storage = reading(settings)
    cost, top = asked["pareto"], asked["top"]
    ranked = ranking(storage, **asked | {"top": top if cost is None else None})
    print_ranking(form, [row for row in ranked if row.rank <= top])
    if cost is not None:
        _tell_hypervolumes(ranked, cost, asked[f"max_{cost}"])
    if asked["study"] is not None and find_study(storage, asked["study"]).scored_on == TEST:
        note(f"{asked['study']}: all accuracies are on the test images")


def _tell_hypervolumes(ranked: Sequence[Ranked], cost: str, limit: int | None) -> None:
    """A line for the front of each data set: up to the limit asked for, or to the largest cost on it."""
    fronts: list[list[Ranked]] = []
    for row in ranked:
        if row.rank == 1:
            fronts.append([])
        fronts[-1].append(row)
    for rows in fronts:
        front = [(row.accuracy, int(getattr(row, cost))) for row in rows]
        reference = limit or max(reached for _, reached in front) or 1
        volume = f"{hypervolume(front, reference):.4f} of accuracy 0 to 1 by {cost} 0 to {reference:,}"
        note(f"{rows[0].dataset}: {len(front)} on the front, hypervolume {volume}")


def print_ranking(form: str, ranked: Sequence[Ranked]) -> None:
    """The rows of a ranking; where all are candidates of comparisons, under the names they have there."""
    named = [row.name is not None for row in ranked]
    columns = COMPARISON if named and all(named) else (*RANKING, *REPEATED) if any(named) else RANKING
    confirmed = CONFIRMED if any(row.test_accuracy is not None for row in ranked) else ()
    rows = [
        {
            **asdict(row),
            "interval": interval(row.accuracy_low, row.accuracy_high),
            "test_interval": interval(row.test_low, row.test_high),
        }
        for row in ranked
    ]
    print_rows(form, rows, (*columns, *confirmed), FIELDS)
