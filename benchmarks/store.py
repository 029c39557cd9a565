"""A storage of a million trials: how long its questions take, on SQLite and on a PostgreSQL server.

    python benchmarks/store.py --folder /tmp/store
    python benchmarks/store.py --part long
    python benchmarks/store.py --quick

Fills a storage of either kind with a thousand studies (see `store_rows.py`), or takes the one that `--folder` keeps
from before; then asks what `nas best`, `nas status`, `nas studies` and a worker ask, each several times: median, least
and most, and the plan of the database beside. Beside it what Optuna and MLflow take for the best, at the sizes that
they reach in reasonable time. A study with very many trials is gone on with, on SQLite (`store_long.py`). Times are of
a warm cache, and of a process that has asked before: a statement is made once. `--part` measures some of it alone and
leaves what the output file says of the others.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import Any

from provenance import provenance
from sqlalchemy import event, func, select, text
from store_long import make_long, resume
from store_rivals import rivals
from store_rows import fill

from nas.arch.record import COMPLETE, Candidate, Outcome, Ranked, Totals
from nas.store.claims import claim
from nas.store.engine import Storage, open_storage
from nas.store.place import place_in_study, place_on_images
from nas.store.ranking import best
from nas.store.schema import create_storage
from nas.store.status import status, studies
from nas.store.studies import find_study, remove_study
from nas.store.tables import study, trial
from nas.store.trials import finish, trials

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from postgres import Server, why_absent

TIMES = 9
PARTS = ("sqlite", "postgresql", "long", "rivals")
BARS = {"top": 5.0, "pareto": 50.0, "open": 200.0, "rank": 5.0}
"""Milliseconds that questions of a kind may take."""

VIEW = "SELECT rank, study, trial, accuracy FROM nas_leaderboard WHERE dataset = :dataset AND params <= 18000 LIMIT 10"


def questions(storage: Storage, url: str) -> dict[str, Callable[[], Any]]:
    """By name, what is asked; the first word of a name says which bar holds."""
    with storage.read() as connection:
        dataset = connection.scalars(
            select(study.c.dataset).group_by(study.c.dataset).order_by(func.count().desc()).limit(1)
        ).one()
        name = connection.scalars(select(study.c.name).where(study.c.dataset == dataset).limit(1)).one()
    asked: dict[str, Callable[[], Any]] = {"open": lambda: open_storage(url).close()}
    asked["top of a study"] = lambda: best(storage, study=name)
    asked["top of a study, params"] = lambda: best(storage, study=name, max_params=4_000)
    for params in (None, 300_000, 213_000, 90_000, 18_000, 4_000, 60):
        asked[f"top of a data set, params {params}"] = lambda params=params: best(
            storage, dataset=dataset, max_params=params
        )
    for macs in (20_000_000, 200_000, 4_000):
        asked[f"top of a data set, macs {macs}"] = lambda macs=macs: best(storage, dataset=dataset, max_macs=macs)
    for params, macs in ((200_000, 2_200_000), (18_000, 200_000), (5_000_000, 50_000)):
        asked[f"top of a data set, params {params} macs {macs}"] = lambda params=params, macs=macs: best(
            storage, dataset=dataset, max_params=params, max_macs=macs
        )
    asked["all data sets"] = lambda: best(storage)
    asked["pareto of a study, params"] = lambda: best(storage, study=name, pareto="params", top=None)
    for cost in ("params", "macs"):
        asked[f"pareto of a data set, {cost}"] = lambda cost=cost: best(storage, dataset=dataset, pareto=cost, top=None)
    middle = best(storage, dataset=dataset, top=None)
    first, half = (_id_of(storage, middle[len(middle) // part]) for part in (100, 2))
    asked["rank in its study"] = lambda: place_in_study(storage, half)
    asked["rank in its data set, of one among the best hundredth"] = lambda: place_on_images(storage, first)
    asked["rank in its data set, of the middle one"] = lambda: place_on_images(storage, half)
    asked["status"] = lambda: status(storage, name)
    asked["studies"] = lambda: studies(storage)
    asked["trials of a study"] = lambda: trials(storage, find_study(storage, name).id)
    # The view numbers all rows before it gives one: at a million trials that takes half a minute.
    asked["view nas_leaderboard"] = lambda: _scalar(storage, VIEW, dataset=dataset)
    return asked


def _id_of(storage: Storage, row: Ranked) -> int:
    numbered = (study.c.name == row.study, trial.c.number == row.trial)
    with storage.read() as connection:
        return connection.scalars(select(trial.c.id).join(study).where(*numbered)).one()


def _scalar(storage: Storage, words: str, **values: Any) -> Any:
    with storage.read() as connection:
        return connection.scalar(text(words), values)


def measure(storage: Storage, asked: dict[str, Callable[[], Any]], times: int) -> dict[str, Any]:
    """Milliseconds of each, and the plan of its last statement."""
    found: dict[str, Any] = {}
    for name, ask in asked.items():
        spent = []
        for _ in range(times):
            begun = time.perf_counter()
            ask()
            spent.append(1000 * (time.perf_counter() - begun))
            if sum(spent) > 20_000:
                break
        bar = BARS.get(name.split()[0])
        middle = median(spent)
        row = {"median_ms": round(middle, 3), "least_ms": round(min(spent), 3), "most_ms": round(max(spent), 3)}
        found[name] = row | {"times": len(spent), "bar_ms": bar, "holds": None if bar is None else middle < bar}
        found[name]["plan"] = plan_of(storage, ask)
        held = "" if bar is None else f"  bar {bar:g} ms {'holds' if middle < bar else 'does NOT hold'}"
        print(f"  {name:48} {middle:10.2f} ms ({min(spent):.2f} to {max(spent):.2f}){held}", flush=True)
        for line in found[name]["plan"]:
            print(f"      {line}")
    return found


def plan_of(storage: Storage, ask: Callable[[], Any]) -> list[str]:
    """How the database answers the last statement that is sent."""
    sent: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, words: str, values: Any, *_: Any) -> None:
        sent.append((words, values))

    event.listen(storage.engine, "before_cursor_execute", note)
    try:
        ask()
    finally:
        event.remove(storage.engine, "before_cursor_execute", note)
    if not sent:
        return []
    words, values = sent[-1]
    explain = "EXPLAIN QUERY PLAN " if storage.engine.dialect.name == "sqlite" else "EXPLAIN "
    with storage.read() as connection:
        return [str(row[-1]) for row in connection.exec_driver_sql(explain + words, values)]


def singles(storage: Storage, count: int) -> dict[str, Any]:
    """Claims and ends one by one, each a transaction of its own: as a storage is set, and synced to disk at each."""
    with storage.read() as connection:
        name = connection.scalars(select(study.c.name).order_by(study.c.id.desc()).limit(1)).one()
    with storage.write() as connection:
        connection.execute(study.update().where(study.c.name == name).values(trials=10_000_000))
    found: dict[str, Any] = {"as set": _singles(storage, name, count)}
    if storage.engine.dialect.name == "sqlite":
        event.listen(storage.engine, "checkout", _sync_each)
        found["synchronous=FULL"] = _singles(storage, name, count)
        event.remove(storage.engine, "checkout", _sync_each)
        storage.engine.dispose()
    else:
        with storage.read() as connection:
            found["settings"] = {one: connection.scalar(text(f"SHOW {one}")) for one in ("fsync", "synchronous_commit")}
    print("  " + ", ".join(f"{how}: {one}" for how, one in found.items()), flush=True)
    return found


def _sync_each(connection: Any, *_: Any) -> None:
    connection.execute("PRAGMA synchronous=FULL")


def _singles(storage: Storage, name: str, count: int) -> dict[str, float]:
    record, moment = find_study(storage, name), time.time_ns()
    claims, ends = [], []
    for number in range(count):
        told = f"{moment + number:032x}"
        spec = {"format": 1, "input": [3, 32, 32], "classes": 10, "parts": []}
        totals = Totals(1_000, 900, 10_000, 500, 9, 0, 3)
        asked = Candidate(spec, told, told, ("conv",), totals, {}, {}, False)
        begun = time.perf_counter()
        held = claim(storage, record, "host:1", asked, 60.0).claim
        claims.append(1000 * (time.perf_counter() - begun))
        assert held is not None
        begun = time.perf_counter()
        finish(storage, held.trial_id, "host:1", Outcome(COMPLETE, 0.1, 1, 1.0))
        ends.append(1000 * (time.perf_counter() - begun))
    told_of = {"claim_ms": round(median(claims), 2), "end_ms": round(median(ends), 2)}
    return {"count": count, **told_of, "transactions_a_second": round(2000 * count / (sum(claims) + sum(ends)), 1)}


def bulk(storage: Storage, count: int, each: int) -> dict[str, float]:
    """So many more studies in bulk, which are removed again."""
    with storage.read() as connection:
        there = connection.scalar(select(func.count()).select_from(study)) or 0
        had = connection.scalar(select(func.count()).select_from(trial)) or 0
    filled = fill(storage, there + count, (there + count) * each)
    begun = time.perf_counter()
    for number in range(there, there + count):
        remove_study(storage, f"study-{number:05}")
    removed = time.perf_counter() - begun
    rate = filled.rows / filled.seconds
    print(f"  bulk: {rate:,.0f} rows a second into {had:,} trials (bar 10,000)", flush=True)
    return {
        "rows": filled.rows,
        "trials": filled.trials,
        "rows_a_second": round(rate),
        "trials_a_second": round(filled.trials / filled.seconds),
        "holds": rate >= 10_000,
        "remove_study_seconds": round(removed / count, 3),
    }


def on(url: str, chosen: argparse.Namespace) -> dict[str, Any]:
    """All that is measured of one storage."""
    with closing(create_storage(url)) as storage:
        filled = fill(storage, chosen.studies, chosen.trials)
        with storage.read() as connection:
            had = connection.scalar(select(func.count()).select_from(trial))
        print(f"{storage.engine.dialect.name}: {had:,} trials in {chosen.studies:,} studies", flush=True)
        found: dict[str, Any] = {"trials": had, "studies": chosen.studies, "filled_now": filled.trials}
        found["load"] = os.getloadavg()
        asked = questions(storage, url)
        if chosen.no_view:
            del asked["view nas_leaderboard"]
        found["questions"] = measure(storage, asked, chosen.times)
        found["singles"] = singles(storage, chosen.singles)
        found["bulk"] = bulk(storage, chosen.bulk, max(1, chosen.trials // chosen.studies))
        return found


def long_study(chosen: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Going on with a study of very many trials, in seconds."""
    print(f"a study of {chosen.long:,} trials", flush=True)
    place = folder / f"long{chosen.long}"
    place.mkdir(exist_ok=True)
    url = f"sqlite:///{place / 'long.db'}"
    if not (place / "long.db").exists():
        make_long(url, chosen.long, place)
    found = resume(url, place, chosen.proposals)
    for part in ("runner", "tick", "worker"):
        print(f"  {part}: " + ", ".join(f"{name} {seconds:.3f} s" for name, seconds in found[part].items()))
    for which, one in (("first", found["proposals"][0]), ("last", found["proposals"][-1])):
        told = ", ".join(f"{part} {sum(one[part].values()):.4f} s {one[part]}" for part in one)
        print(f"  {which} proposal: {told}", flush=True)
    print(f"  {found['summary']}, {found['peak_megabytes']} MB at the most", flush=True)
    return {"trials": chosen.long, **found}


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=1_000_000)
    parser.add_argument("--studies", type=int, default=1_000)
    parser.add_argument("--times", type=int, default=TIMES)
    parser.add_argument("--singles", type=int, default=200)
    parser.add_argument("--bulk", type=int, default=10, help="so many studies are put in and removed again")
    parser.add_argument("--long", type=int, default=100_000, help="trials of the study that is gone on with")
    parser.add_argument("--proposals", type=int, default=60)
    parser.add_argument("--rivals", type=int, default=5_000, help="trials that Optuna and MLflow are given")
    parser.add_argument("--folder", type=Path, help="where storages are kept for the next time")
    parser.add_argument("--postgresql", metavar="URL", help="a server's database; default: one started for this run")
    parser.add_argument("--no-view", action="store_true", help="leave out the view, which numbers all rows first")
    parser.add_argument("--part", action="append", choices=PARTS, help="measure this alone; may be given again")
    parser.add_argument("--quick", action="store_true", help="some hundred trials, to see that all of it runs")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "store.json")
    chosen = parser.parse_args()
    if chosen.quick:
        quick = {"trials": 600, "studies": 12, "times": 3, "singles": 3, "bulk": 1, "long": 60, "proposals": 4}
        vars(chosen).update(quick, rivals=20)
    parts = chosen.part or PARTS
    with tempfile.TemporaryDirectory() as fresh:
        folder = chosen.folder or Path(fresh)
        folder.mkdir(parents=True, exist_ok=True)
        measured = {
            "sqlite": lambda: on(f"sqlite:///{folder / 'store.db'}", chosen),
            "postgresql": lambda: on_postgresql(chosen, Path(fresh)),
            "long": lambda: long_study(chosen, folder),
            "rivals": lambda: rivals(Path(fresh), chosen.rivals, chosen.times),
        }
        old = json.loads(chosen.output.read_text(encoding="utf-8")) if chosen.part and chosen.output.exists() else {}
        data: dict[str, Any] = {**old, **provenance(), "load": os.getloadavg()}
        for part in parts:
            data[part] = measured[part]()
            write(chosen.output, data)
    return 0


def write(output: Path, data: dict[str, Any]) -> None:
    """What is known so far: a long run that is cut off leaves that."""
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


def on_postgresql(chosen: argparse.Namespace, folder: Path) -> dict[str, Any] | str:
    """The same on a server with the durability that is its default; a line where there is none."""
    if chosen.postgresql:
        return on(chosen.postgresql, chosen)
    if (reason := why_absent()) is not None:
        print(reason)
        return reason
    server = Server(folder, {"shared_buffers": "512MB", "max_wal_size": "4GB"})
    server.start()
    try:
        return on(server.url(server.create()), chosen)
    finally:
        server.stop()


if __name__ == "__main__":
    sys.exit(main())
