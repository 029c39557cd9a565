"""A storage as years of use leave it: studies on a dozen data sets, networks that several of them met, epochs of some.

Rows are made by rule from a seed and go into the project's own tables, some studies in each transaction. One data set
has a third of all studies, the last one a fortieth. Most networks nearly fill the budget of their study. A network that
an earlier study of the same recipe and seed trained is a reused trial, as in life; a quarter of the others is pruned,
some failed, and in every fiftieth study the last trials are still open.
"""

from __future__ import annotations

import hashlib
import json
import math
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from sqlalchemy import JSON, Connection, Table, func, insert, select, text

from nas.arch.record import COMPLETE, FAILED, PRUNED, TEST, VALIDATION, WAITING
from nas.store.claims import claim_key
from nas.store.engine import Storage
from nas.store.tables import architecture, architecture_block, epoch, study, trial

DATASETS = 12
BUDGETS = (5_000, 20_000, 100_000, 250_000, 1_000_000, 5_000_000)
BLOCKS = ("stacked", "bottleneck", "grouped", "separable", "inception")
EPOCHS = 10
STUDIES_AT_ONCE = 10
"""So many studies go into one transaction."""

WITH_EPOCHS = 20
"""Every so manieth study has its epochs kept."""

BEGUN = 1_750_000_000.0
"""When the first study began, in seconds since 1970."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Question:
    """A study: its place, its images, its limit."""

    number: int
    dataset: int
    budget: int
    seed: int
    recipe: int
    trials: int

    @property
    def name(self) -> str:
        """In the order of age."""
        return f"study-{self.number:05}"

    @property
    def dataset_hash(self) -> str:
        """As long as a real one."""
        return hashlib.sha256(f"images {self.dataset}".encode()).hexdigest()

    @property
    def recipe_hash(self) -> str:
        """As long as a real one."""
        return hashlib.sha256(f"recipe {self.recipe}".encode()).hexdigest()[:32]


@dataclass
class Filled:
    """How many rows went in, and the seconds that the database took for them; making them is not counted."""

    rows: int = 0
    trials: int = 0
    seconds: float = 0.0


@dataclass
class Maker:
    """Makes rows study by study; knows what was trained before."""

    seed: int = 0
    last_id: int = 0
    first_place: int = 0
    random: random.Random = field(init=False)
    networks: set[str] = field(default_factory=set)
    trained: dict[tuple[str, str, str, int], tuple[int, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    def question(self, number: int, trials: int) -> Question:
        """The study of a number; the more often a data set, the lower its number."""
        weights = [1 / (place + 1) for place in range(DATASETS)]
        dataset = self.random.choices(range(DATASETS), weights)[0]
        budget = self.random.choice(BUDGETS)
        return Question(number, dataset, budget, self.random.randrange(2), self.random.randrange(2), trials)

    def tables(self, asked: Question) -> dict[Table, list[Row]]:
        """All rows of a study, by table, in the order in which they can be inserted."""
        rows: dict[Table, list[Row]] = {study: [_study(asked)]}
        rows |= {table: [] for table in (architecture, architecture_block, trial, epoch)}
        pool = max(2 * asked.trials, 200_000)
        for number, place in enumerate(
            self.random.sample(range(self.first_place, self.first_place + pool), asked.trials)
        ):
            network = Network(asked.dataset, asked.budget, place)
            if network.fingerprint not in self.networks:
                self.networks.add(network.fingerprint)
                rows[architecture].append(network.row())
                used = dict.fromkeys(network.blocks)
                rows[architecture_block] += [{"fingerprint": network.fingerprint, "block": one} for one in used]
            made = self._trial(asked, number, network)
            rows[trial].append(made)
            if asked.number % WITH_EPOCHS == 0 and not made["reused"]:
                rows[epoch] += _epochs(made)
        return rows

    def _trial(self, asked: Question, number: int, network: Network) -> Row:
        self.last_id += 1
        question = (network.fingerprint, asked.dataset_hash, asked.recipe_hash, asked.seed)
        source = self.trained.get(question)
        accuracy = network.accuracy(asked.seed) if source is None else source[1]
        state = COMPLETE if source is not None else self._state(asked, number)
        begun = BEGUN + 3600.0 * asked.number + number
        row = {
            "id": self.last_id,
            "study_id": asked.number + 1,
            "number": number,
            "revision": number + 1,
            "fingerprint": network.fingerprint,
            "dataset_hash": asked.dataset_hash,
            "recipe_hash": asked.recipe_hash,
            "seed": asked.seed,
            "state": state,
            "claim": claim_key(*question) if state == COMPLETE and source is None else None,
            "draw_json": network.choice(),
            "choice_json": network.choice(),
            "projected": number % 2 == 0,
            "reused": source is not None,
            "source_trial_id": None if source is None else source[0],
            "accuracy": accuracy if state in (COMPLETE, PRUNED) else None,
            "accuracy_low": None,
            "accuracy_high": None,
            "repeats": 1,
            "test_accuracy": None,
            "test_low": None,
            "test_high": None,
            **network.costs(),
            "epochs": EPOCHS,
            "epochs_done": EPOCHS if state == COMPLETE else 1 + number % 5 if state == PRUNED else 0,
            "seconds": 0.0 if source is not None else round(network.params / 5_000, 3),
            "device": "cpu",
            "precision": "fp32",
            "reason": "out of memory" if state == FAILED else "",
            "versions": {"nas": "0.1.0", "torch": "2.13.0+cpu", "conv": "nas 0.1.0"},
            "worker": f"host:{asked.number}:{number}",
            "lease": 0.0,
            "attempts": 1,
            "started": begun,
            "finished": None if state == WAITING else begun + 0.5,
            "mirrored": True,
        }
        if state == COMPLETE and source is None:
            self.trained[question] = (self.last_id, accuracy)
        return row

    def _state(self, asked: Question, number: int) -> str:
        if asked.number % 50 == 49 and number >= asked.trials - 5:
            return WAITING
        return self.random.choices((COMPLETE, PRUNED, FAILED), (73, 25, 2))[0]


class Network:
    """A network by its number among those of a budget on some images: everything of it follows from that."""

    def __init__(self, dataset: int, budget: int, place: int) -> None:
        self.dataset, self.place = dataset, place
        self.hash = hashlib.sha256(f"{dataset} {budget} {place}".encode()).hexdigest()
        self.fingerprint = self.hash[:32]
        filled, self.size, self.luck = (int(self.hash[at : at + 6], 16) / 2**24 for at in (32, 38, 44))
        self.params = int(budget * (1.0 - 0.15 * filled if filled < 0.8 else filled - 0.79))
        self.kinds = [BLOCKS[int(self.hash[at], 16) % len(BLOCKS)] for at in (50, 51, 52)]
        self.blocks = ("conv", *dict.fromkeys(self.kinds))
        self.width = 8 * (1 + place % 16)

    def accuracy(self, seed: int) -> float:
        """More with more params, and by luck; on 2,000 images."""
        told = 0.45 + 0.07 * math.log10(self.params) + 0.03 * (self.luck - 0.5) + 0.005 * seed - 0.02 * self.dataset
        return round(2000 * min(told, 1.0)) / 2000

    def costs(self) -> Row:
        """Multiply-adds are 10 to 300 times the params."""
        macs = int(self.params * 10 ** (1.0 + 1.5 * self.size))
        field = 9 + 2 * (self.place % 40)
        costs = {"params": self.params, "weights": self.params - 100, "macs": macs, "activations": macs // 20}
        return {**costs, "receptive_field": field if self.place % 50 else None, "auxiliary_params": 0, "depth": 6}

    def choice(self) -> Row:
        """Named as in a study with three stages."""
        named: Row = {"stem.kernel": 3, "stem.width": self.width, "stages": 3}
        for stage, kind in enumerate(self.kinds, 1):
            at = f"stage{stage}"
            named |= {f"{at}.depth": 2, f"{at}.width": self.width, f"{at}.block": BLOCKS.index(kind)}
            named |= {f"{at}.{kind}.kernel": 5, f"{at}.{kind}.layers": 2}
        return named

    def row(self) -> Row:
        """Of nas_architecture."""
        parts: list[Row] = [{"block": "conv", "width": self.width, "kernel": 3}]
        for kind in self.kinds:
            first = {"block": kind, "width": self.width, "stride": 2, "kernel": 5}
            parts += [first, {"block": kind, "width": self.width, "kernel": 5}]
        parts += [{"layer": "global_average_pool"}, {"layer": "dense", "width": "classes"}]
        return {
            "fingerprint": self.fingerprint,
            "body": self.hash[-32:],
            "spec": {"format": 1, "input": [3, 32, 32], "classes": 10, "parts": parts},
            "blocks": list(self.blocks),
            "summary": f"conv3 {self.width} | " + " | ".join(f"{kind}5 {self.width} /2" for kind in self.kinds),
        }


def _study(asked: Question) -> Row:
    dataset = f"images-{asked.dataset:02}"
    budget, recipe = {"params": asked.budget}, {"epochs": EPOCHS, "batch_size": 64, "learning_rate": 0.1}
    space = {"blocks": list(BLOCKS), "kernels": [3, 5, 7], "widths": {"low": 8, "high": 128, "step": 8}}
    search = {"trials": asked.trials, "sampler": "auto", "pruner": "auto", "keep": 10}
    named = {"name": asked.name, "dataset": dataset, "seed": asked.seed}
    return {
        "id": asked.number + 1,
        **named,
        "dataset_hash": asked.dataset_hash,
        "input": [3, 32, 32],
        "classes": 10,
        "trials": asked.trials,
        "config": {**named, "budget": budget, "space": space, "search": search, "train": recipe},
        "budget": budget,
        "blocks": list(BLOCKS),
        "recipe": recipe,
        "recipe_hash": asked.recipe_hash,
        "epochs": EPOCHS,
        "keep": 10,
        "images": {"mean": [0.5, 0.5, 0.5], "std": [0.2, 0.2, 0.2], "class_names": list("0123456789")},
        "exhausted": False,
        "created": BEGUN + 3600.0 * asked.number,
        "scored_on": TEST if asked.number % 100 == 99 else VALIDATION,
        "priority": 0,
        "halt": "",
    }


def _epochs(made: Row) -> Iterator[Row]:
    for number in range(1, made["epochs_done"] + 1):
        reached = made["accuracy"] * (1 - 0.5 / number)
        yield {
            "trial_id": made["id"],
            "epoch": number,
            "accuracy": reached,
            "loss": 1.0 / number,
            "train_loss": 0.9 / number,
            "seconds": 0.1,
        }


def fill(storage: Storage, studies: int, trials: int, seed: int = 0) -> Filled:
    """Fill a storage up to so many studies, each with its share of so many trials; what it has stays."""
    filled, shares = Filled(), [trials // studies + (place < trials % studies) for place in range(studies)]
    with storage.read() as connection:
        there = connection.scalar(select(func.count()).select_from(study)) or 0
        last_id = connection.scalar(select(func.max(trial.c.id))) or 0
    maker = Maker(seed + there, last_id, first_place=there * 1_000_000)
    asked = (maker.question(number, shares[number]) for number in range(there, studies))
    while some := list(islice(asked, STUDIES_AT_ONCE)):
        _insert(storage, [maker.tables(one) for one in some], filled)
    if storage.engine.dialect.name == "postgresql":
        _number_on(storage)
    return filled


def _insert(storage: Storage, made: Sequence[dict[Table, list[Row]]], filled: Filled) -> None:
    begun = time.perf_counter()
    with storage.write() as connection:
        for table in made[0]:
            rows = [row for tables in made for row in tables[table]]
            if rows and connection.dialect.name == "postgresql":
                _copy(connection, table, rows)
            elif rows:
                connection.execute(insert(table), rows)
            filled.rows += len(rows)
            filled.trials += len(rows) if table is trial else 0
    filled.seconds += time.perf_counter() - begun


def _copy(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """In bulk as PostgreSQL has it."""
    columns = [column for column in table.c if column.name in rows[0]]
    json_at = {place for place, column in enumerate(columns) if isinstance(column.type, JSON)}
    raw: Any = connection.connection.dbapi_connection
    with raw.cursor().copy(f"COPY {table.name} ({', '.join(one.name for one in columns)}) FROM STDIN") as into:
        for row in rows:
            values = [row[column.name] for column in columns]
            into.write_row([json.dumps(one) if at in json_at else one for at, one in enumerate(values)])


def _number_on(storage: Storage) -> None:
    """PostgreSQL's own counters go on behind the ids given; what its autovacuum does by and by is done now."""
    with storage.write() as connection:
        for table in (study, trial):
            connection.execute(text(f"SELECT setval('{table.name}_id_seq', max(id)) FROM {table.name}"))
    with storage.glance() as connection:
        connection.execute(text("VACUUM (ANALYZE)"))
