"""What points have in common, and how far apart that leaves them."""

import random

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, IntDistribution

import nas.search.common
from nas.search.common import Common
from nas.search.drawing import drawn, flat, replayed

SPACE = flat({"block": CategoricalDistribution(["x", "y", "z"]), "width": IntDistribution(1, 9)})


def point_of(draw, named):
    return replayed(draw, named)[1]


def distances(found):
    common = Common().of(list(enumerate(found)))
    own = np.diag(common) / 2
    return own[:, None] + own - common


def test_distance_counts_choices_and_goes_with_order():
    chosen = [("x", 1), ("x", 1), ("y", 1), ("x", 2), ("x", 9)]
    found = distances([point_of(SPACE, {"block": block, "width": width}) for block, width in chosen])
    assert found[0] == pytest.approx([0, 0, 1, 1.5 / 8, 1.5], abs=1e-6)
    assert found == pytest.approx(found.T)


def test_choice_that_one_point_lacks_counts_half():
    one = point_of(flat({"a": CategoricalDistribution([1, 2])}), {"a": 1})
    both = flat({"a": CategoricalDistribution([1, 2]), "b": CategoricalDistribution([1, 2])})
    assert distances([one, point_of(both, {"a": 1, "b": 2})])[0, 1] == pytest.approx(0.5)


def test_choice_that_both_lack_does_not_count():
    some = CategoricalDistribution([1, 2])
    spaces = [flat({"a": some}), flat({"a": some}), flat({"a": some, "b": some})]
    points = [point_of(space, {"a": 1, "b": 1}) for space in spaces]
    assert distances(points)[0, 1] == pytest.approx(0)


def test_choice_of_another_range_has_a_place_of_its_own():
    few, many = IntDistribution(1, 3), IntDistribution(1, 9)
    points = [point_of(flat({"width": one, "next": few}), {"width": 2, "next": 2}) for one in (few, many)]
    assert distances(points)[0, 1] == pytest.approx(0.5 + 0.5 + 1.5 / 2 + 1.5 / 8)


def test_wide_ranges_and_logarithms_are_told_apart_in_few_levels():
    wide = flat({"lines": IntDistribution(1, 100_000), "width": IntDistribution(8, 1024, log=True)})
    chosen = [(1, 8), (100_000, 8), (50_000, 8), (1, 1024), (1, 91)]
    found = distances([point_of(wide, {"lines": lines, "width": width}) for lines, width in chosen])[0]
    assert found[[1, 3]] == pytest.approx([1.5, 1.5], abs=1e-5)
    assert found[[2, 4]] == pytest.approx([0.75, 0.75], abs=0.05)
    assert distances([point_of(wide, {"lines": one, "width": 8}) for one in (1, 2)])[0, 1] == pytest.approx(0)


def test_what_is_kept_is_told_as_if_it_were_new():
    generator, kept = random.Random(0), Common()
    points = [(number, drawn(SPACE, generator)) for number in range(60)]
    kept.of(points[:40])
    asked = [*generator.sample(points, 30), points[3], points[3]]
    assert kept.of(asked) == pytest.approx(Common().of(asked))


def wider(number, generator):
    """Points of ever more choices, of which the first have no idea."""
    return drawn(flat({f"{name}": CategoricalDistribution(range(4)) for name in range(1 + number)}), generator)


@pytest.mark.parametrize("most", [300, 2_000, 2_000_000])
def test_ever_more_points_and_choices_find_room(monkeypatch, most):
    """With room for few numbers it begins anew, now and then or every time, and tells the same."""
    monkeypatch.setattr(nas.search.common, "MOST_KEPT", most)
    monkeypatch.setattr(nas.search.common, "FIRST_ROOM", (2, 3))
    generator, kept = random.Random(0), Common()
    points = [(number, wider(number, generator)) for number in range(40)]
    for last in range(1, 40):
        asked = points[max(0, last - 10) : last]
        assert kept.of(asked) == pytest.approx(Common().of(asked))
    assert len(kept._rows) == 39 if most == 2_000_000 else len(kept._rows) < 39


def test_room_is_given_up_with_what_it_was_for(monkeypatch):
    """Many points of few choices, then few of many, then few again."""
    monkeypatch.setattr(nas.search.common, "MOST_KEPT", 40_000)
    generator, kept = random.Random(0), Common()
    kept.of([(number, drawn(SPACE, generator)) for number in range(2_000)])
    wide = flat({f"{name}": CategoricalDistribution(range(100)) for name in range(50)})
    kept.of([(-number, drawn(wide, generator)) for number in range(1, 6)])
    assert kept._vectors.size < 10_000_000
    assert len(kept._rows) == 5
    assert kept._size == 50 * 101
