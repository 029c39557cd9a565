"""Proposing networks: an Optuna study in memory, fed from our rows, whose draws are projected onto the budget."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice

import optuna
from optuna.samplers import BaseSampler
from optuna.trial import Trial, TrialState, create_trial

from nas.arch.record import COMPLETE, PRUNED, Candidate, Value
from nas.arch.spec import Architecture
from nas.blocks.registry import Blocks
from nas.blocks.trace import cost, normalise
from nas.search.costs import Costs
from nas.search.drawing import replayed
from nas.search.memory import Memory
from nas.search.missing import drawn_with, fitting, has, highest_with, stage_blocks
from nas.search.named import make_sampler, quiet, sampler_for
from nas.search.phrases import summary
from nas.search.project import Projected, project
from nas.search.sampler import BudgetSampler
from nas.search.told import MOST_TRIALS, STATES, End, told_of
from nas.search.tried import Tried
from nas.study.budget import Budget
from nas.study.space import Draw, RandomPicker, Space

MOST_ASKS = 20
"""So many known networks in a row, and the sampler is no longer asked for this proposal; half as many for the next."""

RANDOM_DRAWS = 200
"""Then so many random draws are tried, before a small space is gone through in order."""

MOST_DRAWS = 20_000
"""A space of at most so many draws is gone through whole; of a larger one so many are drawn at random."""


class Proposer:
    """Proposes networks that a study has not tried, from what its trials gave so far.

    `slot` numbers the workers of a study: it keeps them from all beginning with the same block type. `memory` is of
    what other studies trained.
    """

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
        memory: Memory | None = None,
    ) -> None:
        quiet()
        self.space, self.blocks, self.fill, self.slot, self.memory = space, blocks, fill, slot, memory
        self.costs = Costs(space, blocks, budget)
        self.sampler = sampler_for(sampler, space, trials)
        self.trials, self.seed = trials, seed
        self.random = random.Random(seed)
        self.study = optuna.create_study(direction="maximize", sampler=self._sampler(seed))
        self.known: set[str] = set()
        """Fingerprints of the study's networks and of those proposed to it."""
        self.open: dict[str, Trial | int] = {}
        """The in-memory trials under way by fingerprint: our own asks, and numbers of those that stand for others'."""
        self.ended: dict[str, tuple[str, float | None, int]] = {}
        """How trainings ended, by fingerprint, as in `End`: a long study has many, and the garbage collector looks
        through named tuples again and again, but not through plain ones."""
        self.asks = MOST_ASKS
        self.in_order = space.draws()
        self.used_up = False
        self.elsewhere: list[Candidate] = []
        """Networks that another study is training: proposed again once nothing else is left."""
        types = fitting(self.costs, fill=fill)
        self.missing = types if trials >= 2 * len(types) else []
        """Block types that fit the budget and are in no trial yet."""

    def learn(self, records: Sequence[Tried]) -> None:
        """Take in what became of the study's trials; running ones count as taken."""
        if records and not self.known:
            self._set_out(len(records))
        told = self._told(records)
        as_made = len(told) < len(records)
        for record in records:
            if self.missing:
                tried = stage_blocks(self.space, record.params)
                self.missing = [block for block in self.missing if block not in tried]
            new, over = record.fingerprint not in self.known, record.state in STATES
            self.known.add(record.fingerprint)
            if new and not over and record.number in told:
                self._place(record.fingerprint, _named(record, as_made))
            if over and record.fingerprint not in self.ended:
                self.ended[record.fingerprint] = (record.state, record.accuracy, record.epochs_done)
                if record.number in told or record.fingerprint in self.open:
                    self._close(record, as_made)

    def ask(self) -> Candidate | None:
        """A network within the budget that the study does not know, or None where no new one is found.

        None is a proof that all are known where the space has at most `MOST_DRAWS` draws.
        """
        found = self._of_missing_type() or self._of_sampler() or self._unseen()
        return found or (self.elsewhere.pop(0) if self.elsewhere else None)

    def taken(self, candidate: Candidate) -> None:
        """Another study is training the network: do not propose it again before everything else is known."""
        self.elsewhere.append(candidate)

    def _told(self, records: Sequence[Tried]) -> Collection[int]:
        """The numbers of the records that become in-memory trials."""
        sampler = self.study.sampler
        if not isinstance(sampler, BudgetSampler):
            return {record.number for record in records}
        if len(self.study.get_trials(deepcopy=False)) >= MOST_TRIALS:
            self._begin_anew(sampler)
        return {record.number for record in told_of(records, sampler)}

    def _begin_anew(self, sampler: BudgetSampler) -> None:
        """Another in-memory study in place of one that has grown long; the sampler keeps what it knows."""
        sampler.leave(self.study)
        self.study, self.open = optuna.create_study(direction="maximize", sampler=sampler), {}

    def _set_out(self, trials: int) -> None:
        """Draw other numbers than the workers before, who began this study with the same seed."""
        seed = (self.seed + 7919 * trials) % 2**31
        self.random.seed(seed)
        self.study.sampler = self._sampler(seed)

    def _sampler(self, seed: int) -> BaseSampler:
        return make_sampler(self.sampler, self.trials, seed, self.costs, fill=self.fill, memory=self.memory)

    def _of_sampler(self) -> Candidate | None:
        """The first new network that the sampler draws; one that finds none is asked less the next time."""
        if self.used_up or self.sampler == "grid":
            return None
        for _ in range(self.asks):
            found = self._asked()
            if found is not None:
                self.asks = MOST_ASKS
                return found
        self.asks = max(1, self.asks // 2)
        return None

    def _asked(self) -> Candidate | None:
        """What the sampler draws if it is new; else the sampler is told what is known of it."""
        trial = self.study.ask()
        draw = self._chosen(trial)
        found = project(draw, self.costs, fill=self.fill)
        if found is None:
            self.study.tell(trial, state=TrialState.FAIL)
            return None
        architecture = self.space.architecture(found.draw)
        if architecture.fingerprint in self.known:
            ended = self.ended.get(architecture.fingerprint)
            self._tell(trial, None if ended is None else End(*ended))
            return None
        self.open[architecture.fingerprint] = trial
        return self._candidate(architecture, draw, found)

    def _chosen(self, trial: Trial) -> Draw:
        """What the sampler chose for a trial. Our own is asked: for Optuna to write it down, choice by choice, takes as
        long as to choose it.
        """
        sampler = self.study.sampler
        named = sampler.whole(trial.number) if isinstance(sampler, BudgetSampler) else None
        return self.space.draw(trial) if named is None else replayed(self.space.draw, named)[0]

    def _if_new(self, draw: Draw, among: Collection[str] = ()) -> Candidate | None:
        """The network of a draw of our own where it is new, and has a block of those types if any are named."""
        found = project(draw, self.costs, fill=self.fill)
        if found is None or (among and not has(found.draw, among)):
            return None
        architecture = self.space.architecture(found.draw)
        if architecture.fingerprint in self.known:
            return None
        self._place(architecture.fingerprint, self.space.names(draw))
        return self._candidate(architecture, draw, found)

    def _first_new(self, draws: Iterable[Draw], among: Collection[str] = ()) -> Candidate | None:
        """Of draws of our own the first whose network is new, and has a block of those types if any are named."""
        news = (self._if_new(draw, among) for draw in draws)
        return next((one for one in news if one is not None), None)

    def _candidate(self, architecture: Architecture, draw: Draw, found: Projected) -> Candidate:
        stated = normalise(architecture, self.blocks)
        totals = cost(stated, self.blocks).totals
        assert self.costs.budget.fits(totals), "a projected network is within the budget"
        self.known.add(stated.fingerprint)
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

    def _of_missing_type(self) -> Candidate | None:
        """A network with a block type that no trial has yet: each that fits appears among the first trials."""
        while self.missing:
            block = self.missing[self.slot % len(self.missing)]
            # Of workers that begin together each but the first begins with a type of its own.
            wanted = self.missing if self.known or not self.slot else [block]
            highest = highest_with(wanted, self._standing_by(), self.costs)
            drawn = drawn_with(block, self.space, self.random)
            found = self._first_new(highest) or self._first_new(drawn, [block])
            if found is not None:
                return found
            self.missing.remove(block)
        return None

    def _standing_by(self) -> Sequence[Mapping[str, Value]]:
        """The choices of what our own sampler has drawn so far, the highest order first; none with all others."""
        sampler = self.study.sampler
        return sampler.in_order(self.study) if isinstance(sampler, BudgetSampler) else ()

    def _unseen(self) -> Candidate | None:
        """A new network by random draws, or by going through the space in order."""
        found = None if self.used_up else self._first_new(self._rest())
        self.used_up = found is None
        return found

    def _rest(self) -> Iterator[Draw]:
        small, in_order = self.space.size() <= MOST_DRAWS, self.sampler == "grid"
        picker = RandomPicker(self.random)
        if small and not in_order:
            yield from (self.space.draw(picker) for _ in range(RANDOM_DRAWS))
        if small or in_order:
            # What was passed once is known for good: the next call goes on from there.
            yield from islice(self.in_order, MOST_DRAWS)
        if not small:
            yield from (self.space.draw(picker) for _ in range(MOST_DRAWS))

    def _place(self, fingerprint: str, named: Mapping[str, Value]) -> None:
        """An in-memory trial that stands for one under way, without asking the sampler, which takes its time."""
        if self._add(named, TrialState.RUNNING):
            self.open[fingerprint] = len(self.study.get_trials(deepcopy=False)) - 1

    def _close(self, record: Tried, as_made: bool) -> None:
        """End the in-memory trial of a network as its record ended."""
        trial = self.open.pop(record.fingerprint, None)
        if isinstance(trial, Trial):
            self._tell(trial, record)
            return
        if trial is not None:
            self.study.tell(trial, state=TrialState.FAIL)
        curve = {} if record.accuracy is None else {record.epochs_done: record.accuracy}
        done = record.state == COMPLETE
        named, state = _named(record, as_made), STATES[record.state]
        self._add(named, state, record.accuracy if done else None, {} if done else curve)

    def _add(
        self,
        named: Mapping[str, Value],
        state: TrialState,
        value: float | None = None,
        curve: Mapping[int, float] | None = None,
    ) -> bool:
        """Add an in-memory trial; False where the space cannot draw it, as with a block that is gone."""
        try:
            _, point = replayed(self.space.draw, named)
        except ValueError:
            return False
        self.study.add_trial(
            create_trial(
                state=state,
                value=value,
                params=dict(point.named),
                distributions=dict(point.distributions),
                intermediate_values=dict(curve or {}),
            )
        )
        return True

    def _tell(self, trial: Trial, record: Tried | End | None) -> None:
        """End an in-memory trial as the record of its network ended; without one nothing came of it."""
        if record is not None and record.state == COMPLETE:
            self.study.tell(trial, record.accuracy)
        elif record is not None and record.state == PRUNED and record.accuracy is not None:
            trial.report(record.accuracy, record.epochs_done)
            self.study.tell(trial, state=TrialState.PRUNED)
        else:
            self.study.tell(trial, state=TrialState.FAIL)


def _named(record: Tried, as_made: bool) -> Mapping[str, Value]:
    """What a sampler is told that a trial was. In a long study that is the network as made, which is projected onto
    itself in a moment: what was drawn would be projected anew, bit by bit.
    """
    return record.params if as_made else record.draw
