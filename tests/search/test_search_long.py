"""A study of very many trials: what is proposed from it, and what of it a worker keeps in mind."""

import random
from dataclasses import replace

import pytest
from search_worlds import accuracy, make, proposer, record, run_toy

from nas.arch.record import FAILED, PRUNED, RUNNING
from nas.search.points import FAR_ON, POOL
from nas.search.sampler import REMEMBERED
from nas.search.told import MOST_TRIALS, remembered
from nas.study.space import RandomPicker


def known(space, count, seed=0):
    """Records of so many different networks as drawn, in a space that nothing limits."""
    one = run_toy(proposer(space), 1)[0]
    picker, found = RandomPicker(random.Random(seed)), {}
    while len(found) < count:
        named = space.names(space.draw(picker))
        found[tuple(named.items())] = named
    numbers = random.Random(seed)
    return [
        record(n, one, fingerprint=f"known-{n}", draw=named, params=named, accuracy=numbers.random())
        for n, named in enumerate(found.values())
    ]


@pytest.fixture(scope="module")
def many():
    return known(make(("conv", "separable")), MOST_TRIALS + 500)


@pytest.fixture
def worker(many):
    asked = proposer(make(("conv", "separable")), sampler="budget", trials=100_000)
    asked.learn(many)
    return asked


def test_sampler_is_told_the_best_and_the_latest_of_many_trials(worker, many):
    told = [trial.value for trial in worker.study.trials]
    assert len(told) <= 2 * REMEMBERED
    best = sorted((one.accuracy for one in many), reverse=True)[:REMEMBERED]
    assert {*best, *(one.accuracy for one in many[-REMEMBERED:])} == set(told)


def test_sampler_of_many_trials_is_told_of_networks_as_made_and_of_few_as_drawn():
    space = make(("conv", "separable"))
    many, others = known(space, MOST_TRIALS + 1), known(space, 3, seed=7)
    told = [replace(one, draw=others[0].draw) for one in many]
    long, short = (proposer(space, sampler="budget", trials=100_000) for _ in range(2))
    long.learn(told)
    made = [dict(one.params) for one in many]
    assert all(trial.params in made for trial in long.study.trials)
    short.learn(told[:5])
    assert [trial.params for trial in short.study.trials] == [dict(others[0].draw)] * 5


def test_what_is_known_is_not_proposed_though_no_trial_tells_of_it():
    space = make(("conv", "separable"), kernels=[3, 5], stages=[2], stem={"kernels": [3], "widths": [8]})
    worker, one = proposer(space, sampler="budget", trials=100_000), run_toy(proposer(space), 1)[0]
    draws = random.Random(0).sample(list(space.draws()), MOST_TRIALS + 200)
    assert len(draws) > space.size() / 2
    worker.learn(
        [
            record(n, one, fingerprint=space.architecture(draw).fingerprint, draw=named, params=named)
            for n, draw in enumerate(draws)
            for named in [space.names(draw)]
        ]
    )
    told, known = len(worker.study.trials), set(worker.known)
    assert told <= 2 * REMEMBERED
    for number in range(30):
        found = worker.ask()
        assert found.fingerprint not in known
        worker.learn([record(len(draws) + number, found)])
    # The sampler itself passes over what is known: asked again for a known one, it would have been told of it.
    assert len(worker.study.trials) == told + 30


def test_first_proposal_of_a_long_study_does_not_fill_the_pool(worker):
    worker.ask()
    points = worker.study.sampler.points
    assert points.count > FAR_ON
    assert 0 < len(points.pool) < POOL / 10
    sizes = []
    for number in range(5):
        worker.learn([record(10_000 + number, worker.ask())])
        sizes.append(len(points.pool))
    assert sizes == sorted(sizes)
    assert sizes[-1] > sizes[0]


def test_in_memory_study_begins_anew_and_nothing_is_forgotten():
    space = make(("conv", "separable"))
    worker, many = proposer(space, sampler="budget", trials=100_000), known(space, MOST_TRIALS + 400, seed=1)
    worker.learn(many[:1])
    under_way = worker.ask()
    worker.learn([record(5_000, under_way, RUNNING)])
    for start in range(1, len(many), 300):
        worker.learn(many[start : start + 300])
    assert len(worker.study.trials) < MOST_TRIALS
    worker.learn([record(5_000, under_way, accuracy=1.5)])
    found = worker.ask()
    assert found.fingerprint not in worker.known - {found.fingerprint}
    values = [value for _, value in worker.study.sampler.best]
    assert values[0] == 1.5
    assert values[1:] == sorted((one.accuracy for one in many), reverse=True)[: REMEMBERED - 1]


def test_failed_and_running_trials_are_not_among_the_best():
    space = make(("conv",))
    records = known(space, 3 * REMEMBERED)
    records[0] = record(0, run_toy(proposer(space), 1)[0], FAILED)
    records[1] = record(1, run_toy(proposer(space), 1)[0], RUNNING)
    records[2] = record(2, run_toy(proposer(space), 1)[0], PRUNED, accuracy=2.0)
    kept = remembered(records)
    assert records[0] not in kept
    assert records[1] in kept
    assert records[2] in kept
    assert [one.number for one in kept] == sorted(one.number for one in kept)


def test_other_samplers_are_told_all(many):
    asked = proposer(make(("conv", "separable")), sampler="random", trials=100_000)
    asked.learn(many)
    assert len(asked.study.trials) == len(many)
    assert accuracy(asked.ask()) > 0
