"""A search explained from its storage: the rule that its accuracies follow, what it took, what lies beside its best."""

import json
from itertools import accumulate
from statistics import median

import pytest
from databases import slow_on_postgresql
from explain_worlds import BLOCKS, by_chance, by_kernel, searched
from sqlalchemy import delete, select, update

from nas.errors import NasError, NotFound, nearest
from nas.search.choices import chosen, stage_blocks
from nas.store.engine import open_storage
from nas.store.schema import create_storage
from nas.store.studies import find_study
from nas.store.tables import epoch, study, trial
from nas.store.trials import trials
from nas.study.file import study_from_data
from nas.work.explain import explain_study
from nas.work.prepare import checked, enter

COMPLETE = "complete"


@pytest.fixture(scope="module")
def world(new_url):
    """Makes a storage with one search in it; keywords go to `searched`."""

    def make(rule, **words):
        url = new_url()
        storage = create_storage(url)
        try:
            searched(storage, rule, **words)
        finally:
            storage.close()
        return url

    return make


@pytest.fixture(scope="module")
def kernel(world):
    """A search of 40 trials, a fourth of them pruned and one in eight failed, where small kernels are better."""
    ends = (COMPLETE, COMPLETE, "pruned", COMPLETE, COMPLETE, COMPLETE, "pruned", "failed")
    return world(by_kernel, trials=48, ends=ends)


@pytest.fixture(scope="module")
def explained(kernel):
    return explain_study("toy", storage=kernel, top=None)


@pytest.fixture
def rows(kernel):
    """The study's trials."""
    storage = open_storage(kernel)
    yield trials(storage)
    storage.close()


@slow_on_postgresql
def test_choice_that_matters_is_named_first_with_what_its_values_reached(explained, rows):
    first = explained.mattered.choices[0]
    assert (explained.mattered.problem, first.choice, first.distinguishable) == ("", "kernel", True)
    assert [value.value for value in first.values] == ["3", "5", "7"]
    assert first.values[0].accuracy > first.values[1].accuracy > first.values[2].accuracy
    threes = [
        one.accuracy
        for one in rows
        for name, value in one.params.items()
        if one.state == COMPLETE and name.endswith(".kernel") and name != "stem.kernel" and value == 3
    ]
    assert (first.values[0].trials, first.values[0].accuracy) == (len(threes), median(threes))
    assert explained.mattered.rank_correlation["choices"] > 0.6
    assert explained.mattered.rank_correlation["choices"] > explained.mattered.rank_correlation["costs"]


@slow_on_postgresql
def test_costs_stand_beside_the_choices(explained):
    costs = {one.cost: one for one in explained.mattered.costs}
    assert set(costs) == {"params", "macs", "activations", "receptive_field", "depth"}
    field = costs["receptive_field"]
    assert field.rank_correlation < -0.3
    assert field.median_best_third < field.median_others
    assert [one.distinguishable for one in costs.values()] == [one.p_value < 0.05 for one in costs.values()]
    correlations = [abs(one.rank_correlation) for one in explained.mattered.costs]
    assert correlations == sorted(correlations, reverse=True)


@slow_on_postgresql
def test_choices_of_many_values_are_told_in_thirds(explained):
    [widths] = [one for one in explained.mattered.choices if one.choice == "width"]
    assert [value.value for value in widths.values] == ["8 to 16", "24 to 40", "48 to 64"]


@slow_on_postgresql
def test_seconds_and_trials_are_all_told_by_state_and_by_block(explained, rows):
    total = sum(one.seconds for one in rows)
    assert [(one.state, one.trials) for one in explained.states] == [("complete", 30), ("pruned", 12), ("failed", 6)]
    assert sum(one.seconds for one in explained.states) == pytest.approx(total)
    assert sum(one.seconds for one in explained.blocks) == pytest.approx(total)


@slow_on_postgresql
def test_accuracies_of_a_block_are_of_the_complete_trials_that_have_it(explained, rows):
    names = {"stacked", "separable", "grouped"}
    assert {one.block for one in explained.blocks} == names
    for row in explained.blocks:
        having = [
            one for one in rows if row.block in stage_blocks(chosen(one.params, ["stacked", "separable", "grouped"]))
        ]
        reached = [one.accuracy for one in having if one.state == COMPLETE]
        assert (row.trials, row.complete) == (len(having), len(reached))
        assert (row.best_accuracy, row.median_accuracy) == (max(reached), median(reached))
    medians = [one.median_accuracy for one in explained.blocks]
    assert medians == sorted(medians, reverse=True)


