"""Every error raised on purpose, one tree, each with its exit code.

NasError                  1   one line a mistake
├── ArchitectureError         an architecture file or a network that cannot be
├── BlockError                a block that is unknown, or lies about its cost or shape
│   └── UncountedOperator     an operator whose cost is not known
├── PluginError               a plugin that cannot be made or found
├── StudyFileError            all mistakes of a study file together
├── DataError                 images that cannot be read or used
├── StorageError              the database: absent, older, newer, or not ours
│   └── ConnectionLost            its server went away in the middle; nothing of that was kept
├── BundleError               a study's file that cannot be written or read
├── NotFound                  no such study, trial or architecture
├── TrainingFailed            a training that ended without a result; ends a trial, never a study
│   └── OutOfMemory           its memory ran out: it is tried again on fewer images at once
├── ExportError               a network or picture that cannot be handed over as asked
├── BudgetError           3   no network of the space meets the budget
└── Interrupted         130   stopped by the user, state kept
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class NasError(Exception):
    """A mistake told to the user in one line each; `exit_code` is what the command ends with."""

    exit_code = 1

    @property
    def lines(self) -> list[str]:
        """The message, one line a mistake."""
        return str(self).splitlines() or [type(self).__name__]


class ArchitectureError(NasError):
    """An architecture that is not well formed, or whose shapes do not meet."""


class BlockError(NasError):
    """A block that is unknown, was given values it cannot build, or lies about its cost or shape."""


class UncountedOperator(BlockError):
    """A block uses an operator whose multiply-adds are not known; the message names it."""


class PluginError(NasError):
    """A plugin that cannot be found, loaded or created."""


class StudyFileError(NasError):
    """The mistakes of one study file, all together."""

    def __init__(self, place: str, problems: Iterable[str]) -> None:
        self.place = place
        self.problems = list(problems)
        super().__init__("\n".join(f"{place}: {problem}" for problem in self.problems))


class DataError(NasError):
    """Images or labels that cannot be read or used."""


class StorageError(NasError):
    """A database that is absent, of another schema, or not ours."""


class ConnectionLost(StorageError):
    """A database that went away in the middle of a transaction, of which nothing was kept."""


class BundleError(NasError):
    """A study's file that cannot be written, is damaged, or holds what no study has."""


class NotFound(NasError):
    """No study, trial or architecture of that name."""


class TrainingFailed(NasError):
    """A training that ended without a result: NaN, out of memory, a plugin's error."""


class OutOfMemory(TrainingFailed):
    """A training for which there was not enough memory."""


class ExportError(NasError):
    """A network that cannot be exported, or a picture drawn, as asked."""


class BudgetError(NasError):
    """No network of the space meets the budget; the message names the smallest that would do."""

    exit_code = 3


class Interrupted(NasError):
    """Stopped by the user; what was done is kept."""

    exit_code = 130


def nearest(word: str, known: Iterable[str]) -> str:
    """` (did you mean 'x'?)` for the known word nearest to a misspelt one, else an empty string."""
    names = [one for one in known if isinstance(one, str)]  # a database may have been changed by hand
    found = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    return f" (did you mean {found[0]!r}?)" if found else ""
