"""Rules for pruning replayed on learning curves of whole trainings, in many random orders.

    python benchmarks/pruners.py                                               # the curves in benchmarks/tables
    python benchmarks/pruners.py --storage sqlite:///nas.db                    # every study of a storage, all rules
    python benchmarks/pruners.py --storage sqlite:///nas.db --studies mine --rules none,median --orders 1000
    NAS_DATA_DIR=DIR python benchmarks/pruners.py --tables benchmarks/tables/nasbench201.json

Of a study all complete trials that were scored after every epoch are taken, in random order, by one worker or several;
an epoch takes as long as it has macs. Each trial goes on until the rule ends it, against the trials before and beside
it, as in a run. To have all curves whole, train a study with `pruner = "none"`; `--keep FILE` keeps its curves. How
many images validate is read off the accuracies. Of a table (curves.py) each order is another draw of 60 networks.

Told are the epochs and the macs saved, how often the best by last accuracy is lost (of equals: all of them), by how
much the best kept is under the best (regret), the mean of the best three kept under the mean of the best three, in
points of accuracy, and which share of the front of accuracy against macs is lost; means over the orders, in per cent.
"""

from __future__ import annotations

import argparse
import heapq
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from curves import FEWEST, Study, keep_curves, read_curves, studies_in, study_of_table
from provenance import provenance
from pruner_rules import RULES, Asked, Rule
from replay_tables import TableError

from nas.arch.record import Standing
from nas.errors import NasError
from nas.store.engine import open_storage

CURVES = Path(__file__).parent / "tables" / "curves.json"


@dataclass
class Replay:
    """One order of a study's trainings under a rule: epochs trained of each, None for the whole."""

    study: Study
    rule: Rule
    order: Sequence[int]
    workers: int
    ended: dict[int, int] = field(default_factory=dict)
    rungs: dict[int, dict[int, Standing]] = field(default_factory=dict)

    def run(self) -> Replay:
        """Give every worker its next training when its last has ended."""
        waiting = iter(enumerate(self.order))
        under_way: list[tuple[int, int, int, int]] = []
        for _ in range(self.workers):
            self._begin(under_way, waiting, 0)
        while under_way:
            now, number, one, epoch = heapq.heappop(under_way)
            if epoch == self.study.epochs or self._prunes(number, one, epoch):
                self.ended[one] = epoch
                self._begin(under_way, waiting, now)
            else:
                after = now + self.study.trainings[one].macs
                heapq.heappush(under_way, (after, number, one, epoch + 1))
        return self

    def _begin(self, under_way: list[tuple[int, int, int, int]], waiting: Iterator[tuple[int, int]], now: int) -> None:
        number, one = next(waiting, (0, -1))
        if one >= 0:
            heapq.heappush(under_way, (now + self.study.trainings[one].macs, number, one, 1))

    def _prunes(self, number: int, one: int, epoch: int) -> bool:
        training = self.study.trainings[one]
        if training.curve[epoch - 1] is None:
            return False
        known = [accuracy for accuracy in training.curve[:epoch] if accuracy is not None]
        own = Standing(max(known), training.macs)
        rung = self.rungs.setdefault(epoch, {})
        peers = list(rung.values())
        rung[one] = own
        return self.rule(Asked(epoch, self.study.epochs, number, self.study.images, own, peers, known, self._finals))

    def _finals(self, epoch: int) -> list[tuple[Standing, float]]:
        rung = self.rungs[epoch]
        whole = [one for one, last in self.ended.items() if last == self.study.epochs and one in rung]
        return [(rung[one], self.study.trainings[one].final) for one in whole]


def measured(study: Study, rule: Rule, orders: int, workers: int) -> dict[str, float]:
    """The means over so many orders, in per cent and in points."""
    told = [_told(Replay(study, rule, _order(study, seed), workers).run()) for seed in range(orders)]
    return {name: round(100 * fmean(one[name] for one in told), 2) for name in told[0]}


def _order(study: Study, seed: int) -> list[int]:
    everybody = range(len(study.trainings))
    return random.Random(seed).sample(everybody, study.draw or len(everybody))