@slow_on_postgresql
def test_parts_are_those_of_the_best_network(explained):
    for name in ("params", "macs"):
        assert sum(getattr(one, name) for one in explained.parts) == getattr(explained.best, name)


@slow_on_postgresql
def test_changes_are_told_with_costs_expectation_and_whether_they_were_tried(explained, rows):
    near = explained.nearby
    assert near.problem == ""
    assert near.total > 20
    assert all(one.params <= 20_000 for one in near.changes)
    differences = [one.difference for one in near.changes]
    assert differences == sorted(differences, reverse=True)
    assert all(one.difference_low <= one.difference <= one.difference_high for one in near.changes)
    by_print = {one.fingerprint: one for one in rows}
    for one in near.changes:
        trial = by_print.get(one.architecture)
        told = (None, None, None) if trial is None else (trial.number, trial.state, trial.accuracy)
        assert (one.trial, one.state, one.accuracy) == told
    assert near.tried == sum(one.trial is not None for one in near.changes)


@slow_on_postgresql
def test_changes_for_the_worse_are_expected_to_be_for_the_worse(explained):
    """Of larger kernels less is expected than of the same kernels elsewhere in the network."""
    larger = [one.difference for one in explained.nearby.changes if any(map(is_larger_kernel, one.differing))]
    others = [one.difference for one in explained.nearby.changes if not any(map(is_kernel, one.differing))]
    assert median(larger) < median(others) - 0.002


def is_kernel(one):
    return one.choice == "kernel"


def is_larger_kernel(one):
    return one.choice == "kernel" and (one.after or 0) > (one.before or 9)


@slow_on_postgresql
def test_neighbours_that_were_tried_are_told_with_what_they_reached(world):
    """In a space of 36 networks all are tried."""
    small = {"widths": [16], "stages": [2], "depths": [1], "blocks": ["separable", "conv"]}
    url = world(by_kernel, trials=36, space={**small, "stem": {"kernels": [3], "widths": [8]}})
    near = explain_study("toy", storage=url, top=None).nearby
    assert near.tried == near.total == len(near.changes) > 8
    assert all(one.state == COMPLETE and one.trial is not None for one in near.changes)
    reached = [one.accuracy for one in near.changes]
    assert median(reached[:4]) > median(reached[-4:])


@slow_on_postgresql
def test_top_cuts_the_changes_alone(kernel, explained):
    few = explain_study("toy", storage=kernel, top=3)
    assert few.nearby.changes == explained.nearby.changes[:3]
    assert few.nearby.total == explained.nearby.total


@slow_on_postgresql
def test_chance_is_said_to_explain_nothing(world):
    found = explain_study("toy", storage=world(by_chance, trials=30, draws=4))
    assert found.mattered.choices == ()
    assert found.mattered.problem == "the choices of 30 complete trials explain nothing that chance would not"
    assert not any(one.distinguishable for one in found.mattered.costs)
    assert found.nearby.problem.startswith("nothing is predicted: the model is no better than chance")
    assert found.nearby.changes
    assert all(one.difference is None for one in found.nearby.changes)


def test_few_trials_are_said_to_be_too_few(world):
    found = explain_study("toy", storage=world(by_kernel, trials=9))
    assert found.mattered.problem == "too few complete trials to tell: 9; needed: 10"
    assert (found.mattered.choices, found.mattered.costs, found.mattered.rank_correlation) == ((), (), {})
    assert found.nearby.problem == "too few complete trials to predict from: 9; needed: 10"
    assert len(found.nearby.changes) == 10
    assert sum(one.trials for one in found.states) == 9


def test_equal_accuracies_explain_nothing(world):
    found = explain_study("toy", storage=world(lambda *_: 0.5, trials=12))
    assert found.mattered.problem == "all 12 complete trials reached the same accuracy"
    assert found.nearby.problem == "all 12 complete trials reached the same accuracy, so nothing is predicted"


@slow_on_postgresql
def test_without_a_random_search_it_is_told_how_to_get_one(explained):
    told = "no baseline: `nas confirm toy --baseline` runs the random search of equal cost and confirms its best too"
    assert (explained.baseline, explained.pace, explained.baseline_problem) == (None, (), told)


