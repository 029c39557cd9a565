"""Pruning: like with like, not in the first epochs, not before five peers, not at the end."""

import pytest

from nas.search.fidelity import FEWEST_PEERS, asks_peers, first_epoch, pruner_for, rungs, should_prune


@pytest.mark.parametrize(("epochs", "first"), [(1, 1), (3, 1), (10, 3), (11, 4), (30, 9), (100, 30)])
def test_first_epoch_is_past_a_tenth_of_the_epochs(epochs, first):
    assert first_epoch("median", epochs) == first
    assert first >= first_epoch("hyperband", epochs) >= epochs / 10


@pytest.mark.parametrize(("pruner", "first", "last"), [("median", 30, 80), ("hyperband", 10, 30)])
def test_nothing_is_asked_in_the_first_epochs_or_in_the_last(pruner, first, last):
    asked = [epoch for epoch in range(1, 101) if asks_peers(pruner, epoch, 100, 0)]
    assert (asked[0], asked[-1]) == (first, last)


def test_none_never_asks():
    assert not any(asks_peers("none", epoch, 10, 0) for epoch in range(1, 11))


def test_median_asks_at_every_epoch_between():
    assert [epoch for epoch in range(1, 11) if asks_peers("median", epoch, 10, 7)] == [3, 4, 5, 6, 7, 8]


@pytest.mark.parametrize("pruner", ["median", "hyperband"])
def test_fewer_than_five_peers_prune_nobody(pruner):
    assert not should_prune(pruner, 0.0, [0.9] * (FEWEST_PEERS - 1))
    assert should_prune(pruner, 0.0, [0.9] * FEWEST_PEERS)
    assert FEWEST_PEERS == 5


def test_median_ends_what_is_below_the_middle():
    peers = [0.1, 0.2, 0.3, 0.4, 0.5]
    assert should_prune("median", 0.29, peers)
    assert not should_prune("median", 0.3, peers)


def test_hyperband_lets_the_best_third_go_on():
    peers = [0.1, 0.2, 0.3, 0.4, 0.5]
    assert not should_prune("hyperband", 0.45, peers)
    assert should_prune("hyperband", 0.35, peers)


def test_rungs_are_three_times_apart_and_brackets_take_turns():
    assert rungs(100, 0) == [10, 30]
    assert rungs(100, 1) == [30]
    assert rungs(100, 2) == rungs(100, 0)
    assert rungs(10, 0) == [1, 3]
    assert rungs(1, 0) == []


def test_hyperband_asks_at_the_rungs_of_the_trial():
    assert [epoch for epoch in range(1, 101) if asks_peers("hyperband", epoch, 100, 1)] == [30]


@pytest.mark.parametrize(("epochs", "pruner"), [(4, "none"), (5, "median")])
def test_auto_prunes_where_a_training_is_long_enough(epochs, pruner):
    assert pruner_for("auto", epochs) == pruner
    assert pruner_for("hyperband", epochs) == "hyperband"
