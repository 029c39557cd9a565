"""A study run whole on real images, by a worker in this process."""

import json

import numpy as np
import optuna
import pytest
import torch
from databases import slow_on_postgresql
from sqlalchemy import text
from work_worlds import mirrored, optuna_storage, write_study

from nas.arch.read import architecture_from_json
from nas.arch.record import COMPLETE, FAILED, PRUNED
from nas.blocks.registry import load_blocks
from nas.errors import BlockError, BudgetError, DataError, ExportError, NasError, StudyFileError
from nas.store.engine import open_storage
from nas.store.ranking import best, find
from nas.store.status import status
from nas.store.studies import find_study
from nas.store.trials import history, trial_epochs, trials
from nas.store.weights import get_weights
from nas.work.handover import export_network
from nas.work.jobs import profile_study, run_study

BROKEN = '''
import torch
from torch import nn
from nas import Block, hookimpl

class Scaled(nn.Module):
    def __init__(self, in_channels, width, stride, scale):
        super().__init__()
        self.conv, self.scale = nn.Conv2d(in_channels, width, 3, stride, 1), scale

    def forward(self, x):
        if self.scale == "raise" and self.training:
            raise RuntimeError("a block that breaks in training")
        return self.conv(x) * (float("nan") if self.scale == "nan" and self.training else 1.0)

class Fragile(Block):
    """Breaks for two of its three choices."""
    name = "fragile"
    choices = {"scale": ("one", "nan", "raise")}
    def build(self, in_channels, width, stride, *, scale):
        return Scaled(in_channels, width, stride, scale)

class Liar(Block):
    """Says that it costs nothing."""
    name = "liar"
    def build(self, in_channels, width, stride):
        return nn.Conv2d(in_channels, width, 3, stride, 1)
    def cost(self, shape, width, stride):
        from nas import Cost
        return Cost(1, 1, 1, 1, 3)

@hookimpl
def nas_register_blocks(register):
    register(Fragile)
    register(Liar)
'''


SEER = '''
from torch import nn
from nas import Block, Cost, hookimpl

class Seer(Block):
    """Says that it sees far, at one width alone."""
    name = "seer"
    def build(self, in_channels, width, stride):
        return nn.Conv2d(in_channels, width, 3, stride, 1, bias=False)
    def cost(self, shape, width, stride):
        weights = 9 * shape[0] * width
        pixels = -(-shape[1] // stride) * -(-shape[2] // stride)
        return Cost(weights, weights, weights * pixels, width * pixels, 500 if width == 24 else 3)

@hookimpl
def nas_register_blocks(register):
    register(Seer)
'''


@pytest.fixture
def plugins(tmp_path):
    folder = tmp_path / "plugins"
    folder.mkdir()
    (folder / "broken.py").write_text(BROKEN)
    return [str(folder)]


@pytest.fixture
def study_file(study_file):
    """Writes a study file of few images: what is learnt from them is no matter here."""
    return lambda **changes: study_file(**{"images": 200, **changes})


@pytest.fixture(scope="module")
def whole(new_url, tmp_path_factory):
    """A study of four trials run to its end: its storage, its record, and the trials that were told as ended."""
    folder, url, told = tmp_path_factory.mktemp("whole"), new_url(), []
    words = {"storage": url, "workers": 0, "watch": lambda progress: told.extend(progress.ended)}
    record = run_study(write_study(folder, images=200), **words)
    return url, record, tuple(told)


def opened(url):
    return open_storage(url)


def test_study_runs_to_its_total_and_every_trial_is_recorded(whole):
    url, record, _ = whole
    storage = opened(url)
    found = status(storage, "small")
    assert dict(found.trials) == {"total": 4, "complete": 4, "pruned": 0, "failed": 0, "running": 0, "waiting": 0}
    assert (found.state, found.trained_over_budget, found.trained_twice) == ("complete", 0, 0)
    for trial in history(storage, record.id):
        assert [epoch.epoch for epoch in trial_epochs(storage, trial.id)] == [1, 2]
        assert trial.totals.params <= 6000
        assert {"nas", "torch"} <= set(trial.versions)
        assert get_weights(storage, trial.id)
    storage.close()


