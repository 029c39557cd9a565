"""The reference networks as plain records: what each costs on its own input, and where it comes from."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from nas.arch.read import architecture_from_json
from nas.arch.reference import reference_file
from nas.blocks.registry import Blocks
from nas.blocks.trace import cost

REFERENCE_FIELDS = (
    "name",
    "input",
    "classes",
    "params",
    "weights",
    "macs",
    "activations",
    "receptive_field",
    "auxiliary_params",
    "depth",
    "source",
    "note",
)
"""The fields of a reference network; `input` is [C, H, W], `source` a paper with its year."""


def reference_record(name: str, blocks: Blocks) -> dict[str, Any]:
    """A reference network with its cost for one sample; raises ArchitectureError where there is none of that name."""
    data = reference_file(name)
    architecture = architecture_from_json(data, f"reference {name!r}")
    totals = asdict(cost(architecture, blocks).totals)
    facts = {field: data[field] for field in ("name", "classes", "source", "note")}
    return {**facts, **totals, "input": list(architecture.input)}
