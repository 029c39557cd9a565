"""The world of the command's tests: networks as files, and a storage with two studies."""

import csv
import io
from dataclasses import dataclass, replace

from nas.arch.read import architecture_from_json
from nas.arch.record import COMPLETE, FAILED, PRUNED, Candidate, EpochRecord, Outcome, StudyRecord, Totals
from nas.blocks.registry import load_blocks
from nas.blocks.trace import cost, normalise
from nas.store.claims import claim
from nas.store.studies import create_study
from nas.store.trials import finish, record_epoch

LEASE = 60.0

GONE = """
from torch import nn
from nas import Block, hookimpl

class Gone(Block):
    \"\"\"A block whose plugin will be missing.\"\"\"
    name = "gone"
    choices = {"kernel": (3, 5)}
    def build(self, in_channels, width, stride, *, kernel):
        return nn.Conv2d(in_channels, width, kernel, stride, kernel // 2)

@hookimpl
def nas_register_blocks(register):
    register(Gone)
"""

LIAR = (
    GONE.replace("Gone", "Liar")
    .replace('"gone"', '"liar"')
    .replace(
        "    def build",
        "    def cost(self, shape, width, stride, *, kernel):\n"
        "        from nas import Cost\n        return Cost(1, 1, 1, 1, 3)\n    def build",
    )
)


@dataclass(frozen=True)
class Told:
    """What a call of `nas` gave."""

    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[dict[str, str]]:
        """Standard output as CSV."""
        return list(csv.DictReader(io.StringIO(self.out)))


def network(width=8, block="conv", **choices) -> dict:
    """An architecture file of one block."""
    part = {"block": block, "width": width, **({"kernel": 3} | choices)}
    parts = [part, {"layer": "global_average_pool"}, {"layer": "dense", "width": "classes"}]
    return {"format": 1, "input": [1, 8, 8], "classes": 10, "parts": parts}


def candidate(data: dict) -> Candidate:
    """The network as a sampler hands it on; of blocks that are not registered the cost is made up."""
    blocks = load_blocks(load=())
    architecture = normalise(architecture_from_json(data), blocks)
    known = all(name in blocks for name in architecture.blocks)
    totals = cost(architecture, blocks).totals if known else Totals(1000, 990, 50_000, 500, None, 0, 2)
    return Candidate(
        architecture=architecture.to_json(),
        fingerprint=architecture.fingerprint,
        body=architecture.body,
        blocks=architecture.blocks,
        totals=totals,
        draw={},
        params={},
        projected=True,
        summary=" | ".join(f"{name} {data['parts'][0]['width']}" for name in architecture.blocks),
    )


def study_record(name="alpha", **changes) -> StudyRecord:
    record = StudyRecord(
        name=name,
        dataset="digits",
        dataset_hash="d" * 8,
        input=(1, 8, 8),
        classes=10,
        seed=0,
        trials=6,
        config={"name": name},
        budget={"params": 20_000},
        blocks=("conv", "stacked"),
        recipe={"epochs": 2},
        recipe_hash="r" * 8,
        epochs=2,
    )
    return replace(record, **changes)


def ended(storage, study, data, accuracy, state=COMPLETE, **facts) -> None:
    """Claim a network, record its epochs, end it."""
    held = claim(storage, study, "host:1:1:0", candidate(data), LEASE).claim
    epochs = {COMPLETE: 2, PRUNED: 1, FAILED: 0}[state]
    for epoch in range(1, epochs + 1):
        record = EpochRecord(epoch, accuracy, 1.0, 1.1, 0.25)
        assert record_epoch(storage, held.trial_id, "host:1:1:0", record, b"state", LEASE)
    outcome = Outcome(state, accuracy, epochs, seconds=1.5, versions={"nas": "0.1.0", "conv": "nas 0.1.0"}, **facts)
    assert finish(storage, held.trial_id, "host:1:1:0", outcome)


def fill(storage) -> None:
    """alpha: four complete (one of a plugin that is gone), one pruned, one failed; beta: one, on other images."""
    alpha = create_study(storage, study_record())
    ended(storage, alpha, network(8), 0.80)
    ended(storage, alpha, network(16), 0.90)
    ended(storage, alpha, network(16, "stacked", layers=2), 0.9757)
    ended(storage, alpha, network(12, "gone"), 0.70)
    ended(storage, alpha, network(24), 0.20, PRUNED, reason="behind its peers at the same epoch")
    ended(storage, alpha, network(32), None, FAILED, reason="loss is NaN in epoch 1")
    beta = create_study(storage, study_record("beta", dataset="other.npz", dataset_hash="e" * 8))
    ended(storage, beta, network(20), 0.60)
