"""Our sampler in anybody's study: within limits, nothing twice, and better than chance."""

import copy
import random
from collections import deque
from statistics import median

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from nas.search import points
from nas.search.drawing import Point
from nas.search.points import Made
from nas.search.pooled import LEVELS, MOST_SHARES, with_means
from nas.search.sampler import FURTHEST, BudgetSampler
from nas.search.surrogate import Posterior, Surrogate

FLAT = {
    "kind": CategoricalDistribution(["a", "b", "c"]),
    **{f"width{number}": IntDistribution(8, 64, step=8) for number in range(1, 4)},
}
KINDS = {"a": 1, "b": 2, "c": 4}


def cost(named):
    widths = [named[f"width{number}"] for number in range(1, 4)]
    params = KINDS[named["kind"]] * (widths[0] * widths[1] + widths[1] * widths[2])
    return {"params": params, "macs": params + 1000 * widths[0]}


def quality(named):
    """Best for kind b with its widths rising, whatever it costs."""
    first, second, third = (named[f"width{number}"] for number in range(1, 4))
    return (named["kind"] == "b") * 50 - abs(first - 24) - abs(second - 40) - abs(third - 56)


def ask(study, distributions=FLAT):
    trial = study.ask()
    for name, one in distributions.items():
        if isinstance(one, IntDistribution):
            trial.suggest_int(name, one.low, one.high, step=one.step)
        else:
            trial.suggest_categorical(name, one.choices)
    return trial


def searched(sampler, asks, direction="maximize"):
    study = optuna.create_study(direction=direction, sampler=sampler)
    sign = 1 if direction == "maximize" else -1
    for _ in range(asks):
        trial = ask(study)
        study.tell(trial, sign * quality(trial.params))
    return study


def keys(study):
    return [tuple(sorted(trial.params.items())) for trial in study.trials]


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


def apart(one, other):
    return sum(one[name] != other[name] for name in one)


WIDE = {f"kind{number}": CategoricalDistribution(range(12)) for number in range(6)}


MERITS = ("improvement", "drawn")

CHOICES = [(name, one.choices) for name, one in WIDE.items()]


def away_from_the_first(asks):
    """What a search asks for in a space where the first point, which is the dearest, is the worst."""
    sampler = BudgetSampler(WIDE, cost=lambda named: {"macs": sum(named.values())})
    study = optuna.create_study(direction="maximize", sampler=sampler)
    for _ in range(asks):
        trial = ask(study, WIDE)
        study.tell(trial, -sum(trial.params.values()))
    return [trial.params for trial in study.trials]


def test_first_three_are_the_dearest_then_every_other_one_is_an_edit_of_the_first_and_later_none():
    asked = away_from_the_first(60)
    assert [sum(named.values()) for named in asked[:3]] == [66, 65, 65]
    far = [apart(named, asked[0]) for named in asked]
    assert far[3:40:2] == [1] * 19
    assert 1 not in far[40:]


def test_model_by_turns_surpasses_the_best_and_draws_and_later_chooses_four_at_once(monkeypatch):
    turns = []
    for name, told in [("posterior", Surrogate.posterior), *((one, getattr(Posterior, one)) for one in MERITS)]:
        owner = Surrogate if name == "posterior" else Posterior
        monkeypatch.setattr(owner, name, lambda *args, name=name, told=told: turns.append(name) or told(*args))
    away_from_the_first(52)
    once, surpass, draw = "posterior", *MERITS
    edit = [once, surpass]
    assert turns[:74] == [*[*edit, once, surpass, *edit, once, draw] * 9, *edit]
    assert turns[74:] == [once, surpass, draw, surpass, draw] * 3


def test_what_was_chosen_at_once_is_asked_for_by_and_by():
    """Each once, though three workers' results come in between, and none that has become known."""
    sampler = BudgetSampler(WIDE)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    for _ in range(41):
        trial = ask(study, WIDE)
        study.tell(trial, sum(trial.params.values()))
    ahead = [one.named for one in sampler.ahead]
    assert len(ahead) == 3
    study.add_trial(optuna.trial.create_trial(params=ahead[1], distributions=WIDE, value=1.0))
    assert [ask(study, WIDE).params for _ in range(2)] == [ahead[0], ahead[2]]
    others = [ask(study, WIDE).params for _ in range(4)]
    assert all(named not in [*ahead, *others[:number]] for number, named in enumerate(others))


def good_edits(seed):
    """Of the edits of the first point those that lead to a good value: of 66 that there are, 12 do."""
    sampler = BudgetSampler(WIDE, cost=lambda named: {"macs": sum(named.values())}, seed=seed)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    for _ in range(40):
        trial = ask(study, WIDE)
        study.tell(trial, sum(value in (5, 6) for value in trial.params.values()))
    first, *others = (trial.params for trial in study.trials)
    edits = [named for named in others if apart(first, named) == 1]
    return [any(value in (5, 6) for value in named.values()) for named in edits]


def test_edits_of_the_first_are_those_that_the_model_expects_most_of():
    found = [good for seed in range(4) for good in good_edits(seed)]
    assert sum(found) > 1.3 * len(found) * 12 / 66


@pytest.mark.parametrize("seed", range(4))
def test_edits_of_the_best_are_all_tried_in_the_end(seed):
    """One edit of 66 betters what nothing else does."""
    sampler, best = BudgetSampler(WIDE, seed=seed), dict.fromkeys(WIDE, 7)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.add_trial(optuna.trial.create_trial(params=best, distributions=WIDE, value=100.0))
    for _ in range(200):
        trial = ask(study, WIDE)
        if trial.params == {**best, "kind1": 3}:
            return
        study.tell(trial, 99.0 - apart(trial.params, best))
    pytest.fail("the edit was not tried")


