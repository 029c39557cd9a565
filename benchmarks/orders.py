"""How far what is known before a training ranks networks as their trainings did.

    python benchmarks/orders.py                                    # the trainings in benchmarks/tables/trainings.json
    python benchmarks/orders.py --storage sqlite:///nas.db         # those of your own, of one storage or several
    python benchmarks/orders.py --storage … --keep mine.json       # and write them down as a table

For each study of eight networks and more: the rank correlation (Spearman) of its validation accuracies with
multiply-adds, with params, with what a search expects before anything is known (`expected`: params times the root of
the width they end with), and with what the other studies tell (`memory`), once of those on other images alone
(`other images`). No study is shown its own accuracies.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from provenance import provenance

from nas.arch.record import VALIDATION
from nas.search.memory import FEWEST, Memory, Past, past, rank_correlation
from nas.store.engine import open_storage
from nas.store.studies import list_studies
from nas.store.trials import trained_networks

HERE = Path(__file__).parent
TABLE, RESULTS = HERE / "tables" / "trainings.json", HERE / "results" / "orders.json"
DIGITS = 5


@dataclass(frozen=True)
class Study:
    """What one study trained."""

    name: str
    dataset: str
    networks: list[Past]


def studies_in(url: str, first: int) -> list[Study]:
    """The studies of a storage that trained enough networks, numbered from `first` on."""
    storage = open_storage(url)
    try:
        found = []
        for record in list_studies(storage):
            networks = past(trained_networks(storage, record.id, 10_000)) if record.scored_on == VALIDATION else []
            if networks:
                number = first + len(found)
                found.append(Study(record.name, record.dataset, [replace(one, study=number) for one in networks]))
        return found
    finally:
        storage.close()


def read_table(path: Path) -> list[Study]:
    """The studies of a table."""
    table = json.loads(path.read_text(encoding="utf-8"))
    return [
        Study(one["name"], one["dataset"], [_network(number, table["features"], row) for row in one["networks"]])
        for number, one in enumerate(table["studies"])
    ]


def _network(number: int, names: Sequence[str], row: Sequence[float]) -> Past:
    accuracy, expected, *values = row
    return Past(number, accuracy, dict(zip(names, values, strict=True)), expected)


def keep_table(path: Path, found: Sequence[Study]) -> None:
    """Write studies down as a table: a row a network, its accuracy, what is expected of it, its features."""
    names = sorted({name for study in found for one in study.networks for name in one.features})
    kept = []
    for study in found:
        rows = [[one.accuracy, one.expected, *(one.features.get(n, 0.0) for n in names)] for one in study.networks]
        lines = [[float(f"{value:.{DIGITS}g}") for value in row] for row in rows]
        kept.append({"name": study.name, "dataset": study.dataset, "networks": lines})
    text = json.dumps({"features": names, "studies": kept}, separators=(",", ":"))
    path.write_text(text.replace("],[", "],\n[").replace('{"name"', '\n{"name"') + "\n", encoding="utf-8")


def measured(study: Study, others: Sequence[Study]) -> dict[str, Any]:
    """The rank correlations of one study; memory is None where no other study is left to ask."""
    reached = [one.accuracy for one in study.networks]

    def told(asked: Sequence[Study]) -> float | None:
        networks = [one for other in asked for one in other.networks]
        if not networks:
            return None
        memory = Memory(networks)
        return rank_correlation([memory.score(one.features) for one in study.networks], reached)

    found = {
        "macs": rank_correlation([one.features["log macs"] for one in study.networks], reached),
        "params": rank_correlation([one.features["log params"] for one in study.networks], reached),
        "expected": rank_correlation([one.expected for one in study.networks], reached),
        "memory": told(others),
        "other images": told([other for other in others if other.dataset != study.dataset]),
    }
    return {name: None if value is None else round(value, 3) for name, value in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--storage", nargs="+", default=[], help="SQLAlchemy URLs; default: the table")
    parser.add_argument("--keep", type=Path, help="write the studies of the storages here, as a table")
    parser.add_argument(
        "--output", type=Path, help=f"write the results here, as JSON; without --storage {RESULTS.name}"
    )
    options = parser.parse_args()
    found: list[Study] = []
    for url in options.storage:
        found += studies_in(url, len(found))
    found = found or read_table(TABLE)
    if options.keep:
        keep_table(options.keep, found)
    ways = ("macs", "params", "expected", "memory", "other images")
    print(f"{'study':24} {'images':20} {'networks':>8}  " + "  ".join(f"{way:>12}" for way in ways))
    rows = []
    for study in found:
        told = measured(study, [other for other in found if other is not study])
        rows.append({"study": study.name, "dataset": study.dataset, "networks": len(study.networks), **told})
        print(_line(study.name, study.dataset, len(study.networks), [told[way] for way in ways]))
    means = {way: _mean([row[way] for row in rows]) for way in ways}
    print(_line("mean", "", len(rows), list(means.values())))
    output = options.output or (None if options.storage else RESULTS)
    if output:
        result = {**provenance(), "fewest": FEWEST, "studies": rows, "mean": means}
        output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(fmean(known), 3) if known else None


def _line(name: str, dataset: str, count: int, values: Sequence[float | None]) -> str:
    shown = ("" if value is None else f"{value:.2f}" for value in values)
    return f"{name:24} {dataset:20} {count:8}  " + "  ".join(f"{value:>12}" for value in shown)


if __name__ == "__main__":
    main()
