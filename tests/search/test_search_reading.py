"""What our sampler reads of the trials of studies, and which points they count as."""

import optuna
from search_asks import FLAT, ask, keys, quality, searched

from nas.search.sampler import BudgetSampler


def test_trial_that_is_taken_whole_counts_as_what_was_chosen_though_it_suggests_nothing():
    """Asked for many at once, and told in another order."""
    sampler = BudgetSampler(FLAT)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    trials = [study.ask() for _ in range(12)]
    chosen = [dict(sampler.whole(trial.number)) for trial in trials]
    for number in range(11, 0, -1):
        study.tell(trials[number], float(number))
        study.ask()
    study.ask()
    assert [(seen.named, value) for seen, value in sampler.latest] == [
        (chosen[number], float(number)) for number in range(11, 0, -1)
    ]
    assert {0, *range(12, 24)} == set(sampler.reading.chosen)
    assert len({tuple(seen.named.items()) for seen in sampler.reading.chosen.values()}) == 13
    assert chosen[0] in [seen.named for seen in sampler.reading.chosen.values()]


def test_trial_that_suggests_nothing_tells_nothing():
    sampler = BudgetSampler(FLAT)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.optimize(lambda trial: 1e6, n_trials=12)
    study.ask()
    assert not sampler.latest
    assert set(sampler.reading.chosen) == {12}


def test_nothing_is_chosen_for_an_enqueued_trial():
    sampler = BudgetSampler(FLAT)
    study = optuna.create_study(sampler=sampler)
    study.enqueue_trial({"kind": "a"})
    assert sampler.whole(study.ask().number) is None


def test_in_another_study_it_begins_anew_and_after_one_that_it_left_it_goes_on():
    sampler = BudgetSampler(FLAT)
    first = searched(sampler, 10)
    sampler.leave(first)
    second = searched(sampler, 10)
    assert len(set(keys(first) + keys(second))) == 20
    assert len(sampler.latest) == 19
    third = optuna.create_study(direction="maximize", sampler=sampler)
    third.add_trial(optuna.trial.create_trial(value=1.0))
    third.ask()
    assert not sampler.latest
    searched(sampler, 3)
    assert len(sampler.latest) == 2


def test_brackets_of_hyperband_are_read_as_they_are_shown():
    sampler = BudgetSampler(FLAT)
    pruner = optuna.pruners.HyperbandPruner(min_resource=1, max_resource=9, reduction_factor=3)
    study = optuna.create_study(direction="maximize", sampler=sampler, pruner=pruner)
    asked = []
    for _ in range(40):
        trial = ask(study)
        asked.append(tuple(trial.params.values()))
        trial.report(0.0, 1)
        trial.should_prune()
        study.tell(trial, quality(trial.params))
    assert len(set(asked)) == 40
    told = [tuple(seen.named.values()) for seen, _ in sampler.latest]
    assert set(told) < set(asked)
    assert len(told) == len(set(told)) > 30
    assert all(value == quality(seen.named) for seen, value in sampler.latest)
