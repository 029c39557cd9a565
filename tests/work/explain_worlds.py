"""Searches with invented accuracies that follow a known rule; space, networks, costs and rows are real."""

import random

from nas.arch.record import COMPLETE, EpochRecord, Outcome
from nas.blocks.registry import load_blocks
from nas.search.choices import chosen
from nas.search.propose import Proposer
from nas.store.claims import claim
from nas.store.trials import finish, record_epoch
from nas.study.file import study_from_data
from nas.study.space import make_space
from nas.work.prepare import checked, enter

BLOCKS = load_blocks(load=())
OWNER, LEASE = "host:1:1:0", 60.0

SPACE = {
    "blocks": ["stacked", "separable", "grouped"],
    "kernels": [3, 5, 7],
    "widths": {"low": 8, "high": 64, "step": 8},
    "stages": [2, 3],
    "depths": [1, 2],
    "stem": {"kernels": [3, 5], "widths": [8, 16]},
}


def mean_kernel(params):
    kernels = [value for choice, value in params.items() if choice.kind == "kernel"]
    return sum(kernels) / len(kernels)


def by_kernel(params, totals, noise):
    """Small kernels are better, nothing else matters."""
    return 0.99 - 0.01 * mean_kernel(params) + 0.002 * noise


def by_chance(params, totals, noise):
    return 0.95 + 0.01 * noise


def by_layers(params, totals, noise):
    """Only how many layers its stacked blocks have matters, which networks without such blocks cannot choose."""
    layers = [value for choice, value in params.items() if choice.kind == "stacked.layers"]
    return 0.90 + 0.02 * sum(value == 3 for value in layers) + 0.004 * noise


def searched(
    storage, rule, *, name="toy", trials=40, sampler="tpe", draws=1, ends=(COMPLETE,), space=None, search=None
):
    """A study whose networks are drawn at random; the accuracy of each is `rule`'s, its seconds are 1 + its macs in M.

    `ends` are the states by turns; `draws` is the seed of the networks; `space` changes keys of `SPACE`,
    `search` those of its search.
    """
    data = {
        "name": name,
        "dataset": "digits",
        "budget": {"params": "20k"},
        "space": SPACE | (space or {}),
        "search": {"trials": trials, "sampler": sampler, **(search or {})},
        "train": {"epochs": 2},
    }
    study = checked(study_from_data(data), BLOCKS)
    record = enter(storage, study)
    space = make_space(study.file.space, BLOCKS, record.input, record.classes, order=record.blocks)
    proposer = Proposer(space, BLOCKS, study.file.budget, sampler="random", trials=trials, seed=draws)
    chance = random.Random(draws)
    for number in range(trials):
        candidate = proposer.ask()
        if candidate is None:
            break
        answer = claim(storage, record, OWNER, candidate, LEASE)
        accuracy = rule(chosen(candidate.params, record.blocks), candidate.totals, chance.gauss(0, 1))
        if answer.claim is not None:
            end(storage, answer.claim, ends[number % len(ends)], accuracy)
        proposer.missing = []
    return record


def end(storage, held, state, accuracy):
    epochs = 2 if state == COMPLETE else 1
    seconds = 1 + held.totals.macs / 1e6
    epoch = EpochRecord(epochs, accuracy, 1.0, 1.0, seconds)
    assert record_epoch(storage, held.trial_id, OWNER, epoch, None, LEASE)
    known = accuracy if state != "failed" else None
    assert finish(storage, held.trial_id, OWNER, Outcome(state, known, epochs, seconds, reason="behind"))
