"""A comparison run whole on real images, by a worker in this process or by real processes."""

import json
import signal
from contextlib import closing
from statistics import fmean

import psutil
import pytest
from databases import slow_on_postgresql
from work_worlds import look, mirrored, wait_for

from nas.arch.read import architecture_from_json
from nas.arch.record import WAITING
from nas.blocks.registry import load_blocks
from nas.cli.main import main
from nas.errors import BudgetError, StudyFileError
from nas.store.engine import open_storage
from nas.store.ranking import best, find
from nas.store.status import status
from nas.store.studies import find_study
from nas.store.trials import history, trial_epochs
from nas.store.weights import get_weights
from nas.work.handover import export_network
from nas.work.interval import interval
from nas.work.jobs import profile_study, run_study

PAIR = """
name = "{name}"
dataset = "digits"
seed = {seed}
repeats = {repeats}
[budget]
params = "{params}"
[[architecture]]
name = "two 3×3"
parts = [{{block = "stacked", width = 8, kernel = 3, layers = 2}}, {{layer = "global_average_pool"}},
         {{layer = "dense", width = "classes"}}]
[[architecture]]
name = "one 5×5"
parts = [{{block = "conv", width = 8, kernel = 5}}, {{layer = "global_average_pool"}},
         {{layer = "dense", width = "classes"}}]
[train]
epochs = {epochs}
images = 300
"""

BREAKING = '''
from torch import nn
from nas import Block, hookimpl

class Breaks(nn.Module):
    def __init__(self, in_channels, width, stride):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, width, 3, stride, 1)

    def forward(self, x):
        if self.training and x.device.type == "cpu" and len(x) > 8:
            raise RuntimeError("broken in training")
        return self.conv(x)

class Breaking(Block):
    """Breaks when it is trained on a batch."""
    name = "breaking"
    def build(self, in_channels, width, stride):
        return Breaks(in_channels, width, stride)

@hookimpl
def nas_register_blocks(register):
    register(Breaking)
'''


@pytest.fixture
def pair(tmp_path):
    def write(**changes):
        values = {"name": "pair", "seed": 0, "repeats": 2, "params": "2k", "epochs": 2, **changes}
        path = tmp_path / f"{values['name']}.toml"
        path.write_text(PAIR.format(**values))
        return path

    return write


def ran(path, url, **words):
    record = run_study(path, storage=url, workers=0, device="cpu", **words)
    storage = open_storage(url)
    try:
        return record, best(storage, study=record.name)
    finally:
        storage.close()


@slow_on_postgresql
def test_candidates_are_ranked_by_the_mean_over_seeds(pair, url):
    _, ranked = ran(pair(repeats=3), url)
    assert {row.name for row in ranked} == {"two 3×3", "one 5×5"}
    assert {(row.repeats, row.epochs) for row in ranked} == {(3, 2)}
    storage = open_storage(url)
    for trial in history(storage, 1):
        last = [epoch.accuracy for epoch in trial_epochs(storage, trial.id) if epoch.epoch % 2 == 0]
        row = next(row for row in ranked if row.trial == trial.number)
        assert len(last) == 3
        assert (row.accuracy, row.accuracy_low, row.accuracy_high) == (fmean(last), *interval(last))
        assert get_weights(storage, trial.id) is not None
    storage.close()


@slow_on_postgresql
def test_each_repeat_is_the_training_from_its_own_seed(pair, url):
    # The split and the images trained on follow the study's seed, so only a repeat from the same seed can be compared.
    ran(pair(repeats=2), url)
    ran(pair(name="alone", repeats=1), url)
    storage = open_storage(url)
    both, alone = ({one.name: trial_epochs(storage, one.id) for one in history(storage, id)} for id in (1, 2))
    storage.close()
    for name, epochs in alone.items():
        assert [one.accuracy for one in both[name][:2]] == [one.accuracy for one in epochs]
        assert [one.loss for one in both[name][2:]] != [one.loss for one in epochs]


@pytest.mark.slow
def test_comparison_killed_in_a_later_repeat_ends_as_if_it_had_not_been(pair, url, new_url, start):
    path = pair(repeats=3, epochs=20)
    begun = start(path, "--workers", "1")

    def in_the_second():
        if look(url, "pair") is None:
            return None
        with closing(open_storage(url)) as storage:
            rows = history(storage, 1)
        return next((one for one in rows if one.epochs_done > 20 and one.finished is None), None)

    worker = int(wait_for(in_the_second).worker.split(":")[1])
    begun.send_signal(signal.SIGKILL)
    begun.wait()
    wait_for(lambda: not psutil.pid_exists(worker))
    _, resumed = ran(path, url)
    _, whole = ran(path, new_url())
    assert [(row.name, row.accuracy, row.accuracy_low) for row in resumed] == [
        (row.name, row.accuracy, row.accuracy_low) for row in whole
    ]


