"""A search under a hard budget, trained for real: ours beside what else its user might run, for the same wall time.

    python benchmarks/budgeted_search.py                                        # Fashion-MNIST, 50,000 params
    python benchmarks/budgeted_search.py --dataset cifar10 --minutes 60         # interrupt and run again, it goes on
    python benchmarks/budgeted_search.py --contestants ours,optuna --seeds 5
    python benchmarks/budgeted_search.py --cores 2 --at-once 4                  # where a machine has eight cores idle

Each contestant is given the same images, space, budget, epochs, cores and minutes, counted from the start of its
process, one thread a process; they run one after another, in turned order from seed to seed, or with `--at-once` side
by side, each on cores of its own. At the end of its time it is stopped, and what it had not completed by then does not
count.

| contestant | what it is |
|---|---|
| `ours` | `nas run` on the study file (budgeted_contest.py), as a user calls it |
| `optuna` | a plain script: TPE, MedianPruner, SQLite, over the budget is pruned (budgeted_optuna.py) |
| `keras` | KerasTuner with `max_model_size`, Keras 3 on torch (budgeted_keras.py) |
| `ray` | Ray Tune with ASHA and Optuna's search (budgeted_ray.py) |
| `nni` | NNI with its TPE and Medianstop (budgeted_nni.py) |

Who is not installed is left out with a line. What is written down of each: the moments at which its best validation
accuracy changed, and to which network; trainings, networks over the budget that it asked for, duplicates. Afterwards
the last of these networks are confirmed: trained anew, all contestants' by the same recipe, and scored once on the test
images, by which nothing was chosen. Validation accuracies of different pipelines are never compared. The verdict: the
time at which ours had a network as good, confirmed, as the one that the rival ended with, as a share of the rival's
whole time (and of the time at which the rival had found it), seed by seed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from importlib.util import find_spec
from pathlib import Path
from queue import Queue
from threading import Event
from typing import Any, NamedTuple

import budgeted_ours
from budgeted_contest import Contest, write_arrays
from budgeted_curves import counted, verdict
from budgeted_processes import MARK, hold_to, places, stop, waited
from known import Known, Runs
from provenance import provenance
from train_plain import STATISTICS

from nas.work.places import usable_cores

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "budgeted_search.json"

MANY = 100_000
"""More networks than any time allows."""


class Contestant(NamedTuple):
    """A script, what it needs beside us, and how to get it."""

    script: str
    modules: tuple[str, ...] = ()
    pip: str = ""


CONTESTANTS = {
    "ours": Contestant(""),
    "optuna": Contestant("budgeted_optuna.py"),
    "keras": Contestant("budgeted_keras.py", ("keras", "keras_tuner", "grpc"), "pip install keras keras-tuner grpcio"),
    "ray": Contestant("budgeted_ray.py", ("ray", "pandas", "pyarrow"), "pip install 'ray[tune]'"),
    "nni": Contestant("budgeted_nni.py", ("nni",), "pip install nni"),
}


class Usual(NamedTuple):
    """Epochs and images of a data set's trainings, in the search and where networks are confirmed; None: all images."""

    epochs: int
    images: int | None
    confirm_epochs: int
    confirm_images: int | None


USUAL = {
    "mnist": Usual(5, 10_000, 10, 20_000),
    "fashion-mnist": Usual(10, None, 20, None),
    "cifar10": Usual(6, 10_000, 12, 20_000),
}


def run(name: str, contest: Contest, overrides: Sequence[str], given_up: Event) -> dict[str, Any]:
    """One contestant, from the start of its process to the end of its time; what it told, counted."""
    place = contest.write()
    script = [sys.executable, str(HERE / CONTESTANTS[name].script), str(place)]
    command = budgeted_ours.command(contest, overrides) if name == "ours" else script
    log = place.with_suffix(".log")
    begun = time.time()
    with log.open("w", encoding="utf-8") as file:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "SPT_NOENV": "1", MARK: str(place)}
        child = subprocess.Popen(command, env=environment, stdout=file, stderr=file, start_new_session=True)
        try:
            code = waited(child, contest.seconds, given_up)
        finally:
            stop(child, str(place))
    if code:
        raise SystemExit(f"{name} ended with {code}: {log.read_text(encoding='utf-8').strip()[-2000:]}")
    told = budgeted_ours.told(contest) if name == "ours" else contest.told()
    return counted(told, begun, contest.seconds)


