"""What is known of a study, a trial and a training: the records that rooms hand to one another."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Value = int | float | str | bool
"""A choice's or option's value: plain JSON."""

RUNNING, WAITING, COMPLETE, PRUNED, FAILED = "running", "waiting", "complete", "pruned", "failed"
"""The states of a trial. `waiting`: begun, stopped or killed, and to be taken up again."""

PAUSED, CANCELLED = "paused", "cancelled"
"""What a study may be told to be: no worker begins a trial of it, those under way end at their next epoch."""

VALIDATION, TEST = "validation", "test"
"""The images that a study's accuracies may be on."""

LIMITS = ("params", "weights", "macs", "activations")
"""What a budget may limit from above; a receptive field it limits from below."""


MAY_CHANGE = ("name", "search.trials", "search.keep", "search.sampler", "search.memory", "architecture")
"""What a resumed study's file may say otherwise: how long and by which sampler it runs, never what it measures."""


@dataclass(frozen=True)
class StudyRecord:
    """A study as the storage knows it. `config` is the normalised study file; `blocks` is append-only.

    `images` says what an exported network needs to know of them: `mean` and `std` a channel, `class_names`. Its
    accuracies are on the images that `scored_on` names, VALIDATION or TEST; those of the two are never ranked together.
    Workers go to the study of the highest `priority`; `halt` is PAUSED, CANCELLED, or empty while it is open to them.
    """

    name: str
    dataset: str
    dataset_hash: str
    input: tuple[int, int, int]
    classes: int
    seed: int
    trials: int
    config: Mapping[str, Any]
    budget: Mapping[str, int]
    blocks: tuple[str, ...]
    recipe: Mapping[str, Any]
    recipe_hash: str
    epochs: int
    keep: int = 10
    images: Mapping[str, Any] = field(default_factory=dict)
    exhausted: bool = False
    id: int = 0
    scored_on: str = VALIDATION
    priority: int = 0
    halt: str = ""

    @property
    def repeats(self) -> int:
        """How often a comparison trains each of its networks, each time from another seed; 1 in a search."""
        return int(self.config.get("repeats", 1))


@dataclass(frozen=True)
class Totals:
    """The cost of a whole network for one sample, as ranked and limited."""

    params: int
    weights: int
    macs: int
    activations: int
    receptive_field: int | None
    auxiliary_params: int
    depth: int


@dataclass(frozen=True)
class Candidate:
    """A network that a sampler wants tried: within the budget, costed, not yet a trial.

    `architecture` is the normalised JSON, `draw` what the sampler picked before the projection onto the budget, and
    `params` the same names for the network that came out.
    """

    architecture: Mapping[str, Any]
    fingerprint: str
    body: str
    blocks: tuple[str, ...]
    totals: Totals
    draw: Mapping[str, Value]
    params: Mapping[str, Value]
    projected: bool
    summary: str = ""


@dataclass(frozen=True)
class Plan:
    """How a machine computes the training of a network: chosen once, so that the result is the same again.

    `precision` of convolutions and dense layers, `memory_format` of maps; `micro_batch`: so many images of a batch go
    through the network at once, their gradients added up; 0: all of them.
    """

    precision: str = "fp32"
    memory_format: str = "channels_last"
    micro_batch: int = 0


@dataclass(frozen=True)
class EpochRecord:
    """One epoch of one training, and its seconds; accuracy and loss on the study's images, None where not scored."""

    epoch: int
    accuracy: float | None
    loss: float | None
    train_loss: float
    seconds: float


@dataclass(frozen=True)
class Standing:
    """Where a trial stands at an epoch: its best accuracy so far, and the macs that an image costs it."""

    accuracy: float
    macs: int


@dataclass(frozen=True)
class Place:
    """Where a trial stands in a ranking: its rank, and among how many complete trials."""

    rank: int
    among: int


@dataclass(frozen=True)
class Trained:
    """A network that a study trained to the end: its architecture as JSON, its costs, its validation accuracy."""

    study_id: int
    accuracy: float
    params: int
    macs: int
    activations: int
    spec: Mapping[str, Any]


@dataclass(frozen=True)
class Claim:
    """A trial that a worker holds, and where it stands: `epochs` already done, `checkpoint` to go on from."""

    trial_id: int
    study_id: int
    number: int
    fingerprint: str
    architecture: Mapping[str, Any]
    totals: Totals
    epochs: tuple[EpochRecord, ...] = ()
    checkpoint: bytes | None = None
    known: tuple[EpochRecord, ...] = ()
    """Epochs of a pruned training of another study: answered there, so not to be pruned on again here."""


@dataclass(frozen=True)
class Outcome:
    """How a trial ended. `accuracy` is the last epoch's; `reason` says why it was pruned or failed.

    Of several trainings `accuracy` is the mean, `accuracy_low` and `accuracy_high` its 95 % interval, `epochs` those of
    one training, and the weights are the last one's.
    """

    state: str
    accuracy: float | None
    epochs: int
    seconds: float
    device: str = "cpu"
    precision: str = "fp32"
    reason: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    weights: bytes | None = None
    accuracy_low: float | None = None
    accuracy_high: float | None = None


def written(params: Mapping[str, Value]) -> str:
    """Params as they are stored."""
    return json.dumps(dict(params))


@dataclass(frozen=True)
class TrialRecord:
    """One trial as `nas trials` lists it and as samplers are fed."""

    id: int
    study: str
    number: int
    state: str
    fingerprint: str
    body: str
    blocks: tuple[str, ...]
    totals: Totals
    draw: Mapping[str, Value]
    params: Mapping[str, Value]
    projected: bool
    reused: bool
    accuracy: float | None
    epochs: int
    epochs_done: int
    seed: int
    seconds: float
    device: str
    precision: str
    reason: str
    worker: str
    versions: Mapping[str, str]
    summary: str
    started: float
    finished: float | None
    repeats: int = 1
    accuracy_low: float | None = None
    accuracy_high: float | None = None
    test_accuracy: float | None = None
    test_low: float | None = None
    test_high: float | None = None
    scored_on: str = VALIDATION

    @property
    def choices(self) -> str:
        """Its params as they are stored."""
        return written(self.params)

    @property
    def name(self) -> str | None:
        """What a comparison calls the network; None in a search."""
        name = self.params.get("architecture")
        return None if name is None else str(name)


@dataclass(frozen=True)
class Ranked:
    """One row of `nas best` and of the view `nas_leaderboard`, its fields in the order of the contract.

    `name` is what a comparison calls the network; None in a search.
    """

    rank: int
    study: str
    trial: int
    architecture: str
    body: str
    accuracy: float
    accuracy_low: float | None
    accuracy_high: float | None
    repeats: int
    test_accuracy: float | None
    test_low: float | None
    test_high: float | None
    params: int
    weights: int
    macs: int
    activations: int
    receptive_field: int | None
    auxiliary_params: int
    depth: int
    blocks: list[str]
    dataset: str
    epochs: int
    seed: int
    seconds: float
    reused: bool
    precision: str
    name: str | None


@dataclass(frozen=True)
class StudyStatus:
    """Where a study stands, all of it counted by query; `seconds` of training over all trials."""

    study: str
    dataset: str
    state: str
    budget: Mapping[str, int]
    trials: Mapping[str, int]
    trained_over_budget: int
    trained_twice: int
    projected: int
    reused: int
    best: Ranked | None
    seconds: float
    priority: int = 0