def test_no_more_edits_are_made_than_are_wanted():
    made = []
    sampler = BudgetSampler(WIDE, make=lambda named: made.append(named) or Made(named, {}))
    one = sampler.points.look(dict.fromkeys(WIDE, 7))
    assert len(sampler.points.new_around(one, 10)) == 10
    assert len(made) == 11
    sampler.points.taken.update(other.key for other in sampler.points.new_around(one, 10)[:4])
    assert len(sampler.points.new_around(one, 10)) == 10
    assert len(made) == 15
    assert len(sampler.points.around(one)) == 66
    assert len(sampler.points.new_around(one, 100)) == 62
    assert {apart(other.named, one.named) for other in sampler.points.new_around(one, 20)} == {1}


def test_some_of_many_new_edits_are_of_any_choice():
    sampler = BudgetSampler(WIDE)
    one = sampler.points.look(dict.fromkeys(WIDE, 7))
    assert len(sampler.points.around(one)) == 66
    some = sampler.points.new_around(one, 20)
    assert len({name for other in some for name in WIDE if other.named[name] != 7}) > 2


def test_equal_values_of_other_types_stay_what_they_are():
    pairs = {"groups": [0, 1], "flag": [False, True], "rate": [0.0, 1.0]}
    space = {name: CategoricalDistribution(pair) for name, pair in pairs.items()}
    study = optuna.create_study(direction="maximize", sampler=BudgetSampler(space))
    for _ in range(8):
        trial = ask(study, space)
        assert {name: type(value) for name, value in trial.params.items()} == {
            "groups": int,
            "flag": bool,
            "rate": float,
        }
        study.tell(trial, 1.0)


def test_numbers_of_one_hash_are_not_one_point():
    space = {"a": IntDistribution(-4, 4), "b": IntDistribution(-4, 4)}
    study = optuna.create_study(direction="maximize", sampler=BudgetSampler(space))
    for _ in range(81):
        trial = ask(study, space)
        study.tell(trial, trial.params["a"])
    assert len(set(keys(study))) == 81


def test_costs_far_from_those_that_the_model_began_with_leave_it_whole():
    sampler = BudgetSampler(WIDE, cost=lambda named: {"macs": 100 * (1 + named["kind0"])})
    study = optuna.create_study(direction="maximize", sampler=sampler)
    for _ in range(20):
        trial = ask(study, WIDE)
        study.tell(trial, sum(trial.params.values()))
    same = [one for one in sampler.points.pool if one.named["kind0"] == 11]
    sampler.points.pool, sampler.usual = same, None
    sampler.best, sampler.latest = [(same[0], 1.0)], deque([(same[1], 2.0)])
    _, costs, _, _ = sampler._told(sampler.points, same)
    assert np.abs(costs).max() < 1e-6
    far = sampler.points.look(dict.fromkeys(WIDE, 0))
    _, [*known, wanted], _, _ = sampler._told(sampler.points, [far])
    assert np.abs(known).max() < 1e-6
    assert (wanted == -FURTHEST).all()


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


def test_threads_share_a_sampler():
    study = optuna.create_study(direction="maximize", sampler=BudgetSampler(WIDE))
    study.optimize(lambda trial: sum(trial.suggest_categorical(*one) for one in CHOICES), n_trials=60, n_jobs=4)
    assert len(set(keys(study))) == 60


def test_very_many_categories_have_no_shares():
    many = CategoricalDistribution(range(MOST_SHARES + 1))
    assert with_means(Point({"a": 1, "b": 2}, {"a": many, "b": many})).named == {"a": 1, "b": 2}


def test_while_nothing_is_known_some_are_dear_some_edits_and_some_random():
    sampler = BudgetSampler(WIDE, cost=lambda named: {"macs": sum(named.values())})
    study = optuna.create_study(direction="maximize", sampler=sampler)
    first, *others = (ask(study, WIDE).params for _ in range(43))
    used = [sum(named.values()) for named in others]
    assert sum(apart(first, named) == 1 for named in others) >= 20
    assert sum(macs >= 64 for macs in used) >= 11
    assert sum(macs < 50 for macs in used) >= 7


def test_what_is_chosen_from_the_same_values_counts_once_more_by_its_mean():
    point = Point(
        {"a": 1, "b": 3, "c": "x", "d": "y", "e": "y", "f": 3},
        {
            **dict.fromkeys("ab", IntDistribution(1, 5)),
            **dict.fromkeys("cde", CategoricalDistribution(["x", "y"])),
            "f": IntDistribution(1, 5, step=2),
        },
    )
    found = with_means(point)
    assert point.named.items() <= found.named.items()
    assert point.distributions.items() <= found.distributions.items()
    means = {value for name, value in found.named.items() if name not in point.named}
    assert means == {round(LEVELS / 4), round(LEVELS / 3), round(LEVELS * 2 / 3)}
    assert len(found.named) == len(point.named) + 3


def test_points_are_ordered_in_the_way_that_ranks_best_what_was_reached():
    def make(named):
        return Made(named, {}, (float(-quality(named)), float(quality(named))))

    sampler = BudgetSampler(FLAT, make=make)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    ways = []
    for _ in range(20):
        trial = ask(study)
        ways.append(sampler.points.by)
        study.tell(trial, quality(trial.params))
    assert ways == [0] * 8 + [1] * 12
    orders = [sampler.points.order(one) for one in sampler.points.pool]
    assert orders == sorted(orders, reverse=True)
    assert quality(study.trials[0].params) < 0 < study.best_value
