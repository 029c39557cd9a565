"""What means over seeds allow to say: their 95 % interval, and whether two of them can be told apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, stdev

from scipy.special import stdtr, stdtrit

LEVEL = 0.05
"""Means are told apart where chance alone would part them so far less often than this."""


def interval(values: Sequence[float]) -> tuple[float | None, float | None]:
    """The 95 % interval of the mean of accuracies (0 to 1), cut to that range; (None, None) of fewer than two.

    By Student's t: with few seeds it is wide, as it ought to be.
    """
    if len(values) < 2:
        return None, None
    half = float(stdtrit(len(values) - 1, 0.975)) * stdev(values) / len(values) ** 0.5
    return max(0.0, fmean(values) - half), min(1.0, fmean(values) + half)


def welch(first: Sequence[float], second: Sequence[float]) -> float | None:
    """The two-sided p-value of Welch's t-test that two means are one; None where the values do not allow to say.

    Those are fewer than two on either side, and different means without any spread: accuracies are counts of images,
    and that two seeds hit the same one says little. Source: Welch, Biometrika 34, 1947.
    """
    if min(len(first), len(second)) < 2:
        return None
    parts = [stdev(values) ** 2 / len(values) for values in (first, second)]
    apart = abs(fmean(first) - fmean(second))
    if sum(parts) == 0.0:
        return 1.0 if apart == 0.0 else None
    counts = (len(first), len(second))
    freedom = sum(parts) ** 2 / sum(part**2 / (count - 1) for part, count in zip(parts, counts, strict=True))
    return 2 * float(stdtr(freedom, -apart / math.sqrt(sum(parts))))


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values of several comparisons, each raised so that `LEVEL` holds for all of them together, in their order.

    Source: Holm, Scandinavian Journal of Statistics 6, 1979.
    """
    raised = [0.0] * len(p_values)
    most = 0.0
    for place, index in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        most = max(most, min(1.0, (len(p_values) - place) * p_values[index]))
        raised[index] = most
    return raised
