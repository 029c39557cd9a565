"""One network, or two, for eyes: a line a layer, then the totals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nas.arch.record import TEST, Place, TrialRecord
from nas.arch.spec import Architecture
from nas.blocks.registry import Blocks
from nas.show.columns import LAYERS
from nas.show.compare import COMPARED
from nas.show.cost import LAYER_FIELDS, part_records, part_settings
from nas.show.table import Column, count, fingerprint, interval, pairs, percent, plain, seconds, shape, table

_SIDE = ("name", "output", "params", "macs")
PAIR_FIELDS = (*(f"a.{name}" for name in LAYER_FIELDS), *(f"b.{name}" for name in LAYER_FIELDS), "same")
"""The fields of `nas diff -f csv`."""


def missing(architecture: Architecture, blocks: Blocks) -> str:
    """The blocks that are not registered, in words; empty where all are."""
    names = [repr(name) for name in architecture.blocks if name not in blocks]
    return f"{'block' if len(names) == 1 else 'blocks'} {', '.join(names)}" if names else ""


def network_text(
    architecture: Architecture,
    record: Mapping[str, Any] | None,
    trial: TrialRecord | None,
    ranks: Sequence[Place],
    width: int | None,
) -> str:
    """An architecture with its cost, or its parts alone where the cost is not known.

    `ranks`: where the trial stands in its study and, where that is another place, among all on the same images.
    """
    head = [("architecture", architecture.fingerprint), ("body", architecture.body)]
    head += [("input", shape(architecture.input)), ("classes", count(architecture.classes))]
    head += [(f"block {name}", version) for name, version in architecture.plugins]
    head += _trial_lines(trial, ranks) if trial else []
    layers = record["layers"] if record else part_records(architecture)
    text = f"{pairs(head)}\n\n{layers_text(layers, part_settings(architecture), width)}"
    return f"{text}\n\n{totals_text(record)}" if record else text


def layers_text(layers: Sequence[Mapping[str, Any]], settings: Mapping[str, str], width: int | None) -> str:
    """A line a layer; the settings of a block stand at its first layer."""
    rows, told = [], set()
    for layer in layers:
        part = layer["name"] if layer["name"] in settings else layer["name"].partition(".")[0]
        rows.append({**layer, "settings": "" if part in told else settings.get(part, "")})
        told.add(part)
    columns = [column for column in LAYERS if column.field != "settings" or settings]
    if all(layer["params"] is None for layer in layers):
        columns = [column for column in columns if column.field in ("name", "block", "settings")]
    return table(rows, columns, width=width)


def totals_text(record: Mapping[str, Any]) -> str:
    """The totals of a cost, one a line."""
    field = record["receptive_field"]
    lines = [("input", shape(record["input"])), ("output", shape(record["output"]))]
    lines += [(name, count(record[name])) for name in ("params", "weights", "macs", "activations")]
    lines += [("receptive field", "not known" if field is None else f"{field:,}")]
    lines += [("auxiliary params", count(record["auxiliary_params"]))] if record["auxiliary_params"] else []
    return pairs(lines)


def _trial_lines(trial: TrialRecord, ranks: Sequence[Place]) -> list[tuple[str, str]]:
    told = f"{trial.study}#{trial.number} ({trial.state}{', reused' if trial.reused else ''})"
    known = interval(trial.accuracy_low, trial.accuracy_high)
    mean = f", the mean of {trial.repeats} seeds, {known}" if known else ""
    lines = [("trial", told), ("candidate", trial.name or "")]
    where = " on test images" if trial.scored_on == TEST else ""
    lines += [("accuracy", f"{percent(trial.accuracy)}{where}{mean}" if trial.accuracy is not None else "none")]
    among = ("in its study", "on these images")
    lines += [("rank", ", ".join(f"{at.rank:,} of {at.among:,} {all}" for at, all in zip(ranks, among, strict=False)))]
    if trial.test_accuracy is not None:
        tested = interval(trial.test_low, trial.test_high)
        lines += [("confirmed", f"{percent(trial.test_accuracy)} on test images{f', {tested}' if tested else ''}")]
    seeds = f"seed {trial.seed}" if trial.repeats == 1 else f"seeds {trial.seed} to {trial.seed + trial.repeats - 1}"
    lines += [("epochs", f"{trial.epochs_done} of {trial.epochs}, {seeds}, {seconds(trial.seconds)}")]
    programs = (f"{name} {version}" for name, version in trial.versions.items() if name not in trial.blocks)
    lines += [("trained with", ", ".join(programs))]
    lines += [("on", f"{trial.device}, {trial.precision}".strip(", ")), ("reason", trial.reason)]
    return [(name, value) for name, value in lines if value]


def pair_rows(compared: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The pairs of layers of a comparison as flat rows: `a.name`, `b.name` and so on."""
    rows = []
    for one in compared["layers"]:
        sides = {f"{side}.{name}": (one[side] or {}).get(name) for side in ("a", "b") for name in LAYER_FIELDS}
        rows.append({**sides, "same": one["same"]})
    return rows


def diff_text(compared: Mapping[str, Any], width: int | None) -> str:
    """Two networks side by side; `=` stands between layers that are alike, `|` between others."""
    columns = [*_side("a"), Column("same", "", lambda same: "=" if same else "|"), *_side("b")]
    totals = [
        {
            "cost": name.replace("_", " "),
            "a": compared["a"][name],
            "b": compared["b"][name],
            "r": compared["ratio"][name],
        }
        for name in COMPARED
    ]
    names = [fingerprint(compared[side]["architecture"]) for side in ("a", "b")]
    sums = [Column("cost", ""), *(Column(s, n, count, True) for s, n in zip(("a", "b"), names, strict=True))]
    sums.append(Column("r", "ratio", lambda ratio: "" if ratio is None else f"{ratio:.3f}", right=True))
    return f"{table(pair_rows(compared), columns, width=width)}\n\n{table(totals, sums)}"


def _side(side: str) -> list[Column]:
    shows = {"name": plain, "output": shape}
    return [Column(f"{side}.{name}", name, shows.get(name, count), right=name != "name") for name in _SIDE]
