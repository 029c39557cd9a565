"""Small worlds of the search: spaces, toy blocks, records of trials, a toy objective."""

import random
from dataclasses import replace

from torch import nn

from nas.arch.cost import Cost, CostPath
from nas.arch.record import COMPLETE, PRUNED, Candidate, Claim, Outcome, StudyRecord, TrialRecord
from nas.blocks.base import Block
from nas.blocks.registry import load_blocks
from nas.search.propose import Proposer
from nas.store.trials import finish
from nas.study.budget import Budget
from nas.study.space import RandomPicker, make_space
from nas.study.tables import SpaceTable

BLOCKS = load_blocks(load=())
FIVE = ("stacked", "bottleneck", "grouped", "separable", "inception")


class Even(Block):
    """A 3×3 that asks for as many channels in as out: blocks may veto pairs of widths, not only single ones."""

    name = "even"

    def build(self, in_channels, width, stride):
        return nn.Conv2d(in_channels, width, 3, stride, 1)

    def cost(self, shape, width, stride):
        return CostPath(shape).conv(width, 3, stride, norm="none").layers

    def valid(self, in_channels, width, stride):
        return in_channels == width


class Dark(Block):
    """A block of whose receptive field nothing is known: it counts a matrix product over all pixels."""

    name = "dark"

    def build(self, in_channels, width, stride):
        raise NotImplementedError

    def cost(self, shape, width, stride):
        return Cost(shape[0] * width, shape[0] * width, 10, 10, None)


def make(blocks=FIVE, *, registry=BLOCKS, input=(1, 8, 8), order=(), **changes):
    table = {
        "blocks": blocks,
        "kernels": [3, 5, 7],
        "widths": {"low": 8, "high": 64, "step": 8},
        "stages": [2, 3],
        "depths": [1, 2],
        "stem": {"kernels": [3, 5], "widths": [8, 16]},
    }
    return make_space(SpaceTable(**(table | changes)), registry, input, 10, order=order)


def tiny(blocks=("conv", "separable"), **changes):
    """A space of a few dozen networks."""
    usual = {"kernels": [3, 5], "widths": [8, 16], "stages": [1, 2], "depths": [1]}
    return make(blocks, **(usual | {"stem": {"kernels": [3], "widths": [8]}} | changes))


def single():
    """A space of one network: nothing is left to choose."""
    return tiny(("conv",), kernels=[3], widths=[8], stages=[1])


def draws(space, count, seed=0):
    picker = RandomPicker(random.Random(seed))
    return [space.draw(picker) for _ in range(count)]


def proposer(space, *, budget=None, registry=BLOCKS, sampler="random", trials=30, seed=0, **more):
    return Proposer(space, registry, budget or Budget(), sampler=sampler, trials=trials, seed=seed, **more)


def accuracy(network) -> float:
    """A toy objective that depends on what was chosen, and a little on chance."""
    noise = int(network.fingerprint[:6], 16) / 0xFFFFFF
    return 0.6 + 0.1 * ("separable" in network.blocks) + 0.02 * network.totals.depth + 0.05 * noise


def record(number: int, candidate: Candidate, state=COMPLETE, **changes) -> TrialRecord:
    made = TrialRecord(
        id=number + 1,
        study="toy",
        number=number,
        state=state,
        fingerprint=candidate.fingerprint,
        body=candidate.body,
        blocks=candidate.blocks,
        totals=candidate.totals,
        draw=candidate.draw,
        params=candidate.params,
        projected=candidate.projected,
        reused=False,
        accuracy=accuracy(candidate) if state in (COMPLETE, PRUNED) else None,
        epochs=10,
        epochs_done=4 if state == PRUNED else 10,
        seed=0,
        seconds=1.0,
        device="cpu",
        precision="fp32",
        reason="",
        worker="w",
        versions={},
        summary=candidate.summary,
        started=0.0,
        finished=1.0,
    )
    return replace(made, **changes)


def stage_blocks(candidate, space):
    """The block types of a network's stages."""
    return {space.blocks[place] for name, place in candidate.params.items() if name.endswith(".block")}


def run_toy(asked: Proposer, trials: int) -> list[Candidate]:
    """Ask and tell so many times, or until nothing new is found."""
    found, news = [], []
    for number in range(trials):
        asked.learn(news)
        candidate = asked.ask()
        if candidate is None:
            break
        found.append(candidate)
        news = [record(number, candidate)]
    return found


def study_record(space, name="toy", **changes) -> StudyRecord:
    made = StudyRecord(
        name=name,
        dataset="digits",
        dataset_hash="d" * 8,
        input=space.input,
        classes=space.classes,
        seed=0,
        trials=12,
        config={"name": name},
        budget={"params": 20_000},
        blocks=space.blocks,
        recipe={"epochs": 3},
        recipe_hash="r" * 8,
        epochs=3,
    )
    return replace(made, **changes)


def finished(storage, claim: Claim, owner: str, state=COMPLETE) -> None:
    ended = Outcome(state, 0.9 if state != "failed" else None, 3, seconds=1.5, versions={"nas": "0"})
    assert finish(storage, claim.trial_id, owner, ended)
