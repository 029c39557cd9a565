"""What may be expected of networks: in the order of a known rule, and no surer than it can be."""

from dataclasses import replace

import pytest
from search_worlds import BLOCKS, draws, make, proposer, record

from nas.search.costs import Costs
from nas.search.edits import around
from nas.search.expectation import Expectation, Network, accuracy_of, scores
from nas.search.pooled import LEVELS, Pooled
from nas.study.budget import Budget

SPACE = make(("stacked", "separable", "grouped"))
COSTS = Costs(SPACE, BLOCKS, Budget(params=20_000))


@pytest.fixture(scope="module")
def known():
    """Trials whose accuracy falls with their kernels alone."""
    asked = proposer(SPACE, budget=Budget(params=20_000))
    asked.missing = []
    found = [asked.ask() for _ in range(40)]
    return [record(number, one, accuracy=rule(one.params)) for number, one in enumerate(found)]


def rule(params):
    kernels = [value for name, value in params.items() if name.endswith(".kernel") and name != "stem.kernel"]
    return 0.99 - 0.01 * sum(kernels) / len(kernels)


def network(one):
    return Network(one.params, one.numbers.macs)


def test_expectation_follows_the_rule_and_is_unsure_of_it(known):
    expectation = Expectation(SPACE, known)
    assert expectation.belief().rank_correlation > 0.7
    best = max(known, key=lambda one: one.accuracy)
    others = around(COSTS, best.params)
    expected, found = expectation.differences(Network(best.params, best.totals.macs), list(map(network, others)))
    assert expected == pytest.approx(best.accuracy, abs=0.005)
    truth = [rule(one.params) - best.accuracy for one in others]
    within = [one.low <= true <= one.high for one, true in zip(found, truth, strict=True)]
    assert sum(within) / len(within) > 0.8
    worse = [one.difference for one, true in zip(found, truth, strict=True) if true < -0.01]
    alike = [one.difference for one, true in zip(found, truth, strict=True) if true > -0.001]
    assert sum(worse) / len(worse) < sum(alike) / len(alike) - 0.005
    assert all(expected + one.high <= 1 for one in found)


def test_network_itself_is_as_good_as_itself(known):
    best = max(known, key=lambda one: one.accuracy)
    own = Network(best.params, best.totals.macs)
    _, [found] = Expectation(SPACE, known).differences(own, [own])
    assert found == pytest.approx((0.0, 0.0, 0.0), abs=1e-5)


def test_names_that_the_space_does_not_draw_are_left_out(known):
    """As a database has them that was changed by hand."""
    strange = [replace(one, params={**one.params, "svage2.conv.kernel": 3}) for one in known]
    own, *others = [Network(one.params, one.totals.macs) for one in known[:3]]
    assert Expectation(SPACE, strange).differences(own, others) == Expectation(SPACE, known).differences(own, others)


def test_networks_further_away_are_told_with_less_certainty(known):
    best = max(known, key=lambda one: one.accuracy)
    near = min(around(COSTS, best.params), key=lambda one: len(set(one.params.items()) ^ set(best.params.items())))
    far = SPACE.names(draws(SPACE, 1, seed=9)[0])
    own, wanted = Network(best.params, best.totals.macs), [network(near), Network(far, best.totals.macs)]
    _, [one, other] = Expectation(SPACE, known).differences(own, wanted)
    assert one.high - one.low < other.high - other.low


def test_trials_that_the_space_no_longer_draws_are_left_out(known):
    strange = [record(40, proposer(SPACE).ask(), params={"stages": 9})]
    assert len(Expectation(SPACE, [*known, *strange]).known) == len(known)


def test_points_have_one_kernel_a_stage_and_means_over_stages():
    wanted = ["stacked", "separable"]
    draw = next(one for one in draws(SPACE, 50) if [stage[0].block for stage in one.skeleton.stages] == wanted)
    found = Pooled(SPACE).point(SPACE.names(draw)).named
    kernels = [dict(stage[0].settings)["kernel"] for stage in draw.skeleton.stages]
    assert [found["stage1.kernel"], found["stage2.kernel"]] == kernels
    assert found["mean kernel"] == round(LEVELS * (sum(kernels) / 2 - 3) / 4)
    assert (found["share block stacked"], found["share block grouped"]) == (LEVELS / 2, 0)
    assert not {"mean stages", "mean stem.width", "mean stem.kernel"} & set(found)


@pytest.mark.parametrize("space", [make(), make(mix=True), make(kernels=[1, 3, 7], widths=[8, 12, 40])])
def test_every_network_of_a_space_has_a_point(space):
    pooled = Pooled(space)
    for draw in draws(space, 100):
        point = pooled.point(space.names(draw))
        assert point.named.keys() == point.distributions.keys()
        assert all(one._contains(one.to_internal_repr(point.named[name])) for name, one in point.distributions.items())


def test_scores_go_back_to_accuracies_and_failures_far_below_are_raised():
    accuracies = [0.95, 0.96, 0.97, 0.98, 1.0]
    assert accuracy_of(scores(accuracies)) == pytest.approx(accuracies)
    failed = accuracy_of(scores([*accuracies, 0.1]))
    assert failed[:5] == pytest.approx(accuracies)
    assert 0.85 < failed[5] < 0.95


def test_scores_of_one_accuracy_are_left_as_they_are():
    assert accuracy_of(scores([0.5, 0.9, 0.9, 0.9, 0.9])) == pytest.approx([0.5, 0.9, 0.9, 0.9, 0.9])
