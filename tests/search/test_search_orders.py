"""The benchmark of orders: a table of trainings as it was kept, and no study told of itself."""

import importlib
import math
from pathlib import Path

import pytest

from nas.search.memory import Memory, Past, expected, rank_correlation

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def orders(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("orders")


def study(orders, name, dataset, sign, number):
    """Ten networks that are better, or worse, the wider they end."""
    told = [{"log macs": 9.0, "log params": 8.0, "log last width": 0.1 * place} for place in range(10)]
    networks = [Past(number, 0.5 + sign * 0.01 * place, one, 0.0) for place, one in enumerate(told)]
    return orders.Study(name, dataset, networks)


def test_table_is_read_as_it_was_kept(orders, tmp_path):
    found = orders.read_table(orders.TABLE)
    orders.keep_table(tmp_path / "again.json", found)
    assert orders.read_table(tmp_path / "again.json") == found
    assert len(found) > 20
    assert all(len(one.networks) >= 8 for one in found)


def test_what_the_table_expects_is_what_the_program_expects(orders):
    networks = [one for study in orders.read_table(orders.TABLE) for one in study.networks]
    for one in networks:
        params, width = (round(math.exp(one.features[name])) for name in ("log params", "log last width"))
        assert one.expected == pytest.approx(expected(params, width), abs=2e-3)


def test_no_study_is_told_of_itself_nor_other_images_of_the_same(orders):
    own, same = study(orders, "own", "digits", 1, 0), study(orders, "same", "digits", 1, 1)
    other = study(orders, "other", "mnist", -1, 2)
    assert orders.measured(own, [same])["memory"] == 1
    assert orders.measured(own, [same])["other images"] is None
    assert orders.measured(own, [same, other])["other images"] == -1
    assert orders.measured(own, [])["memory"] is None


def test_figures_of_the_program_are_those_of_the_table(orders):
    found = orders.read_table(orders.TABLE)
    first, rest = found[0], found[1:]
    told = orders.measured(first, rest)
    memory = Memory([one for study in rest for one in study.networks])
    reached = [one.accuracy for one in first.networks]
    scores = [memory.score(one.features) for one in first.networks]
    assert told["memory"] == round(rank_correlation(scores, reached), 3)
    assert told["macs"] == round(rank_correlation([one.features["log macs"] for one in first.networks], reached), 3)
