"""Pruning: not in the first epochs, not before five peers, not at the end, and no winner."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as some

from nas.arch.record import Standing
from nas.search.fidelity import FEWEST_PEERS, asks_peers, deviation, first_epoch, pruner_for, rungs, should_prune
from nas.study.tables import PRUNERS

RULES = ["ranks", "median", "hyperband"]
IMAGES = 500
MANY = 10**12
"""So many images that an accuracy has no deviation to speak of."""

rules = some.sampled_from(RULES)
right = some.integers(0, IMAGES)
standings = some.builds(Standing, right.map(lambda count: count / IMAGES), some.integers(1_000, 100_000))
crowds = some.lists(standings, min_size=FEWEST_PEERS, max_size=12)


def alike(*accuracies):
    """Peers that cost the same."""
    return [Standing(accuracy, 50_000) for accuracy in accuracies]


def prunes(pruner, accuracy, peers, macs=50_000, images=MANY):
    return should_prune(pruner, Standing(accuracy, macs), peers, images)


def test_every_rule_is_asked_for_by_its_name():
    assert {"auto", "none", *RULES} == set(PRUNERS)


@pytest.mark.parametrize(("epochs", "first"), [(1, 1), (3, 1), (10, 3), (11, 4), (30, 9), (100, 30)])
def test_median_begins_after_three_tenths(epochs, first):
    assert first_epoch("median", epochs) == first


@pytest.mark.parametrize(("epochs", "first"), [(1, 1), (5, 1), (6, 2), (10, 2), (11, 3), (15, 3), (100, 20)])
def test_ranks_begin_after_a_fifth(epochs, first):
    assert first_epoch("ranks", epochs) == first


@given(rules, some.integers(1, 2_000), some.integers(0, 50))
def test_no_rung_is_under_a_tenth_or_over_four_fifths_of_the_epochs(pruner, epochs, number):
    asked = [epoch for epoch in range(1, epochs + 1) if asks_peers(pruner, epoch, epochs, number)]
    assert all(epochs <= 10 * epoch and 5 * epoch <= 4 * epochs for epoch in asked)


@pytest.mark.parametrize(("pruner", "first", "last"), [("ranks", 20, 80), ("median", 30, 80), ("hyperband", 10, 30)])
def test_nothing_is_asked_in_the_first_epochs_or_in_the_last(pruner, first, last):
    asked = [epoch for epoch in range(1, 101) if asks_peers(pruner, epoch, 100, 0)]
    assert (asked[0], asked[-1]) == (first, last)


def test_none_never_asks():
    assert not any(asks_peers("none", epoch, 10, 0) for epoch in range(1, 11))


def test_median_and_ranks_ask_at_every_epoch_between():
    assert [epoch for epoch in range(1, 11) if asks_peers("median", epoch, 10, 7)] == [3, 4, 5, 6, 7, 8]
    assert [epoch for epoch in range(1, 11) if asks_peers("ranks", epoch, 10, 7)] == [2, 3, 4, 5, 6, 7, 8]


@pytest.mark.parametrize("pruner", RULES)
def test_fewer_than_five_peers_prune_nobody(pruner):
    assert not prunes(pruner, 0.0, alike(*[0.9] * (FEWEST_PEERS - 1)))
    assert prunes(pruner, 0.0, alike(*[0.9] * FEWEST_PEERS))
    assert FEWEST_PEERS == 5


@pytest.mark.parametrize(("macs", "ended"), [(24_999, False), (25_000, True), (100_000, True), (100_001, False)])
@pytest.mark.parametrize("pruner", ["median", "hyperband"])
def test_accuracies_alone_are_compared_among_like_macs(pruner, macs, ended):
    assert prunes(pruner, 0.1, alike(0.5, 0.6, 0.7, 0.8, 0.9), macs) is ended


def test_median_ends_what_is_below_the_middle():
    peers = alike(0.1, 0.2, 0.3, 0.4, 0.5)
    assert prunes("median", 0.29, peers)
    assert not prunes("median", 0.3, peers)


def test_hyperband_lets_the_best_third_go_on():
    peers = alike(0.1, 0.2, 0.3, 0.4, 0.5)
    assert not prunes("hyperband", 0.45, peers)
    assert prunes("hyperband", 0.35, peers)


def test_ranks_of_equal_macs_end_what_is_below_the_middle():
    peers = alike(0.1, 0.2, 0.3, 0.4, 0.5)
    assert prunes("ranks", 0.29, peers)
    assert not prunes("ranks", 0.3, peers)


def test_macs_make_up_for_as_many_ranks_of_accuracy():
    peers = [Standing(0.1 * place, 10_000 * place) for place in range(1, 7)]
    assert prunes("ranks", 0.25, peers, macs=35_000)  # third and fourth: 7, where the others have 2, 4, 7, 10, 12, 14
    assert not prunes("ranks", 0.25, peers, macs=45_000)  # third and fifth: 8, of 2, 4, 7, 9, 12, 14
    assert prunes("median", 0.25, alike(*(peer.accuracy for peer in peers)))


def test_small_network_is_pruned_only_where_one_as_small_is_ahead():
    large = [Standing(0.9, 90_000 + place) for place in range(6)]
    assert not prunes("ranks", 0.2, large, macs=10_000)
    assert prunes("ranks", 0.2, [*large, Standing(0.21, 9_999)], macs=10_000)
    assert not prunes("ranks", 0.2, [*large, Standing(0.21, 10_001)], macs=10_000)


@pytest.mark.parametrize("pruner", RULES)
def test_trial_within_a_deviation_of_the_line_goes_on(pruner):
    peers = alike(*[0.8] * 9)
    inside, outside = 0.8 - 0.9 * deviation(0.8, IMAGES), 0.8 - 1.2 * deviation(0.8, IMAGES)
    assert not prunes(pruner, inside, peers, images=IMAGES)
    assert prunes(pruner, outside, peers, images=IMAGES)


def test_deviation_is_that_of_a_share_of_images():
    assert deviation(0.9, 100) == pytest.approx(0.03)
    assert deviation(0.0, 100) == deviation(1.0, 100) == 0
    draws = random.Random(0)
    shares = [sum(draws.random() < 0.7 for _ in range(200)) / 200 for _ in range(2_000)]
    spread = math.sqrt(sum((share - 0.7) ** 2 for share in shares) / len(shares))
    assert deviation(0.7, 200) == pytest.approx(spread, rel=0.05)


@given(rules, crowds, some.integers(1_000, 100_000))
def test_best_accuracy_of_all_is_never_pruned(pruner, peers, macs):
    best = max(peer.accuracy for peer in peers)
    assert not should_prune(pruner, Standing(best, macs), peers, IMAGES)


@given(standings, crowds)
def test_nothing_on_the_front_of_accuracy_against_macs_is_pruned_by_ranks(own, peers):
    if not any(peer.accuracy > own.accuracy and peer.macs <= own.macs for peer in peers):
        assert not should_prune("ranks", own, peers, IMAGES)


@given(crowds)
def test_ranks_never_prune_the_best_of_most_macs_nor_the_cheapest(peers):
    best = Standing(max(peer.accuracy for peer in peers), max(peer.macs for peer in peers))
    assert not should_prune("ranks", best, peers, IMAGES)
    assert not should_prune("ranks", Standing(0.0, min(peer.macs for peer in peers) - 1), peers, IMAGES)


@given(rules, right, some.integers(1_000, 100_000), crowds, some.integers(1, 50))
def test_more_images_right_never_end_a_trial(pruner, count, macs, peers, more):
    better = Standing(min(IMAGES, count + more) / IMAGES, macs)
    if should_prune(pruner, better, peers, IMAGES):
        assert should_prune(pruner, Standing(count / IMAGES, macs), peers, IMAGES)


@given(rules, standings, crowds, some.randoms())
def test_order_of_the_peers_does_not_matter(pruner, own, peers, draws):
    turned = draws.sample(peers, len(peers))
    assert should_prune(pruner, own, peers, IMAGES) == should_prune(pruner, own, turned, IMAGES)


@given(rules, standings, crowds)
def test_a_deviation_spares_and_never_ends(pruner, own, peers):
    if should_prune(pruner, own, peers, IMAGES):
        assert should_prune(pruner, own, peers, MANY)


@given(standings, crowds.filter(lambda peers: len(peers) % 2 == 1))
def test_at_equal_macs_ranks_are_the_median_rule(own, peers):
    flat = [Standing(peer.accuracy, 50_000) for peer in peers]
    assert prunes("ranks", own.accuracy, flat) == prunes("median", own.accuracy, flat)


def test_rungs_are_three_times_apart_and_brackets_take_turns():
    assert rungs(100, 0) == [10, 30]
    assert rungs(100, 1) == [30]
    assert rungs(100, 2) == rungs(100, 0)
    assert rungs(10, 0) == [1, 3]
    assert rungs(1, 0) == []


def test_hyperband_asks_at_the_rungs_of_the_trial():
    assert [epoch for epoch in range(1, 101) if asks_peers("hyperband", epoch, 100, 1)] == [30]


@pytest.mark.parametrize(("epochs", "pruner"), [(4, "none"), (5, "ranks")])
def test_auto_prunes_where_a_training_is_long_enough(epochs, pruner):
    assert pruner_for("auto", epochs) == pruner
    assert pruner_for("hyperband", epochs) == "hyperband"
