"""The made part of docs/scale-out.md, from results/workers.json."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pages import fill, table

PAGE = Path(__file__).parents[1] / "docs" / "scale-out.md"

Results = Mapping[str, Any]


def filled(text: str, results: Results) -> str:
    """The page with its tables made anew."""
    return fill(text, lambda name: ladder(results) if name == "ladder" else kills(results))


def ladder(results: Results) -> str:
    """Efficiency and cost by the number of workers, on both databases."""
    found = {kind: _by_workers(results, kind) for kind in ("sqlite", "postgresql")}
    heads = [
        "workers",
        "SQLite",
        "ms of processor a trial",
        "PostgreSQL",
        "ms of processor a trial",
        "of these its server",
    ]
    counts = sorted({count for runs in found.values() for count in runs})
    return table(
        heads,
        [
            [str(count), *_sqlite(found["sqlite"].get(count)), *_server(found["postgresql"].get(count))]
            for count in counts
        ],
    )


def _by_workers(results: Results, kind: str) -> dict[int, Any]:
    return {one["workers"]: one for one in results.get(f"ladder {kind}", {"runs": []})["runs"]}


def _sqlite(run: Results | None) -> list[str]:
    return ["", ""] if run is None else [f"{run['efficiency']:.1%}", f"{run['cpu_ms_a_trial']:.1f}"]


def _server(run: Results | None) -> list[str]:
    if run is None:
        return ["", "", ""]
    both = run["cpu_ms_a_trial"] + run["server_cpu_ms_a_trial"]
    return [f"{run['efficiency']:.1%}", f"{both:.1f}", f"{run['server_cpu_ms_a_trial']:.1f}"]


TITLES = {
    "storm sqlite": "SQLite, one killed a second",
    "storm postgresql": "PostgreSQL, one killed a second",
    "crowd postgresql": "PostgreSQL that lets in 40, one killed a second",
    "outage postgresql": "PostgreSQL, its server killed and away for 20 seconds",
}


def kills(results: Results) -> str:
    """What became of trials whose workers or database were killed."""
    heads = ["", "workers", "killed", "trials", "lost", "twice", "left running", "epochs done again", "seconds"]
    names = ("workers", "killed", "trials", "lost", "twice", "left_running", "epochs_again", "seconds")
    runs = [(TITLES[name], results[name]["runs"][0]) for name in TITLES if name in results]
    return table(heads, [[title, *(f"{run[name]:,g}" for name in names)] for title, run in runs])
