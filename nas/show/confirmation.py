"""A confirmation for eyes: its rows, and what must be known to read them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nas.show.table import count, interval, seconds
from nas.work.confirm import Confirmation
from nas.work.confirmed import Confirmed


def row_for_eyes(row: Confirmed) -> dict[str, Any]:
    """The columns of a table that are no fields: the network's name, its interval, its seeds, how it differs."""
    called = f"{row.study}#{row.trial}{f' {row.name}' if row.name else ''}{' (baseline)' if row.baseline else ''}"
    return {
        "network": called,
        "interval": interval(row.test_low, row.test_high),
        "each": " ".join(f"{100 * accuracy:.2f}" for accuracy in row.seed_accuracies),
    }


def notes(study: str, found: Confirmation) -> Iterator[str]:
    """What stands under the table."""
    several = any(len(row.seeds) > 1 for row in found.rows)
    yield f"{len(found.rows)} of {found.total} networks confirmed on {found.test_images:,} test images" + (
        "; the intervals cover seeds, not the choice of test images" if several else ""
    )
    for one in found.failed:
        yield f"not trained: {one.name}: {one.reason}"
    if len(found.rows) + len(found.failed) < found.total:
        yield "stopped before the end; run the same command again and it goes on"
    if len(found.rows) > 1 and several:
        yield _undecided(found)
    searched = f"training of the search: {seconds(found.seconds)}"
    yield searched + (f"; of {found.baseline}: {seconds(found.baseline_seconds)}" if found.baseline else "")
    if found.problem:
        yield found.problem
    if found.rows:
        yield f"take the first along: nas export {found.rows[0].confirmation} -o DIR"


def _undecided(found: Confirmation) -> str:
    """Who may be as good as the first, by the seeds there are."""
    alike = [f"{row.study}#{row.trial}" for row in found.rows[1:] if not row.distinguishable]
    if not alike:
        return "the first is told from all others (Welch's t-test at 5 %, Holm's correction)"
    told = ", ".join(alike)
    return f"not told from the first by {count(len(found.rows[0].seeds))} seeds: {told} (Welch's t-test at 5 %, Holm)"