def searched(names: Sequence[str], given: argparse.Namespace, known: Known, folder: Path) -> None:
    """All contestants and seeds that are not known yet, so many at once."""
    given_up = Event()
    free: Queue[list[int]] = Queue()
    for cores in places(given.cores, given.at_once):
        free.put(cores)
    wanted = []
    for seed in range(given.seeds):
        for name in names if seed % 2 == 0 else reversed(names):
            found = known.get(key_of(name, seed, given), settings_of(name, given))
            if found is None:
                wanted.append((name, seed))
            else:
                print(line(key_of(name, seed, given), found), flush=True)
    for seed in sorted({seed for _, seed in wanted}):
        write_arrays(given.dataset, given.images, seed, arrays_of(seed, folder))

    def contested(name: str, seed: int) -> tuple[str, dict[str, Any]]:
        cores = free.get()
        try:
            hold_to(cores)
            found = run(name, contest_of(name, seed, given, arrays_of(seed, folder)), given.set, given_up)
        finally:
            free.put(cores)
        return key_of(name, seed, given), {"settings": settings_of(name, given), **found}

    with ThreadPoolExecutor(given.at_once) as pool:
        try:
            for future in as_completed([pool.submit(contested, *one) for one in wanted]):
                key, found = future.result()
                known.add(key, found | {**provenance(), "load": round(os.getloadavg()[0], 2)})
                print(line(key, found), flush=True)
        except BaseException:  # Ctrl-C too: who runs is ended, who waits does not begin
            given_up.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def key_of(name: str, seed: int, given: argparse.Namespace) -> str:
    """What a run is called in the results."""
    return f"{given.place}/{name}/{seed}"


def arrays_of(seed: int, folder: Path) -> Path:
    """Where a seed's images lie."""
    return folder / f"{seed}.npz"


def settings_of(name: str, given: argparse.Namespace) -> dict[str, Any]:
    """What a run depends on, beside its key."""
    settings = {key: getattr(given, key) for key in ("params", "epochs", "images", "cores")}
    settings |= {"seconds": 60 * given.minutes, "trials": given.trials}
    return settings | ({"set": given.set} if name == "ours" else {})


def contest_of(name: str, seed: int, given: argparse.Namespace, arrays: Path) -> Contest:
    """A contestant's task, in a folder of its own."""
    own = {key: getattr(given, key) for key in ("dataset", "params", "epochs", "images", "cores", "trials")}
    folder = arrays.parent / f"{name}-{seed}"
    return Contest(**own, seed=seed, seconds=60 * given.minutes, arrays=str(arrays), folder=str(folder))


def line(key: str, found: dict[str, Any]) -> str:
    """A run in a line."""
    last = found["incumbents"][-1] if found["incumbents"] else None
    best = f"{100 * last['accuracy']:.2f} % on validation at {last['seconds']:,.0f} s" if last else "no result"
    numbers = ("asked", "over_budget", "trainings", "complete", "duplicates")
    counts = ", ".join(f"{found[name]:,} {name.replace('_', ' ')}" for name in numbers)
    return f"{key}: {best}; {counts}"


def confirmed(names: Sequence[str], given: argparse.Namespace, known: Known, folder: Path) -> None:
    """Train anew the last networks of every contestant and seed, where that is not known yet."""
    settings = settings_of_confirmation(given)
    for key in [key for key in known.runs if key.startswith(f"{given.place}/confirmed/")]:
        if known.runs[key]["settings"] != settings:
            del known.runs[key]  # another recipe's accuracies stand beside none of this one's
    wanted = {}
    for name in names:
        for seed in range(given.seeds):
            for one in known.runs[key_of(name, seed, given)]["incumbents"][-given.last :]:
                if known.get(f"{given.place}/confirmed/{one['fingerprint']}", settings) is None:
                    wanted[one["fingerprint"]] = one["network"]
    if wanted:
        print(f"{len(wanted)} networks to confirm, {given.confirm_seeds} times each", flush=True)
        found = budgeted_ours.confirm(wanted, given.dataset, settings, given.cores, folder)
        for fingerprint, one in found.items():
            known.add(f"{given.place}/confirmed/{fingerprint}", {"settings": settings, **one, **provenance()})


