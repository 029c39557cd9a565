"""The model: which points it takes for alike, and what it expects of them."""

import random

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, IntDistribution

from nas.search.drawing import drawn, edits, flat, neighbour, replayed
from nas.search.surrogate import Encoder, Setting, Surrogate, logarithms, ranked_scores, stacked

SPACE = flat({"block": CategoricalDistribution(["x", "y", "z"]), "width": IntDistribution(1, 9)})


def point_of(draw, named):
    return replayed(draw, named)[1]


def neighbours(draw, point):
    return [neighbour(draw, point, edit, random.Random(0)) for edit in edits(point)]


def points(*chosen):
    return [point_of(SPACE, {"block": block, "width": width}) for block, width in chosen]


def vectors(found):
    encoder = Encoder()
    some = [encoder.vector(one) for one in found]
    return stacked(some, encoder)


def apart(one, other):
    return float(((one - other) ** 2).sum())


def test_distance_counts_choices_and_goes_with_order():
    same, block, near, far = vectors(points(("x", 1), ("y", 1), ("x", 2), ("x", 9)))
    assert apart(same, same) == 0
    assert apart(same, block) == pytest.approx(1.0)
    assert apart(same, near) == pytest.approx(1.5 / 8)
    assert apart(same, far) == pytest.approx(1.5)


def test_choice_that_one_point_lacks_counts_half():
    encoder = Encoder()
    some = [encoder.vector(point_of(flat({"a": CategoricalDistribution([1, 2])}), {"a": 1}))]
    both = flat({"a": CategoricalDistribution([1, 2]), "b": CategoricalDistribution([1, 2])})
    some.append(encoder.vector(point_of(both, {"a": 1, "b": 2})))
    one, other = stacked(some, encoder)
    assert apart(one, other) == pytest.approx(0.5)


def test_expectation_follows_what_is_known():
    known = points(*[(block, width) for block in "xyz" for width in (1, 3, 5, 7)])
    values = np.array([10.0 * (one.named["block"] == "y") - abs(one.named["width"] - 5) for one in known])
    wanted = points(("y", 5), ("y", 6), ("x", 6), ("z", 1), ("x", 9))
    places = vectors([*known, *wanted])
    costs = np.zeros((len(places), 0))
    split = len(known)
    mean, covariance = Surrogate().posterior(
        (places[:split], costs[:split]), values, (places[split:], costs[split:]), 2
    )
    assert list(np.argsort(-mean)[:2]) == [0, 1]
    spread = np.sqrt(np.diag(covariance))
    assert spread[4] > spread[0]
    assert np.allclose(covariance, covariance.T)
    assert np.linalg.eigvalsh(covariance).min() > -1e-8


def test_improvement_is_what_draws_surpass_the_best_value_by_on_average():
    known = points(*[(block, width) for block in "xyz" for width in (1, 4, 7)])
    values = np.array([10.0 * (one.named["block"] == "y") - abs(one.named["width"] - 5) for one in known])
    places = vectors([*known, *points(("y", 6), ("y", 9), ("x", 4), ("z", 9))])
    split = len(known)
    costs = np.linspace(-1.5, 1.5, len(places))[:, None]
    told = (places[:split], costs[:split]), values, (places[split:], costs[split:]), 2
    mean, covariance = Surrogate().posterior(*told)
    draws = np.random.default_rng(0).multivariate_normal(mean, covariance, size=200_000)
    surpassed = np.maximum(draws - ranked_scores(values).max(), 0).mean(0)
    assert Surrogate().improvement(*told) == pytest.approx(surpassed, rel=0.05, abs=2e-4)
    assert surpassed.max() > 0.02


def test_equal_values_have_equal_scores():
    assert list(ranked_scores(np.array([3.0, 3.0, 3.0]))) == [0, 0, 0]
    low, one, other, high = ranked_scores(np.array([1.0, 2.0, 2.0, 5.0]))
    assert low < one == other < high
    assert (low, one) == pytest.approx((-high, 0))


def test_costs_without_bound_and_of_no_number_have_logarithms():
    found = logarithms([{"macs": cost} for cost in (float("inf"), float("nan"), -1.0, 10.0)], ["macs"])[:, 0]
    assert np.isfinite(found).all()
    assert list(found[1:]) == [0, 0, pytest.approx(2.302585)]
    assert found[0] == found.max()


def test_choice_of_another_range_has_a_place_of_its_own():
    encoder, named = Encoder(), {"few": IntDistribution(1, 3), "many": IntDistribution(1, 9)}
    some = [encoder.vector(point_of(flat({"width": one, "next": named["few"]}), {"width": 2, "next": 2}))
            for one in named.values()]  # fmt: skip
    one, other = stacked(some, encoder)
    assert apart(one, other) == pytest.approx(0.5 + 0.5 + 1.5 / 2 + 1.5 / 8)