def test_progress_tells_every_trial_once(whole):
    _, _, told = whole
    assert sorted(trial.number for trial in told) == [0, 1, 2, 3]


@slow_on_postgresql
def test_every_block_type_appears_among_the_first_trials(url, study_file):
    record = run_study(study_file(trials=6, epochs=1), storage=url, workers=0)
    storage = opened(url)
    seen = {block for trial in history(storage, record.id) for block in trial.blocks}
    storage.close()
    assert {"conv", "separable", "grouped"} <= seen


@slow_on_postgresql
def test_same_seed_gives_the_same_trials_and_accuracies(new_url, study_file):
    path = study_file(trials=3)
    given = []
    for url in (new_url(), new_url()):
        record = run_study(path, storage=url, workers=0)
        storage = opened(url)
        given.append([(trial.fingerprint, trial.accuracy) for trial in history(storage, record.id)])
        storage.close()
    assert given[0] == given[1]


@slow_on_postgresql
def test_more_trials_go_on_where_the_study_ended(url, study_file):
    run_study(study_file(trials=2), storage=url, workers=0)
    record = run_study(study_file(trials=4), storage=url, workers=0)
    storage = opened(url)
    assert [trial.number for trial in history(storage, record.id)] == [0, 1, 2, 3]
    assert len({trial.fingerprint for trial in history(storage, record.id)}) == 4
    storage.close()


@slow_on_postgresql
def test_result_of_another_study_is_reused_and_not_trained(url, study_file):
    run_study(study_file(trials=5, params="1M"), storage=url, workers=0)
    second = run_study(study_file(name="other", trials=5, params="900k"), storage=url, workers=0)
    storage = opened(url)
    found = status(storage, "other")
    assert found.reused > 0
    assert (found.trials["complete"], found.trained_twice) == (5, 0)
    assert all(trial.seconds == 0 for trial in history(storage, second.id) if trial.reused)
    storage.close()


@slow_on_postgresql
def test_space_that_is_used_up_ends_the_study_early(url, study_file):
    changes = {"blocks": ["separable"], "trials": 50, "epochs": 1, "params": "1M"}
    record = run_study(study_file(**changes), storage=url, workers=0, overrides=["space.widths=[8, 16]"])
    storage = opened(url)
    assert record.exhausted
    assert status(storage, "small").trials["complete"] == 4
    assert status(storage, "small").state == "complete"
    storage.close()


@slow_on_postgresql
def test_failed_trials_are_replaced_and_say_why(url, study_file, plugins):
    path = study_file(blocks=["fragile", "conv", "separable"], trials=8, epochs=1)
    record = run_study(path, storage=url, workers=0, plugins=plugins)
    storage = opened(url)
    failed = [trial for trial in history(storage, record.id) if trial.state == FAILED]
    assert status(storage, "small").trials["complete"] == 8
    assert failed
    assert all("finite" in trial.reason or "a block that breaks in training" in trial.reason for trial in failed)
    storage.close()


@slow_on_postgresql
def test_study_whose_trials_keep_failing_ends_with_the_reason(url, study_file, plugins):
    path = study_file(blocks=["fragile"], trials=2, epochs=1)
    with pytest.raises(NasError, match=r"3 trials failed, more than are replaced; the last: .*(finite|breaks)"):
        run_study(path, storage=url, workers=0, plugins=plugins, overrides=["seed=3"])
    storage = opened(url)
    assert status(storage, "small").state == "failed"
    storage.close()


def test_lying_block_is_refused_before_anything_is_created(url, a_database, study_file, plugins):
    with pytest.raises(BlockError, match="liar"):
        run_study(study_file(blocks=["liar"]), storage=url, workers=0, plugins=plugins)
    assert a_database.untouched()


