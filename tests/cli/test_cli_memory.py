"""`nas cost ARCH --batch N`: the memory beside the cost, and nothing new without it."""

import json
from dataclasses import asdict

import pytest
from cli_worlds import network

from nas.arch.read import architecture_from_json
from nas.blocks.registry import load_blocks
from nas.net.memory import memory


@pytest.fixture
def file(home):
    """A network of two 3×3 convolutions as a file."""
    (home / "network.json").write_text(json.dumps(network(8, "stacked", layers=2)))
    return "network.json"


def test_cost_without_a_batch_has_no_memory(nas_json, nas, file):
    assert "memory" not in nas_json("cost", file)
    assert "memory" not in nas("cost", file).out


def test_cost_with_a_batch_adds_the_memory_that_python_gives(nas_json, file):
    plain, found = nas_json("cost", file), nas_json("cost", file, "--batch", 4)
    assert {name: value for name, value in found.items() if name != "memory"} == plain
    architecture = architecture_from_json(network(8, "stacked", layers=2))
    assert found["memory"] == asdict(memory(architecture, load_blocks(load=()), batch=4))
    assert found["memory"]["activation_bytes"] == 4 * 4 * plain["activations"]


def test_precision_and_optimizer_are_those_asked_for(nas_json, file):
    found = nas_json("cost", file, "--batch", 4, "--precision", "bf16", "--optimizer", "adam")["memory"]
    assert (found["batch"], found["precision"], found["optimizer"]) == (4, "bf16", "adam")
    assert found["optimizer_bytes"] > 2 * found["parameter_bytes"]


def test_memory_for_eyes_is_in_mib_and_bytes(nas, nas_json, file):
    peak = nas_json("cost", file, "--batch", 64)["memory"]["training_peak_bytes"]
    lines = nas("cost", file, "--batch", 64).out.splitlines()
    assert "memory, batch 64, fp32, sgd MiB bytes" in [" ".join(line.split()) for line in lines]
    assert ["training", "peak", f"{peak / 2**20:.2f}", f"{peak:,}"] in [line.split() for line in lines]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--batch", "0"], "Invalid value for '--batch': 0 is not in the range 1<=x<=1000000000"),
        (["--batch", "4", "--precision", "fp8"], "'fp8' is not one of 'fp32', 'bf16', 'fp16'"),
        (["--batch", "4", "--optimizer", "adm"], "'adm' is not one of 'sgd', 'adam'"),
        (["--precision", "fp16"], "--precision and --optimizer are of the memory of a --batch N, which is not given"),
    ],
)
def test_mistakes_are_of_the_command_line(nas, file, words, line):
    told = nas("cost", file, *words)
    assert (told.code, told.out) == (2, "")
    assert line in told.err


def test_batch_that_cannot_be_trained_on_is_one_line(nas, home):
    data = network(8)
    data["parts"].insert(2, {"layer": "batch_norm"})
    (home / "network.json").write_text(json.dumps(data))
    told = nas("cost", "network.json", "--batch", 1)
    assert told.code == 1
    assert told.err.startswith("Error: a training step on a batch of 1: ValueError: Expected more than 1 value")
    assert told.err.count("\n") == 1
