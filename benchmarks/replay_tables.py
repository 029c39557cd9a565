"""Tables of real trainings, to replay searches on: networks, what each was chosen from, what it costs and reached.

A table is a CSV file with a head line, or a JSON object of one row a network, and a small description file in JSON:

    {"name": "widths", "file": "widths.csv",
     "choices": {"columns": ["w1", "w2", "w3"], "ordered": true},
     "costs": {"params": "params", "macs": "macs"},
     "signal": "val_12", "score": ["test_200_a", "test_200_b"]}

`choices`: columns, or a regular expression whose finds in the network's own name (the column `network`, in JSON the
key) are the choices; `ordered` where they are numbers whose order means something: true, or a list of columns. `costs`
need `params` or `macs`. `signal` is what a searcher is shown, `score` what is kept of it in the end (a list: their
mean); more is better. `a.0` is the first of a list in JSON. `file` lies beside the description, or in the folder that
NAS_DATA_DIR names.
"""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Codes = tuple[int, ...]
"""A network: for each choice the place of what it took among the values of that choice."""


class TableError(ValueError):
    """A description or a table that cannot be read, in one line."""


@dataclass(frozen=True, eq=False)
class Table:
    """Networks of a space with a training each.

    `values[j]` is what choice j is taken from, `ordered[j]` whether their order means something. `codes` (N, choices),
    `costs` by name (N,), `signal` (N,) and `score` (N,).
    """

    name: str
    names: tuple[str, ...]
    values: tuple[tuple[str | float, ...], ...]
    ordered: tuple[bool, ...]
    codes: NDArray[np.int64]
    costs: Mapping[str, NDArray[np.float64]]
    signal: NDArray[np.float64]
    score: NDArray[np.float64]

    @cached_property
    def place(self) -> Mapping[Codes, int]:
        """The row of each network."""
        return {tuple(row): number for number, row in enumerate(self.codes.tolist())}


def read_table(path: Path) -> Table:
    """The table of a description file. Raises TableError, naming the file and what is wrong with it."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        rows = list(_rows(_file(path, told["file"]), told.get("network")))
        return _table(told, rows)
    except KeyError as error:
        raise TableError(f"{path}: {error.args[0]!r} is not there") from error
    except (OSError, ValueError) as error:
        raise TableError(f"{path}: {error}") from error


def _file(description: Path, name: str) -> Path:
    places = [description.parent / name]
    if folder := os.environ.get("NAS_DATA_DIR"):
        places.append(Path(folder) / name)
    found = next((place for place in places if place.exists()), None)
    if found is None:
        raise TableError(f"{name!r} lies neither beside the description nor in the folder that NAS_DATA_DIR names")
    return found


def _rows(file: Path, network: str | None) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each network's name, and its row."""
    if file.suffix == ".json":
        yield from json.loads(file.read_text(encoding="utf-8")).items()
        return
    with file.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            yield row[network] if network else "", row


def _table(told: Mapping[str, Any], rows: Sequence[tuple[str, Mapping[str, Any]]]) -> Table:
    if not rows:
        raise TableError("the table is empty")
    choices = told["choices"]
    if "columns" in choices:
        names = tuple(choices["columns"])
        taken = [[str(_cell(row, column)) for column in names] for _, row in rows]
    else:
        taken = [re.findall(choices["pattern"], name) for name, _ in rows]
        names = tuple(f"choice{number}" for number in range(1, len(taken[0]) + 1))
    if any(len(one) != len(names) or not one for one in taken):
        raise TableError("not every network has as many choices as the first one")
    marked = choices.get("ordered", False)
    ordered = tuple(name in marked if isinstance(marked, list) else bool(marked) for name in names)
    values = tuple(_values([one[j] for one in taken], ordered[j]) for j in range(len(names)))
    places = [{str(value): place for place, value in enumerate(some)} for some in values]
    codes = [[places[j][_spelt(one[j], ordered[j])] for j in range(len(names))] for one in taken]
    costs = {name: _numbers(rows, column) for name, column in told["costs"].items()}
    if not costs.keys() & {"params", "macs"}:
        raise TableError(f"costs: {', '.join(costs) or 'none'}; wanted: params or macs")
    found = (np.array(codes, dtype=np.int64), costs, _numbers(rows, told["signal"]), _numbers(rows, told["score"]))
    if len(np.unique(found[0], axis=0)) < len(rows):
        raise TableError("some networks stand in the table twice")
    return Table(told["name"], names, values, ordered, *found)


def _values(taken: Sequence[str], ordered: bool) -> tuple[str | float, ...]:
    if ordered:
        return tuple(sorted({float(one) for one in taken}))
    return tuple(sorted(set(taken)))


def _spelt(value: str, ordered: bool) -> str:
    return str(float(value)) if ordered else value


def _numbers(rows: Sequence[tuple[str, Mapping[str, Any]]], columns: str | Sequence[str]) -> NDArray[np.float64]:
    """A column as numbers; of several their mean."""
    several = [columns] if isinstance(columns, str) else list(columns)
    found = np.array([[float(_cell(row, column)) for column in several] for _, row in rows])
    if not np.isfinite(found).all():
        raise TableError(f"{', '.join(several)}: not all are finite numbers")
    return np.asarray(found.mean(axis=1), dtype=np.float64)


def _cell(row: Mapping[str, Any], column: str) -> Any:
    """A column of a row; `a.0` is the first of the list in column `a`."""
    if column in row:
        return row[column]
    name, _, place = column.rpartition(".")
    if name and place.isdecimal():
        return row[name][int(place)]
    raise KeyError(column)
