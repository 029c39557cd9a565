"""Searches replayed on tables of real trainings: ours beside Optuna's samplers, evolution and local search.

    python benchmarks/search.py                                    # the tables in benchmarks/tables, all samplers
    python benchmarks/search.py --tables mine.json --limit none --limit params=50000 --samplers ours,tpe --seeds 20

A table holds a training of every network of a space, so that a search is replayed without training; replay_tables.py
says how to bring one. Every sampler goes through Optuna's ask and tell, and is shown the signal of each network that it
asks for. A network over the limit, or asked for before, is a wasted ask: what counts are evaluations of new networks
within the limit. Told are the median of evaluations until one of the best 0.1 % (by the signal, within the limit), by
how much the score of the best so far (by the signal) is under the best score within the limit, the share of wasted
asks, and CPU time per ask. Where a table's name is known, LIMITS has its limits; others are searched without one.
"""

from __future__ import annotations

import argparse
import json
import math
import time
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import fmean, median
from typing import Any

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution
from optuna.trial import TrialState
from provenance import provenance
from replay_samplers import OVER, SAMPLERS, TOLD_VALUES, Space, sampler_of
from replay_tables import Table, TableError, read_table

HERE = Path(__file__).parent
TABLES = [HERE / "tables" / "nasbench-macro.json", HERE / "tables" / "nasbench201.json"]

LIMITS: Mapping[str, Sequence[Mapping[str, float]]] = {
    "nasbench-macro": [*({"params": size * 1e6} for size in (0.75, 1.0, 1.25, 1.5, 2.0)), {}],
}
"""What is measured where no limit is named."""

TOP = 0.001
AT = (10, 25, 50, 100)
MOST_ASKS = 20
"""So many asks for each evaluation wanted, and a search is ended."""


@dataclass(frozen=True)
class Case:
    """A search to replay."""

    table: Path
    limits: Mapping[str, float]
    sampler: str
    seed: int
    evaluations: int
    batch: int


@dataclass(frozen=True)
class Found:
    """How one search went: evaluations until a top network (None: never), score under the best possible, after `AT`."""

    until: int | None
    under: tuple[float, ...]
    wasted: float
    seconds_an_ask: float


_read: dict[Path, Table] = {}


def replay(case: Case) -> Found:
    """One search."""
    if case.table not in _read:
        _read[case.table] = read_table(case.table)
    table = _read[case.table]
    space = Space(table, case.limits)
    within = np.array([space.over(row) <= 0 for row in range(len(table.signal))])
    ranked = np.flatnonzero(within)[np.argsort(-table.signal[within], kind="stable")]
    top = set(ranked[: max(1, round(TOP * len(ranked)))].tolist())
    return _Replay(space, case, top, float(table.score[within].max())).run(int(within.sum()))


class _Replay:
    """A search under way."""

    def __init__(self, space: Space, case: Case, top: set[int], best: float) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.space, self.case, self.top, self.best = space, case, top, best
        self.study = optuna.create_study(direction="maximize", sampler=sampler_of(case.sampler, space, case.seed))
        self.order: list[int] = []
        self.asks = self.wasted = 0

    def run(self, networks: int) -> Found:
        wanted, begun = min(self.case.evaluations, networks), time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            while len(self.order) < wanted and self.asks < MOST_ASKS * wanted:
                self._batch(min(self.case.batch, wanted - len(self.order)))
        seconds = (time.process_time() - begun) / max(1, self.asks)
        until = next((number for number, row in enumerate(self.order, start=1) if row in self.top), None)
        return Found(until, tuple(self._under(count) for count in AT), self.wasted / max(1, self.asks), seconds)

    def _batch(self, size: int) -> None:
        """Ask for so many at once, then tell them all."""
        asked: list[tuple[optuna.trial.Trial, int]] = []
        while len(asked) < size and self.asks < MOST_ASKS * self.case.evaluations:
            trial, row = self._asked()
            if row is not None:
                asked.append((trial, row))
        for trial, row in asked:
            self.study.tell(trial, float(self.space.table.signal[row]))

    def _asked(self) -> tuple[optuna.trial.Trial, int | None]:
        """An ask, and the row that is new and within the limit; else it is wasted, and told at once."""
        self.asks += 1
        trial = self.study.ask()
        for name, distribution in self.space.distributions.items():
            if isinstance(distribution, CategoricalDistribution):
                trial.suggest_categorical(name, distribution.choices)
            else:
                trial.suggest_int(name, distribution.low, distribution.high)  # type: ignore[attr-defined]
        row = self.space.row(trial.params)
        over = self.space.over(row)
        trial.set_user_attr(OVER, over)
        if row is None or over > 0:
            self._refuse(trial)
        elif row in self.order:
            self.study.tell(trial, float(self.space.table.signal[row]))
        else:
            self.order.append(row)
            return trial, row
        self.wasted += 1
        return trial, None

    def _refuse(self, trial: optuna.trial.Trial) -> None:
        """Tell that a network was not trained; to who does not look at pruned trials, as the worst so far."""
        if self.case.sampler in TOLD_VALUES:
            signal = self.space.table.signal
            self.study.tell(trial, float(signal[self.order].min() if self.order else signal.min()))
        else:
            self.study.tell(trial, state=TrialState.PRUNED)

    def _under(self, count: int) -> float:
        """By how much the score of the best of the first `count`, by the signal, is under the best possible."""
        table = self.space.table
        if not self.order:
            return math.nan
        return self.best - float(table.score[max(self.order[:count], key=lambda row: table.signal[row])])


