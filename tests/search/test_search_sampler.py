"""Our sampler in anybody's study: within limits, nothing twice, and better than chance."""

import copy
import pickle
import random
from statistics import median

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState
from search_asks import FLAT, KINDS, WIDE, ask, cost, keys, quality, searched

from nas.search import points
from nas.search.points import Made
from nas.search.sampler import BudgetSampler


def test_nothing_is_proposed_twice_or_over_a_limit():
    sampler = BudgetSampler(FLAT, cost=cost, limits={"params": 4000, "macs": 60_000})
    study = searched(sampler, 150)
    assert len(set(keys(study))) == 150
    for trial in study.trials:
        costs = cost(trial.params)
        assert costs["params"] <= 4000
        assert costs["macs"] <= 60_000


def test_first_is_the_dearest_that_fits():
    study = searched(BudgetSampler(FLAT, cost=cost, limits={"params": 4000}), 1)
    every = [
        {"kind": kind, "width1": a, "width2": b, "width3": c}
        for kind in KINDS
        for a in range(8, 65, 8)
        for b in range(8, 65, 8)
        for c in range(8, 65, 8)
    ]
    most = max(cost(named)["macs"] for named in every if cost(named)["params"] <= 4000)
    assert cost(study.trials[0].params)["macs"] == most


def test_what_is_to_be_had_comes_in_order_and_less_what_was_taken():
    sampler = BudgetSampler(FLAT, cost=cost, limits={"params": 4000})
    study = optuna.create_study(direction="maximize", sampler=sampler)
    first = sampler.in_order(study)
    macs = [cost(named)["macs"] for named in first]
    assert macs == sorted(macs, reverse=True)
    assert all(cost(named)["params"] <= 4000 for named in first)
    taken = ask(study).params
    assert taken == first[0]
    assert taken not in sampler.in_order(study)


def test_nothing_is_in_order_before_the_space_is_known():
    assert BudgetSampler().in_order(optuna.create_study()) == []


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_search_finds_the_best_in_a_fraction_of_chances_evaluations(direction):
    def until_best(seed):
        study = searched(BudgetSampler(FLAT, seed=seed), 90, direction)
        return next((n for n, trial in enumerate(study.trials) if quality(trial.params) == 50), 1000)

    # One of 1,536 points: at random half as many asks.
    assert median(until_best(seed) for seed in range(3)) < 80


def test_asks_before_any_answer_are_all_different():
    study = optuna.create_study(direction="maximize", sampler=BudgetSampler(FLAT, cost=cost, limits={"params": 9000}))
    trials = [ask(study) for _ in range(64)]
    assert len({tuple(trial.params.items()) for trial in trials}) == 64
    for trial in trials:
        study.tell(trial, quality(trial.params))
    assert tuple(ask(study).params.items()) not in {tuple(trial.params.items()) for trial in trials}


def test_same_seed_gives_the_same_search():
    assert keys(searched(BudgetSampler(FLAT, seed=3), 20)) == keys(searched(BudgetSampler(FLAT, seed=3), 20))
    assert keys(searched(BudgetSampler(FLAT, seed=3), 20)) != keys(searched(BudgetSampler(FLAT, seed=4), 20))


def conditional(picker):
    """A second choice that only one value of the first brings with it."""
    picker.suggest_int("width", 1, 8)
    if picker.suggest_categorical("block", ("plain", "split")) == "split":
        picker.suggest_categorical("ways", (2, 4, 8))


def test_space_may_be_a_function_whose_choices_depend_on_one_another():
    study = optuna.create_study(direction="maximize", sampler=BudgetSampler(conditional))
    for _ in range(8 + 3 * 8):
        trial = study.ask()
        conditional(trial)
        study.tell(trial, trial.params["width"] + trial.params.get("ways", 0))
    assert len(set(keys(study))) == 32
    assert study.best_value == 16


