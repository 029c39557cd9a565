"""Our program as the budgeted search calls it: `nas run` on the study file; and the training that confirms everybody.

Who is confirmed is trained as `nas confirm` trains: a comparison scored on test images, by our trainer, from fresh
seeds, on all images but these, and scored on them once. One recipe for the networks of all contestants.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from budgeted_contest import BEGUN, COMPLETE, Contest

from nas.store.engine import open_storage
from nas.store.ranking import find
from nas.store.trials import trials

NAS = [sys.executable, "-m", "nas.cli.main"]

SEED = 1_000
"""Of the trainings that confirm; no contestant has it."""


def command(contest: Contest, overrides: Sequence[str] = ()) -> list[str]:
    """The search, as a user calls it."""
    given = [word for one in overrides for word in ("--set", one)]
    timed = ["--timeout", f"{contest.seconds:.0f}s", "--workers", str(contest.cores)]
    return [*NAS, "run", str(contest.study), "--storage", storage(contest), *timed, *given]


def storage(contest: Contest) -> str:
    """Where the search keeps its trials."""
    return f"sqlite:///{contest.folder}/nas.db"


def told(contest: Contest) -> list[dict[str, Any]]:
    """The trials of the search, as the rivals tell theirs."""
    if not (Path(contest.folder) / "nas.db").exists():
        return []  # its time was over before it had begun
    store = open_storage(storage(contest))
    try:
        lines = []
        for trial in trials(store):
            network, _ = find(store, trial.fingerprint)
            line = {"fingerprint": trial.fingerprint, "params": trial.totals.params, "network": network}
            lines.append(line | {"at": trial.started, "event": BEGUN})
            if trial.state == COMPLETE:
                lines.append(line | {"at": trial.finished, "event": COMPLETE, "accuracy": trial.accuracy})
        return lines
    finally:
        store.close()


def confirm(
    networks: Mapping[str, Any], dataset: str, settings: Mapping[str, Any], cores: int, folder: Path
) -> dict[str, dict[str, Any]]:
    """Train networks anew, by fingerprint, and score each once on the test images; those that fail are left out."""
    lines = [f'name = "confirmed"\ndataset = "{dataset}"\nseed = {SEED}\nscore = "test"']
    lines.append(f"repeats = {settings['repeats']}")
    for fingerprint, network in networks.items():
        (folder / f"{fingerprint}.json").write_text(json.dumps(network), encoding="utf-8")
        lines.append(f'[[architecture]]\nname = "{fingerprint}"\nfile = "{fingerprint}.json"')
    lines.append(f"[train]\nepochs = {settings['epochs']}")
    lines += [] if settings["images"] is None else [f"images = {settings['images']}"]
    study = folder / "confirmed.toml"
    study.write_text("\n".join(lines) + "\n", encoding="utf-8")
    words = ["run", str(study), "--storage", f"sqlite:///{folder}/confirmed.db", "--workers", str(cores), "-f", "json"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*NAS, *words], env=environment, stdout=subprocess.PIPE, text=True, check=True)
    kept = ("test_accuracy", "test_low", "test_high", "params", "macs", "seconds")
    return {row["name"]: {name: row[name] for name in kept} for row in json.loads(done.stdout)}
