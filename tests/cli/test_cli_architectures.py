"""`nas show`, `diff`, `cost` and `export`: architectures from files and from the storage."""

import json
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
from cli_worlds import GONE, network

from nas.show.cost import LAYER_FIELDS

COST_FIELDS = ["input", "output", "params", "weights", "macs", "activations"]
COST_FIELDS += ["receptive_field", "auxiliary_params", "layers"]


@pytest.fixture
def file(home):
    """Writes an architecture file."""

    def write(data, name="network.json"):
        (home / name).write_text(json.dumps(data))
        return name

    return write


def test_cost_of_a_file_needs_no_storage(nas_json, file, home):
    cost = nas_json("cost", file(network(8, "stacked", layers=2)))
    assert list(cost) == COST_FIELDS
    assert [list(layer) for layer in cost["layers"]] == [list(LAYER_FIELDS)] * 4
    assert (cost["input"], cost["output"], cost["receptive_field"]) == ([1, 8, 8], [10, 1, 1], 5)
    assert cost["params"] == sum(layer["params"] for layer in cost["layers"]) == 72 + 16 + 576 + 16 + 90
    assert not (home / "nas.db").exists()


@pytest.mark.parametrize("name", ["alpha#2", "full", "prefix"])
def test_cost_of_a_stored_network_by_each_of_its_names(world, nas_json, name):
    stored = nas_json("best", "alpha")[0]
    names = {"full": stored["architecture"], "prefix": stored["architecture"][:6]}
    cost = nas_json("cost", names.get(name, name))
    assert {key: cost[key] for key in COST_FIELDS[2:8]} == {key: stored[key] for key in COST_FIELDS[2:8]}


def test_cost_for_eyes_and_csv(nas, file):
    told = nas("cost", file(network(16)))
    assert "16, kernel 3" in told.out
    assert told.out.splitlines()[-5:][0].split() == ["params", "346"]
    rows = nas("cost", "network.json", "-f", "csv").rows
    assert [row["name"] for row in rows] == ["conv1.conv1", "global_average_pool1", "dense1"]
    assert rows[0]["output"] == "16 8 8"


def test_cost_tells_auxiliary_heads_apart(nas_json, nas, file):
    data = network(8)
    data["parts"].insert(1, {"auxiliary": [{"layer": "global_average_pool"}, {"layer": "dense", "width": 10}]})
    cost = nas_json("cost", file(data))
    assert cost["auxiliary_params"] == 90
    assert [layer.get("auxiliary", False) for layer in cost["layers"]] == [False, True, True, False, False]
    assert "auxiliary params" in nas("cost", "network.json").out


def test_cost_block_gives_the_same_fields(nas_json):
    cost = nas_json("cost", "block", "stacked", "--in", 256, "--width", 128, "--size", "28x20", "--stride", 2)
    assert list(cost) == COST_FIELDS
    assert (cost["input"], cost["output"]) == ([256, 28, 20], [128, 14, 10])
    assert cost["weights"] == 9 * 256 * 128 + 9 * 128 * 128
    assert [layer["name"] for layer in cost["layers"]] == ["conv1", "conv2"]
    assert [list(layer) for layer in cost["layers"]] == [list(LAYER_FIELDS)] * 2


def test_cost_block_takes_choices_options_and_values_not_declared(nas_json):
    words = ["cost", "block", "stacked", "--in", 8, "--width", 8, "--size", 9]
    cost = nas_json(*words, "--set", "kernel=11", "--set", "layers=4", "--set", "norm=none")
    assert cost["params"] == 4 * (121 * 64 + 8)
    assert cost["receptive_field"] == 41
    branches = ["--set", "branches=64,96:128,16:32,32"]
    googlenet = nas_json("cost", "block", "inception", "--in", 192, "--width", 256, "--size", 28, *branches)
    assert googlenet["weights"] == 163_328


@pytest.mark.parametrize("words", [["-f", "json", "block"], ["block", "-f", "json"], ["--storage", "x", "block"]])
def test_cost_block_with_options_before_it(nas, words):
    told = nas("cost", *words, "conv", "--in", 8, "--width", 8, "--size", 8, "-f", "json")
    assert told.code == 0
    assert json.loads(told.out)["weights"] == 576


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ("kernel=4", "cannot be built"),
        ("kernl=3", "did you mean 'kernel'?"),
        ("kernel", "not of the form key=value"),
        ("norm=1.5", "cannot be built"),
        ("kernel=true", "takes whole numbers"),
        ("kernel=3.0", "takes whole numbers"),
    ],
)
def test_cost_block_mistakes_are_one_line(nas, settings, line):
    told = nas("cost", "block", "conv", "--in", 8, "--width", 8, "--size", 8, "--set", settings)
    assert told.code == 1
    assert told.err.startswith("Error: ")
    assert line in told.err
    assert told.err.count("\n") == 1


def test_cost_of_a_word_says_what_was_tried(world, nas, home):
    told = nas("cost", "vgg61")
    assert (told.code, told.out) == (1, "")
    tried = "nor is there a JSON file or a reference network 'vgg61' (did you mean 'vgg19'?)"
    assert told.err == f"Error: no architecture 'vgg61' in sqlite:///nas.db; {tried}\n"
    (home / "nas.db").unlink()
    assert "no such JSON file, and sqlite:///nas.db: no such database" in nas("cost", "vgg61").err
    assert nas("cost", "none.json").err == "Error: none.json: no such file\n"
    assert "its trials are 0" not in nas("cost", "alpha#0").err


