"""Confirming a study and training one network, on real digits, by workers in this process or by real ones."""

import json
import signal
from contextlib import closing
from dataclasses import replace
from statistics import fmean

import numpy as np
import psutil
import pytest
from databases import slow_on_postgresql
from work_worlds import look, wait_for, write_study

from nas.arch.read import architecture_from_json
from nas.cli.main import main
from nas.data.names import load_images
from nas.errors import DataError, NasError, NotFound, StudyFileError
from nas.store.engine import open_storage
from nas.store.ranking import best, find
from nas.store.status import status
from nas.store.studies import find_study, list_studies, remove_study
from nas.store.trials import history, trial_epochs
from nas.work.confirm import confirm_study
from nas.work.interval import holm, interval, welch
from nas.work.jobs import run_study
from nas.work.single import train_network

CHOSEN = ("rank", "trial", "accuracy", "test_accuracy", "test_low", "test_high", "seed_accuracies")


@pytest.fixture(scope="module")
def searched_once(new_place, tmp_path_factory):
    """A storage with a study of four networks, run to its end."""
    place, path = new_place(), write_study(tmp_path_factory.mktemp("searched"), images=200)
    run_study(path, storage=place.url, workers=0, device="cpu")
    return place


@pytest.fixture
def searched(searched_once, a_database):
    """A study of four networks, run to its end, in a storage of the test's own."""
    a_database.copied(searched_once)
    return "small"


@pytest.fixture
def study_file(study_file):
    """Writes a study file whose search takes few images; what confirms it takes all."""
    return lambda **changes: study_file(**{"images": 200, **changes})


@pytest.fixture
def opened(url):
    """The storage, to look into."""
    storages = []

    def look_into():
        storages.append(open_storage(url))
        return storages[-1]

    yield look_into
    for storage in storages:
        storage.close()


@pytest.fixture
def moved(tmp_path, monkeypatch):
    """Digits as an .npz file in the current folder; told to, its test images are others."""
    monkeypatch.chdir(tmp_path)
    digits = load_images("digits")

    def write(test=True, name="d.npz"):
        images = digits.test_images if test else digits.test_images[::-1]
        arrays = {"x_train": digits.train_images[:, 0], "y_train": digits.train_labels}
        np.savez(tmp_path / name, **arrays, x_test=images[:, 0], y_test=digits.test_labels)
        return name

    return write


def confirmed(name, url, **words):
    return confirm_study(name, storage=url, **{"top": 2, "seeds": 2, "workers": 0, "device": "cpu", **words})


def told(found):
    return [tuple(getattr(row, name) for name in CHOSEN) for row in found.rows]


def test_best_are_trained_from_fresh_seeds_and_scored_once(searched, url, opened):
    found = confirmed(searched, url)
    storage = opened()
    assert {row.trial for row in found.rows} == {row.trial for row in best(storage, study=searched, top=2)}
    record = find_study(storage, "small-confirm-2x2")
    assert (found.study, record.seed, record.repeats, record.scored_on) == ("small-confirm-2x2", 1, 2, "test")
    by_number = {f"{record.name}#{one.number}": one for one in history(storage, record.id)}
    for row in found.rows:
        epochs = trial_epochs(storage, by_number[row.confirmation].id)
        assert [one.accuracy is None for one in epochs] == [True, False, True, False]
        assert row.seed_accuracies == (epochs[1].accuracy, epochs[3].accuracy)
        assert row.test_accuracy == pytest.approx(fmean(row.seed_accuracies))
        assert (row.test_low, row.test_high) == interval(row.seed_accuracies)
        assert row.seeds == (1, 2)
    assert (found.test_images, found.total, found.failed) == (359, 2, ())


@slow_on_postgresql
def test_networks_are_ranked_by_test_accuracy_and_told_apart_from_the_first(searched, url):
    rows = confirmed(searched, url, top=4).rows
    assert [row.rank for row in rows] == [1, 2, 3, 4]
    assert [row.test_accuracy for row in rows] == sorted((row.test_accuracy for row in rows), reverse=True)
    assert (rows[0].p_value, rows[0].distinguishable) == (None, None)
    raised = holm([welch(rows[0].seed_accuracies, row.seed_accuracies) for row in rows[1:]])
    assert [(row.p_value, row.distinguishable) for row in rows[1:]] == [(one, one < 0.05) for one in raised]


@slow_on_postgresql
def test_study_keeps_its_accuracy_and_gains_the_test_accuracy(searched, url, opened):
    before = {row.trial: row for row in best(opened(), study=searched)}
    rows = {row.trial: row for row in confirmed(searched, url).rows}
    for row in best(opened(), study=searched):
        found = rows.get(row.trial)
        wanted = (None,) * 3 if found is None else (found.test_accuracy, found.test_low, found.test_high)
        assert replace(row, test_accuracy=None, test_low=None, test_high=None) == before[row.trial]
        assert (row.test_accuracy, row.test_low, row.test_high) == wanted
    assert {row.study for row in best(opened())} == {"small"}


