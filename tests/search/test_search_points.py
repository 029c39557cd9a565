"""The points of anybody's space: edits made as they are wanted, and like choices taken together."""

import random

import optuna
from optuna.distributions import CategoricalDistribution, IntDistribution
from search_asks import WIDE, apart, ask, keys

from nas.search.drawing import Point, flat
from nas.search.points import POOL, Made, Points
from nas.search.pooled import LEVELS, MOST_SHARES, with_means
from nas.search.sampler import BudgetSampler


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


def test_nothing_is_drawn_while_none_lacks_and_none_is_to_be_renewed():
    drawn = []
    points = Points(flat(WIDE), lambda named: drawn.append(named) or Made(named, {}), {}, random.Random(0))
    points.refresh()
    stood_by, last = len(drawn), points.pool[-1]
    points.refresh(renew=False)
    assert len(drawn) == stood_by
    points.refresh()
    assert len(drawn) == stood_by + 1
    points.taken.add(last.key)
    points.refresh(renew=False)
    assert len(drawn) == stood_by + 2
    assert len(points.pool) == POOL


def test_very_many_categories_have_no_shares():
    many = CategoricalDistribution(range(MOST_SHARES + 1))
    assert with_means(Point({"a": 1, "b": 2}, {"a": many, "b": many})).named == {"a": 1, "b": 2}


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


def test_numbers_of_one_hash_are_not_one_point():
    space = {"a": IntDistribution(-4, 4), "b": IntDistribution(-4, 4)}
    study = optuna.create_study(direction="maximize", sampler=BudgetSampler(space))
    for _ in range(81):
        trial = ask(study, space)
        study.tell(trial, trial.params["a"])
    assert len(set(keys(study))) == 81


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