@slow_on_postgresql
def test_result_is_taken_over_by_a_comparison_with_as_many_repeats(pair, url):
    ran(pair(), url)
    _, again = ran(pair(name="again"), url)
    assert [row.reused for row in again] == [True, True]
    assert all(row.accuracy_low is not None for row in again)
    _, more = ran(pair(name="more", repeats=3), url)
    assert [row.reused for row in more] == [False, False]
    storage = open_storage(url)
    assert [status(storage, name).trained_twice for name in ("pair", "again", "more")] == [0, 0, 0]
    storage.close()


def test_candidate_over_the_budget_stops_it_before_anything_is_made(pair, url, a_database):
    with pytest.raises(BudgetError, match=r"^two 3×3: params 770 is over the budget of 500$"):
        ran(pair(params="500"), url)
    assert a_database.untouched()
    found = profile_study(pair(params="500"))
    assert (found.feasible, found.share_feasible, found.smallest_budget) == (False, 0.5, 770)
    assert profile_study(pair()).seconds_expected > 0


@slow_on_postgresql
def test_candidate_that_came_later_is_trained_alone(pair, url):
    path = pair()
    first = ran(path, url)[1]
    third = '[[architecture]]\nname = "third"\nparts = [{layer = "dense", width = "classes"}]\n'
    path.write_text(path.read_text().replace("[train]", f"{third}[train]"))
    record, ranked = ran(path, url)
    assert record.trials == 3
    assert {row.name for row in ranked} == {"two 3×3", "one 5×5", "third"}
    assert {row.seconds for row in first} < {row.seconds for row in ranked}


def test_optuna_sees_the_candidates_as_one_choice(pair, url):
    ran(pair(), url)
    assert {trial.params["architecture"] for trial in mirrored(url, "pair")} == {"two 3×3", "one 5×5"}


def test_more_images_than_there_are_is_an_error(pair, url):
    with pytest.raises(StudyFileError, match=r"train\.images: 5,000 is more than the 1,150 images of digits"):
        run_study(pair(), storage=url, workers=0, overrides=["train.images=5000"])


@slow_on_postgresql
def test_stopped_trial_counts_all_epochs_of_all_repeats(pair, url):
    run_study(pair(repeats=50, epochs=5), storage=url, workers=0, device="cpu", timeout=3)
    storage = open_storage(url)
    left = [one for one in history(storage, find_study(storage, "pair").id) if one.state == WAITING]
    assert left
    assert left[0].epochs_done > 5
    storage.close()


@pytest.mark.slow
def test_candidate_that_comes_while_a_run_is_under_way_is_trained(pair, url, start):
    path = pair(repeats=2, epochs=10)
    begun = start(path, "--workers", "1")
    wait_for(lambda: (found := look(url, "pair")) and found.trials["running"])
    third = '[[architecture]]\nname = "third"\nparts = [{layer = "dense", width = "classes"}]\n'
    path.write_text(path.read_text().replace("[train]", f"{third}[train]"))
    later = start(path, "--workers", "1")
    assert (begun.wait(120), later.wait(120)) == (0, 0)
    found = look(url, "pair")
    assert (found.state, found.trials["complete"], found.trained_twice) == ("complete", 3, 0)


@slow_on_postgresql
def test_failed_candidate_is_named_and_the_others_are_ranked(pair, url, tmp_path, capsys):
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "breaking.py").write_text(BREAKING)
    path = pair(epochs=1)
    third = (
        '[[architecture]]\nname = "third"\nparts = [{block = "breaking", width = 4}, '
        '{layer = "global_average_pool"}, {layer = "dense", width = 10}]\n'
    )
    path.write_text(path.read_text().replace("[train]", f"{third}[train]"))
    words = ["--storage", url, "--workers", "0", "--plugins-dir", str(tmp_path / "plugins"), "--device", "cpu"]
    assert main(["run", str(path), *words]) == 0
    told = capsys.readouterr()
    assert "not trained: third: RuntimeError: broken in training" in told.err
    assert "every network" not in told.err
    assert len(told.out.splitlines()) == 3


def test_comparison_of_which_all_candidates_fail_is_an_error(pair, url, capsys):
    words = ["run", str(pair(epochs=1)), "--storage", url, "--workers", "0", "--set", "train.learning_rate=1e30"]
    assert main([*words, "--device", "cpu"]) == 1
    assert "every candidate was tried and all 2 failed; the last: loss is not finite" in capsys.readouterr().err


@slow_on_postgresql
def test_export_of_a_candidate_says_which_training_its_weights_are_of(pair, url, tmp_path):
    ran(pair(seed=5, repeats=3), url)
    storage = open_storage(url)
    trial = history(storage, 1)[0]
    exported = export_network(
        architecture_from_json(find(storage, "pair#0")[0]),
        trial,
        tmp_path / "out",
        storage=storage,
        blocks=load_blocks(load=()),
    )
    storage.close()
    figures = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert exported
    assert (figures["name"], figures["repeats"], figures["seed"], figures["weights_seed"]) == ("two 3×3", 3, 5, 7)
    assert figures["accuracy_low"] < figures["accuracy"] < figures["accuracy_high"]
