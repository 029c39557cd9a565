"""How a network is trained: the numbers of a training, and the hash by which trainings are told apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from nas.arch.spec import canonical, digest

TRAINER_VERSION = 1
"""Counts the changes of the training loop that change its results."""

PRECISIONS = ("auto", "fp32")
"""What `precision` may be; `auto` is fp32 as yet."""


@dataclass(frozen=True)
class Recipe:
    """The numbers of one training; `learning_rate` is the peak of a one-cycle schedule.

    The defaults were chosen by validation accuracy on digits.
    """

    epochs: int = 10
    batch_size: int = 64
    learning_rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    label_smoothing: float = 0.1
    precision: str = "auto"

    def __post_init__(self) -> None:
        """One spelling of a number: 1 and 1.0 are one recipe."""
        for field in fields(self):
            if isinstance(field.default, float):
                object.__setattr__(self, field.name, float(getattr(self, field.name)))

    def to_json(self) -> Mapping[str, Any]:
        """The recipe as plain data."""
        return asdict(self)


def recipe_hash(recipe: Recipe) -> str:
    """The hash of all numbers of a recipe, epochs included, and of the trainer's version: 32 hexadecimal digits."""
    return digest(canonical({"trainer": TRAINER_VERSION, **recipe.to_json()}))