@pytest.mark.slow
def test_confirming_again_trains_nothing_and_a_larger_top_adds(searched, url, opened):
    first = confirmed(searched, url)
    assert told(confirmed(searched, url)) == told(first)
    more = confirmed(searched, url, top=3)
    assert len(more.rows) == 3
    assert len(confirmed(searched, url, top=1).rows) == 3
    done = {row.trial: row.seconds for row in more.rows}
    assert all(done[row.trial] == row.seconds for row in first.rows)
    assert status(opened(), first.study).trained_twice == 0


@slow_on_postgresql
def test_other_seeds_epochs_and_recipes_are_other_confirmations(searched, url):
    names = {
        confirmed(searched, url, top=1, seeds=1, **words).study
        for words in ({}, {"epochs": 1}, {"overrides": ["train.label_smoothing=0"]})
    }
    assert {"small-confirm-1x2", "small-confirm-1x1"} < names
    (other,) = names - {"small-confirm-1x2", "small-confirm-1x1"}
    assert other.startswith("small-confirm-1x2-")


@slow_on_postgresql
def test_one_seed_has_no_interval_and_tells_nothing_apart(searched, url):
    rows = confirmed(searched, url, seeds=1).rows
    assert {(row.test_low, row.p_value, row.distinguishable) for row in rows} == {(None, None, None)}


@slow_on_postgresql
def test_baseline_is_the_same_search_at_random(study_file, url, opened):
    run_study(study_file(), storage=url, workers=0, device="cpu", overrides=["search.sampler='evolution'"])
    without = confirmed("small", url)
    assert (without.baseline, without.problem.split(":")[0]) == (None, "no baseline")
    found = confirmed("small", url, baseline=True)
    storage = opened()
    random, source = find_study(storage, "small-random"), find_study(storage, "small")
    assert (random.config["search"]["sampler"], random.trials, random.seed) == ("random", source.trials, source.seed)
    assert (random.recipe_hash, random.budget) == (source.recipe_hash, source.budget)
    best_by_chance = best(storage, study="small-random", top=1)[0]
    assert [row.architecture for row in found.rows if row.baseline] == [best_by_chance.architecture]
    assert best_by_chance.test_accuracy is not None
    assert (found.baseline, found.problem) == ("small-random", "")
    assert found.baseline_seconds > 0
    assert told(confirmed("small", url)) == told(found)  # whole by now, it is taken in unasked


@pytest.mark.slow
def test_baseline_tries_as_many_networks_as_the_study_has_by_now(study_file, url, opened):
    words = ["search.sampler='evolution'", "search.trials=2"]
    run_study(study_file(), storage=url, workers=0, device="cpu", overrides=words)
    found = confirmed("small", url, top=1, seeds=1, baseline=True)
    assert find_study(opened(), "small-random").trials == 2
    # A study that grows leaves its baseline behind; what was confirmed by it stands all the same.
    run_study(study_file(), storage=url, workers=0, device="cpu", overrides=words[:1])
    again = confirmed("small", url, top=1, seeds=1)
    assert "is not complete" in again.problem
    assert {row.architecture for row in found.rows} <= {row.architecture for row in again.rows}
    assert confirmed("small", url, top=1, seeds=1, baseline=True).problem == ""
    assert find_study(opened(), "small-random").trials == 4
    remove_study(opened(), "small-random")
    with pytest.raises(NasError, match="of an earlier study 'small-random', which was removed"):
        confirmed("small", url, top=1, seeds=1)


@slow_on_postgresql
def test_all_images_are_trained_on_though_the_search_took_some(study_file, url, opened):
    run_study(study_file(), storage=url, workers=0, device="cpu", overrides=["train.images=300"])
    confirmed("small", url, top=1, seeds=1)
    assert find_study(opened(), "small-confirm-1x2").recipe["images"] is None
    confirmed("small", url, top=1, seeds=1, overrides=("train.images=400", "train.optimizer=adam"))
    (other,) = [one for one in list_studies(opened()) if one.name.startswith("small-confirm-1x2-")]
    assert (other.recipe["images"], other.recipe["learning_rate"]) == (400, 0.003)


@slow_on_postgresql
def test_study_of_the_baseline_s_name_that_asks_something_else_is_none(study_file, url):
    run_study(study_file(name="small-random", epochs=1), storage=url, workers=0, device="cpu")
    run_study(study_file(), storage=url, workers=0, device="cpu", overrides=["search.sampler='evolution'"])
    assert "asks another question than 'small'" in confirmed("small", url, top=1, seeds=1).problem
    with pytest.raises(NasError, match=r"^--baseline: study 'small-random' asks another question"):
        confirmed("small", url, baseline=True)
    with pytest.raises(NasError, match="is itself searched at random"):
        confirmed("small-random", url, baseline=True)


