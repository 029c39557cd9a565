"""The tables of a study file: every key with its default and what it takes."""

from __future__ import annotations

from dataclasses import fields
from itertools import pairwise
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from nas.arch.recipe import MEMORY_FORMATS, OPTIMIZERS, PRECISIONS, SCHEDULES, Recipe, usual
from nas.arch.record import LIMITS, TEST, VALIDATION, Value
from nas.study.budget import Budget, parse_count
from nas.study.numbers import MOST_VALUES, ListOf, OneOf, Real, Whole, flag, plain, shown, study_name, text

SAMPLERS = ("auto", "budget", "tpe", "random", "evolution", "gp", "grid")
SCORES = (VALIDATION, TEST)
PRUNERS = ("auto", "none", "median", "hyperband", "ranks")

_WIDTH = Whole(1, 65_536)
_WIDTHS = f"a list of {_WIDTH.allowed}, or {{low = 8, high = 64, step = 8}}"
_RECIPE = Recipe()


def _widths(value: Any) -> tuple[int, ...]:
    """Widths as a list, or as a table {low, high, step}, whose own mistakes keep their keys."""
    if isinstance(value, dict):
        return WidthRange.model_validate(value).values
    if not isinstance(value, list | tuple):
        raise ValueError(f"{shown(value)} is neither a list nor a range; allowed: {_WIDTHS}")
    return ListOf(_WIDTH, _WIDTH.allowed)(value)


def _images(value: Any) -> int | None:
    """A number of images; None, as stored files have it, stands for all."""
    return None if value is None else Whole(1, 1_000_000_000)(value)


def _numbers(reader: Whole) -> BeforeValidator:
    return BeforeValidator(ListOf(reader, reader.allowed))


Count = Annotated[int, BeforeValidator(parse_count)]
Names = Annotated[tuple[str, ...], BeforeValidator(ListOf(text, "names of blocks, as `nas blocks` lists them"))]
Kernels = Annotated[tuple[int, ...], _numbers(Whole(1, 31, odd=True))]
Widths = Annotated[tuple[int, ...], BeforeValidator(_widths)]
Flag = Annotated[bool, BeforeValidator(flag)]


class _Table(BaseModel):
    """Strict: no value is turned into another type, and an unknown key is a mistake."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class WidthRange(_Table):
    """Widths from `low` to `high` in steps."""

    low: Annotated[int, BeforeValidator(_WIDTH)] = Field(description=_WIDTH.allowed)
    high: Annotated[int, BeforeValidator(_WIDTH)] = Field(description=_WIDTH.allowed)
    step: Annotated[int, BeforeValidator(_WIDTH)] = 1

    @model_validator(mode="after")
    def _reached(self) -> WidthRange:
        if self.high < self.low:
            raise ValueError(f"high {self.high} is less than low {self.low}; allowed: high from low on")
        if (self.high - self.low) % self.step:
            last = self.values[-1]
            raise ValueError(f"steps of {self.step} from {self.low} do not reach {self.high}; the last one is {last}")
        if len(self.values) > MOST_VALUES:
            raise ValueError(f"{len(self.values):,} widths; allowed: up to {MOST_VALUES:,}")
        return self

    @property
    def values(self) -> tuple[int, ...]:
        """The widths, ascending."""
        return tuple(range(self.low, self.high + 1, self.step))


class FieldTable(_Table):
    """A limit from below on the receptive field, in pixels of the image."""

    min: Annotated[int, BeforeValidator(Whole(1, 65_536))] = Field(description=Whole(1, 65_536).allowed)


class BudgetTable(_Table):
    """The hard limits; what is left out is not limited."""

    params: Count | None = None
    weights: Count | None = None
    macs: Count | None = None
    activations: Count | None = None
    receptive_field: FieldTable | None = Field(None, description="{min = 9}")

    @property
    def budget(self) -> Budget:
        """The limits as the search asks them."""
        limits = {name: getattr(self, name) for name in LIMITS}
        return Budget(**limits, min_receptive_field=self.receptive_field.min if self.receptive_field else None)


class StemTable(_Table):
    """The first convolution, before the stages."""

    kernels: Kernels = (3,)
    widths: Widths = (16,)


class SpaceTable(_Table):
    """What may vary; a key of no field here is an option of the blocks, fixed for the study."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Annotated[Value, BeforeValidator(plain)]]

    blocks: Names = Field(description="a list of names of blocks, as `nas blocks` lists them")
    kernels: Kernels = Field(description=f"a list of {Whole(1, 31, odd=True).allowed}")
    widths: Widths = Field(description=_WIDTHS)
    stages: Annotated[tuple[int, ...], _numbers(Whole(1, 16))] = Field(
        description="a list of whole numbers from 1 to 16"
    )
    depths: Annotated[tuple[int, ...], _numbers(Whole(1, 64))] = Field(
        description="a list of whole numbers from 1 to 64"
    )
    stem: StemTable = StemTable()
    mix: Flag = False

    @property
    def options(self) -> dict[str, Value]:
        """The options of blocks that the study fixes, by name."""
        return dict(sorted(self.__pydantic_extra__.items()))


