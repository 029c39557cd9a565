"""The way of a trial: what is left undone first, then a new network that fits the budget and that nobody knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from nas.arch.record import Candidate, Claim, StudyRecord
from nas.search.tried import Tried
from nas.store.claims import Answer, claim
from nas.store.engine import Storage
from nas.store.leases import take_up
from nas.store.status import outlook
from nas.store.studies import find_study, mark_exhausted
from nas.store.trials import told_since

LEASE_SECONDS = 30.0
"""A trial whose worker has not been heard of for so long is free to be taken up."""


class Proposes(Protocol):
    """Whoever proposes networks: an Optuna study in memory, or a test's own."""

    def learn(self, records: Sequence[Tried]) -> None:
        """Take in what became of the study's trials."""
        ...

    def ask(self) -> Candidate | None:
        """A network within the budget that the study does not know; None where there is none."""
        ...

    def taken(self, candidate: Candidate) -> None:
        """Another study is training the network now."""
        ...


@dataclass
class Search:
    """One worker's view of a study: where it is stored, who proposes, and how far it has read the trials."""

    storage: Storage
    study: StudyRecord
    owner: str
    proposer: Proposes
    revision: int = 0

    def next_claim(self) -> Claim | None:
        """A trial to train: one left undone, or a new one; None where the study needs no more or waits for others.

        The search's whole way: propose within the budget, ask whether it is known, claim it before training.
        """
        ahead = outlook(self.storage, self.study.id)
        left = take_up(self.storage, self.study, self.owner, LEASE_SECONDS) if ahead.left else None
        while left is None and ahead.lacking > 0:
            self.revision, changed = told_since(self.storage, self.study.id, self.revision)
            self.proposer.learn(changed)
            candidate = self.proposer.ask()
            if candidate is None:
                if not self._outdated():
                    mark_exhausted(self.storage, self.study.id)
                return None
            result = claim(self.storage, self.study, self.owner, candidate, LEASE_SECONDS)
            if result.kind is Answer.CLAIMED:
                return result.claim
            if result.kind in (Answer.FULL, Answer.BUSY):
                # Not now; but a trial may yet fail and be replaced, or the other study may stop.
                self.proposer.taken(candidate)
                return None
            ahead = outlook(self.storage, self.study.id)
        return left

    def unfinished(self) -> bool:
        """Whether work is left, or may still come: a trial lacks, or one is held whose worker may die or fail."""
        return outlook(self.storage, self.study.id).unfinished and not self._outdated()

    def _outdated(self) -> bool:
        """Whether a comparison has been given candidates since this worker read it: another one must go on."""
        listed = self.study.config.get("architecture")
        return listed is not None and find_study(self.storage, self.study.name).config["architecture"] != listed