@slow_on_postgresql
def test_budget_that_cannot_be_met_names_the_smallest_that_would_do(url, a_database, study_file):
    with pytest.raises(BudgetError, match=r"budget.params: no network has at most 50; the smallest has \d+") as caught:
        run_study(study_file(params="50"), storage=url, workers=0)
    assert caught.value.exit_code == 3
    least = int(str(caught.value).rsplit(" ", 1)[1].replace(",", ""))
    assert a_database.untouched()
    run_study(study_file(params=str(least), trials=1, epochs=1), storage=url, workers=0)


@slow_on_postgresql
def test_changed_question_is_refused_with_both_values(url, study_file):
    run_study(study_file(trials=1, epochs=1), storage=url, workers=0)
    with pytest.raises(StudyFileError, match=r"train.epochs: was 1, is now 2"):
        run_study(study_file(trials=1, epochs=2), storage=url, workers=0)


@slow_on_postgresql
def test_block_added_later_is_searched_too(url, study_file):
    run_study(study_file(trials=2, epochs=1, blocks=["conv"]), storage=url, workers=0)
    record = run_study(study_file(trials=8, epochs=1, blocks=["spatial", "conv"]), storage=url, workers=0)
    storage = opened(url)
    assert record.blocks == ("conv", "spatial")
    assert any("spatial" in trial.blocks for trial in history(storage, record.id))
    storage.close()


def test_image_too_small_for_its_stages_is_one_line(url, a_database, study_file):
    with pytest.raises(StudyFileError, match="5 stages halve images of 8 × 8 pixels to nothing"):
        run_study(study_file(), storage=url, workers=0, overrides=["space.stages=[5]"])
    assert a_database.untouched()


@slow_on_postgresql
def test_pruned_trials_end_early_and_count(url, study_file):
    path = study_file(trials=14, epochs=4, pruner="ranks", params="1M")
    record = run_study(path, storage=url, workers=0)
    storage = opened(url)
    pruned = [trial for trial in history(storage, record.id) if trial.state == PRUNED]
    assert pruned
    assert all(1 <= trial.epochs_done < 4 and trial.reason for trial in pruned)
    assert status(storage, "small").trials["complete"] + len(pruned) == 14
    assert not {row.trial for row in best(storage, study="small")} & {trial.number for trial in pruned}
    storage.close()


def test_optuna_tables_mirror_every_trial(whole):
    url, record, _ = whole
    theirs = mirrored(url)
    storage = opened(url)
    ours = {trial.number: trial for trial in history(storage, record.id)}
    assert {one.user_attrs["nas_trial"] for one in theirs} == set(ours)
    assert all(one.value == ours[one.user_attrs["nas_trial"]].accuracy for one in theirs)
    with storage.read() as connection:
        versions = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    assert versions.startswith("v")
    storage.close()


@slow_on_postgresql
def test_finished_study_run_again_completes_the_mirror(url, study_file):
    path = study_file(trials=2, epochs=1)
    record = run_study(path, storage=url, workers=0)
    with optuna_storage(url) as theirs:
        optuna.delete_study(study_name="small", storage=theirs)
    run_study(path, storage=url, workers=0)
    assert sorted(one.user_attrs["nas_trial"] for one in mirrored(url)) == [0, 1]
    assert record.trials == 2


def test_images_facts_are_kept_for_export(whole):
    url, _, _ = whole
    storage = opened(url)
    images = find_study(storage, "small").images
    assert images["class_names"] == [str(digit) for digit in range(10)]
    assert len(images["mean"]) == len(images["std"]) == 1
    storage.close()


def test_data_that_changed_since_the_study_began_is_refused(url, tmp_path, study_file):
    generator = np.random.default_rng(0)
    path = tmp_path / "noise.npz"
    labels = generator.integers(0, 3, 60)

    def save():
        np.savez(path, x_train=generator.integers(0, 255, (60, 12, 9), dtype=np.uint8), y_train=labels)

    save()
    overrides = ["dataset=noise.npz", "space.stages=[2]"]
    run_study(study_file(trials=1, epochs=1, images=None), storage=url, workers=0, overrides=overrides)
    save()
    with pytest.raises((StudyFileError, DataError), match="images"):
        run_study(study_file(trials=2, epochs=1, images=None), storage=url, workers=0, overrides=overrides)


