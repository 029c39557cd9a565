"""How a network is trained: the numbers of a training, and the hash by which trainings are told apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from nas.arch.record import VALIDATION
from nas.arch.spec import canonical, digest

TRAINER_VERSION = 1
"""Counts the changes of the training loop that change its results."""

PRECISIONS = ("auto", "fp32", "bf16")
"""What `precision` may be; `auto` is fp32 as yet. bf16: convolutions and dense layers in bfloat16, sums in fp32."""

OPTIMIZERS = ("sgd", "adam")
"""`sgd` has Nesterov's momentum. `adam` is Kingma and Ba's, weight decay added to the gradient: no decoupling."""

SCHEDULES = ("one_cycle", "constant")
"""How the learning rate goes: up a line and down a half cosine, or not at all."""


@dataclass(frozen=True)
class Recipe:
    """The numbers of one training; `learning_rate` is the peak of its schedule.

    Under a constant rate `weight_decay` 2λ is what others write as an L2 penalty of λ·w². `rotation` (degrees),
    `shift` (a share of the side) and `flip` move each training image at random every time it is shown, by at most so
    much either way. `images` trains on so many of the training images, drawn by the seed, each class by its share;
    None: on all. The defaults were chosen by validation accuracy on digits.
    """

    epochs: int = 10
    batch_size: int = 64
    learning_rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    label_smoothing: float = 0.1
    precision: str = "auto"
    optimizer: str = "sgd"
    schedule: str = "one_cycle"
    rotation: float = 0.0
    shift: float = 0.0
    flip: bool = False
    images: int | None = None

    def __post_init__(self) -> None:
        """One spelling of a number: 1 and 1.0 are one recipe."""
        for field in fields(self):
            if isinstance(field.default, float):
                object.__setattr__(self, field.name, float(getattr(self, field.name)))

    def to_json(self) -> Mapping[str, Any]:
        """The recipe as plain data."""
        return asdict(self)


_LATER = ("optimizer", "schedule", "rotation", "shift", "flip", "images")
"""Fields that recipes did not always have: at their defaults they are no part of the hash, which stays what it was."""


def recipe_hash(recipe: Recipe, repeats: int = 1, scored_on: str = VALIDATION) -> str:
    """The hash of all numbers of a recipe, epochs included, and of the trainer's version: 32 hexadecimal digits.

    With `repeats` it stands for so many trainings, each from a seed of its own, whose mean is the result. Scored on
    test images it stands for a training on all others, which is another one.
    """
    usual = Recipe()
    left_out = {name for name in _LATER if getattr(recipe, name) == getattr(usual, name)}
    numbers = {name: value for name, value in recipe.to_json().items() if name not in left_out}
    asked: dict[str, Any] = {"repeats": repeats} if repeats > 1 else {}
    asked |= {"score": scored_on} if scored_on != VALIDATION else {}
    return digest(canonical({"trainer": TRAINER_VERSION, **numbers, **asked}))
