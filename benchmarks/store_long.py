"""A study of very many trials, made by script of a real study file, and what it costs to go on with it.

Its networks are drawn from its own space, with the costs that they have; three quarters are complete, the others pruned
or failed. Optuna's tables hold each of them too, as they would if the study had been run.
"""

from __future__ import annotations

import json
import random
import resource
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

from optuna.distributions import distribution_to_json
from sqlalchemy import MetaData, insert

from nas.arch.record import COMPLETE, FAILED, PRUNED, EpochRecord, Outcome, StudyRecord
from nas.blocks.registry import load_blocks
from nas.blocks.trace import cost, normalise
from nas.errors import BlockError
from nas.search.drawing import drawn, replayed
from nas.search.loop import LEASE_SECONDS
from nas.search.mirror import NUMBER, Mirror
from nas.search.phrases import summary
from nas.search.propose import Proposer
from nas.store.claims import claim, claim_key
from nas.store.engine import Storage, open_storage
from nas.store.leases import take_up
from nas.store.schema import create_storage
from nas.store.status import outlook, state_of
from nas.store.studies import find_study
from nas.store.tables import architecture, architecture_block, trial
from nas.store.trials import finish, peers, record_epoch, told_since
from nas.study.space import make_space
from nas.work.launch import _Glass as Glass
from nas.work.prepare import Study, enter, prepare
from nas.work.remembered import remembered
from nas.work.worker import release_dead

FILE = """\
name = "long"
dataset = "digits"
seed = 0

[budget]
params = "500k"

[space]
blocks  = ["stacked", "bottleneck", "grouped", "separable", "inception"]
kernels = [3, 5, 7]
widths  = {low = 8, high = 64, step = 8}
stages  = [2, 3]
depths  = [1, 2]
stem    = {kernels = [3, 5], widths = [8, 16]}

[search]
trials  = 1_000_000
sampler = "auto"

[train]
epochs = 10
"""
BATCH = 2_000
OWNER = "host:1:1:0:"
Result = TypeVar("Result")
Row = dict[str, Any]


def make_long(url: str, trials: int, folder: Path) -> None:
    """A storage with one study that has had so many trials."""
    file = folder / "long.toml"
    file.write_text(FILE, encoding="utf-8")
    study = prepare(file, load_blocks())
    storage = create_storage(url)
    try:
        record = enter(storage, study)
        mirror = Mirror(storage, record, study.space)
        made = _networks(study, record)
        for first in range(0, trials, BATCH):
            rows = list(islice(made, min(BATCH, trials - first)))
            _insert(storage, rows)
            _insert_optuna(mirror, rows, first)
        mirror.close()
    finally:
        storage.close()


def _networks(study: Study, record: StudyRecord) -> Iterator[tuple[Row, Row, dict[str, Any]]]:
    """A network, its trial, and what its choices were made from, each network once."""
    generator, known, number = random.Random(0), set[str](), 0
    assert study.space is not None
    while True:
        point = drawn(study.space.draw, generator)
        draw, _ = replayed(study.space.draw, point.named)
        found = normalise(study.space.architecture(draw), study.blocks)
        if found.fingerprint in known:
            continue
        try:
            totals = vars(cost(found, study.blocks).totals)
        except BlockError:  # a block may not allow what the space draws; the search would have passed it over too
            continue
        known.add(found.fingerprint)
        network = {"fingerprint": found.fingerprint, "body": found.body, "spec": found.to_json()}
        network |= {"blocks": list(found.blocks), "summary": summary(found)}
        yield network, _trial(record, number, found.fingerprint, dict(point.named), totals), dict(point.distributions)
        number += 1


