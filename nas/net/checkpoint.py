"""Weights and checkpoints as bytes: safetensors and JSON, never a pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from nas.arch.record import EpochRecord, Plan
from nas.errors import ArchitectureError, TrainingFailed
from nas.net.build import Network

_MODEL, _MOMENTS, _AVERAGE = "model.", "moments.", "average."

_DAMAGED = (safetensors.SafetensorError, ValueError, KeyError, RuntimeError, AttributeError)
"""What damaged bytes raise: RuntimeError also where JSON is nested too deeply, KeyError for a type unknown to torch."""


@dataclass(frozen=True)
class Checkpoint:
    """A training between two epochs: weights, the optimizer's moments as `parameter:kind`, and the epochs behind it.

    `average` are the moving averages where the recipe has some; `plan` is how it was computed, and is to be. The
    random state is not kept: every epoch draws its own from seed and epoch.
    """

    model: Mapping[str, Tensor]
    moments: Mapping[str, Tensor]
    history: tuple[EpochRecord, ...]
    seed: int
    recipe: str
    """The hash of the recipe."""
    plan: Plan = Plan()
    average: Mapping[str, Tensor] = field(default_factory=dict)


def checkpoint_bytes(checkpoint: Checkpoint) -> bytes:
    """The checkpoint as a safetensors file."""
    parts = {_MODEL: checkpoint.model, _MOMENTS: checkpoint.moments, _AVERAGE: checkpoint.average}
    tensors = {f"{prefix}{name}": value for prefix, part in parts.items() for name, value in part.items()}
    history = [asdict(record) for record in checkpoint.history]
    state = {"format": 3, "history": history, "seed": checkpoint.seed, "recipe": checkpoint.recipe}
    return _bytes(tensors, {"training": json.dumps(state | {"plan": asdict(checkpoint.plan)})})


def read_checkpoint(data: bytes) -> Checkpoint:
    """The checkpoint in the bytes; raises TrainingFailed where they are damaged."""
    try:
        tensors = safetensors.torch.load(data)
        state = json.loads(_metadata(data)["training"])
        history = tuple(EpochRecord(**record) for record in state["history"])
        model, moments, average = (_under(prefix, tensors) for prefix in (_MODEL, _MOMENTS, _AVERAGE))
        plan = Plan(**state.get("plan", {}))  # earlier formats are of earlier recipes, which the trainer refuses
        return Checkpoint(model, moments, history, state["seed"], state["recipe"], plan, average)
    except (*_DAMAGED, TypeError) as error:
        raise TrainingFailed(f"the checkpoint cannot be read: {type(error).__name__}: {error}") from error


def weights_bytes(network: Network) -> bytes:
    """The network as used at inference, as a safetensors file; names are those of the exported module."""
    return _bytes(plain_state(network), {"format": "pt"})


def load_weights(network: Network, data: bytes) -> None:
    """Put stored weights into a network; raises ArchitectureError where they are not of this network."""
    try:
        stored = safetensors.torch.load(data)
    except _DAMAGED as error:
        raise ArchitectureError(f"the weights cannot be read: {type(error).__name__}: {error}") from error
    wanted = {name: value.shape for name, value in plain_state(network).items()}
    if wanted != {name: value.shape for name, value in stored.items()}:
        odd = [name for name in {**wanted, **stored} if name not in wanted or name not in stored]
        raise ArchitectureError(f"the weights are not of this network: {', '.join(odd[:3]) or 'shapes'} differ")
    network.load_state_dict(stored, strict=False)


def plain_state(network: Network) -> dict[str, Tensor]:
    """The state without the heads that exist for training alone."""
    heads = set(network.auxiliary)
    return {name: value for name, value in network.state_dict().items() if name.split(".")[0] not in heads}


def _bytes(tensors: Mapping[str, Tensor], metadata: dict[str, str]) -> bytes:
    # Copies, because safetensors refuses tensors that share memory or lie channels last.
    copies = {
        name: value.detach().cpu().clone(memory_format=torch.contiguous_format) for name, value in tensors.items()
    }
    return safetensors.torch.save(copies, metadata)


def _metadata(data: bytes) -> dict[str, Any]:
    size = int.from_bytes(data[:8], "little")
    header: dict[str, dict[str, Any]] = json.loads(data[8 : 8 + size])
    return header["__metadata__"]


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
