"""The networks one edit away from a search's best, for eyes: a row each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nas.arch.record import COMPLETE
from nas.show.table import Column, percent, table
from nas.show.units import amount
from nas.work.nearby import Change, Differing, Nearby


def edits_table(near: Nearby, width: int | None) -> str:
    """A line a network; what is expected of it only where a model is to be believed."""
    columns = _COLUMNS if near.problem else (*_EXPECTED, *_COLUMNS)
    return table([_row(one, near.widths) for one in near.changes], columns, width=width)


def _row(one: Change, widths: Sequence[int]) -> dict[str, Any]:
    low, high = one.difference_low, one.difference_high
    known = percent(one.accuracy) if one.state == COMPLETE else one.state
    return {
        **vars(one),
        "interval": "" if low is None or high is None else f"{_points(low)} to {_points(high)}",
        "tried": "" if one.trial is None else f"#{one.trial} {known}",
        "text": change_text(one, widths),
    }


def change_text(change: Change, widths: Sequence[int]) -> str:
    """What differs in words, where the edit was made first, then all widths, since the budget changes several:
    `stage2: stacked → inception, kernel 3 → 5, split even; widths 16 48 64 → 16 40 64`.
    """
    places: dict[str, list[Differing]] = {}
    for one in change.differing:
        places.setdefault(one.place, []).append(one)
    texts = {place: ", ".join(filter(None, map(_words, found))) for place, found in places.items()}
    ordered = [place for place in sorted(texts, key=lambda place: not _is_at(change.edit, place)) if texts[place]]
    told = [f"{place}: {texts[place]}" if place else texts[place] for place in ordered]
    if change.widths != tuple(widths):
        told.append(f"widths {' '.join(map(str, widths))} → {' '.join(map(str, change.widths))}")
    return "; ".join(told)


def _is_at(edit: str, place: str) -> bool:
    return edit.startswith(f"{place}.") if place else "." not in edit


def _words(one: Differing) -> str:
    """`kernel 3 → 5`; a choice that is gone needs no words: what brought it is gone too."""
    name = one.choice.rpartition(".")[2]
    if name == "width" or one.after is None:
        return ""
    prefix = "" if name == "block" else f"{name} "
    return f"{prefix}{one.after}" if one.before is None else f"{prefix}{one.before} → {one.after}"


def _points(value: float | None) -> str:
    return "" if value is None else f"{100 * value:+.2f}"


_EXPECTED = (
    Column("difference", "expected", _points, right=True),
    Column("interval", "95 % interval", right=True),
)

_COLUMNS = (
    Column("params", "params", amount, right=True),
    Column("macs", "macs", amount, right=True),
    Column("tried", "tried"),
    Column("text", "edit"),
)