def _trial(record: StudyRecord, number: int, fingerprint: str, named: Row, totals: Row) -> Row:
    state = FAILED if number % 50 == 49 else PRUNED if number % 4 == 3 else COMPLETE
    luck = int(fingerprint[:6], 16) / 2**24
    question = (fingerprint, record.dataset_hash, record.recipe_hash, record.seed)
    return {
        "study_id": record.id,
        "number": number,
        "revision": number + 1,
        "fingerprint": fingerprint,
        "dataset_hash": record.dataset_hash,
        "recipe_hash": record.recipe_hash,
        "seed": record.seed,
        "state": state,
        "claim": claim_key(*question) if state == COMPLETE else None,
        "draw_json": {**named, "stem.width": 8},
        "choice_json": named,
        "projected": True,
        "reused": False,
        "accuracy": None if state == FAILED else round(0.5 + 0.5 * luck, 4),
        "repeats": 1,
        **totals,
        "epochs": record.epochs,
        "epochs_done": {COMPLETE: 10, PRUNED: 3, FAILED: 0}[state],
        "seconds": 1.5,
        "device": "cpu",
        "precision": "fp32",
        "reason": "out of memory" if state == FAILED else "",
        "versions": {"nas": "0.1.0", "torch": "2.13.0+cpu", "conv": "nas 0.1.0"},
        "worker": OWNER,
        "lease": 0.0,
        "attempts": 1,
        "started": 1_750_000_000.0 + number,
        "finished": 1_750_000_001.0 + number,
        "mirrored": True,
    }


def _insert(storage: Storage, rows: list[tuple[Row, Row, Row]]) -> None:
    with storage.write() as connection:
        connection.execute(insert(architecture), [network for network, _, _ in rows])
        used = [{"fingerprint": one["fingerprint"], "block": kind} for one, _, _ in rows for kind in one["blocks"]]
        connection.execute(insert(architecture_block), used)
        connection.execute(insert(trial), [made for _, made, _ in rows])


def _insert_optuna(mirror: Mirror, rows: list[tuple[Row, Row, dict[str, Any]]], first: int) -> None:
    """The same trials in Optuna's tables, as the mirror would have written them one by one."""
    then = MetaData()
    then.reflect(
        mirror.optuna.engine, only=["studies", "trials", "trial_params", "trial_values", "trial_user_attributes"]
    )
    into: dict[str, list[Row]] = {name: [] for name in then.tables if name.startswith("trial")}
    states = {COMPLETE: "COMPLETE", PRUNED: "PRUNED", FAILED: "FAIL"}
    told = {id(one): distribution_to_json(one) for _, _, distributions in rows for one in distributions.values()}
    for at, (network, made, distributions) in enumerate(rows, first + 1):
        moment = datetime.fromtimestamp(made["started"])
        into["trials"].append(
            {
                "trial_id": at,
                "number": at - 1,
                "study_id": mirror.study._study_id,
                "state": states[made["state"]],
                "datetime_start": moment,
                "datetime_complete": moment,
            }
        )
        for name, one in distributions.items():
            value = one.to_internal_repr(made["choice_json"][name])
            row = {"trial_id": at, "param_name": name, "param_value": value, "distribution_json": told[id(one)]}
            into["trial_params"].append(row)
        if made["state"] == COMPLETE:
            row = {"trial_id": at, "objective": 0, "value": made["accuracy"], "value_type": "FINITE"}
            into["trial_values"].append(row)
        attributes = {NUMBER: made["number"], "architecture": network["fingerprint"], "network": network["summary"]}
        attributes |= {"params": made["params"], "macs": made["macs"], "seconds": 1.5, "reused": False}
        for key, value in attributes.items():
            into["trial_user_attributes"].append({"trial_id": at, "key": key, "value_json": json.dumps(value)})
    with mirror.optuna.engine.begin() as connection:
        for table in then.sorted_tables:
            if into.get(table.name):
                connection.execute(insert(table), into[table.name])


