"""Whose turn it is: points of the highest order, edits of the first, and the model's choice."""

import copy
from itertools import pairwise

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution
from search_asks import FLAT, WIDE, apart, ask, quality

from nas.search.model import FURTHEST, rounded
from nas.search.points import Made, Points
from nas.search.sampler import MOST_EDITS, BudgetSampler
from nas.search.surrogate import Posterior, Surrogate

MERITS = ("improvement", "drawn")


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


def test_model_by_turns_surpasses_the_best_and_draws_and_later_chooses_several_at_once(monkeypatch):
    turns = []
    for name, told in [("posterior", Surrogate.posterior), *((one, getattr(Posterior, one)) for one in MERITS)]:
        owner = Surrogate if name == "posterior" else Posterior
        monkeypatch.setattr(owner, name, lambda *args, name=name, told=told: turns.append(name) or told(*args))
    away_from_the_first(58)
    once, surpass, draw = "posterior", *MERITS
    edit = [once, surpass]
    assert turns[:74] == [*[*edit, once, surpass, *edit, once, draw] * 9, *edit]
    four, both = [once, surpass, draw, surpass, draw], [surpass, draw]
    assert turns[74:] == [*four, *four, *four, surpass, once, *both[::-1], *both[::-1], draw]


def searched_for_41(sampler):
    """A study in which the last ask had four choices made."""
    study = optuna.create_study(direction="maximize", sampler=sampler)
    for _ in range(41):
        trial = ask(study, WIDE)
        study.tell(trial, sum(trial.params.values()))
    assert len(sampler.ahead) == 3
    return study


def add(study, params, value):
    study.add_trial(optuna.trial.create_trial(params=params, distributions=WIDE, value=value))


def test_what_was_chosen_at_once_is_asked_for_by_and_by():
    """Each once, though three workers' results come in between, and none that has become known."""
    sampler = BudgetSampler(WIDE)
    study = searched_for_41(sampler)
    ahead = [one.named for one in sampler.ahead]
    add(study, ahead[1], 1.0)
    assert [ask(study, WIDE).params for _ in range(2)] == [ahead[0], ahead[2]]
    others = [ask(study, WIDE).params for _ in range(4)]
    assert all(named not in [*ahead, *others[:number]] for number, named in enumerate(others))


def test_what_stands_by_is_renewed_as_often_as_the_model_is_asked(monkeypatch):
    sampler, renewed = BudgetSampler(WIDE), []
    told = Points.refresh
    monkeypatch.setattr(Points, "refresh", lambda self, renew=True: renewed.append(renew) or told(self, renew))
    study = searched_for_41(sampler)
    assert renewed == [True] * 41
    for _ in range(4):
        ask(study, WIDE)
    assert renewed[41:] == [False, False, False, True]


def test_what_was_chosen_at_once_is_given_up_when_others_have_told_as_much():
    sampler = BudgetSampler(WIDE)
    study = searched_for_41(sampler)
    ahead = [one.named for one in sampler.ahead]
    for value in range(2):
        add(study, dict.fromkeys(WIDE, value), 100.0 + value)
    assert ask(study, WIDE).params == ahead[0]
    add(study, dict.fromkeys(WIDE, 2), 102.0)
    assert ask(study, WIDE).params != ahead[1]
    assert len(sampler.ahead) == 3


def test_first_result_after_many_asks_lets_the_model_choose():
    sampler = BudgetSampler(WIDE)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    trials = [ask(study, WIDE) for _ in range(50)]
    study.tell(trials[0], 1.0)
    assert ask(study, WIDE).params not in [trial.params for trial in trials]
    assert len(sampler.latest) == 1


def test_copies_make_choices_of_their_own():
    sampler = BudgetSampler(WIDE)
    study = searched_for_41(sampler)
    copies = [copy.deepcopy(study) for _ in range(4)]
    for one in copies:
        one.sampler.reseed_rng()
    asked = [tuple(ask(one, WIDE).params.values()) for one in copies for _ in range(4)]
    assert len(set(asked)) > 8
    assert len(sampler.ahead) == 3


def test_of_very_many_edits_some_are_looked_at(monkeypatch):
    shapes = []
    told = Surrogate.posterior
    monkeypatch.setattr(
        Surrogate, "posterior", lambda self, common, *rest: shapes.append(len(common)) or told(self, common, *rest)
    )
    many = {f"kind{number}": CategoricalDistribution(range(400)) for number in range(3)}
    study = optuna.create_study(direction="maximize", sampler=BudgetSampler(many))
    for _ in range(8):
        trial = ask(study, many)
        study.tell(trial, sum(trial.params.values()))
    assert max(shapes) == MOST_EDITS + 7


def test_most_of_what_stands_by_is_to_be_had_in_a_long_search():
    sampler = BudgetSampler(WIDE)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    for _ in range(700):
        trial = ask(study, WIDE)
        study.tell(trial, sum(value in (5, 6) for value in trial.params.values()))
    pool = sampler.points.pool
    assert len(pool) > 450
    assert len(list(sampler.points.new(pool))) > 400
    assert {one.key for one in pool} == sampler.points._standing


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


def test_costs_far_from_those_that_the_model_began_with_leave_it_whole():
    sampler = BudgetSampler(WIDE, cost=lambda named: {"macs": 100 * (1 + named["kind0"])})
    study = optuna.create_study(direction="maximize", sampler=sampler)
    for _ in range(20):
        trial = ask(study, WIDE)
        study.tell(trial, sum(trial.params.values()))
    same = [one for one in sampler.points.pool if one.named["kind0"] == 11]
    sampler.points.pool, sampler.model.usual = same, None
    known = [(same[0], 1.0), (same[1], 2.0)]
    _, costs, _, _ = sampler.model.told(sampler.points, known, same)
    assert np.abs(costs).max() < 1e-6
    far = sampler.points.look(dict.fromkeys(WIDE, 0))
    _, [*others, wanted], _, _ = sampler.model.told(sampler.points, known, [far])
    assert np.abs(others).max() < 1e-6
    assert (wanted == -FURTHEST).all()


def test_while_nothing_is_known_some_are_dear_some_edits_and_some_random():
    sampler = BudgetSampler(WIDE, cost=lambda named: {"macs": sum(named.values())})
    study = optuna.create_study(direction="maximize", sampler=sampler)
    asked = [ask(study, WIDE).params for _ in range(101)]
    late = [sum(named.values()) for named in asked[43:]]
    assert sum(after > before + 5 for before, after in pairwise(late)) > 15
    first, *others = asked[:43]
    used = [sum(named.values()) for named in others]
    assert sum(apart(first, named) == 1 for named in others) >= 20
    assert sum(macs >= 64 for macs in used) >= 11
    assert sum(macs < 50 for macs in used) >= 7


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


def test_what_differs_by_rounding_alone_is_equal():
    assert list(rounded(np.array([0.5, 0.25, 0.5 - 1e-9, 0.0]))) == [1, 0.5, 1, 0]
    assert list(rounded(np.zeros(2))) == [0, 0]


def test_of_points_that_are_equal_to_the_model_any_is_chosen():
    sampler = BudgetSampler(WIDE)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.tell(ask(study, WIDE), 1.0)
    ask(study, WIDE)
    same = dict.fromkeys(WIDE, 7)
    equal = [sampler.points.look({**same, name: 8}) for name in WIDE]
    sampler.best = [(sampler.points.look(same), 1.0)]
    sampler.latest.clear()
    chosen = [sampler._chosen_of(sampler.points, equal, [True])[0].key for _ in range(30)]
    assert len(set(chosen)) > 3
