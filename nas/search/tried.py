"""What whoever proposes networks is told of a trial, whether it was read whole or in few columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from nas.arch.record import Value


class Tried(Protocol):
    """What samplers are told of a trial."""

    @property
    def number(self) -> int:
        """Its number in the study."""
        ...

    @property
    def fingerprint(self) -> str:
        """Of its network."""
        ...

    @property
    def state(self) -> str:
        """As in `TrialRecord`."""
        ...

    @property
    def accuracy(self) -> float | None:
        """None where it has none."""
        ...

    @property
    def epochs_done(self) -> int:
        """How long it was trained."""
        ...

    @property
    def draw(self) -> Mapping[str, Value]:
        """What the sampler drew."""
        ...

    @property
    def params(self) -> Mapping[str, Value]:
        """What was made of it."""
        ...

    @property
    def choices(self) -> str:
        """The params as they are stored, a text of JSON: to know them again nobody has to read them."""
        ...