def resume(url: str, folder: Path, proposals: int) -> dict[str, Any]:
    """Seconds of each step of `nas run` until its first worker may start, and of a worker until its first claims."""
    study = prepare(folder / "long.toml", load_blocks())
    seconds: dict[str, float] = {}
    storage = _timed(seconds, "open", lambda: create_storage(url))
    record = _timed(seconds, "enter", lambda: enter(storage, study))
    _timed(seconds, "state", lambda: state_of(storage, record.name))
    _timed(seconds, "release_dead", lambda: release_dead(storage, record))
    glass = _timed(seconds, "glass", lambda: Glass(storage, record))
    mirror = _timed(seconds, "mirror", lambda: Mirror(storage, record, study.space))
    runner, seconds = seconds, {}
    _timed(seconds, "look", glass.look)
    _timed(seconds, "mirror_update", mirror.update)
    mirror.close()
    storage.close()
    return {"runner": runner, "tick": seconds, **_worker(url, study, proposals)}


def _worker(url: str, study: Study, proposals: int) -> dict[str, Any]:
    first: dict[str, float] = {}
    storage = _timed(first, "open", lambda: open_storage(url))
    record = _timed(first, "find_study", lambda: find_study(storage, "long"))
    memory = _timed(first, "remembered", lambda: remembered(storage, record.id))
    assert study.space is not None
    space = make_space(study.file.space, study.blocks, record.input, record.classes, order=record.blocks)
    proposer = Proposer(space, study.blocks, study.file.budget, trials=record.trials, seed=record.seed, memory=memory)
    revision, later = 0, []
    for _ in range(proposals):
        told, revision = _proposal(storage, record, proposer, revision)
        later.append(told)
    storage.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return {"summary": _summary(first, later), "peak_megabytes": peak, "worker": first, "proposals": later}


def _summary(first: dict[str, float], proposals: list[dict[str, dict[str, float]]]) -> dict[str, float]:
    """Seconds until a worker that joins may ask, and milliseconds of its asks, without and with all around them."""
    joined = sum(first.values()) + proposals[0]["store"]["history"] + proposals[0]["search"]["learn"]
    later = proposals[2:]
    asks = [one["search"]["ask"] for one in later]
    around = [sum(one["store"].values()) + sum(one["search"].values()) for one in later]
    return {
        "resumed_seconds": round(joined, 3),
        "first_ask_ms": round(1000 * proposals[0]["search"]["ask"], 1),
        "second_ask_ms": round(1000 * proposals[1]["search"]["ask"], 1),
        "later_ask_median_ms": round(1000 * median(asks), 1),
        "later_ask_most_ms": round(1000 * max(asks), 1),
        "proposal_and_claim_median_ms": round(1000 * median(around), 1),
    }


def _proposal(
    storage: Storage, record: StudyRecord, proposer: Proposer, revision: int
) -> tuple[dict[str, dict[str, float]], int]:
    """Seconds of one proposal, of its claim, and of what comes after; the revision to go on from."""
    store: dict[str, float] = {}
    search: dict[str, float] = {}
    after: dict[str, float] = {}
    _timed(store, "outlook", lambda: outlook(storage, record.id))
    _timed(store, "take_up", lambda: take_up(storage, record, OWNER, LEASE_SECONDS))
    revision, changed = _timed(store, "history", lambda: told_since(storage, record.id, revision))
    _timed(search, "learn", lambda: proposer.learn(changed))
    candidate = _timed(search, "ask", proposer.ask)
    assert candidate is not None
    held = _timed(store, "claim", lambda: claim(storage, record, OWNER, candidate, LEASE_SECONDS)).claim
    assert held is not None
    one, ended = EpochRecord(1, 0.9, 0.1, 0.1, 0.1), Outcome(COMPLETE, 0.9, 10, 1.0)
    _timed(after, "epoch", lambda: record_epoch(storage, held.trial_id, OWNER, one, b"state", LEASE_SECONDS))
    _timed(after, "peers", lambda: peers(storage, record.id, 1, held.trial_id))
    _timed(after, "finish", lambda: finish(storage, held.trial_id, OWNER, ended))
    return {"store": store, "search": search, "after": after}, revision


def _timed(seconds: dict[str, float], name: str, act: Callable[[], Result]) -> Result:
    begun = time.perf_counter()
    result = act()
    seconds[name] = time.perf_counter() - begun
    return result