def _told(replay: Replay) -> dict[str, float]:
    study, order = replay.study, replay.order
    macs = {one: study.trainings[one].macs for one in order}
    left = {one: 1 - replay.ended[one] / study.epochs for one in order}
    ranked = sorted((study.trainings[one].final for one in order), reverse=True)
    whole = [one for one in order if replay.ended[one] == study.epochs]
    kept = sorted((study.trainings[one].final for one in whole), reverse=True)
    return {
        "epochs_saved": fmean(left.values()),
        "macs_saved": sum(left[one] * macs[one] for one in order) / sum(macs.values()),
        "best_lost": float(kept[0] < ranked[0]),
        "regret": ranked[0] - kept[0],
        "regret_of_3": fmean(ranked[:3]) - fmean(kept[:3]),
        "front_lost": 1 - fmean(one in whole for one in _front(study, order)),
    }


def _front(study: Study, order: Sequence[int]) -> list[int]:
    """Those that cost fewer macs than all of at least their last accuracy."""
    front: list[int] = []
    by_accuracy = sorted(order, key=lambda one: (-study.trainings[one].final, study.trainings[one].macs))
    for one in by_accuracy:
        if not front or study.trainings[one].macs < study.trainings[front[-1]].macs:
            front.append(one)
    return front


def studies_asked(given: argparse.Namespace) -> list[Study]:
    """The studies that the command names. Raises NasError, TableError."""
    names = [name for name in given.studies.split(",") if name]
    files = given.curves or ([] if given.storage or given.tables else [CURVES])
    studies = [one for path in files for one in read_curves(path, names)]
    for url in given.storage:
        storage = open_storage(url)
        studies += studies_in(storage, names)
        storage.close()
    return studies + [study_of_table(path) for path in given.tables]


def main() -> int:
    """Replay, print a line each, and write them where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--storage", action="append", default=[], help="an address, as of `nas run`; repeatable")
    parser.add_argument("--curves", nargs="+", type=Path, default=[], help="files that were kept of storages")
    parser.add_argument("--tables", nargs="+", type=Path, default=[], help="description files of tables")
    parser.add_argument("--studies", default="", help="by commas; default: all with enough whole curves")
    parser.add_argument("--rules", default=",".join(RULES), help="by commas; default: all")
    parser.add_argument("--orders", type=int, default=200)
    parser.add_argument("--workers", default="1,2", help="by commas")
    parser.add_argument("--keep", type=Path, help="write the curves here, and replay nothing")
    parser.add_argument("--output", type=Path, help="write the results here, as JSON")
    given = parser.parse_args()
    names = given.rules.split(",")
    if unknown := [name for name in names if name not in RULES]:
        parser.error(f"--rules: {', '.join(unknown)}: allowed: {', '.join(RULES)}")
    try:
        studies = studies_asked(given)
    except (NasError, TableError) as error:
        parser.error(str(error))
    if not studies:
        parser.error(f"nothing to replay: no study of that name has {FEWEST} trainings scored after every epoch")
    if given.keep is not None:
        keep_curves(given.keep, [study for study in studies if study.draw is None])
        return 0
    results = {study.name: replayed(study, names, given.orders, given.workers.split(",")) for study in studies}
    if given.output is not None:
        text = json.dumps({**provenance(), "orders": given.orders, "studies": results}, indent=2) + "\n"
        given.output.write_text(text, encoding="utf-8")
    return 0


def replayed(study: Study, names: Sequence[str], orders: int, workers: Sequence[str]) -> dict[str, Any]:
    """All rules on one study, printed as they are measured."""
    told: dict[str, Any] = {"trainings": len(study.trainings), "epochs": study.epochs, "images": study.images}
    print(f"{study.name}: {json.dumps(told)}", flush=True)
    for count in workers:
        rules = told.setdefault("workers", {}).setdefault(count, {})
        for name in names:
            rules[name] = measured(study, RULES[name], orders, int(count))
            print(f"  {count} {name:20} {json.dumps(rules[name])}", flush=True)
    return told


if __name__ == "__main__":
    raise SystemExit(main())
