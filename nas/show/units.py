"""How quantities are written on axes and bars: short counts, bytes, pixels, shares."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Unit:
    """How a value is written; its round numbers are of `base`; `far`: its axis is logarithmic from so large a range."""

    show: Callable[[float], str]
    base: int = 10
    far: float = math.inf


def amount(value: float) -> str:
    """A count in three digits: 590k, 462M."""
    return _scaled(value, 1000, ("", "k", "M", "G", "T"))


def memory(value: float) -> str:
    """Bytes in three digits: 784 KiB, 1.53 MiB."""
    return _scaled(value, 1024, (" B", " KiB", " MiB", " GiB", " TiB"))


def share(value: float) -> str:
    """From 0 to 1, in percent with one digit: 97.6 %."""
    return f"{100 * value:.1f} %"


def _scaled(value: float, step: int, units: Sequence[str]) -> str:
    power = 0
    while abs(value) >= step * 0.9995 and power < len(units) - 1:
        value, power = value / step, power + 1
    text = f"{value:.{0 if abs(value) >= 99.95 else 1 if abs(value) >= 9.995 else 2}f}"
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text}{units[power]}"


COUNT = Unit(amount, far=20)
MEMORY = Unit(memory, base=2, far=20)
PIXELS = Unit("{:g}".format)
SHARE = Unit(share)
