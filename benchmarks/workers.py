"""Many workers on one storage, trials that cost nothing: is any trial lost, trained twice, or left running?

    python benchmarks/workers.py --workers 32 --trials 2000 --kill-every 0.5

Starts real worker processes (neither torch nor Optuna is loaded in them), optionally kills one at random with SIGKILL
every few tenths of a second and starts another in its place, and counts from the rows what became of the study.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from provenance import commit, machine, provenance

from nas.arch.record import COMPLETE, Candidate, Claim, EpochRecord, Outcome, StudyRecord, Totals, TrialRecord
from nas.search.loop import Search
from nas.store.engine import open_storage
from nas.store.schema import create_storage
from nas.store.status import status
from nas.store.studies import create_study, find_study
from nas.store.trials import history
from nas.work.owner import owner_name
from nas.work.worker import Report, Worker, release_dead

STUDY = "simulated"
RESULTS = Path(__file__).parent / "results" / "workers.json"


class Numbered:
    """Proposes network 0, 1, 2 … in an order of its own; many workers propose the same ones at once."""

    def __init__(self, networks: int, seed: int) -> None:
        self.left = random.Random(seed).sample(range(networks), networks)

    def learn(self, records: Sequence[TrialRecord]) -> None:
        """Known networks are found out by asking."""

    def ask(self) -> Candidate | None:
        """The next network of this worker's order."""
        return _candidate(self.left.pop()) if self.left else None

    def taken(self, candidate: Candidate) -> None:
        """Nobody else trains these networks."""


def _candidate(number: int) -> Candidate:
    fingerprint = hashlib.sha256(str(number).encode()).hexdigest()[:32]
    totals = Totals(1000 + number, 900, 10_000, 500, 9, 0, 3)
    spec = {"format": 1, "input": [1, 8, 8], "classes": 10, "parts": [{"block": "conv", "width": number + 1}]}
    return Candidate(spec, fingerprint, fingerprint, ("conv",), totals, {"width": number}, {"width": number}, False)


def simulate(seconds: float) -> Callable[[Claim, Report, Callable[[], bool]], Outcome | None]:
    """A trial of two epochs that sleeps instead of training."""

    def evaluate(claim: Claim, report: Report, stopped: Callable[[], bool]) -> Outcome | None:
        accuracy = int(claim.fingerprint[:4], 16) / 65536
        for epoch in range(len(claim.epochs) + 1, 3):
            time.sleep(seconds / 2)
            if not report(EpochRecord(epoch, accuracy, 1.0, 1.0, seconds / 2), b"state"):
                return None
        return Outcome(COMPLETE, accuracy, 2, seconds)

    return evaluate


def work(url: str, slot: int, networks: int, seconds: float) -> None:
    """One worker process."""
    storage = open_storage(url)
    record = find_study(storage, STUDY)
    search = Search(storage, record, owner_name(slot), Numbered(networks, slot))
    assert not {"torch", "optuna"} & set(sys.modules), "a simulated worker loads neither"
    Worker(search, simulate(seconds)).run()


def _study(trials: int) -> StudyRecord:
    digest = "0" * 64
    return StudyRecord(
        STUDY, "digits", digest, (1, 8, 8), 10, 0, trials, {}, {}, ("conv",), {}, "recipe", epochs=2, keep=0
    )


def run(url: str, workers: int, trials: int, seconds: float, kill_every: float, seed: int = 0) -> dict[str, object]:
    """Start the workers, kill some, wait for the study's end, and count."""
    storage = create_storage(url)
    record = create_study(storage, _study(trials))
    # Without the measuring of coverage, whose start would outlast the time between two kills.
    plain = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    command = [sys.executable, __file__, "--work", url, "--networks", str(2 * trials), "--seconds", str(seconds)]
    fleet = [subprocess.Popen([*command, "--slot", str(slot)], env=plain) for slot in range(workers)]
    generator, killed, begun = random.Random(seed), 0, time.monotonic()
    next_kill = begun + kill_every if kill_every else float("inf")
    while any(one.poll() is None for one in fleet):
        time.sleep(0.05)
        if time.monotonic() >= next_kill and (alive := [one for one in fleet if one.poll() is None]):
            victim = generator.choice(alive)
            victim.send_signal(signal.SIGKILL)
            victim.wait()
            killed += 1
            fleet.append(subprocess.Popen([*command, "--slot", str(workers + killed)], env=plain))
            next_kill = time.monotonic() + kill_every
        release_dead(storage, record)
    took = time.monotonic() - begun
    rows = history(storage, record.id)
    found = status(storage, STUDY)
    return {
        "workers": workers,
        "trials": trials,
        "seconds_a_trial": seconds,
        "killed": killed,
        "seconds": round(took, 2),
        "trials_a_second": round(trials / took, 1),
        "counts": dict(found.trials),
        "lost": trials - sum(row.state == COMPLETE for row in rows),
        "twice": len(rows) - len({row.fingerprint for row in rows}) + found.trained_twice,
        "left_running": sum(row.state not in (COMPLETE, "failed") for row in rows),
        "numbers_exact": sorted(row.number for row in rows) == list(range(len(rows))),
    }


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=32)
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=0.0, help="seconds a trial sleeps")
    parser.add_argument("--kill-every", type=float, default=0.0, help="seconds between two SIGKILLs; 0: none")
    parser.add_argument("--url", default="", help="a fresh storage; default: SQLite in a temporary folder")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    parser.add_argument("--networks", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--slot", type=int, default=0, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        work(given.work, given.slot, given.networks, given.seconds)
        return
    url = given.url or f"sqlite:///{Path(tempfile.mkdtemp()) / 'workers.db'}"
    result = run(url, given.workers, given.trials, given.seconds, given.kill_every)
    if given.json:
        print(json.dumps(result))
        return
    RESULTS.write_text(json.dumps(provenance() | result, indent=2) + "\n")
    print(f"on {machine()}, commit {commit()}")
    for name, value in result.items():
        print(f"{name:>18}  {value}")


if __name__ == "__main__":
    main()
