"""The networks that a comparison lists: read from wherever they stand, put on the study's images, and costed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.arch.cost import Shape
from nas.arch.read import LARGEST, architecture_from_json, read_architecture
from nas.arch.record import LIMITS, Totals
from nas.arch.reference import read_reference
from nas.arch.spec import FORMAT, Architecture
from nas.blocks.registry import Blocks
from nas.blocks.trace import cost, normalise
from nas.errors import ArchitectureError, BlockError, NasError
from nas.study.budget import Budget
from nas.study.numbers import LARGEST_COUNT
from nas.study.tables import CandidateTable

_ANY_INPUT = [1, LARGEST, LARGEST]
_ANY_CLASSES = LARGEST
"""Stands in while the images are not known; nobody writes this number for it."""


@dataclass(frozen=True)
class Listed:
    """A candidate on the study's images, with what it costs."""

    name: str
    architecture: Architecture
    totals: Totals


def parts_of(candidate: CandidateTable, folder: Path, place: str) -> list[dict[str, Any]]:
    """The parts of a candidate as plain data in their normal form; raises ArchitectureError with the place in front."""
    try:
        if candidate.parts is not None:
            head = {"format": FORMAT, "input": _ANY_INPUT, "classes": _ANY_CLASSES}
            found = architecture_from_json({**head, "parts": candidate.parts}, place)
        elif candidate.file is not None:
            found = read_architecture(_regular(folder / candidate.file))
        else:
            assert candidate.reference is not None
            found = read_reference(candidate.reference)
    except ArchitectureError as error:
        raise ArchitectureError("\n".join(_placed(place, error))) from None
    parts: list[dict[str, Any]] = found.to_json()["parts"]
    return parts


def _regular(path: Path) -> Path:
    """The path, if no device or pipe is there: to read one may have no end."""
    if os.path.exists(path) and not os.path.isfile(path):
        raise ArchitectureError(f"{path}: not a file")
    return path


def listed(
    candidates: Sequence[CandidateTable], blocks: Blocks, input: Shape, classes: int
) -> tuple[tuple[Listed, ...], list[str]]:
    """The candidates for images (C, H, W) of so many classes, and a line on each that cannot be, or is there twice."""
    made: dict[str, Listed] = {}
    problems = []
    for index, candidate in enumerate(candidates):
        place = f"architecture.{index}"
        data = {"format": FORMAT, "input": list(input), "classes": classes, "parts": candidate.parts}
        try:
            architecture = normalise(architecture_from_json(data, place), blocks)
            one = Listed(candidate.name, architecture, cost(architecture, blocks, proven=True).totals)
        except (ArchitectureError, BlockError) as error:
            problems += _placed(place, error)
            continue
        problems += _uncountable(place, one.totals)
        before = made.setdefault(architecture.fingerprint, one)
        if before is not one:
            problems.append(f"{place}: {one.name!r} is the same network as {before.name!r}; leave one of them out")
    return tuple(made.values()), problems


def _uncountable(place: str, totals: Totals) -> list[str]:
    """A line on each cost that is beyond all that a budget may name, or the storage keep."""
    costs = [(name, getattr(totals, name)) for name in (*LIMITS, "auxiliary_params")]
    beyond = [(name, found) for name, found in costs if found > LARGEST_COUNT]
    return [f"{place}: {name} {found:,} is absurd; up to {LARGEST_COUNT:,} are allowed" for name, found in beyond]


def over(candidates: Sequence[Listed], budget: Budget) -> list[str]:
    """A line on each limit that a candidate does not meet."""
    return [f"{one.name}: {line}" for one in candidates for line in budget.broken(one.totals)]


def _placed(place: str, error: NasError) -> list[str]:
    return [line if line.startswith(place) else f"{place}: {line}" for line in error.lines]
