"""What a proposal costs beside the training: the search, its durable rows, and the mirror in Optuna's tables.

    python benchmarks/asks.py --trials 10000 --rival-trials 1000

A study of a real file is searched as a worker searches it, but nothing is trained: an accuracy is made up of the
network's fingerprint. Told are milliseconds of CPU time a trial: the search (learning what ended, asking), our rows
(looking ahead, reading what changed, claiming, ending), and, in a study of its own, the mirror: Optuna's tables, into
which the process that runs a study writes each trial once more for its dashboard. Beside it Optuna's TPE over the same
choices and its own storage, as a user would run it: asked and told, and not held to a budget. Each figure is the mean
of the trials since the one before. Everything is on SQLite.
"""

from __future__ import annotations

import argparse
import gc
import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from statistics import fmean
from typing import Any, TypeVar

import optuna
from provenance import provenance
from store_long import FILE, OWNER

from nas.arch.record import COMPLETE, Outcome, StudyRecord
from nas.blocks.registry import load_blocks
from nas.search.loop import Search
from nas.search.mirror import Mirror
from nas.search.propose import Proposer
from nas.store.engine import Storage
from nas.store.schema import create_storage
from nas.store.trials import finish
from nas.study.space import Space
from nas.work.prepare import Study, enter, prepare

MIRRORED = 300
"""So many trials are mirrored, each by itself."""

AT = (100, 300, 1_000, 3_000, 10_000)
Result = TypeVar("Result")
Spent = defaultdict[str, list[float]]


def timed(spent: Spent, name: str, act: Callable[[], Result]) -> Result:
    """Note the CPU milliseconds of an act."""
    begun = time.process_time()
    result = act()
    spent[name].append(1000 * (time.process_time() - begun))
    return result


def luck(fingerprint: str) -> float:
    """An accuracy made up of a network's fingerprint."""
    return 0.5 + 0.5 * int(fingerprint[:6], 16) / 2**24


def ours(study: Study, storage: Storage, record: StudyRecord) -> Iterator[Spent]:
    """What each trial costs, one after the other."""
    assert study.space is not None
    proposer = Proposer(study.space, study.blocks, study.file.budget, trials=record.trials, seed=record.seed)
    gc.freeze()  # as a worker does
    spent: Spent = defaultdict(list)
    search = Search(storage, record, OWNER, _Timed(proposer, spent))
    while True:
        spent.clear()
        begun = time.process_time()
        held = search.next_claim()
        assert held is not None
        finish(storage, held.trial_id, OWNER, Outcome(COMPLETE, luck(held.fingerprint), 10, 1.0))
        whole, searched = 1000 * (time.process_time() - begun), sum(spent["search"])
        yield defaultdict(list, {"search": [searched], "rows": [whole - searched], "together": [whole]})


def mirrored(study: Study, storage: Storage, record: StudyRecord) -> Iterator[Spent]:
    """What each costs to be written into Optuna's tables."""
    assert study.space is not None
    with closing(Mirror(storage, record, study.space)) as mirror:
        for _ in ours(study, storage, record):
            told: Spent = defaultdict(list)
            timed(told, "mirror", mirror.update)
            yield told


class _Timed:
    """A proposer whose time is noted."""

    def __init__(self, proposer: Proposer, spent: Spent) -> None:
        self.proposer, self.spent = proposer, spent

    def learn(self, records: Any) -> None:
        timed(self.spent, "search", lambda: self.proposer.learn(records))

    def ask(self) -> Any:
        return timed(self.spent, "search", self.proposer.ask)

    def taken(self, candidate: Any) -> None:
        self.proposer.taken(candidate)


def rival(space: Space, url: str) -> Iterator[Spent]:
    """The same of TPE with its own storage."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = optuna.samplers.TPESampler(seed=0, multivariate=True, group=True, warn_independent_sampling=False)
    stored = optuna.create_study(storage=url, sampler=sampler, direction="maximize")
    while True:
        told: Spent = defaultdict(list)

        def act() -> None:
            trial = stored.ask()
            stored.tell(trial, luck(space.architecture(space.draw(trial)).fingerprint))

        timed(told, "together", act)
        yield told


def means(found: Iterator[Spent], trials: int) -> dict[str, dict[str, float]]:
    """At each number of trials, the mean of each figure since the number before."""
    rows: dict[str, dict[str, float]] = {}
    since: Spent = defaultdict(list)
    for count in range(1, trials + 1):
        for name, values in next(found).items():
            since[name] += values
        if count in AT or count == trials:
            rows[str(count)] = {name: round(fmean(values), 2) for name, values in since.items()}
            print(
                f"  {count:>6} trials  " + "  ".join(f"{k} {v:.2f} ms" for k, v in rows[str(count)].items()), flush=True
            )
            since.clear()
    return rows


def main() -> int:
    """Measure both, and write them where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--rival-trials", type=int, default=1_000)
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "long.toml")
        file.write_text(FILE, encoding="utf-8")
        study = prepare(file, load_blocks())
        assert study.space is not None
        with closing(create_storage(f"sqlite:///{folder}/nas.db")) as storage:
            print("ours")
            own = means(ours(study, storage, enter(storage, study)), given.trials)
        with closing(create_storage(f"sqlite:///{folder}/mirrored.db")) as storage:
            print("its mirror in Optuna's tables")
            mirror = means(mirrored(study, storage, enter(storage, study)), MIRRORED)
        print("Optuna's TPE, Optuna's storage")
        other = means(rival(study.space, f"sqlite:///{folder}/optuna.db"), given.rival_trials)
    found = {**provenance(), "ours": own, "mirror": mirror, "tpe": other}
    if given.output is not None:
        given.output.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