@slow_on_postgresql
def test_what_cannot_be_confirmed_is_an_error_in_one_line(searched, study_file, url, opened):
    confirmed(searched, url, top=1, seeds=1)
    long = ["train.epochs=500"]
    run_study(study_file(name="begun", seed=9), storage=url, workers=0, device="cpu", timeout=0.001, overrides=long)
    for name, why in {"smal": "no study 'smal'", "small-confirm-1x2": "a confirmation itself"}.items():
        with pytest.raises(NasError, match=why) as caught:
            confirmed(name, url)
        assert len(caught.value.lines) == 1
    with pytest.raises(NasError, match="has no complete trials yet"):
        confirmed("begun", url)
    with pytest.raises(StudyFileError, match=r"--set 'search\.trials=5': allowed: keys of \[train\]"):
        confirmed(searched, url, overrides=["search.trials=5"])
    with pytest.raises(NotFound):
        confirmed("nothing", url)


@slow_on_postgresql
def test_confirmation_of_a_study_that_was_removed_and_run_again_is_no_mixture(searched, study_file, url, opened):
    confirmed(searched, url, top=1, seeds=1)
    remove_study(opened(), searched)
    run_study(study_file(seed=5), storage=url, workers=0, device="cpu", overrides=["search.sampler='tpe'"])
    with pytest.raises(NasError, match=r"confirmed networks of an earlier study 'small', .*nas rm small-confirm-1x2"):
        confirmed(searched, url, top=1, seeds=1)


@slow_on_postgresql
def test_data_set_that_moved_or_changed_is_an_error(study_file, url, moved, tmp_path, monkeypatch):
    path = study_file()
    path.write_text(path.read_text().replace('"digits"', f'"{moved()}"'))
    run_study(path, storage=url, workers=0, device="cpu")
    moved(test=False)
    with pytest.raises(DataError, match="its images are no longer those that the study chose by"):
        confirmed("small", url)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    with pytest.raises(DataError, match=r"data set 'd.npz' is not there from '.*elsewhere'"):
        confirmed("small", url)


@slow_on_postgresql
def test_only_a_confirmation_touches_the_test_images(study_file, moved, new_url):
    path = study_file()
    path.write_text(path.read_text().replace('"digits"', '"d.npz"'))
    network = architecture_from_json(json.loads(ONE))
    searches, singles, confirmations = [], [], []
    for test in (True, False):
        url = new_url()
        moved(test)
        run_study(path, storage=url, workers=0, device="cpu")
        single = train_network(network, dataset="d.npz", storage=url, epochs=1, seeds=2, workers=0, device="cpu")
        storage = open_storage(url)
        searches.append([(row.trial, row.architecture, row.accuracy) for row in best(storage, study="small")])
        singles.append([(row.accuracy, row.accuracy_low) for row in best(storage, study=single.name)])
        storage.close()
        confirmations.append([row.seed_accuracies for row in confirmed("small", url).rows])
    assert searches[0] == searches[1]
    assert singles[0] == singles[1]
    assert confirmations[0] != confirmations[1]
    assert max(max(scores) for scores in confirmations[1]) < 0.5  # its labels were no longer its images'


ONE = json.dumps(
    {
        "format": 1,
        "input": [3, 32, 32],
        "classes": 100,
        "parts": [
            {"block": "conv", "width": 8, "kernel": 3},
            {"layer": "global_average_pool"},
            {"layer": "dense", "width": "classes"},
        ],
    }
)


@pytest.mark.slow
def test_confirmation_killed_in_the_middle_ends_as_if_it_had_not_been(searched, url, opened, tmp_path, start_words):
    words = ["confirm", searched, "--top", 1, "--seeds", 2, "--epochs", 10, "--workers", 1, "--device", "cpu"]
    begun = start_words(*words)
    name = "small-confirm-2x10"

    def in_the_second():
        if look(url, name) is None:
            return None
        with closing(open_storage(url)) as storage:
            rows = history(storage, find_study(storage, name).id)
        return next((one for one in rows if one.epochs_done > 10 and one.finished is None), None)

    worker = int(wait_for(in_the_second, 180).worker.split(":")[1])
    begun.send_signal(signal.SIGKILL)
    begun.wait()
    wait_for(lambda: not psutil.pid_exists(worker))
    resumed = confirmed(searched, url, top=1, epochs=10)
    remove_study(opened(), name)
    whole = confirmed(searched, url, top=1, epochs=10)
    assert told(resumed) == told(whole)
    assert all(row.seconds > 0 for row in whole.rows)