def summary(found: Sequence[Found], evaluations: int) -> dict[str, Any]:
    """Of the seeds of one search."""
    until = sorted(evaluations + 1 if one.until is None else one.until for one in found)
    return {
        "until_top": median(until),
        "quartiles": [until[len(until) // 4], until[3 * len(until) // 4]],
        "never": sum(one.until is None for one in found),
        "under_best": {str(count): round(fmean(one.under[n] for one in found), 3) for n, count in enumerate(AT)},
        "wasted": round(fmean(one.wasted for one in found), 3),
        "ms_an_ask": round(1000 * fmean(one.seconds_an_ask for one in found), 2),
    }


def limits_of(texts: Sequence[str], table: Table) -> list[Mapping[str, float]]:
    """The limits asked for, as METRIC=NUMBER or none; without any those of `LIMITS`."""
    if not texts:
        return list(LIMITS.get(table.name, [{}]))
    found: list[Mapping[str, float]] = []
    for text in texts:
        name, _, value = text.partition("=")
        if text != "none" and name not in table.costs:
            raise TableError(f"--limit {text}: allowed: none, or {' or '.join(table.costs)} = a number")
        found.append({} if text == "none" else {name: float(value)})
    return found


def shown(limits: Mapping[str, float]) -> str:
    """Limits in a few letters."""
    return " ".join(f"{name} <= {value:,.0f}" for name, value in limits.items()) or "no limit"


def write(output: Path, found: Mapping[str, Any]) -> None:
    """Put what samplers found beside what the file tells of others; what it tells of themselves is replaced."""
    kept = json.loads(output.read_text(encoding="utf-8")) if output.exists() else {}
    output.write_text(json.dumps({**kept, **found}, indent=2) + "\n", encoding="utf-8")


def main() -> int:
    """Replay, print a line each, and write them where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", nargs="+", type=Path, default=TABLES, help="description files")
    parser.add_argument("--limit", action="append", default=[], help="params=1000000, or none; repeatable")
    parser.add_argument("--samplers", default=",".join(SAMPLERS), help="by commas; default: all")
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--evaluations", type=int, default=150)
    parser.add_argument("--batch", type=int, default=1, help="asks at a time, as so many workers make")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--output", type=Path, help="put each sampler's results here, as JSON, beside others'")
    given = parser.parse_args()
    names = given.samplers.split(",")
    if unknown := [name for name in names if name not in SAMPLERS]:
        parser.error(f"--samplers: {', '.join(unknown)}: allowed: {', '.join(SAMPLERS)}")
    if "cmaes" in names and not find_spec("cmaes"):
        print("cmaes is left out: it is not installed here; pip install cmaes")
        names.remove("cmaes")
    if given.output is not None and not given.output.parent.is_dir():
        parser.error(f"--output {given.output}: there is no folder {given.output.parent}")
    try:
        cases = [(path, limits) for path in given.tables for limits in limits_of(given.limit, read_table(path))]
    except TableError as error:
        parser.error(str(error))
    told = {**provenance(), "seeds": given.seeds, "evaluations": given.evaluations, "batch": given.batch}
    with ProcessPoolExecutor(given.jobs) as pool:
        for name in names:
            tables: dict[str, Any] = {}
            for path, limits in cases:
                place = f"{read_table(path).name}, {shown(limits)}"
                asked = [Case(path, limits, name, seed, given.evaluations, given.batch) for seed in range(given.seeds)]
                tables[place] = summary(list(pool.map(replay, asked)), given.evaluations)
                print(f"{place:42} {name:16} {json.dumps(tables[place])}", flush=True)
            if given.output is not None:
                write(given.output, {name: {**told, "tables": tables}})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
