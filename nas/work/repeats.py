"""The trainings of one trial, whose epochs are counted on: which epochs are whose."""

from __future__ import annotations

from collections.abc import Sequence

from nas.arch.record import EpochRecord


def last_of_each(epochs: Sequence[EpochRecord], in_one: int) -> list[float]:
    """The last accuracy of each training; a training has `in_one` numbers for its epochs, or ends before."""
    last = {(record.epoch - 1) // in_one: record.accuracy for record in epochs}
    return [accuracy for accuracy in last.values() if accuracy is not None]