def test_space_that_is_used_up_is_drawn_from_at_random():
    one = {"kind": CategoricalDistribution(["a", "b"])}
    study = optuna.create_study(direction="maximize", sampler=BudgetSampler(one))
    for _ in range(6):
        trial = ask(study, one)
        study.tell(trial, 1.0)
    assert {trial.params["kind"] for trial in study.trials[:2]} == {"a", "b"}


def test_without_a_space_it_learns_that_of_the_trials():
    study = searched(BudgetSampler(), 30)
    assert len(set(keys(study))) >= 29


def test_pruned_trials_count_by_their_last_value_and_failed_ones_not_at_all():
    sampler = BudgetSampler(FLAT)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    pruned, failed = ask(study), ask(study)
    pruned.report(0.1, 1)
    pruned.report(0.3, 2)
    study.tell(pruned, state=TrialState.PRUNED)
    study.tell(failed, state=TrialState.FAIL)
    third = ask(study)
    assert [value for _, value in sampler.latest] == [0.3]
    assert third.params not in (pruned.params, failed.params)


def test_trials_of_others_are_taken_in():
    sampler = BudgetSampler(FLAT)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    named = {"kind": "b", "width1": 24, "width2": 40, "width3": 56}
    study.add_trial(optuna.trial.create_trial(params=named, distributions=FLAT, value=50.0))
    study.add_trial(optuna.trial.create_trial(params={"kind": "b"}, distributions={"kind": FLAT["kind"]}, value=1.0))
    ask(study)
    assert [(dict(seen.point.named), value) for seen, value in sampler.latest] == [(named, 50.0)]


def test_draws_count_as_what_they_become():
    def make(named):
        """All widths become the first one; kind c cannot be made."""
        if named["kind"] == "c":
            return None
        return Made({**named, "width2": named["width1"], "width3": named["width1"]}, {})

    study = searched(BudgetSampler(FLAT, make=make), 16)
    assert len(set(keys(study))) == 16
    assert all(trial.params["kind"] != "c" for trial in study.trials)
    assert all(trial.params["width3"] == trial.params["width1"] for trial in study.trials)


@pytest.mark.filterwarnings("ignore:Choices for a categorical distribution should be")
def test_choices_may_be_of_any_kind_that_optuna_takes():
    space = {"kind": CategoricalDistribution([b"a", b"b", frozenset("c")])}
    study = optuna.create_study(direction="maximize", sampler=BudgetSampler(space))
    study.optimize(lambda trial: len(trial.suggest_categorical("kind", space["kind"].choices)), n_trials=3)
    assert len({trial.params["kind"] for trial in study.trials}) == 3


def test_other_distributions_are_refused():
    with pytest.raises(ValueError, match="rate: FloatDistribution is neither categorical nor integer"):
        BudgetSampler({"rate": FloatDistribution(0.1, 1.0)})


def test_limits_hold_beside_trials_that_are_no_points_of_the_space():
    sampler = BudgetSampler(FLAT, cost=cost, limits={"params": 4000})
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.add_trial(optuna.trial.create_trial(params={"kind": "b"}, distributions={"kind": FLAT["kind"]}, value=1.0))
    assert cost(ask(study).params)["params"] <= 4000
    assert not sampler.latest


def test_integers_by_logarithm_and_wide_ones_are_searched():
    space = {"width": IntDistribution(8, 1024, log=True), "lines": IntDistribution(1, 100_000)}
    study = optuna.create_study(direction="maximize", sampler=BudgetSampler(space))

    def objective(trial):
        width, lines = trial.suggest_int("width", 8, 1024, log=True), trial.suggest_int("lines", 1, 100_000)
        return -abs(width - 300) / 300 - abs(lines - 70_000) / 70_000

    study.optimize(objective, n_trials=60)
    assert len(set(keys(study))) == 60
    assert study.best_value > -0.2


