"""What a storage remembers of other studies, for one that begins or goes on."""

from __future__ import annotations

from dataclasses import dataclass

from nas.arch.record import StudyRecord
from nas.search.memory import Memory, past, rank_correlation
from nas.search.sampler import FEWEST_TO_JUDGE
from nas.store.engine import Storage
from nas.store.trials import trained_networks
from nas.study.file import StudyFile

MOST = 1_000
"""Of so many of the latest networks; more would say little more."""


@dataclass(frozen=True)
class Recalled:
    """What other studies told of a search: of so many `networks` of so many `studies`.

    The rank correlations with the accuracies of the search: of what they told, of what is expected without them, and of
    multiply-adds; None where nothing was told, and `problem` says why. `followed`: the search goes by what they told.
    """

    studies: int
    networks: int
    rank_correlation: float | None
    expected_rank_correlation: float | None
    macs_rank_correlation: float | None
    followed: bool = False
    problem: str = ""


def remembered(storage: Storage, study_id: int) -> Memory | None:
    """What the other studies of a storage trained; None where that is too little."""
    networks = past(trained_networks(storage, study_id, MOST, elsewhere=True))
    return Memory(networks) if networks else None


def recalled(storage: Storage, record: StudyRecord, file: StudyFile, sampler: str) -> Recalled:
    """What was told of a search, and how far it held; `sampler`: who proposed its networks."""
    if sampler != "budget":
        return _nothing(f"the sampler {sampler!r} does not ask for it")
    if not file.search.memory:
        return _nothing("search.memory is false")
    memory = remembered(storage, record.id)
    if memory is None:
        return _nothing("no other study of the storage has trained enough networks")
    own = trained_networks(storage, record.id, MOST)
    known = past(own, fewest=1)
    reached = [one.accuracy for one in known]
    told = rank_correlation([memory.score(one.features) for one in known], reached)
    expected = rank_correlation([one.expected for one in known], reached)
    return Recalled(
        studies=len({one.study for one in memory.networks}),
        networks=len(memory.networks),
        rank_correlation=told,
        expected_rank_correlation=expected,
        macs_rank_correlation=rank_correlation([one.features["log macs"] for one in known], reached),
        followed=told > expected if len(known) >= FEWEST_TO_JUDGE else memory.believed,
    )


def _nothing(problem: str) -> Recalled:
    return Recalled(0, 0, None, None, None, problem=problem)