@pytest.mark.slow
def test_confirmation_stopped_by_time_goes_on(searched, url):
    stopped = confirmed(searched, url, epochs=10, timeout=0.2)
    assert len(stopped.rows) < stopped.total == 2
    assert len(confirmed(searched, url, epochs=10).rows) == 2


@slow_on_postgresql
def test_failed_candidate_is_told(searched, url):
    with pytest.raises(NasError, match="all 2 failed; the last: loss is not finite"):
        confirmed(searched, url, overrides=("train.learning_rate=1e30",))


def test_study_of_an_earlier_trainer_is_not_confirmed(searched, url, opened, monkeypatch):
    monkeypatch.setattr("nas.arch.recipe.TRAINER_VERSION", 99)
    with pytest.raises(NasError, match="earlier version of the trainer"):
        confirmed(searched, url)


@slow_on_postgresql
def test_network_is_trained_on_the_images_it_is_put_onto(url, opened):
    network = architecture_from_json(json.loads(ONE))
    words = {"dataset": "digits", "storage": url, "epochs": 2, "seeds": 2, "workers": 0, "device": "cpu"}
    record = train_network(network, **words)
    (row,) = best(opened(), study=record.name)
    assert (row.repeats, row.epochs, row.dataset, row.test_accuracy) == (2, 2, "digits", None)
    assert record.name.startswith(f"train-digits-{row.architecture[:10]}-")
    spec, _ = find(opened(), f"{record.name}#0")
    assert (spec["input"], spec["classes"]) == ([1, 8, 8], 10)
    assert train_network(architecture_from_json(spec), **words).name == record.name
    assert train_network(network, **{**words, "seeds": 1}).name != record.name
    with pytest.raises(StudyFileError, match=r"^nas train: --set 'seed=3': allowed: keys of \[train\]"):
        train_network(network, **words, overrides=["seed=3"])
    with pytest.raises(StudyFileError, match=r"^nas train: train\.epohcs: unknown key"):
        train_network(network, **words, overrides=["train.epohcs=3"])


@slow_on_postgresql
def test_commands_print_rows_and_notes(searched, url, capsys, tmp_path):
    words = ["confirm", searched, "--storage", url, "--top", "2", "--seeds", "2", "--workers", "0", "--device", "cpu"]
    assert main(words) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[0].split()[:3] == ["rank", "network", "architecture"]
    assert "2 of 2 networks confirmed on 359 test images; the intervals cover seeds, not the choice of test" in err
    assert main([*words, "-f", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["rank"] for row in rows] == [1, 2]
    assert {"distinguishable", "p_value", "seeds", "seed_accuracies", "baseline", "search_seconds"} < set(rows[0])
    assert main(["best", "small-confirm-2x2", "--storage", url]) == 0
    assert "small-confirm-2x2: all accuracies are on the test images" in capsys.readouterr().err
    assert main(["show", rows[0]["confirmation"], "--storage", url]) == 0
    assert "on test images" in capsys.readouterr().out
    export = ["export", rows[0]["confirmation"], "-o", str(tmp_path / "out"), "--storage", url]
    assert main(export) == 0
    figures = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert (figures["scored_on"], figures["weights_kept"]) == ("test", True)
    capsys.readouterr()
    train = ["train", f"{searched}#0", "--dataset", "digits", "--epochs", "1", "--seeds", "2", "--workers", "0"]
    assert main([*train, "--storage", url, "-f", "json"]) == 0
    out, err = capsys.readouterr()
    (row,) = json.loads(out)
    assert f"nas export {row['study']}#0 -o DIR" in err


PLUGIN = '''
from torch import nn
from nas import Block, hookimpl

class Gone(Block):
    """A convolution whose plugin will be missing."""
    name = "gone"
    choices = {"kernel": (3, 5)}
    def build(self, in_channels, width, stride, *, kernel):
        return nn.Conv2d(in_channels, width, kernel, stride, kernel // 2)

@hookimpl
def nas_register_blocks(register):
    register(Gone)
'''


@slow_on_postgresql
def test_missing_plugin_is_an_error_in_one_line(study_file, url, tmp_path):
    (tmp_path / "blocks").mkdir()
    (tmp_path / "blocks" / "gone.py").write_text(PLUGIN)
    plugins = (str(tmp_path / "blocks"),)
    path = study_file(blocks=["gone"], trials=1, epochs=1)
    run_study(path, storage=url, workers=0, device="cpu", plugins=plugins)
    with pytest.raises(NasError, match="block 'gone' is not registered") as caught:
        confirmed("small", url, seeds=1)
    assert len(caught.value.lines) == 1
    assert len(confirmed("small", url, seeds=1, plugins=plugins).rows) == 1