@slow_on_postgresql
def test_random_search_of_the_same_space_stands_beside(world):
    url = world(by_kernel, trials=12)
    storage = create_storage(url)
    searched(storage, by_kernel, name="toy-random", trials=12, sampler="random", draws=2)
    found = explain_study("toy", storage=url)
    assert (found.baseline, found.baseline_problem) == ("toy-random", "")
    assert [one.trials for one in found.pace] == [1, 3, 6, 9, 12]
    runs = [trials(storage, find_study(storage, name).id) for name in ("toy", "toy-random")]
    common = min(sum(one.seconds for one in run) for run in runs)
    storage.close()
    for point, share in zip(found.pace, (0.1, 0.25, 0.5, 0.75, 1.0), strict=True):
        assert point.seconds == pytest.approx(share * common)
        by_trials = (point.accuracy_by_trials, point.baseline_accuracy_by_trials)
        assert by_trials == tuple(max(one.accuracy for one in run[: point.trials]) for run in runs)
        assert (point.accuracy, point.baseline_accuracy) == tuple(after(run, point.seconds) for run in runs)


def after(run, seconds):
    """The best accuracy after so many seconds of training."""
    ends = accumulate(one.seconds for one in run)
    return max((one.accuracy for one, end in zip(run, ends, strict=True) if end <= seconds + 1e-6), default=None)


@slow_on_postgresql
def test_results_taken_over_cost_what_they_had_cost(world):
    """A random search that draws the networks of the search itself trains nothing, and is no sooner for that."""
    url = world(by_kernel, trials=10)
    storage = create_storage(url)
    searched(storage, by_kernel, name="toy-random", trials=10, sampler="random")
    storage.close()
    found, other = explain_study("toy", storage=url), explain_study("toy-random", storage=url)
    assert [(one.state, one.trials, one.seconds) for one in other.states] == [("reused", 10, 0.0)]
    assert all(one.accuracy == one.baseline_accuracy for one in found.pace)
    assert found.pace[-1].accuracy == found.best.accuracy
    assert (other.baseline, other.pace) == (None, ())
    assert other.baseline_problem == "no baseline: 'toy-random' is a random search itself"


@slow_on_postgresql
def test_missing_block_leaves_the_rest_and_says_so(world):
    url = world(by_kernel, trials=12)
    storage = open_storage(url)
    with storage.write() as connection:
        kept = connection.execute(select(study.c.blocks, study.c.config)).one()._asdict()
        gone = {name: json.loads(json.dumps(value).replace("grouped", "gone")) for name, value in kept.items()}
        connection.execute(update(study).values(gone))
    storage.close()
    found = explain_study("toy", storage=url)
    assert found.nearby is None
    assert found.nearby_problem.startswith("left out: block 'gone' is not registered")
    assert {one.block for one in found.blocks} == {"stacked", "separable", "gone"}
    assert found.complete == 12


def listing(name, **changes):
    """A comparison of one network, entered and not run."""
    part = {"block": "conv", "width": 8, "kernel": 3}
    tail = [{"layer": "global_average_pool"}, {"layer": "dense", "width": "classes"}]
    data = {"name": name, "dataset": "digits", "architecture": [{"name": "one", "parts": [part, *tail]}], **changes}
    return checked(study_from_data(data), BLOCKS)


@pytest.mark.parametrize(
    ("name", "error", "told"),
    [
        ("nosuch", NotFound, "no study 'nosuch' in "),
        ("listed", NasError, "study 'listed' lists its candidates, so nothing was chosen; allowed: a search"),
        ("tested", NasError, "study 'tested' is scored on test images: a confirmation itself; allowed: a search"),
        ("empty", NasError, "study 'empty' has no complete trials yet, so nothing to explain: `nas run` it first"),
    ],
)
def test_what_cannot_be_explained_is_told_in_one_line(url, name, error, told):
    storage = create_storage(url)
    enter(storage, listing("listed"))
    enter(storage, listing("tested", score="test"))
    searched(storage, by_kernel, name="empty", trials=2, ends=("pruned",))
    storage.close()
    with pytest.raises(error) as caught:
        explain_study(name, storage=url)
    assert str(caught.value).startswith(told)
    assert len(caught.value.lines) == 1


@slow_on_postgresql
def test_trial_of_an_id_below_the_first_is_one_like_others(world):
    """None is made so, but a database may have been changed by hand."""
    url = world(by_kernel, trials=6)
    usual = explain_study("toy", storage=url)
    storage = open_storage(url)
    try:
        with storage.write() as connection:
            connection.execute(delete(epoch))
            best = select(trial.c.id).where(trial.c.state == COMPLETE).order_by(trial.c.accuracy.desc()).limit(1)
            connection.execute(update(trial).where(trial.c.id == connection.scalar(best)).values(id=-1))
    finally:
        storage.close()
    found = explain_study("toy", storage=url)
    assert found.best == usual.best
    assert found.parts == usual.parts


def test_study_without_a_name_is_no_suggestion():
    assert nearest("smal", [None, "small"]) == " (did you mean 'small'?)"
