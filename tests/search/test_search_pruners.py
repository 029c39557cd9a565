"""The replay of rules for pruning on curves that it has never seen."""

import importlib
import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
EPOCHS, IMAGES, NETWORKS = 10, 1000, 20


@pytest.fixture
def modules(monkeypatch):
    """The benchmark's own modules: curves, pruners, pruner_rules."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    return [importlib.import_module(name) for name in ("curves", "pruners", "pruner_rules")]


def file_of(folder, curves):
    """A file of curves of networks of like macs."""
    trainings = [[50_000 + number, *curve] for number, curve in enumerate(curves)]
    study = {"name": "steady", "epochs": EPOCHS, "images": IMAGES, "trainings": trainings}
    path = folder / "curves.json"
    path.write_text(json.dumps({"studies": [study]}))
    return path


def steady(first=500):
    """Curves that never cross: the network of most macs is the best at every epoch."""
    return [[first + 5 * number + 10 * epoch for epoch in range(EPOCHS)] for number in range(NETWORKS)]


def crossing():
    """The same, but for the last epoch, which turns the order round."""
    return [[*curve[:-1], 1000 - curve[-1]] for curve in steady()]


def replayed(*words):
    command = [sys.executable, str(BENCHMARKS / "pruners.py"), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize(("made", "least", "most"), [(steady(), 0, 0), (crossing(), 60, 80)])
def test_median_loses_the_best_only_where_curves_cross(modules, tmp_path, workers, made, least, most):
    curves, pruners, _ = modules
    [study] = curves.read_curves(file_of(tmp_path, made))
    told = pruners.replayed(study, ["none", "median"], 40, [workers])["workers"][workers]
    assert set(told["none"].values()) == {0}
    assert told["median"]["epochs_saved"] > 20
    assert least <= told["median"]["best_lost"] <= most  # a quarter of all orders: it is among the first five


def test_regret_is_between_the_best_and_the_best_kept(modules, tmp_path):
    curves, pruners, _ = modules
    [study] = curves.read_curves(file_of(tmp_path, steady()))
    told = pruners.measured(study, lambda asked: asked.own.macs > 50_016, 3, 1)
    assert told["best_lost"] == 100
    assert told["regret"] == pytest.approx(1.5)  # the best three of 20 go, five thousandths apart
    assert told["regret_of_3"] == pytest.approx(1.5)
    assert told["epochs_saved"] == pytest.approx(100 * 3 / NETWORKS * 0.9)
    assert told["front_lost"] == pytest.approx(100 * 3 / NETWORKS)


@pytest.mark.parametrize(("workers", "peers", "whole"), [(1, [0, 1, 2], [0, 1, 2]), (2, [0, 1, 2], [0, 0, 2])])
def test_trials_side_by_side_are_peers_as_far_as_they_have_come(modules, tmp_path, workers, peers, whole):
    curves, pruners, _ = modules
    [study] = curves.read_curves(file_of(tmp_path, steady()))
    seen = {}

    def look(asked):
        seen[asked.number, asked.epoch] = (len(asked.peers), len(asked.finals(asked.epoch)))
        return False

    pruners.Replay(study, look, range(NETWORKS), workers).run()  # each of a few more macs than the one before
    assert [seen[number, 5] for number in range(3)] == list(zip(peers, whole, strict=True))


def test_curves_kept_are_the_curves_read(modules, tmp_path):
    curves, _, _ = modules
    studies = curves.read_curves(file_of(tmp_path, crossing()))
    curves.keep_curves(tmp_path / "kept.json", studies)
    assert curves.read_curves(tmp_path / "kept.json") == studies
    assert curves.images_of(studies[0].trainings) == IMAGES // 5  # all accuracies are whole fives


def powers():
    """Curves along power laws, of ever higher ends."""
    return [
        [round(700 + 10 * number - 400 * epoch**-0.5) for epoch in range(1, EPOCHS + 1)] for number in range(NETWORKS)
    ]


@pytest.mark.parametrize(("name", "made"), [("gain", steady()), ("slope", steady()), ("power", powers())])
def test_extrapolation_finds_who_will_not_reach_the_best(modules, tmp_path, name, made):
    curves, pruners, rules = modules
    [study] = curves.read_curves(file_of(tmp_path, made))
    told = pruners.measured(study, getattr(rules, name), 20, 1)
    assert told["epochs_saved"] > 20
    assert told["best_lost"] == 0


def test_variant_without_a_change_is_the_rule_of_the_program(modules):
    curves, pruners, rules = modules
    [study] = curves.read_curves(pruners.CURVES, ["digits-20k"])
    for seed in range(3):
        order = random.Random(seed).sample(range(len(study.trainings)), 30)
        ends = [pruners.Replay(study, rule, order, 2).run().ended for rule in (rules.ranks, rules.RULES["ranks"])]
        assert ends[0] == ends[1]
        assert min(ends[0].values()) == 2
        untied = pruners.Replay(study, rules.RULES["ranks-untied"], order, 2).run().ended
        assert sum(untied.values()) < sum(ends[0].values())


def test_kept_curves_of_the_project_are_replayed(tmp_path):
    output = tmp_path / "told.json"
    words = ["--studies", "fashion-2000", "--orders", 2, "--rules", "none,median", "--workers", 1, "--output", output]
    done = replayed(*words)
    assert done.returncode == 0, done.stderr
    told = json.loads(output.read_text())["studies"]["fashion-2000"]
    assert (told["trainings"], told["epochs"]) == (11, 10)
    assert told["workers"]["1"]["median"]["epochs_saved"] > 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--rules", "mode"], "--rules: mode: allowed: none, ranks, median"),
        (["--studies", "mine"], "nothing to replay: no study of that name"),
        (["--curves", "nowhere.json"], "nowhere.json: "),
        (["--storage", "sqlite:///nowhere.db"], "no such database"),
    ],
)
def test_mistake_is_one_line(modules, monkeypatch, capsys, words, told):
    _, pruners, _ = modules
    monkeypatch.setattr(sys, "argv", ["pruners.py", *words])
    with pytest.raises(SystemExit) as ended:
        pruners.main()
    assert ended.value.code == 2
    assert told in capsys.readouterr().err.splitlines()[-1]


def test_curve_of_another_length_is_named(modules, tmp_path):
    curves, _, _ = modules
    path = file_of(tmp_path, [*steady(), [1, 2, 3]])
    with pytest.raises(ValueError, match="'steady': a training has not 10 epochs"):
        curves.read_curves(path)
