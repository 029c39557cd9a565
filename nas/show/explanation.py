"""A search explained: as a plain record, as lines of CSV, and for eyes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from textwrap import fill, indent
from typing import Any

from nas.show.edits import edits_table
from nas.show.table import Column, count, percent, seconds, table
from nas.work.explain import Explanation
from nas.work.mattered import ChoiceMattered, Mattered
from nas.work.remembered import Recalled

BAR = 10
"""Characters of a bar that stands for all of the variance."""

INDENT = "  "
WIDTH = 100
"""Characters of a line of words where there is no terminal."""

CSV_FIELDS = ("section", "row", "field", "value")

_ROWS = {"choices": "choice", "costs": "cost", "states": "state", "blocks": "block", "parts": "part"}
"""The field that names a row of a section; those of others are numbered from 1."""


def explanation_record(found: Explanation) -> dict[str, Any]:
    """The fields of `nas explain -f json`."""
    told, near = found.mattered, found.nearby
    return {
        "study": found.study,
        "dataset": found.dataset,
        "complete": found.complete,
        "best": asdict(found.best),
        "rank_correlation": dict(told.rank_correlation),
        "p_value": dict(told.p_value),
        "choices": _dicts(told.choices),
        "choices_problem": told.problem,
        "costs": _dicts(told.costs),
        "states": _dicts(found.states),
        "blocks": _dicts(found.blocks),
        "parts": _dicts(found.parts),
        "parts_problem": found.parts_problem,
        "expected_accuracy": None if near is None else near.expected_accuracy,
        "widths": None if near is None else near.widths,
        "edits": None if near is None else near.total,
        "edits_tried": None if near is None else near.tried,
        "edits_rank_correlation": None if near is None else near.rank_correlation,
        "edits_p_value": None if near is None else near.p_value,
        "edits_problem": found.nearby_problem if near is None else near.problem,
        "changes": [] if near is None else _dicts(near.changes),
        "memory": asdict(found.recalled),
        "baseline": found.baseline,
        "baseline_problem": found.baseline_problem,
        "pace": _dicts(found.pace),
    }


def _dicts(rows: Sequence[Any]) -> list[dict[str, Any]]:
    return [asdict(row) for row in rows]


def explanation_rows(found: Explanation) -> list[dict[str, Any]]:
    """A line a figure: its section, its row there, its field and value."""
    rows: list[dict[str, Any]] = []
    for section, value in explanation_record(found).items():
        if isinstance(value, list):
            for number, line in enumerate(value, start=1):
                name = line.get(_ROWS.get(section, ""), number)
                rows += [{"section": section, "row": name, "field": field, "value": one} for field, one in line.items()]
        elif isinstance(value, Mapping):
            rows += [{"section": section, "field": field, "value": one} for field, one in value.items()]
        else:
            rows.append({"field": section, "value": value})
    return rows


def explanation_text(found: Explanation, width: int | None) -> str:
    """Section by section; cells are cut to a terminal's `width` in characters, None: not at all."""
    best, inside = found.best, None if width is None else width - len(INDENT)
    network = f"trial {best.trial} ({best.params:,} params, {best.macs:,} macs)"
    head = (
        f"{found.study} on {found.dataset}: {found.complete} complete trials; best {percent(best.accuracy)}, {network}"
    )
    sections = [
        ("What mattered", _mattered(found.mattered, inside)),
        ("Where the budget went", _spent(found, inside)),
        ("Where the costs of the best network lie", _parts(found, inside)),
        ("One edit from the best network", _nearby(found, inside)),
        ("What other studies told", _recalled(found.recalled, width)),
        ("Beside a random search", _pace(found)),
    ]
    return "\n\n".join([_wrapped(head, width), *(_section(title, texts) for title, texts in sections)])


def _section(title: str, texts: Iterator[str]) -> str:
    inside = "\n".join(texts)
    return f"{title}\n{indent(inside, INDENT)}"


def _wrapped(text: str, width: int | None) -> str:
    return fill(text, width or WIDTH, break_long_words=False, break_on_hyphens=False)


def _mattered(told: Mattered, width: int | None) -> Iterator[str]:
    if told.rank_correlation:
        words = ", ".join(f"{name} {value:.2f}" for name, value in told.rank_correlation.items())
        yield _wrapped(f"rank correlation on trials held out: {words} (0: chance, 1: exact)", width)
    if told.problem:
        yield _wrapped(told.problem, width)
    yield from _told("choice", [_choice_row(one) for one in told.choices], _CHOICES, width)
    yield from _told("cost", [vars(one) for one in told.costs], _COSTS, width)


def _told(name: str, rows: Sequence[Mapping[str, Any]], columns: Sequence[Column], width: int | None) -> Iterator[str]:
    """A table of what is told from chance, and the names of the rest."""
    sure = [row for row in rows if row["distinguishable"]]
    others = [str(row[name]) for row in rows if not row["distinguishable"]]
    if sure:
        yield f"\n{table(sure, columns, width=width)}"
    if others:
        yield _wrapped(f"{name}s not told from chance, the likeliest first: {', '.join(others)}", width)