def test_profile_says_what_fits_and_trains_nothing(study_file, tmp_path):
    found = profile_study(study_file())
    assert found.feasible
    assert found.params["min"] < 6000 < found.params["max"]
    assert set(found.blocks) == {"conv", "separable", "grouped"}
    assert found.smallest_budget == found.params["min"]
    assert found.seconds_expected > 0
    assert list(tmp_path.glob("*.db")) == []


def test_profile_of_an_impossible_budget_is_not_feasible(study_file):
    found = profile_study(study_file(params="100"))
    assert not found.feasible
    assert found.seconds_expected is None
    assert found.smallest_budget == found.params["min"]


def test_device_that_is_not_there_is_one_line(url, study_file):
    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    with pytest.raises(NasError, match="--device cuda: torch finds no CUDA device here"):
        run_study(study_file(), storage=url, workers=0, device="cuda")


@slow_on_postgresql
def test_trials_name_the_plugins_of_their_blocks(url, study_file, plugins):
    path = study_file(blocks=["conv", "separable"], trials=2, epochs=1)
    record = run_study(path, storage=url, workers=0, plugins=plugins)
    storage = opened(url)
    for trial in history(storage, record.id):
        assert trial.state == COMPLETE
        assert {name: trial.versions[name] for name in trial.blocks} == {
            name: load_blocks().version(name) for name in trial.blocks
        }
    assert json.dumps(dict(find_study(storage, "small").config))
    storage.close()


@slow_on_postgresql
def test_network_of_a_plugin_that_changed_since_is_not_handed_over(url, study_file, plugins, tmp_path):
    path = study_file(blocks=["fragile", "conv"], trials=6, epochs=1)
    run_study(path, storage=url, workers=0, plugins=plugins, overrides=["space.stages=[1]"])
    storage = opened(url)
    trial = next(one for one in trials(storage, states=(COMPLETE,)) if "fragile" in one.blocks)
    spec, _ = find(storage, f"small#{trial.number}")
    architecture = architecture_from_json(spec)
    written = export_network(architecture, trial, tmp_path / "a", storage=storage, blocks=load_blocks(plugins))
    assert {"model.py", "weights.safetensors"} <= {file.name for file in written.files}
    file = tmp_path / "plugins" / "broken.py"
    file.write_text(file.read_text().replace("3, stride, 1), scale", "3, stride, 1, dilation=1), scale"))
    with pytest.raises(ExportError, match=r"block 'fragile' was of plugin broken 0\+\w+ when the trial was trained"):
        export_network(architecture, trial, tmp_path / "b", storage=storage, blocks=load_blocks(plugins))
    assert not (tmp_path / "b").exists()
    storage.close()


def test_finished_study_starts_no_worker(url, study_file):
    path = study_file(trials=1, epochs=1)
    run_study(path, storage=url, workers=0)
    told = []
    run_study(path, storage=url, workers=0, watch=told.append)
    assert told == []


def test_study_whose_every_network_failed_is_an_error(url, study_file, plugins):
    path = study_file(blocks=["fragile"], trials=5, epochs=1)
    overrides = ["space.widths=[8]", "space.stages=[1]", "train.learning_rate=1e30"]
    with pytest.raises(NasError, match="every network of the space was tried and all 3 failed; the last: "):
        run_study(path, storage=url, workers=0, plugins=plugins, overrides=overrides)


def test_lie_about_the_receptive_field_ends_the_trial(url, study_file, tmp_path):
    folder = tmp_path / "lies"
    folder.mkdir()
    (folder / "seer.py").write_text(SEER)
    path = study_file(blocks=["seer", "conv"], trials=3, epochs=1)
    overrides = ["space.widths=[24]", "budget.params='1M'"]
    record = run_study(path, storage=url, workers=0, plugins=[str(folder)], overrides=overrides)
    storage = opened(url)
    lied = [one for one in history(storage, record.id) if "seer" in one.blocks]
    assert lied
    assert {(one.state, "declares 500 receptive_field and has 3" in one.reason) for one in lied} == {(FAILED, True)}
    storage.close()
