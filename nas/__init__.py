"""Architecture search for convolutional networks under a hard budget: the public names, each loaded on first use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nas.arch.cost import Cost
    from nas.arch.read import architecture_from_json, read_architecture
    from nas.arch.reference import read_reference, references
    from nas.arch.spec import Architecture
    from nas.blocks.base import Block, odd
    from nas.blocks.hookspecs import hookimpl
    from nas.blocks.registry import Blocks, load_blocks
    from nas.blocks.sweep import BlockVariant, ComparedBlock, compare_blocks
    from nas.blocks.trace import NetworkCost, cost, normalise
    from nas.data.names import load_images
    from nas.errors import NasError
    from nas.net.build import build
    from nas.net.convert import convolution_to_dense, dense_to_convolution
    from nas.net.memory import NetworkMemory, memory
    from nas.show.comparison import draw_comparison
    from nas.store.engine import open_storage
    from nas.store.halting import cancel_study, pause_study, resume_study
    from nas.store.ranking import best, find
    from nas.store.status import status, studies
    from nas.store.trials import trials
    from nas.study.file import read_study
    from nas.work.cluster import run_on_ray
    from nas.work.confirm import confirm_study
    from nas.work.explain import explain_study
    from nas.work.handover import export_network
    from nas.work.jobs import profile_study, run_study
    from nas.work.rounds import run_worker
    from nas.work.single import train_network
    from nas.work.submit import submit_study

_HOMES = {
    "Architecture": "nas.arch.spec",
    "Block": "nas.blocks.base",
    "BlockVariant": "nas.blocks.sweep",
    "Blocks": "nas.blocks.registry",
    "ComparedBlock": "nas.blocks.sweep",
    "Cost": "nas.arch.cost",
    "NasError": "nas.errors",
    "NetworkCost": "nas.blocks.trace",
    "NetworkMemory": "nas.net.memory",
    "architecture_from_json": "nas.arch.read",
    "best": "nas.store.ranking",
    "build": "nas.net.build",
    "cancel_study": "nas.store.halting",
    "confirm_study": "nas.work.confirm",
    "compare_blocks": "nas.blocks.sweep",
    "convolution_to_dense": "nas.net.convert",
    "cost": "nas.blocks.trace",
    "dense_to_convolution": "nas.net.convert",
    "draw_comparison": "nas.show.comparison",
    "explain_study": "nas.work.explain",
    "export_network": "nas.work.handover",
    "find": "nas.store.ranking",
    "hookimpl": "nas.blocks.hookspecs",
    "load_blocks": "nas.blocks.registry",
    "load_images": "nas.data.names",
    "memory": "nas.net.memory",
    "normalise": "nas.blocks.trace",
    "odd": "nas.blocks.base",
    "open_storage": "nas.store.engine",
    "pause_study": "nas.store.halting",
    "profile_study": "nas.work.jobs",
    "read_architecture": "nas.arch.read",
    "read_reference": "nas.arch.reference",
    "read_study": "nas.study.file",
    "references": "nas.arch.reference",
    "resume_study": "nas.store.halting",
    "run_on_ray": "nas.work.cluster",
    "run_study": "nas.work.jobs",
    "run_worker": "nas.work.rounds",
    "status": "nas.store.status",
    "studies": "nas.store.status",
    "submit_study": "nas.work.submit",
    "train_network": "nas.work.single",
    "trials": "nas.store.trials",
}
"""The table of the face: where each public name lives. It is the only laziness in the program."""

__all__ = [
    "Architecture",
    "Block",
    "BlockVariant",
    "Blocks",
    "ComparedBlock",
    "Cost",
    "NasError",
    "NetworkCost",
    "NetworkMemory",
    "architecture_from_json",
    "best",
    "build",
    "cancel_study",
    "compare_blocks",
    "confirm_study",
    "convolution_to_dense",
    "cost",
    "dense_to_convolution",
    "draw_comparison",
    "explain_study",
    "export_network",
    "find",
    "hookimpl",
    "load_blocks",
    "load_images",
    "memory",
    "normalise",
    "odd",
    "open_storage",
    "pause_study",
    "profile_study",
    "read_architecture",
    "read_reference",
    "read_study",
    "references",
    "resume_study",
    "run_on_ray",
    "run_study",
    "run_worker",
    "status",
    "studies",
    "submit_study",
    "train_network",
    "trials",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'nas' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