class CandidateTable(_Table):
    """One network of a comparison: its parts as an architecture file has them, such a file, or a reference network."""

    name: Annotated[str, BeforeValidator(text)] = Field(description="a text that tells it from the others")
    parts: list[Any] | None = Field(None, description="a list of parts, as an architecture file has them")
    file: Annotated[str, BeforeValidator(text)] | None = Field(None, description="the path of an architecture file")
    reference: Annotated[str, BeforeValidator(text)] | None = Field(
        None, description="the name of a reference network, as `nas references` lists them"
    )

    @model_validator(mode="after")
    def _one_of_three(self) -> CandidateTable:
        given = [name for name in ("parts", "file", "reference") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"{' and '.join(given) or 'nothing'} given; allowed: one of parts, file, reference")
        return self


class SearchTable(_Table):
    """How the space is searched."""

    trials: Annotated[int, BeforeValidator(Whole(1, 10_000_000))] = Field(description=Whole(1, 10_000_000).allowed)
    sampler: Annotated[str, BeforeValidator(OneOf(SAMPLERS))] = "auto"
    pruner: Annotated[str, BeforeValidator(OneOf(PRUNERS))] = "auto"
    fill: Flag = True
    memory: Flag = True
    keep: Annotated[int, BeforeValidator(Whole(0, 10_000_000))] = 10


class TrainTable(_Table):
    """How each network is trained: the fields of a recipe, with its defaults."""

    epochs: Annotated[int, BeforeValidator(Whole(1, 100_000))] = _RECIPE.epochs
    batch_size: Annotated[int, BeforeValidator(Whole(1, 1_048_576))] = _RECIPE.batch_size
    learning_rate: Annotated[float, BeforeValidator(Real(positive=True))] = _RECIPE.learning_rate
    momentum: Annotated[float, BeforeValidator(Real(below=1))] = _RECIPE.momentum
    weight_decay: Annotated[float, BeforeValidator(Real())] = _RECIPE.weight_decay
    label_smoothing: Annotated[float, BeforeValidator(Real(below=1))] = _RECIPE.label_smoothing
    precision: Annotated[str, BeforeValidator(OneOf(PRECISIONS))] = _RECIPE.precision
    memory_format: Annotated[str, BeforeValidator(OneOf(MEMORY_FORMATS))] = _RECIPE.memory_format
    optimizer: Annotated[str, BeforeValidator(OneOf(OPTIMIZERS))] = _RECIPE.optimizer
    schedule: Annotated[str, BeforeValidator(OneOf(SCHEDULES))] = _RECIPE.schedule
    dropout: Annotated[float, BeforeValidator(Real(below=1))] = _RECIPE.dropout
    ema: Annotated[float, BeforeValidator(Real(below=1))] = _RECIPE.ema
    clip: Annotated[float, BeforeValidator(Real())] = _RECIPE.clip
    crop: Annotated[int, BeforeValidator(Whole(0, 65_536))] = _RECIPE.crop
    rotation: Annotated[float, BeforeValidator(Real(below=360))] = _RECIPE.rotation
    shift: Annotated[float, BeforeValidator(Real(below=1))] = _RECIPE.shift
    flip: Flag = _RECIPE.flip
    cutout: Annotated[float, BeforeValidator(Real(below=1))] = _RECIPE.cutout
    start_size: Annotated[float, BeforeValidator(Real(positive=True, most=1))] = _RECIPE.start_size
    patience: Annotated[int, BeforeValidator(Whole(0, 100_000))] = _RECIPE.patience
    images: Annotated[int | None, BeforeValidator(_images)] = _RECIPE.images

    @property
    def recipe(self) -> Recipe:
        """The recipe these numbers make."""
        return Recipe(**{field.name: getattr(self, field.name) for field in fields(Recipe)})


