"""Fingerprints: frozen ones, spellings that must agree, and networks that must not."""

import dataclasses
import json
from pathlib import Path

import pytest

from nas.arch.read import architecture_from_json
from nas.blocks.registry import load_blocks
from nas.blocks.trace import cost, normalise

GOLDEN = Path(__file__).parents[1] / "golden"
FROZEN = json.loads((GOLDEN / "fingerprints.json").read_text(encoding="utf-8"))
COSTS = json.loads((GOLDEN / "costs.json").read_text(encoding="utf-8"))["networks"]
BLOCKS = load_blocks(load=())

GLOBAL = {"layer": "global_average_pool"}
DENSE = {"layer": "dense", "width": "classes"}


def network(*parts, input=(8, 16, 16), classes=10):
    data = {"format": 1, "input": list(input), "classes": classes, "parts": [*parts, GLOBAL, DENSE]}
    return normalise(architecture_from_json(data), BLOCKS)


def conv(width=8, kernel=3, **fields):
    return {"layer": "conv", "width": width, "kernel": kernel, **fields}


def block(name="conv", width=8, **fields):
    return {"block": name, "width": width, "kernel": 3, **fields}


def join(kind, *branches):
    return {"join": kind, "branches": list(branches)}


POOL = {"layer": "max_pool", "size": 2}
TIMES = block("stacked", 16, layers=2)
HEAD = {"auxiliary": [GLOBAL, DENSE]}


@pytest.mark.parametrize("frozen", FROZEN, ids=lambda frozen: frozen["name"])
def test_a_frozen_fingerprint_never_changes(frozen):
    architecture = normalise(architecture_from_json(frozen["architecture"]), BLOCKS)
    assert (architecture.fingerprint, architecture.body) == (frozen["fingerprint"], frozen["body"])


def test_ten_different_networks_are_frozen():
    assert len({frozen["fingerprint"] for frozen in FROZEN}) == len(FROZEN) == 10


@pytest.mark.parametrize("frozen", FROZEN, ids=lambda frozen: frozen["name"])
def test_the_json_of_a_network_reads_back_as_itself(frozen):
    architecture = normalise(architecture_from_json(frozen["architecture"]), BLOCKS)
    again = architecture_from_json(json.loads(json.dumps(architecture.to_json())))
    assert again == architecture
    assert normalise(again, BLOCKS).to_json() == architecture.to_json()


@pytest.mark.parametrize("said", COSTS, ids=lambda said: said["network"])
def test_a_frozen_cost_needs_a_reason_to_change(said):
    architecture = next(frozen["architecture"] for frozen in FROZEN if frozen["name"] == said["network"])
    totals = dataclasses.asdict(cost(architecture_from_json(architecture), BLOCKS).totals)
    assert {"network": said["network"], **totals} == said


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([conv()], [conv(padding=1, stride=1, dilation=[1, 1], groups=1, bias=True)]),
        ([conv(kernel=[3, 3])], [conv(kernel=3)]),
        ([conv(kernel=[1, 3])], [conv(kernel=[1, 3], padding=[0, 1])]),
        ([conv(width=8.0)], [conv(width=8)]),
        ([POOL], [{**POOL, "stride": 2, "padding": [0, 0], "ceil": False}]),
        ([{"layer": "batch_norm", "eps": 1e-5}], [{"layer": "batch_norm"}]),
        ([{"layer": "local_response_norm", "k": 1}], [{"layer": "local_response_norm", "k": 1.0}]),
        ([block()], [block(stride=1, norm="batch", repeat=1)]),
        ([block("inception", 16, split="paper", branches="")], [block("inception", 16, split="paper")]),
        ([block(kernel=3.0)], [block(kernel=3)]),
        ([TIMES, TIMES], [{**TIMES, "repeat": 2}]),
        ([{**TIMES, "stride": 2}, TIMES, TIMES], [{**TIMES, "stride": 2, "repeat": 3}]),
        ([POOL, POOL], [{**POOL, "repeat": 2}]),
        ([join("add", [conv()], [])], [join("add", [], [conv()])]),
        ([join("add", [conv()], [join("add", [], [POOL])])], [join("add", [conv()], [], [POOL])]),
        ([join("concat", [conv()], [join("concat", [], [POOL])])], [join("concat", [conv()], [], [POOL])]),
        ([join("concat", [conv(), POOL])], [conv(), POOL]),
        ([join("add", [join("concat", [conv()])])], [conv()]),
        ([conv(name="first")], [conv()]),
        ([HEAD], [{**HEAD, "loss_weight": 0.3}]),
        ([conv(width="classes")], [conv(width="classes", bias=True)]),
    ],
)
def test_two_spellings_of_one_network_agree(one, other):
    assert network(*one).fingerprint == network(*other).fingerprint
    assert network(*one).body == network(*other).body


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([conv()], [conv(bias=False)]),
        ([conv()], [conv(padding=0)]),
        ([conv(kernel=[1, 3])], [conv(kernel=[3, 1])]),
        ([conv(), POOL], [POOL, conv()]),
        ([POOL], [{**POOL, "ceil": True}]),
        ([POOL], [{"layer": "avg_pool", "size": 2}]),
        ([block()], [block(norm="none")]),
        ([block()], [block("spatial")]),
        ([block()], [block(stride=2)]),
        ([block()], [conv()]),
        ([TIMES, TIMES], [TIMES]),
        ([{**TIMES, "stride": 2}, TIMES], [TIMES, {**TIMES, "stride": 2}]),
        ([join("add", [conv()], [])], [join("concat", [conv()], [])]),
        ([join("concat", [conv()], [])], [join("concat", [], [conv()])]),
        ([join("add", [conv()], [])], [join("add", [conv()], [], [])]),
        ([join("add", [conv()], [join("concat", [], [POOL])])], [join("add", [conv()], [], [POOL])]),
        ([], [HEAD]),
        ([HEAD], [{**HEAD, "loss_weight": 0.4}]),
    ],
)
def test_two_networks_differ(one, other):
    assert network(*one).fingerprint != network(*other).fingerprint
    assert network(*one).body != network(*other).body


def test_the_body_is_the_same_for_another_data_set():
    one, other = network(conv()), network(conv(), input=(3, 32, 32), classes=100)
    assert one.body == other.body
    assert one.fingerprint != other.fingerprint


def test_the_last_width_may_be_written_as_a_number():
    data = {"format": 1, "input": [8, 16, 16], "classes": 10, "parts": [GLOBAL, {**DENSE, "width": 10}]}
    assert architecture_from_json(data).fingerprint == network().fingerprint


def test_a_width_that_happens_to_be_the_number_of_classes_stays_a_width():
    assert network(conv(10), classes=10).body == network(conv(10), classes=100).body


def test_a_plugin_version_is_no_part_of_the_fingerprint():
    data = network(block()).to_json()
    assert data["plugins"] == {"conv": BLOCKS.version("conv")}
    data["plugins"] = {"conv": "elsewhere 9.9"}
    assert architecture_from_json(data).fingerprint == network(block()).fingerprint
