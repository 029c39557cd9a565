"""Proposing networks: an Optuna study in memory, fed from our rows, whose draws are projected onto the budget."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FixedTrial, Trial, TrialState, create_trial

from nas.arch.record import COMPLETE, FAILED, PRUNED, Candidate, TrialRecord, Value
from nas.arch.spec import Architecture, BlockPart
from nas.blocks.registry import Blocks
from nas.blocks.trace import cost, normalise
from nas.search.costs import Costs
from nas.search.project import Projected, project
from nas.search.sampler import make_sampler, quiet
from nas.study.budget import Budget
from nas.study.space import Draw, RandomPicker, Space

MOST_ASKS = 50
"""So many known networks in a row, and the sampler is no longer asked for this proposal."""

RANDOM_DRAWS = 200
"""Then so many random draws are tried, before a small space is gone through in order."""

MOST_DRAWS = 20_000
"""A space of at most so many draws is gone through whole; of a larger one so many are drawn at random."""

_STATES = {COMPLETE: TrialState.COMPLETE, PRUNED: TrialState.PRUNED, FAILED: TrialState.FAIL}


class Proposer:
    """Proposes networks that a study has not tried, from what its trials gave so far."""

    def __init__(
        self,
        space: Space,
        blocks: Blocks,
        budget: Budget,
        *,
        sampler: str = "auto",
        trials: int,
        seed: int,
        fill: bool = True,
        slot: int = 0,
    ) -> None:
        quiet()
        self.space, self.fill, self.trials, self.slot = space, fill, trials, slot
        self.blocks = blocks
        self.costs = Costs(space, blocks, budget)
        self.study = optuna.create_study(direction="maximize", sampler=make_sampler(sampler, space, trials, seed))
        self.random = random.Random(seed)
        self.asked: dict[str, Trial | None] = {}
        """Each network proposed or known, by fingerprint, with its in-memory trial while that is open."""
        self.ended: dict[str, TrialRecord] = {}
        self.blocks_seen: set[str] = set()
        self.used_up = False
        self.elsewhere: list[Candidate] = []
        """Networks that another study is training: asked for again once nothing else is left."""
        self.fitting = [block for block in dict.fromkeys(space.blocks) if self._fits(block)]

    def learn(self, records: Sequence[TrialRecord]) -> None:
        """Take in what became of the study's trials; running ones count as taken."""
        for record in records:
            self.blocks_seen.update(record.blocks)
            known, over = record.fingerprint in self.asked, record.state in _STATES
            if not known:
                self.asked[record.fingerprint] = self._add_ended(record) if over else self._open(record.draw)
            if over and record.fingerprint not in self.ended:
                self.ended[record.fingerprint] = record
                self._tell(self.asked.get(record.fingerprint), record)
                self.asked[record.fingerprint] = None

    def ask(self) -> Candidate | None:
        """A network within the budget that the study does not know, or None where no new one is found.

        None is a proof that all are known where the space has at most `MOST_DRAWS` draws.
        """
        missing = [block for block in self.fitting if block not in self.blocks_seen]
        if missing and len(self.asked) < 2 * len(self.fitting) <= self.trials:
            found = self._with_block(missing[self.slot % len(missing)])
            if found is not None:
                return found
        for _ in range(0 if self.used_up else MOST_ASKS):
            trial = self.study.ask()
            draw = self.space.draw(trial)
            found = self._new(draw, trial)
            if found is not None:
                return found
        return self._unseen() or (self.elsewhere.pop(0) if self.elsewhere else None)

    def taken(self, candidate: Candidate) -> None:
        """Another study is training the network: do not propose it again before everything else is known."""
        self.elsewhere.append(candidate)

    def _new(self, draw: Draw, trial: Trial) -> Candidate | None:
        """The draw's network if it is new; else the in-memory trial is told what is known of it."""
        found = project(draw, self.costs, fill=self.fill)
        if found is None:
            self.study.tell(trial, state=TrialState.FAIL)
            return None
        architecture = self.space.architecture(found.draw)
        fingerprint = architecture.fingerprint
        if fingerprint in self.asked:
            self._tell(trial, self.ended.get(fingerprint))
            return None
        self.asked[fingerprint] = trial
        return self._candidate(architecture, draw, found)

    def _candidate(self, architecture: Architecture, draw: Draw, found: Projected) -> Candidate:
        stated = normalise(architecture, self.blocks)
        totals = cost(stated, self.blocks).totals
        assert self.costs.budget.fits(totals), "a projected network is within the budget"
        return Candidate(
            architecture=stated.to_json(),
            fingerprint=stated.fingerprint,
            body=stated.body,
            blocks=stated.blocks,
            totals=totals,
            draw=self.space.names(draw),
            params=self.space.names(found.draw),
            projected=found.changed,
            summary=summary(stated),
        )

    def _with_block(self, block: str) -> Candidate | None:
        """A random network whose stages all are of one block type: each type appears among the first trials."""
        for _ in range(MOST_ASKS):
            draw = self.space.only(block).draw(RandomPicker(self.random))
            found = self._enqueued(draw)
            if found is not None and block in found.blocks:
                return found
        return None

    def _enqueued(self, draw: Draw) -> Candidate | None:
        trial = self._open(self.space.names(draw))
        return self._new(draw, trial) if trial is not None else None

    def _open(self, params: Mapping[str, Value]) -> Trial | None:
        """An in-memory trial with these params, counted as running; None where the space cannot draw them."""
        if not self._drawable(params):
            return None
        self.study.enqueue_trial(dict(params))
        trial = self.study.ask()
        self.space.draw(trial)
        return trial

    def _drawable(self, params: Mapping[str, Value]) -> bool:
        try:
            distributions(self.space, params)
        except ValueError:
            return False
        return True

    def _unseen(self) -> Candidate | None:
        """A new network by random draws, then by going through a small space whole."""
        for draw in self._rest():
            found = self._if_new(draw)
            if found is not None:
                return found
        self.used_up = True
        return None

    def _rest(self) -> Iterator[Draw]:
        if self.used_up:
            return
        small = self.space.size() <= MOST_DRAWS
        for _ in range(RANDOM_DRAWS if small else MOST_DRAWS):
            yield self.space.draw(RandomPicker(self.random))
        if small:
            yield from self.space.draws()

    def _if_new(self, draw: Draw) -> Candidate | None:
        found = project(draw, self.costs, fill=self.fill)
        if found is None or self.space.architecture(found.draw).fingerprint in self.asked:
            return None
        return self._enqueued(draw)

    def _fits(self, block: str) -> bool:
        """Whether networks of this block type alone can meet the budget."""
        only = Costs(self.space.only(block), self.blocks, self.costs.budget)
        picker = RandomPicker(random.Random(0))
        draws = [only.space.draw(picker) for _ in range(4)]
        return any(project(draw, only, fill=self.fill) is not None for draw in draws)

    def _add_ended(self, record: TrialRecord) -> None:
        """A trial that ended before this proposer heard of it, written whole."""
        if not self._drawable(record.draw):
            return
        found = distributions(self.space, record.draw)
        curve = {} if record.accuracy is None else {record.epochs_done: record.accuracy}
        self.study.add_trial(
            create_trial(
                state=_STATES[record.state],
                value=record.accuracy if record.state == COMPLETE else None,
                params={name: record.draw[name] for name in found},
                distributions=found,
                intermediate_values=curve if record.state == PRUNED else {},
            )
        )

    def _tell(self, trial: Trial | None, record: TrialRecord | None) -> None:
        """End an in-memory trial as its record ended; without one it only tells that nothing came of it."""
        if trial is None:
            return
        if record is not None and record.state == COMPLETE:
            self.study.tell(trial, record.accuracy)
        elif record is not None and record.state == PRUNED and record.accuracy is not None:
            trial.report(record.accuracy, record.epochs_done)
            self.study.tell(trial, state=TrialState.PRUNED)
        else:
            self.study.tell(trial, state=TrialState.FAIL)


def distributions(space: Space, params: Mapping[str, Value]) -> dict[str, BaseDistribution]:
    """The distributions from which a draw by these names would be made; raises ValueError on one it cannot make."""
    trial = FixedTrial(dict(params))
    space.draw(trial)
    return trial.distributions


def summary(architecture: Architecture) -> str:
    """The network in a line: `conv3 16 | stacked3 layers=2 24 | separable5 48 /2`."""
    return " | ".join(_phrase(part) for part in architecture.parts if isinstance(part, BlockPart))


def _phrase(part: BlockPart) -> str:
    chosen: dict[str, Any] = dict(part.settings)
    kernel = chosen.pop("kernel", "")
    words = [f"{part.block}{kernel}", *(f"{name}={value}" for name, value in chosen.items()), str(part.width)]
    return " ".join([*words, f"/{part.stride}"] if part.stride > 1 else words)
