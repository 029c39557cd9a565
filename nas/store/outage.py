"""A database server that goes away and comes back: waiting for it, and doing again what was cut off."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import ParamSpec, TypeVar

from sqlalchemy.exc import DBAPIError, OperationalError

from nas.errors import ConnectionLost, StorageError

OUTAGE_SECONDS = 600.0
"""How long a database is waited for that was there before: a server's restart, or its machine's."""

FULL_SECONDS = 120.0
"""How long one is waited for that is there and takes nobody just now."""

LOOK_SECONDS, CROWD_SECONDS = 5.0, 60.0
"""How often a worker looks whether a server is crowded, and for how long it then keeps no connection open."""

LOST_TRIES = 10
"""How often one and the same thing is done again that was cut off in the middle."""

DELAYS_SECONDS = (0.05, 2.0)
"""The first wait between two tries, and the longest; each is half as long again as the one before."""

UNDONE = ("40001", "40P01")
"""SQLSTATEs of transactions that the server gave up for another's sake: no serial order, a deadlock."""

_FULL = (
    *("too many clients", "connection slots", "too many connections"),
    *("is starting up", "is shutting down", "in recovery mode", "not yet accepting connections"),
)

Given = ParamSpec("Given")
Result = TypeVar("Result")

_jitter = random.SystemRandom()  # the global generator is seeded alike in all workers, who would then wait alike
_log = logging.getLogger(__name__)


@dataclass
class Crowd:
    """Whether a server has few connections left, looked at now and then; it is believed for a while."""

    looked: float = float("-inf")
    until: float = float("-inf")

    def is_there(self, look: Callable[[], bool]) -> bool:
        """What the last look saw, or a new one where that is too long ago."""
        now = time.monotonic()
        if now >= max(self.looked + LOOK_SECONDS, self.until):
            self.looked = now
            self.until = now + CROWD_SECONDS if look() else now
        return now < self.until


def lasting(act: Callable[Given, Result]) -> Callable[Given, Result]:
    """The function, done again from its start where the connection was lost before its changes were kept.

    For functions that change all that they change in one transaction.
    """

    @wraps(act)
    def again(*words: Given.args, **named: Given.kwargs) -> Result:
        for _ in range(LOST_TRIES):
            try:
                return act(*words, **named)
            except ConnectionLost:
                time.sleep(_jitter.uniform(*DELAYS_SECONDS) / 4)
        return act(*words, **named)

    return again


def waited_for(act: Callable[[], Result], patience_seconds: float, shown: str) -> Result:
    """What `act` returns, which begins something; tried again while the server is away, or takes nobody.

    Raises what it raised last when patience has an end, as StorageError where there was any.
    """
    begun = time.monotonic()
    delay, longest = DELAYS_SECONDS
    told = False
    while True:
        try:
            found = act()
        except OperationalError as error:
            patience = max(patience_seconds, FULL_SECONDS if is_full(error) else 0.0)
            waited = time.monotonic() - begun
            if patience == 0:
                raise
            if waited >= patience:
                raise StorageError(f"{shown}: {reason_of(error)}; waited for {waited:.0f} s") from error
            told = told or _tell(shown, error, waited, patience)
            time.sleep(_jitter.uniform(delay / 2, delay))
            delay = min(1.5 * delay, longest)
        else:
            if told:
                _log.warning("%s: back after %.0f s", shown, time.monotonic() - begun)
            return found


def _tell(shown: str, error: DBAPIError, waited: float, patience: float) -> bool:
    """Say once that the database is waited for, when it is more than a moment."""
    if waited < 1.0:
        return False
    _log.warning("%s: %s; waiting for it, %.0f s at most", shown, reason_of(error), patience)
    return True


def is_full(error: DBAPIError) -> bool:
    """Whether a server is there that takes nobody just now. libpq says so in words alone, most often English ones."""
    said = str(error.orig)
    return any(words in said for words in _FULL)


def is_lost(error: DBAPIError) -> bool:
    """Whether a transaction was cut off, by no fault of what it did."""
    return error.connection_invalidated or state_of(error) in UNDONE


def state_of(error: DBAPIError) -> str | None:
    """The SQLSTATE; None where the server was not asked, or has none."""
    return getattr(error.orig, "sqlstate", None)


def reason_of(error: DBAPIError) -> str:
    """What the driver says, in one line."""
    return " ".join(str(error.orig).split())