def test_memory_does_not_grow(monkeypatch):
    monkeypatch.setattr(points, "MOST_REMEMBERED", 300)
    monkeypatch.setattr(points, "MOST_AROUND", 5)
    sampler = BudgetSampler(FLAT, cost=cost, limits={"params": 9000}, seed=1)
    study = searched(sampler, 60)
    assert len(sampler.points._made) <= 300
    assert len(sampler.points._around) <= 5
    assert len(set(keys(study))) == 60


def test_memory_of_the_model_does_not_grow():
    sampler = BudgetSampler(FLAT, seed=1)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    generator = random.Random(0)
    values = []
    for _ in range(400):
        named = {"kind": generator.choice("abc"), **{f"width{n}": 8 * generator.randint(1, 8) for n in range(1, 4)}}
        values.append(quality(named))
        study.add_trial(optuna.trial.create_trial(params=named, distributions=FLAT, value=values[-1]))
    ask(study)
    assert [value for _, value in sampler.latest] == values[-100:]
    assert [value for _, value in sampler.best] == sorted(values, reverse=True)[:100]


def branching(picker):
    """A space in which each kind brings choices of its own."""
    kind = picker.suggest_categorical("kind", list(range(12)))
    for number in range(1 + kind % 3):
        picker.suggest_int(f"{kind}.width{number}", 1, 6)


def test_choices_that_turn_up_late_find_a_place_in_the_model(monkeypatch):
    monkeypatch.setattr(points, "POOL", points.FROM_TOP + 1)
    monkeypatch.setattr(points, "DRAWS", 3)
    study = optuna.create_study(direction="maximize", sampler=BudgetSampler(branching))
    for _ in range(60):
        trial = study.ask()
        branching(trial)
        study.tell(trial, sum(trial.params.values()))
    assert len(set(keys(study))) == 60


CHOICES = [(name, one.choices) for name, one in WIDE.items()]


def test_trial_that_was_pruned_without_a_number_tells_nothing():
    sampler = BudgetSampler(FLAT)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    for _ in range(3):
        trial = ask(study)
        trial.report(float("nan"), 1)
        study.tell(trial, state=TrialState.PRUNED)
    study.tell(ask(study), 1.0)
    ask(study)
    assert [value for _, value in sampler.best] == [1.0]


def test_enqueued_trial_takes_no_other_point():
    space = {"a": IntDistribution(0, 9)}
    study = optuna.create_study(direction="maximize", sampler=BudgetSampler(space))
    study.enqueue_trial({"a": 5})
    for _ in range(10):
        trial = ask(study, space)
        study.tell(trial, trial.params["a"])
    assert study.trials[0].params == {"a": 5}
    assert len(set(keys(study))) == 10


def test_sampler_that_has_searched_can_be_copied():
    sampler = BudgetSampler(FLAT, cost=cost, limits={"params": 4000})
    study = searched(sampler, 5)
    other = copy.deepcopy(sampler)
    assert other.lock is not sampler.lock
    assert ask(study).params
    assert other.before_trial(study, study.trials[-1]) is None


def test_sampler_can_be_kept_in_a_file_before_and_after_it_has_searched():
    sampler = BudgetSampler(FLAT, cost=cost, limits={"params": 4000})
    for _ in range(2):
        sampler = pickle.loads(pickle.dumps(sampler))
        study = searched(sampler, 10)
    assert all(cost(trial.params)["params"] <= 4000 for trial in study.trials)
    again = pickle.loads(pickle.dumps(sampler))
    assert [seen.named for seen, _ in again.best] == [seen.named for seen, _ in sampler.best]


def test_threads_share_a_sampler():
    study = optuna.create_study(direction="maximize", sampler=BudgetSampler(WIDE))
    study.optimize(lambda trial: sum(trial.suggest_categorical(*one) for one in CHOICES), n_trials=60, n_jobs=4)
    assert len(set(keys(study))) == 60
