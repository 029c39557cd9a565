"""docs/kernel-sizes.md is what benchmarks/kernel_sizes.py makes; the experiments' tables say what results say."""

import json
import sys

import pytest
from doc_pages import ROOT, text
from scipy.stats import ttest_ind

sys.path.append(str(ROOT / "benchmarks"))

import experiment_tables
import kernel_sizes
import pages

PAGE = text(kernel_sizes.PAGE)
BLOCKS = kernel_sizes.BLOCKS
EXPERIMENTS = tuple(experiment_tables.CLAIMS)
NOISE = (-0.012, -0.004, 0.0, 0.005, 0.011)


def trained(one, accuracy, seeds=5):
    """A candidate as benchmarks/experiments.py writes it, invented: its accuracies lie around the one given."""
    totals = one.totals
    return {
        "name": one.name,
        "architecture": one.architecture.fingerprint,
        **{"params": totals.params, "weights": totals.weights, "macs": totals.macs},
        **{"complete": True, "accuracy": accuracy, "precision": "fp32", "seconds": 60.0},
        "accuracies": [accuracy + noise for noise in NOISE[:seeds]],
        "accuracy_low": accuracy - 0.01 if seeds > 1 else None,
        "accuracy_high": accuracy + 0.01 if seeds > 1 else None,
        "by_epoch": [accuracy - 0.2, accuracy + 0.01, accuracy],
    }


@pytest.fixture
def results(tmp_path):
    """Writes invented results: one accuracy for each of the study's networks, in the file's order."""

    def write(study, *accuracies, seeds=5):
        networks = experiment_tables.candidates(study, BLOCKS)
        made = [trained(*pair, seeds) for pair in zip(networks, accuracies, strict=False)]
        data = {"candidates": sorted(made, key=lambda one: -one["accuracy"]), "recipe": {"epochs": 3, "batch_size": 64}}
        data |= {"dataset_hash": "ab" * 16, "date": "2026-01-01", "machine": {"system": "Linux", "torch": "2"}}
        (tmp_path / f"{study}.json").write_text(json.dumps(data), encoding="utf-8")
        return tmp_path

    return write


def test_every_block_of_the_page_is_what_the_script_makes():
    found = pages.blocks(PAGE)
    assert len(found) > 20
    for name, content in found.items():
        assert content == kernel_sizes.made(name) + "\n", f"{name}: run python benchmarks/kernel_sizes.py"


def test_every_figure_of_the_articles_and_every_experiment_stands_on_the_page():
    names = pages.blocks(PAGE)
    shown = {word for name in names if name.startswith("facts ") for word in name.split()[1:]}
    assert shown == {fact.id for fact in kernel_sizes.known_facts()} == {f"A{number}" for number in range(1, 19)}
    assert {f"experiment {study}" for study in EXPERIMENTS} <= names.keys()


def test_pictures_are_there_shown_and_up_to_date():
    made = kernel_sizes.pictures()
    assert len(made) >= 3
    for name, picture in made.items():
        assert f"(images/{name})" in PAGE
        assert kernel_sizes.shown(kernel_sizes.IMAGES / name, picture), f"{name}: run python benchmarks/kernel_sizes.py"


def test_command_tells_of_a_stale_page_and_mends_it(tmp_path, monkeypatch, capsys):
    page = tmp_path / "docs" / "kernel-sizes.md"
    page.parent.mkdir()
    page.write_text(PAGE.replace("28,311,552", "28,311,553"), encoding="utf-8")
    for name, value in {"DOCS": page.parent, "PAGE": page, "IMAGES": page.parent / "images"}.items():
        monkeypatch.setattr(kernel_sizes, name, value)
    monkeypatch.setattr(sys, "argv", ["kernel_sizes.py", "--check"])
    assert kernel_sizes.main() == 1
    assert "docs/kernel-sizes.md: not up to date\n" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["kernel_sizes.py"])
    assert kernel_sizes.main() == 0
    assert text(page) == PAGE
    assert {path.name for path in (page.parent / "images").iterdir()} == set(kernel_sizes.pictures())