def test_improvement_of_a_point_that_is_known_for_sure_is_nothing():
    surrogate = Surrogate(Setting(noise=0.0))
    places = vectors(points(("x", 1), ("y", 5)))
    costs = np.zeros((2, 0))
    [found] = surrogate.improvement((places, costs), np.array([0.1, 0.9]), (places[1:], costs[1:]), 2)
    assert 0 <= found < 1e-4


def test_before_anything_is_known_more_macs_are_better():
    known, wanted = points(("x", 1)), points(("y", 5), ("z", 5))
    places = vectors([*known, *wanted])
    costs = np.array([[0.0], [1.0], [-1.0]])
    mean, _ = Surrogate().posterior((places[:1], costs[:1]), np.array([0.5]), (places[1:], costs[1:]), 2)
    assert mean[0] > mean[1]


def test_macs_that_mislead_are_unlearnt():
    generator = random.Random(0)
    known = [drawn(SPACE, generator) for _ in range(30)]
    costs = np.array([[float(one.named["width"]) - 5] for one in known])
    values = -costs[:, 0]
    places = vectors(known)
    wanted = points(("y", 2), ("y", 8))
    [low, high] = vectors([*known, *wanted])[-2:]
    ends = np.array([[-3.0], [3.0]])
    mean, _ = Surrogate().posterior((places, costs), values, (np.stack([low, high]), ends), 2)
    assert mean[0] > mean[1]


def test_neighbours_differ_in_one_choice():
    [point] = points(("x", 5))
    found = [one.named for one in neighbours(SPACE, point)]
    assert sorted((one["block"], one["width"]) for one in found) == [
        ("x", 3), ("x", 4), ("x", 6), ("x", 7), ("y", 5), ("z", 5),
    ]  # fmt: skip


def test_edit_keeps_what_it_can_of_choices_that_depend_on_it():
    def draw(picker):
        kind = picker.suggest_categorical("kind", ("few", "many"))
        picker.suggest_categorical("ways", (2, 4) if kind == "few" else (4, 8))
        picker.suggest_int("width", 1, 3)

    point = point_of(draw, {"kind": "few", "ways": 4, "width": 2})
    edits = [one.named for one in neighbours(draw, point) if one.named["kind"] == "many"]
    assert edits == [{"kind": "many", "ways": 4, "width": 2}]
    point = point_of(draw, {"kind": "few", "ways": 2, "width": 2})
    [edit] = [one.named for one in neighbours(draw, point) if one.named["kind"] == "many"]
    assert edit["ways"] in (4, 8)


@pytest.mark.parametrize(
    ("named", "told"),
    [
        ({"block": "x"}, "width: None is none of"),
        ({"block": "w", "width": 1}, "block: 'w' is none of"),
        ({"block": "x", "width": 10}, "width: 10 is none of"),
    ],
)
def test_what_the_space_cannot_draw_is_no_point(named, told):
    with pytest.raises(ValueError, match=told):
        point_of(SPACE, named)


def test_wide_ranges_and_logarithms_are_encoded_in_few_levels():
    wide = flat({"lines": IntDistribution(1, 100_000), "width": IntDistribution(8, 1024, log=True)})
    chosen = [(1, 8), (100_000, 8), (50_000, 8), (1, 1024), (1, 91)]
    encoder = Encoder()
    some = [encoder.vector(point_of(wide, {"lines": lines, "width": width})) for lines, width in chosen]
    first, far, half, dear, middle = stacked(some, encoder)
    assert encoder.size < 100
    assert apart(first, far) == pytest.approx(1.5)
    assert apart(first, half) == pytest.approx(0.75, abs=0.05)
    assert apart(first, dear) == pytest.approx(1.5)
    assert apart(first, middle) == pytest.approx(0.75, abs=0.05)


def test_edits_of_wide_ranges_reach_near_and_far():
    wide = flat({"lines": IntDistribution(0, 999)})
    found = [one.named["lines"] for one in neighbours(wide, point_of(wide, {"lines": 500}))]
    assert found == [438, 469, 498, 499, 501, 502, 531, 562]
    scaled = flat({"width": IntDistribution(8, 1024, log=True)})
    found = [one.named["width"] for one in neighbours(scaled, point_of(scaled, {"width": 100}))]
    assert found == [50, 80, 99, 101, 125, 200]


def test_logarithms_are_drawn_by_their_logarithm():
    scaled = flat({"width": IntDistribution(1, 1024, log=True)})
    widths = [drawn(scaled, random.Random(seed)).named["width"] for seed in range(300)]
    assert all(1 <= width <= 1024 for width in widths)
    assert 0.4 < sum(width <= 32 for width in widths) / 300 < 0.6