def _choice_row(one: ChoiceMattered) -> dict[str, Any]:
    low, high = max(0.0, one.importance_low), min(1.0, one.importance_high)
    values = ", ".join(f"{value.value} {100 * value.accuracy:.1f}" for value in one.values)
    return {
        **vars(one),
        "importance": min(1.0, one.importance),
        "bar": one.importance,
        "interval": f"{low:.2f} to {high:.2f}",
        "reached": values,
    }


def _spent(found: Explanation, width: int | None) -> Iterator[str]:
    total = sum(one.seconds for one in found.states)
    yield table([{**vars(one), "share": _share(one.seconds, total)} for one in found.states], _STATES, width=width)
    blocks = [{**vars(one), "share": _share(one.seconds, total)} for one in found.blocks]
    yield f"\n{table(blocks, _BLOCKS, width=width)}"


def _parts(found: Explanation, width: int | None) -> Iterator[str]:
    if not found.parts:
        yield _wrapped(found.parts_problem, width)
        return
    totals = {name: sum(getattr(one, name) for one in found.parts) for name in ("params", "macs")}
    rows = [
        {**vars(one), **{f"{name}_share": _share(getattr(one, name), total) for name, total in totals.items()}}
        for one in found.parts
    ]
    yield table(rows, _PARTS, width=width)


def _nearby(found: Explanation, width: int | None) -> Iterator[str]:
    near = found.nearby
    if near is None:
        yield _wrapped(found.nearby_problem, width)
        return
    yield f"{near.total} networks within the budget, {near.tried} of them tried"
    if near.problem:
        yield _wrapped(near.problem, width)
    else:
        yield f"rank correlation on trials held out: {near.rank_correlation:.2f} (0: chance, 1: exact)"
        yield f"expected: points beyond the {percent(near.expected_accuracy)} that are expected of the best itself"
    if near.changes:
        yield f"\n{edits_table(near, width)}"


def _recalled(told: Recalled, width: int | None) -> Iterator[str]:
    if told.problem:
        yield _wrapped(f"nothing: {told.problem}", width)
        return
    correlations = {
        "what they told": told.rank_correlation,
        "params and last width": told.expected_rank_correlation,
        "macs": told.macs_rank_correlation,
    }
    words = ", ".join(f"{name} {value:.2f}" for name, value in correlations.items() if value is not None)
    networks = f"{told.networks} networks of {told.studies} other {'study' if told.studies == 1 else 'studies'}"
    yield _wrapped(f"{networks}; rank correlation with the accuracies here: {words} (0: chance, 1: exact)", width)
    followed = "what they told" if told.followed else "params and last width"
    yield _wrapped(f"the search goes by {followed}, unless further trials say otherwise", width)


def _pace(found: Explanation) -> Iterator[str]:
    if found.baseline_problem:
        yield found.baseline_problem
        return
    yield f"the best of {found.study} and of {found.baseline}, after as much training and after as many trials"
    yield f"\n{table([vars(one) for one in found.pace], _PACE)}"


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _bar(share: float) -> str:
    return "█" * max(1, min(BAR, round(BAR * share)))


def _whole_percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.0f} %"


def _median(value: float) -> str:
    return count(round(value))


_CHOICES = (
    Column("choice", "choice"),
    Column("importance", "share of variance", "{:.2f}".format, right=True),
    Column("bar", "", _bar),
    Column("interval", "95 % interval", right=True),
    Column("reached", "median accuracy by value, %"),
)

_COSTS = (
    Column("cost", "cost"),
    Column("rank_correlation", "rank correlation", "{:+.2f}".format, right=True),
    Column("median_best_third", "median of the best third", _median, right=True),
    Column("median_others", "of the others", _median, right=True),
)

_STATES = (
    Column("state", "state"),
    Column("trials", "trials", count, right=True),
    Column("seconds", "time", seconds, right=True),
    Column("share", "share", _whole_percent, right=True),
)

_BLOCKS = (
    Column("block", "block"),
    Column("trials", "trials", count, right=True),
    Column("complete", "complete", count, right=True),
    Column("seconds", "time", seconds, right=True),
    Column("share", "share", _whole_percent, right=True),
    Column("best_accuracy", "best", percent, right=True),
    Column("median_accuracy", "median", percent, right=True),
)

_PARTS = (
    Column("part", "part"),
    Column("params", "params", count, right=True),
    Column("params_share", "share", _whole_percent, right=True),
    Column("macs", "macs", count, right=True),
    Column("macs_share", "share", _whole_percent, right=True),
    Column("blocks", "blocks"),
)

_PACE = (
    Column("seconds", "training", seconds, right=True),
    Column("accuracy", "search", percent, right=True),
    Column("baseline_accuracy", "random", percent, right=True),
    Column("trials", "trials", count, right=True),
    Column("accuracy_by_trials", "search", percent, right=True),
    Column("baseline_accuracy_by_trials", "random", percent, right=True),
)