class StudyTable(_Table):
    """A whole study file."""

    name: Annotated[str, BeforeValidator(study_name)] = Field(description="a text of letters, digits and . _ -")
    dataset: Annotated[str, BeforeValidator(text)] = Field(description='the name of a data set, as "digits", or a path')
    seed: Annotated[int, BeforeValidator(Whole(0, 2**31 - 1))] = 0
    budget: BudgetTable = BudgetTable()
    space: SpaceTable | None = None
    search: SearchTable | None = None
    architecture: tuple[CandidateTable, ...] = Field((), strict=False, description="tables with name and parts")
    repeats: Annotated[int, BeforeValidator(Whole(1, 1_000))] = 1
    score: Annotated[str, BeforeValidator(OneOf(SCORES))] = VALIDATION
    train: TrainTable = TrainTable()

    @model_validator(mode="before")
    @classmethod
    def _with_usual(cls, data: Any) -> Any:
        """What [train] does not say is what is usual for the data set, and for the optimizer it names."""
        given = data.get("train", {}) if isinstance(data, dict) else None
        if not isinstance(given, dict):
            return data
        return {**data, "train": {**usual(data.get("dataset"), given.get("optimizer")), **given}}

    @property
    def config(self) -> dict[str, Any]:
        """The file as plain JSON, defaults filled in: what is stored, compared, and read again as a study."""
        other = {"space", "search"} if self.architecture else {"architecture", "repeats", "score"}
        data = self.model_dump(mode="json", exclude={"budget", *other})
        data["budget"] = self.budget.model_dump(mode="json", exclude_none=True)
        if self.architecture:
            data["architecture"] = [one.model_dump(mode="json", exclude_none=True) for one in self.architecture]
            return data
        for table in (data["space"], data["space"]["stem"]):
            table["widths"] = _short_widths(table["widths"])
        return data


TABLES: dict[str, type[BaseModel]] = {
    "": StudyTable,
    "budget": BudgetTable,
    "budget.receptive_field": FieldTable,
    "space": SpaceTable,
    "space.widths": WidthRange,
    "space.stem": StemTable,
    "space.stem.widths": WidthRange,
    "search": SearchTable,
    "architecture": CandidateTable,
    "train": TrainTable,
}
"""Every table by its dotted key."""


def keys(table: str) -> list[str]:
    """The keys of a table, options of blocks aside."""
    return list(TABLES[table].model_fields)


def _short_widths(values: list[int]) -> list[int] | dict[str, int]:
    """Three or more evenly spaced widths as a range, so that both spellings are one configuration."""
    steps = {high - low for low, high in pairwise(values)}
    if len(values) < 3 or len(steps) > 1:
        return values
    return {"low": values[0], "high": values[-1], "step": steps.pop()}
