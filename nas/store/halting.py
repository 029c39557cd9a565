"""Pausing and cancelling studies, and opening them again, from wherever the storage can be reached."""

from __future__ import annotations

from nas.arch.record import CANCELLED, PAUSED, StudyStatus
from nas.errors import NasError
from nas.store.engine import Storage
from nas.store.status import state_of, status
from nas.store.studies import find_study, halt_study

OVER = ("complete", "failed")
"""The states in which no worker has anything left to do, whatever is said."""

HALTED = (PAUSED, CANCELLED)


def pause_study(storage: Storage, name: str) -> StudyStatus:
    """Have no trial of a study begin or go on, until it is resumed; those under way are let go at their next epoch.

    They wait under their numbers, with their checkpoints. Raises NasError where the study is over or cancelled.
    """
    if state_of(storage, name) == CANCELLED:
        raise NasError(f"study {name!r} is cancelled, so there is nothing to pause: `nas resume {name}` opens it again")
    return _halted(storage, name, PAUSED)


def cancel_study(storage: Storage, name: str) -> StudyStatus:
    """End a study before its time, as `pause_study` does, and for good unless it is resumed."""
    return _halted(storage, name, CANCELLED)


def resume_study(storage: Storage, name: str) -> StudyStatus:
    """Open a study again that was paused or cancelled; its trials go on from their checkpoints.

    Raises NasError where it was neither.
    """
    if not find_study(storage, name).halt:
        state = state_of(storage, name)
        raise NasError(f"study {name!r} is {state}: nothing to resume; allowed: paused or cancelled studies")
    halt_study(storage, name, "")
    return status(storage, name)


def check_open(storage: Storage, name: str) -> None:
    """Raise NasError where a study is paused or cancelled."""
    state = state_of(storage, name)
    if state in HALTED:
        raise NasError(f"study {name!r} is {state}; `nas resume {name}` opens it again")


def _halted(storage: Storage, name: str, halt: str) -> StudyStatus:
    state = state_of(storage, name)
    if state in OVER:
        raise NasError(f"study {name!r} is {state} already; allowed: a study that still has trials to run")
    halt_study(storage, name, halt)
    return status(storage, name)
