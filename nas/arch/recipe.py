"""How a network is trained: the numbers of a training, what is usual for a data set, and the hash that tells them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from nas.arch.record import VALIDATION
from nas.arch.spec import canonical, digest

TRAINER_VERSION = 3
"""Counts the changes of the training loop that change its results."""

FP32, BF16 = "fp32", "bf16"
CONTIGUOUS, CHANNELS_LAST = "contiguous", "channels_last"

PRECISIONS = ("auto", FP32, BF16)
"""What `precision` may be. bf16: convolutions and dense layers in bfloat16, sums in fp32. auto: whichever is faster."""

MEMORY_FORMATS = ("auto", CONTIGUOUS, CHANNELS_LAST)
"""How maps lie in memory, in torch's words; auto: whichever is faster."""

OPTIMIZERS = ("sgd", "adam", "adamw")
"""`sgd` has Nesterov's momentum. `adam` is Kingma and Ba's, weight decay added to the gradient; `adamw` is Loshchilov
and Hutter's, where decay is a step of its own."""

SCHEDULES = ("one_cycle", "cosine", "step", "constant")
"""How the learning rate goes: up a line and down a half cosine, down a half cosine alone, a tenth of it from half of
the steps on and a hundredth from three quarters on, or not at all."""


@dataclass(frozen=True)
class Recipe:
    """The numbers of one training; `learning_rate` is the peak of its schedule.

    Under a constant rate of `sgd` or `adam` a `weight_decay` of 2λ is what others write as an L2 penalty of λ·w².
    `dropout` acts on what the last dense layer is given. `ema`: what is scored and kept is the moving average of the
    weights with this decay; 0: the weights themselves. `clip`: the longest that all gradients together may be; 0: any.

    `crop` (pixels), `rotation` (degrees), `shift` (a share of the side) and `flip` move each training image at random
    every time it is shown, by at most so much either way; `cutout` blanks a square whose side is that share of the
    image's. `start_size`: the share of its side at which an image is shown at first; it grows to all of it.
    `patience`: so many epochs without a better accuracy end the training; 0: it runs to its end.

    `images` trains on so many of the training images, drawn by the seed, each class by its share; None: on all. The
    defaults were chosen by validation accuracy on digits; `usual` has those of other data sets.
    """

    epochs: int = 10
    batch_size: int = 64
    learning_rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    label_smoothing: float = 0.1
    precision: str = "auto"
    memory_format: str = "auto"
    optimizer: str = "sgd"
    schedule: str = "one_cycle"
    dropout: float = 0.0
    ema: float = 0.0
    clip: float = 0.0
    crop: int = 0
    rotation: float = 0.0
    shift: float = 0.0
    flip: bool = False
    cutout: float = 0.0
    start_size: float = 1.0
    patience: int = 0
    images: int | None = None

    def __post_init__(self) -> None:
        """One spelling of a number: 1 and 1.0 are one recipe."""
        for field in fields(self):
            if isinstance(field.default, float):
                object.__setattr__(self, field.name, float(getattr(self, field.name)))

    def to_json(self) -> Mapping[str, Any]:
        """The recipe as plain data."""
        return asdict(self)


_USUAL: Mapping[str, Mapping[str, Any]] = {
    "mnist": {"crop": 2},
    "fashion-mnist": {"crop": 2, "flip": True},
    "cifar10": {"crop": 4, "flip": True},
}

_USUAL_RATE = {"sgd": 0.1, "adam": 0.003, "adamw": 0.003}


def usual(dataset: object, optimizer: object) -> Mapping[str, Any]:
    """What a study file's [train] has where it says nothing: by the data set's name, and by the optimizer's."""
    moves = _USUAL.get(dataset, {}) if isinstance(dataset, str) else {}
    rate = _USUAL_RATE.get(optimizer) if isinstance(optimizer, str) else None
    return {**moves, **({} if rate is None else {"learning_rate": rate})}


def recipe_hash(recipe: Recipe, repeats: int = 1, scored_on: str = VALIDATION) -> str:
    """The hash of all numbers of a recipe, epochs included, and of the trainer's version: 32 hexadecimal digits.

    With `repeats` it stands for so many trainings, each from a seed of its own, whose mean is the result. Scored on
    test images it stands for a training on all others, which is another one.
    """
    asked: dict[str, Any] = {"repeats": repeats} if repeats > 1 else {}
    asked |= {"score": scored_on} if scored_on != VALIDATION else {}
    return digest(canonical({"trainer": TRAINER_VERSION, **recipe.to_json(), **asked}))
