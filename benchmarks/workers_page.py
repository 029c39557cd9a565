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
    """Efficiency and cost by the number of workers."""
    cost = ("ms of processor a trial", "of these its server")
    heads = ["", "workers", "efficiency", *cost, "MB a worker", "machine", "others"]
    runs = [one for name in ("ladder sqlite", "ladder postgresql") for one in results.get(name, {"runs": []})["runs"]]
    return table(heads, [_rung(one) for one in runs])


def _rung(run: Results) -> list[str]:
    server, busy = run["server_cpu_ms_a_trial"], run["machine_busy"]
    name = "SQLite" if run["database"] == "sqlite" else "PostgreSQL"
    name += f", {run['connections']} connections" if "connections" in run else ""
    cost = [f"{run['cpu_ms_a_trial'] + server:.1f}", f"{server:.1f}", f"{run['worker_megabytes']:.0f}"]
    others = max(0.0, busy - run["machine_busy_with_this"])
    return [name, str(run["workers"]), f"{run['efficiency']:.1%}", *cost, f"{min(1.0, busy):.0%}", f"{others:.0%}"]


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
