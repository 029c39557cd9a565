"""Aligned plain tables, and how accuracies, counts and fingerprints are written for eyes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

GAP = "  "
SHORT_FINGERPRINT = 10
NARROWEST = 12
"""A cell is never cut below so many characters."""

LONGEST_LINE = 2000
"""Characters of a line that tells what went wrong; whoever made a value decides how long it is."""


def plain(value: Any) -> str:
    """A value as it is; nothing for None, lists joined by a space."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return " ".join(map(plain, value)) if isinstance(value, list | tuple) else str(value)


def visible(text: str) -> str:
    """A text as a terminal may be given it: what is no printable character is spelt out, so that it steers nothing."""
    return text if text.isprintable() else "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)


def told(line: str) -> str:
    """A line of bounded length as a terminal may be given it: of a longer one the beginning and the end.

    The end of a message says what is allowed.
    """
    seen, half = visible(line), LONGEST_LINE // 2
    return seen if len(seen) <= LONGEST_LINE else f"{seen[: half - 2]} … {seen[1 - half :]}"


def count(value: int | None) -> str:
    """16,234."""
    return "" if value is None else f"{value:,}"


def percent(value: float | None) -> str:
    """An accuracy or share from 0 to 1: 97.57 %."""
    return "" if value is None else f"{100 * value:.2f} %"


def interval(low: float | None, high: float | None) -> str:
    """The two ends of an interval of accuracies: 80.2 to 83.0 %."""
    return "" if low is None or high is None else f"{100 * low:.1f} to {100 * high:.1f} %"


def fingerprint(value: str) -> str:
    """Its first ten hexadecimal digits, enough for every command."""
    return value[:SHORT_FINGERPRINT]


def seconds(value: float | None) -> str:
    """A span of time in seconds, minutes or hours."""
    if value is None:
        return ""
    if value < 100:
        return f"{value:.1f} s"
    minutes = round(value / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02} min"


def shape(value: Sequence[int] | None) -> str:
    """(C, H, W) as 16×28×28."""
    return "" if value is None else "×".join(map(str, value))


@dataclass(frozen=True)
class Column:
    """One column: the field of the rows, its title, how a value is written; numbers stand right."""

    field: str
    title: str
    show: Callable[[Any], str] = plain
    right: bool = False


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column], *, width: int | None = None) -> str:
    """The rows under their titles; with a `width` in characters the widest texts are cut to fit, else nothing is."""
    cells = [[column.title for column in columns]]
    cells += [[visible(column.show(row[column.field])) for column in columns] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    if width is not None:
        widths = _fitted(widths, columns, width)
    return "\n".join(_line(line, widths, columns) for line in cells)


def _fitted(widths: list[int], columns: Sequence[Column], total: int) -> list[int]:
    fitted = list(widths)
    texts = [index for index, column in enumerate(columns) if not column.right and column.show is not fingerprint]
    while texts and sum(fitted) + len(GAP) * (len(fitted) - 1) > total:
        widest = max(texts, key=lambda index: fitted[index])
        if fitted[widest] <= NARROWEST:
            break
        fitted[widest] -= 1
    return fitted


def _line(cells: Sequence[str], widths: Sequence[int], columns: Sequence[Column]) -> str:
    parts = []
    for cell, width, column in zip(cells, widths, columns, strict=True):
        cut = cell if len(cell) <= width else f"{cell[: width - 1]}…"
        parts.append(cut.rjust(width) if column.right else cut.ljust(width))
    return GAP.join(parts).rstrip()


def pairs(lines: Sequence[tuple[str, str]]) -> str:
    """Names and values under one another."""
    width = max(len(name) for name, _ in lines)
    return "\n".join(f"{name.ljust(width)}{GAP}{visible(value)}".rstrip() for name, value in lines)
