"""`nas references`, and reference networks wherever the command takes an architecture."""

import json

import pytest
from cli_worlds import network

from nas.arch.reference import read_reference, references
from nas.show.references import REFERENCE_FIELDS


def test_references_in_json_have_all_fields_and_need_no_storage(nas_json, home):
    rows = nas_json("references")
    assert [row["name"] for row in rows] == list(references())
    assert len(rows) >= 13
    assert all(list(row) == list(REFERENCE_FIELDS) for row in rows)
    [vgg] = [row for row in rows if row["name"] == "vgg16"]
    assert (vgg["input"], vgg["classes"], vgg["params"]) == ([3, 224, 224], 1000, 138_357_544)
    assert (vgg["weights"], vgg["receptive_field"], vgg["depth"]) == (138_344_128, 212, 16)
    assert list(home.iterdir()) == []


def test_references_for_eyes_and_csv(nas):
    title, *lines = nas("references").out.splitlines()
    assert title.split() == ["network", "input", "params", "weights", "macs", "field", "depth", "auxiliary", "source"]
    assert len(lines) == len(references())
    [googlenet] = [line for line in lines if line.startswith("googlenet ")]
    counts = ["6,998,552", "6,990,272", "1,582,671,872", "715", "22", "6,379,728"]
    assert googlenet.split()[:8] == ["googlenet", "3×224×224", *counts]
    assert "CVPR 2015" in googlenet
    rows = nas("references", "-f", "csv").rows
    assert (rows[0]["name"], rows[0]["input"], rows[0]["macs"]) == ("alexnet", "3 224 224", "714188480")


@pytest.mark.parametrize("name", references())
def test_cost_of_a_reference_is_that_of_the_list(nas_json, home, name):
    found = nas_json("cost", name)
    [row] = [row for row in nas_json("references") if row["name"] == name]
    shared = ("input", "params", "weights", "macs", "activations", "receptive_field", "auxiliary_params")
    assert {field: found[field] for field in shared} == {field: row[field] for field in shared}
    assert list(home.iterdir()) == []


def test_cost_of_a_reference_names_its_modules(nas_json):
    layers = nas_json("cost", "googlenet")["layers"]
    assert sum(layer["weights"] for layer in layers if layer["name"].startswith("3a.")) == 163_328
    assert sum(layer["params"] for layer in layers if layer.get("auxiliary")) == 6_379_728


def test_show_of_a_reference_is_its_file(nas_json, nas):
    shown = nas_json("show", "keras_cifar10")
    assert shown == read_reference("keras_cifar10").to_json()
    told = nas("show", "mobilenet_v1").out
    assert "separable1.depthwise" in told
    assert "4,231,976" in told


def test_diff_of_references_has_their_ratios(nas_json):
    found = nas_json("diff", "alexnet", "googlenet")
    assert found["ratio"]["macs"] == 1_582_671_872 / 714_188_480
    assert found["ratio"]["params"] == 6_998_552 / 61_100_840


def test_file_of_a_reference_s_name_comes_first(nas_json, home):
    (home / "vgg16").write_text(json.dumps(network(8)))
    assert nas_json("cost", "vgg16")["params"] == 178


def test_reference_in_a_storage_with_studies(world, nas_json):
    assert nas_json("cost", "vgg19")["params"] == 143_667_240


@pytest.mark.parametrize(
    ("name", "hint"),
    [("vgg_16", "vgg16"), ("VGG16", "vgg16"), ("resnet", "resnet50"), ("mobilenet", "mobilenet_v1")],
)
def test_unknown_name_is_one_line_with_the_nearest(world, nas, name, hint):
    told = nas("show", name)
    assert (told.code, told.out, told.err.count("\n")) == (1, "", 1)
    assert f"(did you mean {hint!r}?)" in told.err
    (world / "nas.db").unlink()
    told = nas("show", name)
    assert (told.code, told.err.count("\n")) == (1, 1)
    assert f"no such reference network (did you mean {hint!r}?)" in told.err


def test_export_of_a_reference(nas_json, home):
    written = nas_json("export", "keras_cifar10", "-o", "out")
    assert written["problem"] is None
    assert (home / "out" / "model.py").is_file()
    assert json.loads((home / "out" / "metrics.json").read_text())["params"] == 308_394


@pytest.mark.slow
def test_export_of_a_large_reference(nas_json, home):
    assert nas_json("export", "vgg16", "-o", "out")["problem"] is None
    assert (home / "out" / "model.py").stat().st_size < 100_000
