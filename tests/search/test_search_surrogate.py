"""The model: what it expects of points, by what they have in common and by their costs."""

import random

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, IntDistribution

from nas.search.common import Common
from nas.search.drawing import drawn, edits, flat, neighbour, replayed
from nas.search.surrogate import Setting, Surrogate, logarithms, ranked_scores

SPACE = flat({"block": CategoricalDistribution(["x", "y", "z"]), "width": IntDistribution(1, 9)})


def point_of(draw, named):
    return replayed(draw, named)[1]


def neighbours(draw, point):
    return [neighbour(draw, point, edit, random.Random(0)) for edit in edits(point)]


def points(*chosen):
    return [point_of(SPACE, {"block": block, "width": width}) for block, width in chosen]


def common(found):
    return Common().of(list(enumerate(found)))


def test_expectation_follows_what_is_known():
    known = points(*[(block, width) for block in "xyz" for width in (1, 3, 5, 7)])
    values = np.array([10.0 * (one.named["block"] == "y") - abs(one.named["width"] - 5) for one in known])
    wanted = points(("y", 5), ("y", 6), ("x", 6), ("z", 1), ("x", 9))
    found = Surrogate().posterior(common([*known, *wanted]), np.zeros((len(known) + len(wanted), 0)), values, 2)
    assert list(np.argsort(-found.mean)[:2]) == [0, 1]
    spread = np.sqrt(np.diag(found.covariance))
    assert spread[4] > spread[0]
    assert np.allclose(found.covariance, found.covariance.T)


def test_expectation_is_that_of_the_textbook():
    """Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, equations 2.23 and 2.24."""
    setting = Setting(fall=0.5, additive=0.4, noise=0.2, trend=0.5)
    everything = points(*[(block, width) for block in "xyz" for width in range(1, 10)])
    costs = np.random.default_rng(0).standard_normal((len(everything), 2))
    scores = np.random.default_rng(1).standard_normal(20)
    found = Surrogate(setting, fitted=100).of_scores(common(everything), costs, scores, 2)

    shared = common(everything)
    apart = np.diag(shared)[:, None] / 2 + np.diag(shared) / 2 - shared
    alike = 0.4 * shared / 2 + 0.6 * np.exp(-0.5 * apart)
    covariance = 0.8 * alike + 0.25 * 0.5 * costs @ costs.T + 0.3
    trend = 0.5 * 0.5 * np.clip(costs[:, 0], -2.5, 2.5)
    known, across, wanted = covariance[:20, :20] + 0.2 * np.eye(20), covariance[20:, :20], covariance[20:, 20:]
    rest = scores - trend[:20]
    scale = (rest @ np.linalg.solve(known, rest) + 2) / 22
    assert found.mean == pytest.approx(across @ np.linalg.solve(known, rest) + trend[20:])
    expected = scale * (wanted - across @ np.linalg.solve(known, across.T))
    assert found.covariance == pytest.approx(expected, abs=1e-6)


def test_draws_are_spread_as_the_model_is_unsure():
    known = points(*[(block, width) for block in "xyz" for width in (1, 5)])
    everything = [*known, *points(("y", 6), ("y", 7), ("x", 9))]
    values = np.arange(len(known), dtype=float)
    found = Surrogate().posterior(common(everything), np.zeros((len(everything), 0)), values, 2)
    generator = np.random.default_rng(0)
    draws = np.array([found.drawn(generator) for _ in range(20_000)])
    assert draws.mean(0) == pytest.approx(found.mean, abs=0.03)
    assert np.cov(draws.T) == pytest.approx(found.covariance, abs=0.03)
    assert np.abs(found.covariance).max() > 0.3


def test_certainty_is_in_units_of_the_scores():
    known = points(*[(block, width) for block in "xyz" for width in range(1, 10)])
    everything, scores = [*known, *points(("y", 5), ("x", 9))], np.random.default_rng(0).standard_normal(len(known))
    costs = np.zeros((len(everything), 0))
    plain, tenfold = (
        Surrogate(fitted=100).of_scores(common(everything), costs, scale * scores, 2) for scale in (1, 10)
    )
    spread = np.sqrt(np.diag(tenfold.covariance) / np.diag(plain.covariance))
    assert ((spread > 9) & (spread < 10)).all()


def test_improvement_is_what_draws_surpass_the_best_value_by_on_average():
    known = points(*[(block, width) for block in "xyz" for width in (1, 4, 7)])
    values = np.array([10.0 * (one.named["block"] == "y") - abs(one.named["width"] - 5) for one in known])
    everything = [*known, *points(("y", 6), ("y", 9), ("x", 4), ("z", 9))]
    costs = np.linspace(-1.5, 1.5, len(everything))[:, None]
    found = Surrogate().posterior(common(everything), costs, values, 2)
    draws = np.random.default_rng(0).multivariate_normal(found.mean, found.covariance, size=200_000)
    surpassed = np.maximum(draws - ranked_scores(values).max(), 0).mean(0)
    assert found.improvement() == pytest.approx(surpassed, rel=0.05, abs=2e-4)
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
    assert logarithms([{"params": 2**70}], ["params"])[0, 0] == pytest.approx(70 * np.log(2))


def test_improvement_of_a_point_that_is_known_for_sure_is_nothing():
    surrogate = Surrogate(Setting(noise=0.0))
    one, other = points(("x", 1), ("y", 5))
    [found] = surrogate.posterior(common([one, other, other]), np.zeros((3, 0)), np.array([0.1, 0.9]), 2).improvement()
    assert 0 <= found < 1e-4


def test_points_wanted_may_be_alike():
    one, other = points(("x", 1), ("y", 5))
    found = Surrogate().posterior(common([one, *[other] * 50]), np.zeros((51, 0)), np.array([0.5]), 2)
    assert np.isfinite(found.drawn(np.random.default_rng(0))).all()
    assert found.mean == pytest.approx(found.mean[0])


def test_before_anything_is_known_more_macs_are_better():
    known, wanted = points(("x", 1)), points(("y", 5), ("z", 5))
    costs = np.array([[0.0], [1.0], [-1.0]])
    mean = Surrogate().posterior(common([*known, *wanted]), costs, np.array([0.5]), 2).mean
    assert mean[0] > mean[1]


def test_macs_that_mislead_are_unlearnt():
    generator = random.Random(0)
    known = [drawn(SPACE, generator) for _ in range(30)]
    costs = np.array([[float(one.named["width"]) - 5] for one in known])
    values = -costs[:, 0]
    wanted, ends = points(("y", 2), ("y", 8)), np.array([[-3.0], [3.0]])
    mean = Surrogate().posterior(common([*known, *wanted]), np.concatenate([costs, ends]), values, 2).mean
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
