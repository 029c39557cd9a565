"""Proposing what a comparison lists: its candidates in their order, each once."""

from __future__ import annotations

from collections.abc import Sequence

from nas.arch.record import Candidate
from nas.search.phrases import summary
from nas.search.tried import Tried
from nas.study.candidates import Listed

NAME = "architecture"
"""What a candidate's name goes by among the params of its trial."""


class Listing:
    """Proposes the candidates of a comparison that are not yet trials of it; nothing is drawn or scaled."""

    def __init__(self, candidates: Sequence[Listed]) -> None:
        self.waiting = [as_candidate(one) for one in candidates]
        self.elsewhere: list[Candidate] = []

    def learn(self, records: Sequence[Tried]) -> None:
        """Take in which candidates are trials by now, whatever became of them."""
        known = {record.fingerprint for record in records}
        self.waiting = [one for one in self.waiting if one.fingerprint not in known]
        self.elsewhere = [one for one in self.elsewhere if one.fingerprint not in known]

    def ask(self) -> Candidate | None:
        """The next candidate; None where all are trials."""
        queue = self.waiting or self.elsewhere
        return queue.pop(0) if queue else None

    def taken(self, candidate: Candidate) -> None:
        """Another study is training the network: ask again for it once nothing else is left."""
        self.elsewhere.append(candidate)


def as_candidate(one: Listed) -> Candidate:
    """A listed network as what a worker claims."""
    architecture = one.architecture
    named = {NAME: one.name}
    return Candidate(
        architecture=architecture.to_json(),
        fingerprint=architecture.fingerprint,
        body=architecture.body,
        blocks=architecture.blocks,
        totals=one.totals,
        draw=named,
        params=named,
        projected=False,
        summary=summary(architecture),
    )
