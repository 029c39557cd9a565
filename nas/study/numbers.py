"""Readers of single values of a study file: each gives the value back or says in one line what is allowed."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from nas.arch.record import Value
from nas.errors import nearest

LARGEST_COUNT = 10**15
MOST_VALUES = 10_000
"""The longest list a study file may hold, and the most widths a range may span."""


def shown(value: Any) -> str:
    """A value as a message quotes it: one line, never long, spelt as TOML spells it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, list | tuple):
        inner = [shown(item) if not isinstance(item, list | tuple) else "a list" for item in value[:8]]
        return f"[{', '.join([*inner, *(['…'] if len(value) > 8 else [])])}]"
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, int) and value.bit_length() > 128:
        return f"a number of {value.bit_length()} bits"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


@dataclass(frozen=True)
class Whole:
    """Reads a whole number from `low` to `high`, odd where asked; true is not 1, and 10.0 not 10."""

    low: int
    high: int
    odd: bool = False

    @property
    def allowed(self) -> str:
        """What is allowed, in words."""
        return f"{'odd' if self.odd else 'whole'} numbers from {self.low:,} to {self.high:,}"

    def __call__(self, value: Any) -> int:
        """The number; raises ValueError on any other value."""
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError(f"{shown(value)} is not a whole number; allowed: {self.allowed}")
        if value < self.low or value > self.high:
            side = f"less than {self.low:,}" if value < self.low else f"more than {self.high:,}"
            raise ValueError(f"{shown(value)} is {side}; allowed: {self.allowed}")
        if self.odd and value % 2 == 0:
            raise ValueError(f"{value} is even; allowed: {self.allowed}")
        return value


@dataclass(frozen=True)
class Real:
    """Reads a finite number, from 0 (not itself where `positive`), below `below` and up to `most`; gives a float."""

    positive: bool = False
    below: float = math.inf
    most: float = math.inf

    @property
    def allowed(self) -> str:
        """What is allowed, in words."""
        low = "numbers above 0" if self.positive else "numbers from 0"
        if not math.isinf(self.most):
            return f"{low}, up to {self.most:g}"
        return low if math.isinf(self.below) else f"{low}, below {self.below:g}"

    def __call__(self, value: Any) -> float:
        """The number; raises ValueError on any other value."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"{shown(value)} is not a number; allowed: {self.allowed}")
        if isinstance(value, int) and value.bit_length() > 128:
            raise ValueError(f"{shown(value)} is too large; allowed: {self.allowed}")
        above = value > 0 if self.positive else value >= 0
        if not (math.isfinite(value) and above and value < self.below and value <= self.most):
            raise ValueError(f"{shown(value)} is out of range; allowed: {self.allowed}")
        return float(value) + 0.0  # turns -0.0 into 0.0, so that both are one configuration


@dataclass(frozen=True)
class OneOf:
    """Reads one of a few words."""

    words: tuple[str, ...]

    @property
    def allowed(self) -> str:
        """What is allowed, in words."""
        return ", ".join(self.words)

    def __call__(self, value: Any) -> str:
        """The word; raises ValueError with the nearest one."""
        if not isinstance(value, str):
            raise ValueError(f"{shown(value)} is not a text; allowed: {self.allowed}")
        if value not in self.words:
            raise ValueError(f"{shown(value)} is not known{nearest(value, self.words)}; allowed: {self.allowed}")
        return value


@dataclass(frozen=True)
class ListOf:
    """Reads a list without repetition by the reader of its items, telling all mistakes; numbers come back sorted."""

    item: Callable[[Any], Any]
    allowed: str

    def __call__(self, value: Any) -> tuple[Any, ...]:
        """The items; raises ValueError with a line for each mistake."""
        if not isinstance(value, list | tuple):
            raise ValueError(f"{shown(value)} is not a list; allowed: a list of {self.allowed}")
        if not 1 <= len(value) <= MOST_VALUES:
            size = f"a list of {len(value):,} values" if value else "an empty list"
            raise ValueError(f"{size}; allowed: a list of 1 to {MOST_VALUES:,} {self.allowed}")
        found, problems = self._items(value)
        if problems:
            raise ValueError("\n".join(problems))
        return tuple(found if isinstance(found[0], str) else sorted(found))

    def _items(self, values: Iterable[Any]) -> tuple[list[Any], list[str]]:
        found: dict[Any, None] = {}
        problems: dict[str, None] = {}
        for value in values:
            try:
                item = self.item(value)
            except ValueError as error:
                problems[str(error)] = None
                continue
            if item in found:
                problems[f"{shown(item)} stands twice; allowed: each value once"] = None
            found[item] = None
        return list(found), list(problems)


def flag(value: Any) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise ValueError(f"{shown(value)} is not true or false; allowed: true, false")
    return value


def text(value: Any) -> str:
    """A text of one line that is not empty."""
    if not isinstance(value, str):
        raise ValueError(f'{shown(value)} is not a text; allowed: a text, as "digits"')
    if not value.strip() or not value.isprintable() or len(value) > 1000:
        raise ValueError(f"{shown(value)} is not a text of one line; allowed: 1 to 1,000 printable characters")
    return value


_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
_NAMES = "1 to 100 letters, digits and . _ -, not starting with . or -"


def study_name(value: Any) -> str:
    """A study's name: it can stand in a command, before `#3`, and is not taken for a fingerprint or for `block`."""
    if not isinstance(value, str):
        raise ValueError(f"{shown(value)} is not a text; allowed: {_NAMES}")
    if not _NAME.fullmatch(value):
        raise ValueError(f"{shown(value)} is not a name; allowed: {_NAMES}")
    if value == "block":
        raise ValueError(f"{shown(value)} is reserved for `nas cost block`; allowed: any other name")
    if re.fullmatch(r"[0-9a-fA-F]{32}", value):
        raise ValueError(f"{shown(value)} looks like a fingerprint; allowed: any other name")
    return value


def plain(value: Any) -> Value:
    """A block's option: a finite number, a text, or true or false."""
    if isinstance(value, bool | str):
        return value
    if isinstance(value, int | float) and abs(value) <= LARGEST_COUNT:  # false for nan and inf too
        return value
    raise ValueError(f"{shown(value)} is not an option's value; allowed: a number, a text, true or false")
