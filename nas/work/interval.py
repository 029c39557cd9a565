"""The 95 % interval of a mean over seeds."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, stdev

from scipy.special import stdtrit


def interval(values: Sequence[float]) -> tuple[float | None, float | None]:
    """The 95 % interval of the mean of accuracies (0 to 1), cut to that range; (None, None) of fewer than two.

    By Student's t: with few seeds it is wide, as it ought to be.
    """
    if len(values) < 2:
        return None, None
    half = float(stdtrit(len(values) - 1, 0.975)) * stdev(values) / len(values) ** 0.5
    return max(0.0, fmean(values) - half), min(1.0, fmean(values) + half)
