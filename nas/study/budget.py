"""The budget: the hard limits that no trained network exceeds."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any

from nas.arch.record import LIMITS, Totals
from nas.study.numbers import LARGEST_COUNT, shown

_COUNT = re.compile(r"([0-9]+(?:_[0-9]+)*)(\.[0-9]+)?([kKmMgG]?)")
_FACTORS = {"": 1, "k": 1_000, "m": 1_000_000, "g": 1_000_000_000}
_COUNTS = 'whole numbers from 1, as 20_000, "20k", "1.5M" or "2G"'


@dataclass(frozen=True, slots=True)
class Budget:
    """Maxima for one network, and the least receptive field in pixels; None is no limit."""

    params: int | None = None
    weights: int | None = None
    macs: int | None = None
    activations: int | None = None
    min_receptive_field: int | None = None

    @property
    def maxima(self) -> dict[str, int]:
        """The limits from above by name, those that are set."""
        limits = {name: getattr(self, name) for name in LIMITS}
        return {name: limit for name, limit in limits.items() if limit is not None}

    def fits(self, totals: Totals) -> bool:
        """Whether a network meets every limit; an unknown receptive field meets no minimum."""
        if any(getattr(totals, name) > limit for name, limit in self.maxima.items()):
            return False
        return self.sees(totals.receptive_field)

    def broken(self, totals: Totals) -> list[str]:
        """A line on each limit that a network does not meet."""
        over = [(name, limit, getattr(totals, name)) for name, limit in self.maxima.items()]
        lines = [f"{name} {found:,} is over the budget of {limit:,}" for name, limit, found in over if found > limit]
        if not self.sees(totals.receptive_field):
            sees = "is not known" if totals.receptive_field is None else f"is {totals.receptive_field:,} pixels"
            lines.append(f"receptive_field {sees}; the budget asks for {self.min_receptive_field:,} or more")
        return lines

    def sees(self, receptive_field: int | None) -> bool:
        """Whether a receptive field in pixels, None where unknown, meets the minimum."""
        least = self.min_receptive_field
        return least is None or (receptive_field is not None and receptive_field >= least)

    def use(self, totals: Totals) -> float:
        """The share of the tightest limit: the largest cost / limit over the maxima, 0.0 without any."""
        return max((getattr(totals, name) / limit for name, limit in self.maxima.items()), default=0.0)

    def to_json(self) -> dict[str, int]:
        """The limits that are set, as `nas status` shows them."""
        least = self.min_receptive_field
        return {**self.maxima, **({} if least is None else {"receptive_field": least})}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Budget:
        """The budget that `to_json` wrote; raises ValueError on a name that is no limit."""
        limits = {"min_receptive_field" if name == "receptive_field" else name: data[name] for name in data}
        unknown = set(limits) - {field.name for field in fields(cls)}
        if unknown:
            raise ValueError(f"{', '.join(sorted(unknown))}: no limit of a budget")
        return cls(**limits)


def parse_count(value: Any) -> int:
    """A count such as 20_000, 2e4, "20k", "1.5M" or "2G" (k = 1,000), exactly.

    Raises ValueError where the result is not a whole number from 1 to 10^15: "1.0005k" is refused, not rounded.
    """
    count = _exact(value)
    if count is None or count != count.to_integral_value() or not 1 <= count <= LARGEST_COUNT:
        raise ValueError(f"{shown(value)} is not a count; allowed: {_COUNTS}")
    return int(count)


def _exact(value: Any) -> Decimal | None:
    """The number a count means, None where it is none; no text of more digits than any count has is looked at."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int) and abs(value) <= LARGEST_COUNT:
        return Decimal(value)
    if isinstance(value, float) and math.isfinite(value):
        return Decimal(value)
    if not isinstance(value, str) or len(value) > 40:
        return None
    match = _COUNT.fullmatch(value.strip())
    if match is None:
        return None
    digits, fraction, unit = match.groups()
    return Decimal(digits.replace("_", "") + (fraction or "")) * _FACTORS[unit.lower()]