def settings_of_confirmation(given: argparse.Namespace) -> dict[str, Any]:
    """What a confirmed accuracy depends on, beside the network."""
    return {"epochs": given.confirm_epochs, "images": given.confirm_images, "repeats": given.confirm_seeds}


def summary(runs: Runs) -> dict[str, Any]:
    """The verdict of each data set and budget."""
    places = dict.fromkeys(key.partition("/")[0] for key in runs)
    return {place: verdict(runs, place, accuracies(runs, place)) for place in places}


def accuracies(runs: Runs, place: str) -> dict[str, float]:
    """The confirmed accuracies by fingerprint."""
    begins = f"{place}/confirmed/"
    return {key.removeprefix(begins): run["test_accuracy"] for key, run in runs.items() if key.startswith(begins)}


def installed(names: Sequence[str]) -> list[str]:
    """Those of the contestants that can run here; a line on each other."""
    found = []
    for name in names:
        if all(find_spec(module) for module in CONTESTANTS[name].modules):
            found.append(name)
        else:
            print(f"{name} is left out: it is not installed here; {CONTESTANTS[name].pip}")
    return found


def show(found: dict[str, Any]) -> None:
    """What each ended with, and the verdicts."""
    for name, one in found["contestants"].items():
        lasts = ", ".join("none" if last is None else f"{100 * last:.2f}" for last in one["confirmed"])
        print(
            f"{name}: {lasts} % of the test images; {sum(one['trainings'])} trainings, {sum(one['over_budget'])} over"
        )
    for name, one in found["ours_against"].items():
        share = one["share"]
        middle = "not reached by all seeds" if share["median"] is None else f"{100 * share['median']:.0f} % of its time"
        print(f"ours had what {name} ended with after: {middle}; by seed {json.dumps(share['seeds'])}")


def parsed() -> argparse.Namespace:
    """The options, those of the data set filled in."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", choices=list(STATISTICS), default="fashion-mnist")
    parser.add_argument("--params", type=int, default=50_000, help="the budget")
    parser.add_argument("--minutes", type=float, default=30.0, help="of wall time, for each contestant and seed")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--contestants", default=",".join(CONTESTANTS), help="by commas; default: all")
    parser.add_argument("--cores", type=int, default=len(usable_cores()), help="of each contestant")
    parser.add_argument("--at-once", type=int, default=1, help="contestants side by side, each on cores of its own")
    parser.add_argument("--epochs", type=int, help="of a training; default: by data set")
    parser.add_argument("--images", type=int, help="to train on; default: by data set")
    parser.add_argument("--trials", type=int, default=MANY, help="networks asked for; default: time alone ends it")
    parser.add_argument("--last", type=int, default=6, help="of a run's best so far, confirmed; 0: none")
    parser.add_argument("--confirm-seeds", type=int, default=2, help="trainings of each")
    parser.add_argument("--confirm-epochs", type=int)
    parser.add_argument("--confirm-images", type=int)
    parser.add_argument("--set", action="append", default=[], help="for `nas run`, as search.sampler=budget")
    parser.add_argument("--again", action="store_true", help="run again what the results file has")
    parser.add_argument("--output", type=Path, default=RESULTS)
    given = parser.parse_args()
    for key, value in USUAL[given.dataset]._asdict().items():
        setattr(given, key, value if getattr(given, key) is None else getattr(given, key))
    if unknown := [name for name in given.contestants.split(",") if name not in CONTESTANTS]:
        parser.error(f"--contestants: {', '.join(unknown)}: not among {', '.join(CONTESTANTS)}")
    if given.at_once * given.cores > (usable := len(usable_cores())):
        parser.error(f"--at-once {given.at_once} of --cores {given.cores}: this process may use {usable}")
    given.place = f"{given.dataset}-{given.params}"
    return given


def main() -> None:
    """Search, confirm, compare, print, write."""
    given = parsed()
    names = installed(given.contestants.split(","))
    known = Known(given.output, given.again, lambda runs: {"summary": summary(runs)})
    with tempfile.TemporaryDirectory() as folder:
        searched(names, given, known, Path(folder))
        if given.last:
            confirmed(names, given, known, Path(folder))
    known.write()
    show(summary(known.runs)[given.place])


if __name__ == "__main__":
    main()
