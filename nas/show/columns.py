"""Which fields of which records stand in a table for eyes; JSON and CSV have all of them."""

from __future__ import annotations

from typing import Any

from nas.show.table import Column, count, fingerprint, percent, plain, seconds, shape


def _number(field: str, title: str = "") -> Column:
    return Column(field, title or field, count, right=True)


def _accuracy(field: str, title: str = "") -> Column:
    return Column(field, title or field, percent, right=True)


def _time(value: float | None) -> str:
    return seconds(value) if value else ""


_SECONDS = Column("seconds", "time", _time, right=True)
_FINGERPRINT = Column("architecture", "architecture", fingerprint)

RANKING = (
    _number("rank"),
    Column("study", "study"),
    _number("trial"),
    _FINGERPRINT,
    _accuracy("accuracy"),
    _number("params"),
    _number("macs"),
    _number("receptive_field", "field"),
    _number("depth"),
    Column("blocks", "blocks"),
    Column("dataset", "dataset"),
    _number("epochs"),
    _SECONDS,
)
"""The ranking. `field` is the receptive field in pixels."""

COMPARISON = (
    _number("rank"),
    Column("study", "study"),
    _number("trial"),
    Column("name", "candidate"),
    _accuracy("accuracy"),
    Column("interval", "95 % interval", right=True),
    _number("repeats", "seeds"),
    _number("params"),
    _number("weights"),
    _number("macs"),
    _number("receptive_field", "field"),
    Column("dataset", "dataset"),
    _number("epochs"),
    _SECONDS,
)
"""The ranking of a study that lists its candidates: the mean over its seeds, and how far that can be trusted."""

REPEATED = (Column("name", "candidate"), Column("interval", "95 % interval", right=True), _number("repeats", "seeds"))
"""Stands in a ranking that has candidates of comparisons among other networks."""

CONFIRMED = (_accuracy("test_accuracy", "test"), Column("test_interval", "95 % interval", right=True))
"""Stands in a ranking that has confirmed networks."""


def _p_value(value: float | None) -> str:
    return "" if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"


CONFIRMATION = (
    _number("rank"),
    Column("network", "network"),
    _FINGERPRINT,
    _accuracy("accuracy", "validation"),
    _accuracy("test_accuracy", "test"),
    Column("interval", "95 % interval", right=True),
    Column("each", "each seed", right=True),
    _number("params"),
    Column("p_value", "p", _p_value, right=True),
    Column("distinguishable", "told from 1st"),
)
"""What a confirmation found. `p`, corrected for all comparisons, that chance alone parts the network from the first."""

STUDIES = (
    Column("study", "study"),
    Column("dataset", "dataset"),
    Column("state", "state"),
    _number("done"),
    _number("total"),
    _number("failed"),
    _number("running"),
    _accuracy("best_accuracy", "best"),
    _SECONDS,
)

TRIALS = (
    _number("trial"),
    Column("state", "state"),
    _accuracy("accuracy"),
    _FINGERPRINT,
    _number("params"),
    _number("macs"),
    Column("progress", "epochs", right=True),
    _SECONDS,
    Column("reused", "reused"),
    Column("network", "network"),
    Column("reason", "reason"),
)

LAYERS = (
    Column("name", "layer"),
    Column("block", "block"),
    Column("settings", "settings"),
    Column("input", "input", shape, right=True),
    Column("output", "output", shape, right=True),
    _number("params"),
    _number("weights"),
    _number("macs"),
    _number("activations"),
    _number("receptive_field", "field"),
)

REFERENCES = (
    Column("name", "network"),
    Column("input", "input", shape, right=True),
    _number("params"),
    _number("weights"),
    _number("macs"),
    _number("receptive_field", "field"),
    _number("depth"),
    _number("auxiliary_params", "auxiliary"),
    Column("source", "source"),
)
"""The reference networks. `auxiliary` are the params of heads for training alone."""


def _values(choices: dict[str, Any]) -> str:
    texts = (f"{name} {'|'.join(map(str, v)) if isinstance(v, list) else plain(v)}" for name, v in choices.items())
    return ", ".join(texts)


BLOCKS = (
    Column("name", "block"),
    Column("plugin", "plugin"),
    Column("version", "version"),
    Column("choices", "choices", _values),
    Column("options", "options", _values),
    Column("summary", "summary"),
)

PLUGINS = (
    Column("name", "plugin"),
    Column("version", "version"),
    Column("path", "path"),
    Column("blocks", "blocks"),
    Column("error", "error"),
)