def test_picture_with_another_value_is_another():
    picture = '<path id="m0123456789" d="M 10.04 20 L 300.2 40"/><!-- channels -->'
    assert pages.alike(picture, picture.replace("300.2", "300.4").replace("m0123456789", "mabcdef6789"))
    assert not pages.alike(picture, picture.replace("300.2", "302.2"))
    assert not pages.alike(picture, picture.replace("channels", "pixels"))
    assert not pages.alike(picture, picture.replace(" L 300.2 40", ""))


def test_page_is_filled_between_its_comments_alone():
    page = "before\n<!-- made by x.py: one two -->\nold\n<!-- end -->\nafter\n"
    assert pages.fill(page, str.upper) == "before\n<!-- made by x.py: one two -->\nONE TWO\n<!-- end -->\nafter\n"


def test_pairs_asked_about_are_networks_of_their_studies():
    for study, pairs in experiment_tables.ASKED.items():
        names = {one.name for one in experiment_tables.candidates(study, BLOCKS)}
        assert {name for pair in pairs for name in pair} <= names


def test_difference_of_means_is_welch_s():
    some, others = [0.71, 0.72, 0.70, 0.74, 0.73], [0.69, 0.65, 0.72, 0.60]
    ends = ttest_ind(some, others, equal_var=False).confidence_interval(0.9)
    assert experiment_tables.welch(some, others, 0.9)[1:] == pytest.approx((ends.low, ends.high))


def test_experiment_that_was_not_run_says_so(tmp_path):
    for study in EXPERIMENTS:
        assert "has not been run here" in experiment_tables.experiment(study, BLOCKS, tmp_path)
    assert experiment_tables.claims_table(BLOCKS, tmp_path).count("not run here") == len(EXPERIMENTS)
    assert experiment_tables.curve_picture(folder=tmp_path) is None


def test_candidate_that_is_still_training_is_left_out(results):
    folder = results("separable-vs-plain", 0.74, 0.70, 0.72)
    data = json.loads((folder / "separable-vs-plain.json").read_text(encoding="utf-8"))
    data["candidates"][-1] |= {"complete": False, "accuracy": None}
    (folder / "separable-vs-plain.json").write_text(json.dumps(data), encoding="utf-8")
    said = experiment_tables.experiment("separable-vs-plain", BLOCKS, folder)
    assert "two 3×3 against one 5×5" in said
    assert "separable" not in said


def test_experiment_says_who_is_lighter_and_better(results):
    folder = results("stacked-vs-5x5", 0.74, 0.70, 0.651, 0.65)
    said = experiment_tables.experiment("stacked-vs-5x5", BLOCKS, folder)
    assert "| two 3×3, 32 and 64 wide | 591,466 | 65,376 | 25,003,264 | 5 | 74.0 % | 73.0 to 75.0 |" in said
    assert "| +4.0 | +2.7 to +5.3 | 1.22 | 1.55 | 1.22 times heavier, better |" in said
    assert "| 0.97 | 1.37 | 1.03 times lighter, not to be told apart by accuracy |" in said


def test_claims_say_what_became_of_them(results):
    results("separable-vs-plain", 0.74, 0.70, 0.72)
    folder = results("blocks-at-equal-budget", 0.60, 0.65, 0.70, 0.66, 0.699, 0.64, 0.63)
    said = experiment_tables.claims_table(BLOCKS, folder)
    assert "two separable 3×3 against two 3×3: 7.74 times lighter, worse |" in said
    assert "`bottleneck`, not to be told from `separable` |" in said


def test_many_candidates_are_told_apart_together(results):
    folder = results("blocks-at-equal-budget", 0.60, 0.65, 0.70, 0.66, 0.699, 0.64, 0.63)
    said = experiment_tables.experiment("blocks-at-equal-budget", BLOCKS, folder)
    assert said.count("| bottleneck against ") == 6
    assert "Of all 21 pairs 17 can be told apart, each at 95 %; 15 where all 21 verdicts together" in said


def test_keras_network_is_held_against_its_claim(results):
    folder = results("keras-cifar10", 0.845, seeds=1)
    said = experiment_tables.curve_text(folder=folder)
    assert "right on 84.5 % of" in said
    assert "in epoch 2,\non 85.5 %. 85.0 % is first reached in epoch 2." in said
    assert "84.5 % after epoch 3" in experiment_tables.claims_table(BLOCKS, folder)
    assert experiment_tables.curve_picture(folder=folder) is not None
    assert experiment_tables.intervals_picture(["keras-cifar10"], "", folder) is None
