"""Many workers on one storage, trials that sleep: how many keep busy, and is any trial lost or trained twice?

    python benchmarks/workers.py                                   # everything, into results/workers.json; an hour
    python benchmarks/workers.py --part storm --database postgresql
    python benchmarks/workers.py --workers 32 --trials 2000 --seconds 0.2 --kill-every 0.5 --json    # one run, printed
    python benchmarks/workers.py --workers 16 --trials 500 --database postgresql --outage 20 --json
    python benchmarks/workers.py --quick --output FILE             # all parts, in small
    python benchmarks/workers.py --page                            # the figures into docs/scale-out.md; or --check

`ladder`: 1, 2, 4 … workers. `storm`: 64 of them, one killed with SIGKILL every second and another started in its place;
`crowd`: the same on a server that lets in 40. `outage`: the server is killed in mid-study and started again after 20
seconds. Workers are real processes, forked from one that has loaded the program (neither torch nor Optuna). A trial has
two epochs. Efficiency is trials × seconds / (workers × wall), from the moment on which all workers are there.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from provenance import provenance
from workers_fleet import Order, is_exact, run
from workers_page import PAGE, filled
from workers_places import KINDS, fresh

RESULTS = Path(__file__).parent / "results" / "workers.json"

LADDER = (1, 2, 4, 8, 16, 32, 64, 96, 128, 192, 256)
ROUNDS = 80
"""So many trials a worker on each rung of the ladder; the last may find some workers without one."""

STORM = Order(64, 5000, 1.0, kill_every=1.0)
OUTAGE = Order(32, 1600, 1.0, outage=20.0)
CROWD_CONNECTIONS = 40

PARTS = ("ladder", "storm", "crowd", "outage")


def one(kind: str, order: Order, connections: int = 0) -> dict[str, Any]:
    """A run on a fresh database."""
    with tempfile.TemporaryDirectory() as folder, fresh(kind, Path(folder), connections) as database:
        found = {"database": kind, **({"connections": connections} if connections else {})}
        return found | run(database, order, Path(folder))


def part(name: str, kind: str, rungs: tuple[int, ...], quick: bool) -> Iterator[dict[str, Any]]:
    """The runs of a part on one kind of database."""
    if name == "ladder":
        rounds, seconds = (2, 0.2) if quick else (ROUNDS, 1.0)
        yield from (one(kind, Order(workers, rounds * workers, seconds)) for workers in rungs)
    elif name == "storm":
        yield one(kind, Order(4, 24, 0.5, kill_every=1.0) if quick else STORM)
    elif kind == "postgresql":
        order = replace(OUTAGE, workers=4, trials=24, outage=2.0) if quick else OUTAGE
        crowd = Order(8, 40, 0.2, kill_every=1.0) if quick else STORM
        least = 6 if quick else CROWD_CONNECTIONS
        yield one(kind, order) if name == "outage" else one(kind, crowd, least)


def main() -> int:
    """Parse, run, write."""
    given = _parser().parse_args()
    if given.page or given.check:
        return _page(given.check)
    if given.workers:
        order = Order(given.workers, given.trials, given.seconds, given.kill_every, given.outage)
        print(json.dumps(one(given.database[0], order, given.connections), indent=None if given.json else 2))
        return 0
    exact = True
    for name in given.part:
        for kind in given.database:
            runs = []
            for found in part(name, kind, (1, 2) if given.quick else tuple(given.rungs), given.quick):
                runs.append(found)
                exact &= is_exact(found)
                print(json.dumps(found), file=sys.stderr)
                _keep(given.output, f"{name} {kind}", runs)
    return int(not exact)


def _keep(file: Path, name: str, runs: list[dict[str, Any]]) -> None:
    """Write a part's runs into the results, beside those of other parts."""
    known = json.loads(file.read_text()) if file.exists() else {}
    known[name] = provenance() | {"runs": runs}
    file.write_text(json.dumps(known, indent=2) + "\n")


def _page(check: bool) -> int:
    old = PAGE.read_text(encoding="utf-8")
    new = filled(old, json.loads(RESULTS.read_text()))
    if new != old:
        print(f"{PAGE.name}: {'not up to date' if check else 'written'}")
        if not check:
            PAGE.write_text(new, encoding="utf-8")
    return int(check and new != old)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--database", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--rungs", nargs="+", type=int, default=LADDER, help="numbers of workers of the ladder")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--output", type=Path, default=RESULTS)
    parser.add_argument("--page", action="store_true")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--workers", type=int, default=0, help="one run of so many, on the first database named")
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=0.0, help="seconds a trial sleeps")
    parser.add_argument("--kill-every", type=float, default=0.0, help="seconds between two SIGKILLs; 0: none")
    parser.add_argument("--outage", type=float, default=0.0, help="seconds that the server is away; 0: never")
    parser.add_argument("--connections", type=int, default=0, help="so many the server lets in; 0: its default")
    parser.add_argument("--json", action="store_true", help="on one line")
    return parser


if __name__ == "__main__":
    sys.exit(main())
