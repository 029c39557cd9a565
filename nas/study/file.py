"""Study files: TOML as a user writes it into one frozen value, every mistake told in one line, all together."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from nas.arch.recipe import Recipe
from nas.arch.record import TEST, VALIDATION, Value
from nas.errors import ArchitectureError, StudyFileError, nearest
from nas.study.budget import Budget
from nas.study.candidates import parts_of
from nas.study.numbers import shown
from nas.study.tables import TABLES, CandidateTable, SearchTable, SpaceTable, StudyTable, keys

LARGEST_FILE = 1_000_000
"""Bytes that a study file may have: far more than anybody writes, far less than fills the memory."""

MOST_PROBLEMS = 50

MOST_LOOKED_AT = 1_000
"""So many mistakes are put into words, the rest counted."""

MOST_DOTS = 100
"""Dots in one line: reading a key of very many parts takes time by their square."""


@dataclass(frozen=True)
class StudyFile:
    """A study as its file describes it. `folder` is where relative paths start; `path` is None without a file.

    It searches its `space`, or, where that is None, compares its `candidates`, each trained `repeats` times and scored
    on the images that `scored_on` names. `config` is the whole file as plain JSON with defaults filled in: the same
    study, however it is spelt, has one.
    """

    place: str
    path: Path | None
    folder: Path
    name: str
    dataset: str
    seed: int
    budget: Budget
    space: SpaceTable | None
    search: SearchTable
    recipe: Recipe
    config: Mapping[str, Any]
    candidates: tuple[CandidateTable, ...] = ()
    repeats: int = 1
    scored_on: str = VALIDATION

    @property
    def options(self) -> Mapping[str, Value]:
        """The options of its blocks that the study fixes."""
        return self.space.options if self.space else {}


def read_study(path: Path, *, overrides: Sequence[str] = ()) -> StudyFile:
    """The study in a TOML file, with `--set` overrides such as "search.trials=5" in place of what it says.

    Raises StudyFileError with every mistake. Whether blocks are registered is `nas.study.rules`' question.
    """
    study, problems = parse(read_toml(path), str(path), path=path, overrides=overrides)
    if study is None or problems:
        raise StudyFileError(str(path), problems)
    return study


def study_from_data(data: Any, place: str = "study", *, folder: Path | None = None) -> StudyFile:
    """The study of plain data, such as a stored `config`; `place` opens every message.

    Raises StudyFileError with every mistake; whether the data set is there is not looked at.
    """
    study, problems = _build(data, place, None, folder or Path())
    if study is None:
        raise StudyFileError(place, problems)
    return study


def read_toml(path: Path) -> dict[str, Any]:
    """What a TOML file says, not yet looked at; raises StudyFileError in one line where it cannot be read."""
    try:
        return _read_toml(path)
    except tomllib.TOMLDecodeError as error:
        problem = f"not TOML: {error}"
    except FileNotFoundError:
        problem = f"no such file{_near_file(path)}"
    except UnicodeDecodeError as error:
        problem = f"not UTF-8: byte {error.object[error.start]:#04x} at offset {error.start}"
    except RecursionError:
        problem = "not TOML: nested too deeply"
    except OSError as error:
        problem = f"cannot be read: {error.strerror or error}"
    except ValueError as error:
        problem = f"not TOML: {error}"
    raise StudyFileError(str(path), [" ".join(problem.split())])


def _read_toml(path: Path) -> dict[str, Any]:
    if path.is_dir():
        raise StudyFileError(str(path), ["a folder, not a study file"])
    if path.exists() and not path.is_file():
        raise StudyFileError(str(path), ["not a file"])
    with path.open("rb") as file:
        content = file.read(LARGEST_FILE + 1)
    if len(content) > LARGEST_FILE:
        raise StudyFileError(str(path), [f"larger than {LARGEST_FILE:,} bytes: not a study file"])
    dotted = next((n for n, line in enumerate(content.split(b"\n"), 1) if line.count(b".") > MOST_DOTS), None)
    if dotted is not None:
        raise StudyFileError(str(path), [f"line {dotted} has more than {MOST_DOTS} dots; break it into several"])
    return tomllib.loads(content.decode("utf-8-sig"))


def _near_file(path: Path) -> str:
    return nearest(path.name, sorted(other.name for other in path.parent.glob("*.toml")))


def parse(data: Any, place: str, *, path: Path, overrides: Sequence[str] = ()) -> tuple[StudyFile | None, list[str]]:
    """The study, None where it cannot be made, and every mistake of a file and its overrides."""
    problems = override(data, overrides)
    study, more = _build(data, place, path, path.parent)
    return study, [*problems, *more, *_absent_dataset(data, path.parent)]


def override(data: dict[str, Any], overrides: Sequence[str]) -> list[str]:
    """Put each "dotted.key=value" into the data; the value is TOML, or a bare word. Gives back what is wrong."""
    problems = []
    for text in overrides:
        try:
            _override(data, text)
        except ValueError as error:
            problems.append(f"--set {shown(text)}: {error}")
    return problems


def _override(data: dict[str, Any], text: str) -> None:
    key, equals, value = text.partition("=")
    names = key.strip().split(".")
    if not equals or not all(re.fullmatch(r"[A-Za-z0-9_-]+", name) for name in names):
        raise ValueError("not of the form key=value; allowed: as search.trials=5")
    table = data
    for depth, name in enumerate(names[:-1], start=1):
        inner = table.setdefault(name, {})
        if not isinstance(inner, dict):
            raise ValueError(f"{'.'.join(names[:depth])} is {shown(inner)}, not a table")
        table = inner
    table[names[-1]] = _toml_value(value.strip())


def _toml_value(text: str) -> Any:
    """A TOML value, or a text where it is not one and does not start like one."""
    if not text:
        raise ValueError("no value; allowed: as search.trials=5")
    try:
        parsed = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        parsed = {}
    if list(parsed) == ["value"]:
        return parsed["value"]
    if text[0] in "[{\"'" or not text.isprintable():
        raise ValueError("the value is not TOML; allowed: as search.trials=5 or space.kernels=[3,5]")
    return text


def _build(data: Any, place: str, path: Path | None, folder: Path) -> tuple[StudyFile | None, list[str]]:
    if not isinstance(data, Mapping):
        return None, [f"{shown(data)}, not a study; allowed: a table with {', '.join(keys(''))}"]
    kind = _of_one_kind(data)
    if isinstance(data.get("architecture"), Mapping):
        return None, ["architecture: one table; allowed: [[architecture]], in double brackets, for each candidate"]
    try:
        table = StudyTable.model_validate(dict(data))
        table = table.model_copy(update={"architecture": _spelt_out(table.architecture, folder, kind)})
    except ValidationError as error:
        found = error.errors(include_url=False)
        lines = list(dict.fromkeys(line for each in found[:MOST_LOOKED_AT] for line in _lines(each))) + kind
        rest = len(lines) - MOST_PROBLEMS + max(0, len(found) - MOST_LOOKED_AT)
        return None, lines[:MOST_PROBLEMS] + ([f"and {rest:,} more"] if rest > 0 else [])
    if kind:
        return None, kind
    study = StudyFile(
        place=place,
        path=path,
        folder=folder,
        name=table.name,
        dataset=table.dataset,
        seed=table.seed,
        budget=table.budget.budget,
        space=table.space,
        search=table.search or _of_a_comparison(len(table.architecture)),
        recipe=table.train.recipe,
        config=table.config,
        candidates=table.architecture,
        repeats=table.repeats,
        scored_on=table.score,
    )
    return study, []


def _of_a_comparison(candidates: int) -> SearchTable:
    """Each candidate is a trial, run to its end, its weights kept."""
    return SearchTable(trials=candidates, pruner="none", keep=max(10, candidates))


def _of_one_kind(data: Mapping[str, Any]) -> list[str]:
    """A line on each key that a search lacks, or that a comparison has no use for; either kind has its own."""
    if "architecture" in data:
        if data["architecture"] == []:
            return [f"architecture: an empty list; allowed: {allowed(('architecture',))}"]
        told = "a study that lists its candidates ([[architecture]]) compares them, and has no"
        return [f"{key}: {told} [{key}]; leave one of the two out" for key in ("space", "search") if key in data]
    lines = [
        f"{key}: missing; allowed: a table with {', '.join(keys(key))}"
        for key in ("space", "search")
        if data.get(key) is None
    ]
    if "repeats" in data:
        lines.append("repeats: only a study that lists its candidates ([[architecture]]) repeats their trainings")
    if data.get("score") == TEST:
        told = 'a search is scored on validation images, since it chooses by them; allowed: "validation", or "test" in'
        lines.append(f"score: {told} a study that lists its candidates ([[architecture]])")
    return lines


def _spelt_out(candidates: Sequence[CandidateTable], folder: Path, problems: list[str]) -> tuple[CandidateTable, ...]:
    """The candidates with their parts in place of files and references; what is wrong with them goes to `problems`."""
    made = []
    for index, candidate in enumerate(candidates):
        try:
            made.append(CandidateTable(name=candidate.name, parts=parts_of(candidate, folder, f"architecture.{index}")))
        except ArchitectureError as error:
            problems.extend(error.lines)
    names = [candidate.name for candidate in candidates]
    for name in dict.fromkeys(name for name in names if names.count(name) > 1):
        problems.append(f"architecture: {names.count(name)} candidates are called {shown(name)}; names tell them apart")
    return tuple(made)


def _lines(error: Mapping[str, Any]) -> list[str]:
    """One mistake that pydantic found, as lines of ours."""
    key = dotted(error["loc"])
    kind = error["type"]
    if kind == "value_error" and isinstance(error["input"], list | dict) and _is_option(error["loc"]):
        return [unknown_key(error["loc"], ["an option of the blocks"])]
    if kind == "value_error":
        return [f"{key}: {line}" for line in str(error["ctx"]["error"]).split("\n")]
    if kind == "missing":
        return [f"{key}: missing; allowed: {allowed(error['loc'])}"]
    if kind in ("extra_forbidden", "invalid_key"):
        return [unknown_key(error["loc"])]
    return [f"{key}: {shown(error['input'])} is not a table; allowed: {allowed(error['loc'])}"]


def _is_option(loc: Sequence[int | str]) -> bool:
    return len(loc) == 2 and loc[0] == "space" and loc[1] not in keys("space")


def dotted(loc: Sequence[int | str]) -> str:
    """A key as a message names it: dotted, a name that is not bare in quotes."""
    names = [str(name) for name in loc]
    return ".".join(name if re.fullmatch(r"[A-Za-z0-9_-]{1,60}", name) else shown(name) for name in names)


def allowed(loc: Sequence[int | str]) -> str:
    """What a key takes, as its table describes it."""
    *parents, name = _names(loc)
    field = TABLES[".".join(parents)].model_fields[name]
    return field.description or f"a table with {', '.join(keys(dotted(loc)))}"


def _names(loc: Sequence[int | str]) -> list[str]:
    """The names of tables and key, without the places in lists of tables."""
    return [str(name) for depth, name in enumerate(loc) if depth == 0 or not isinstance(name, int)]


def unknown_key(loc: Sequence[int | str], options: Sequence[str] = ()) -> str:
    """The line on a key that its table does not have: the nearest one, or the table where it belongs."""
    *parents, name = _names(loc)
    known = [*keys(".".join(parents)), *options]
    elsewhere = [f"{table}.{name}".lstrip(".") for table in TABLES if name in keys(table)]
    hint = nearest(name, known) or (f" (did you mean '{elsewhere[0]}'?)" if elsewhere else "")
    return f"{dotted(loc)}: unknown key{hint}; allowed: {', '.join(known)}"


def _absent_dataset(data: Mapping[str, Any], folder: Path) -> list[str]:
    """The line on a data set that is written as a path and is not there."""
    name = data.get("dataset")
    if not isinstance(name, str) or not ("/" in name or Path(name).suffix):
        return []
    # os.path.exists, unlike Path.exists, takes a name too long for the system as absent.
    if os.path.exists(folder / name) or not name.isprintable():
        return []
    near = nearest(name, sorted(other.name for other in folder.glob("*") if other.suffix in (".npz", ".zip")))
    return [f"dataset: {shown(name)} does not exist in {folder}{near}; allowed: a known name or a path from there"]