def test_cost_of_a_network_whose_shapes_do_not_meet(nas, file):
    data = network(8)
    data["parts"].pop()
    told = nas("cost", file(data))
    assert told.code == 1
    assert "the network ends in [8, 1, 1]" in told.err


def test_show_json_is_the_architecture_file(world, nas, nas_json, file):
    shown = nas_json("show", "alpha#2")
    assert shown["plugins"] == {"stacked": "nas 0.1.0"}
    assert [part.get("block") for part in shown["parts"]] == ["stacked", None, None]
    assert nas_json("show", file(shown)) == shown
    assert nas_json("cost", "network.json") == nas_json("cost", "alpha#2")


def test_show_for_eyes_has_trial_and_layers(world, nas):
    out = nas("show", "alpha#2").out
    for words in ("alpha#2 (complete)", "97.57 %", "2 of 2, seed 0", "stacked1.conv2", "16×8×8", "2,682"):
        assert words in out
    assert nas("show", "alpha#2", "-f", "csv").rows[1]["name"] == "stacked1.conv2"


def test_show_tells_the_rank_in_the_study_and_among_all_on_the_images(world, nas):
    assert nas_rank(nas("show", "alpha#2").out) == "1 of 4 in its study"
    assert nas_rank(nas("show", "alpha#4").out) is None, "it was pruned"
    with closing(sqlite3.connect("nas.db")) as raw, raw:
        for table in ("nas_study", "nas_trial"):
            raw.execute(f"UPDATE {table} SET dataset_hash = (SELECT dataset_hash FROM nas_study WHERE name = 'alpha')")
    assert nas_rank(nas("show", "alpha#3").out) == "4 of 4 in its study, 4 of 5 on these images"


def nas_rank(out):
    """What stands beside `rank`."""
    return next((line.split(maxsplit=1)[1] for line in out.splitlines() if line.startswith("rank ")), None)


def test_show_lists_parts_where_the_plugin_is_gone(world, nas, nas_json):
    told = nas("show", "alpha#3")
    assert told.code == 0
    assert told.err == "without cost: block 'gone' not registered; its plugin is missing\n"
    assert "12, kernel 3" in told.out
    assert "macs" not in told.out
    rows = nas("show", "alpha#3", "-f", "csv").rows
    assert (rows[0]["name"], rows[0]["params"]) == ("gone1", "")
    assert nas_json("show", "alpha#3")["parts"][0]["block"] == "gone"
    assert nas("cost", "alpha#3").code == 1


def test_show_has_the_cost_again_with_the_plugin(world, nas, home):
    (home / "more").mkdir()
    (home / "more" / "gone.py").write_text(GONE)
    told = nas("show", "alpha#3", "--plugins-dir", "more")
    assert (told.code, told.err) == (0, "")
    assert "receptive field" in told.out


def test_diff_pairs_layers_and_gives_ratios(nas, nas_json, file):
    one, two = file(network(8), "one.json"), file(network(16, "stacked", layers=2), "two.json")
    found = nas_json("diff", one, two)
    assert list(found) == ["a", "b", "ratio", "layers"]
    assert found["ratio"]["params"] == pytest.approx(2682 / 178)
    assert found["ratio"]["auxiliary_params"] is None
    assert found["layers"][1]["a"] is None
    assert found["layers"][2]["a"]["block"] == found["layers"][2]["b"]["block"] == "global_average_pool"
    out = nas("diff", one, two).out
    assert "15.067" in out
    rows = nas("diff", one, two, "-f", "csv").rows
    assert (rows[1]["a.name"], rows[1]["b.name"], rows[1]["same"]) == ("", "stacked1.conv2", "false")


def test_diff_of_a_network_with_itself_is_all_the_same(world, nas, nas_json):
    found = nas_json("diff", "alpha#0", "alpha#0")
    assert all(layer["same"] for layer in found["layers"])
    assert found["ratio"]["macs"] == 1.0
    assert " | " not in nas("diff", "alpha#0", "alpha#0").out


@pytest.mark.slow
def test_export_writes_a_module_that_loads_without_nas(world, nas, nas_json, home):
    told = nas("export", "alpha#2", "-o", "out")
    assert told.code == 0, told.err
    assert "gives the same scores" in told.err
    assert {line.rpartition("/")[2] for line in told.out.splitlines()} >= {"model.py", "architecture.json"}
    code = "import sys, model; print(sum(p.numel() for p in model.build().parameters()), 'nas' in sys.modules)"
    command = [sys.executable, "-c", code]
    printed = subprocess.run(command, cwd=home / "out", capture_output=True, text=True, check=True).stdout
    assert printed.split() == ["2682", "False"]


def test_export_of_a_file_prints_json_and_keeps_strangers_files(nas, nas_json, file, home):
    written = nas_json("export", file(network(8)), "-o", "out")
    assert written["problem"] is None
    assert any(name.endswith("model.py") for name in written["files"])
    (home / "mine").mkdir()
    (home / "mine" / "thesis.txt").write_text("")
    told = nas("export", "network.json", "-o", "mine")
    assert told.code == 1
    assert "thesis.txt" in told.err
