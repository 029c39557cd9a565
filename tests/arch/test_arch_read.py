"""Architecture files: what is accepted, and how each mistake is told."""

import json
from pathlib import Path

import pytest

from nas.arch.read import DEEPEST_NESTING, architecture_from_json, read_architecture
from nas.arch.spec import Auxiliary, BlockPart, Join, Layer, walk
from nas.errors import ArchitectureError

DENSE = {"layer": "dense", "width": "classes"}


def document(*parts, **head):
    return {"format": 1, "input": [3, 8, 8], "classes": 10, "parts": [*parts, DENSE], **head}


def read(*parts, **head):
    return architecture_from_json(document(*parts, **head))


def test_a_file_is_read_as_its_parts(tmp_path):
    file = tmp_path / "net.json"
    file.write_text(json.dumps(document({"layer": "relu"}, plugins={"conv": "nas 0.1.0"})), encoding="utf-8")
    architecture = read_architecture(file)
    assert architecture.parts == (Layer("relu"), Layer("dense", (("width", "classes"),)))
    assert architecture.plugins == (("conv", "nas 0.1.0"),)
    assert architecture_from_json(architecture.to_json()) == architecture


def test_repeat_strides_once():
    parts = read({"block": "stacked", "width": 8, "stride": 2, "kernel": 3, "layers": 2, "repeat": 3}).parts
    assert [part.stride for part in parts[:3]] == [2, 1, 1]
    assert len(parts) == 4


def test_blocks_are_listed_in_order_of_appearance():
    head = {"auxiliary": [{"block": "third", "width": 8}, DENSE]}
    join = {"join": "add", "branches": [[], [{"block": "second", "width": 8}]]}
    architecture = read({"block": "first", "width": 8}, join, head, {"block": "first", "width": 8})
    assert architecture.blocks == ("first", "second", "third")
    assert [type(part) for part in walk(architecture.parts)].count(BlockPart) == 4


def test_names_are_kept_in_the_file_and_out_of_the_fingerprint():
    named, plain = read({"layer": "relu", "name": "fc7"}), read({"layer": "relu"})
    assert named.to_json()["parts"][0]["name"] == "fc7"
    assert named.fingerprint == plain.fingerprint


def test_heads_and_joins_keep_their_fields():
    architecture = read({"auxiliary": [DENSE], "loss_weight": 0.5}, {"join": "concat", "branches": [[], []]})
    assert architecture.parts[0] == Auxiliary((Layer("dense", (("width", "classes"),)),), 0.5)
    assert architecture.parts[1] == Join("concat", ((), ()))


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"layer": ["conv"]}, r"parts\[0\].layer: \['conv'\] is not known .*; allowed: conv, dense"),
        ({"layer": "convv"}, r"parts\[0\].layer: 'convv' is not known \(did you mean 'conv'\?\); allowed: conv, dense"),
        ({"layer": "conv", "kernel": 3}, r"parts\[0\]: layer 'conv' needs width"),
        ({"layer": "conv", "width": 8, "kernal": 3}, r"parts\[0\].kernal: not known \(did you mean 'kernel'\?\)"),
        ({"layer": "relu", "inplace": True}, r"parts\[0\].inplace: not known; allowed: nothing"),
        ({"layer": "conv", "width": 0, "kernel": 3}, r"parts\[0\].width: 0 is not a whole number from 1 to 1,048,576"),
        ({"layer": "conv", "width": True, "kernel": 3}, r"parts\[0\].width: True is not a whole number"),
        ({"layer": "conv", "width": 2**20 + 1, "kernel": 3}, r"1048577 is not a whole number"),
        ({"layer": "conv", "width": 8, "kernel": [3, 0]}, r"parts\[0\].kernel: 0 is not a whole number from 1"),
        ({"layer": "conv", "width": 8, "kernel": "3"}, r"parts\[0\].kernel: '3' is not"),
        ({"layer": "conv", "width": 8, "kernel": 3, "padding": -1}, r"padding: -1 is not a whole number from 0"),
        ({"layer": "conv", "width": 8, "kernel": 3, "bias": 1}, r"bias: 1 is not true or false"),
        ({"layer": "dropout", "rate": "x" * 99}, r"rate: 'x{56}\.\.\. is not a number from 0"),
        ({"layer": "dropout", "rate": float("nan")}, r"rate: nan is not a number"),
        ({"layer": "dense", "width": "class"}, r"parts\[0\].width: 'class' is not a whole number"),
        ({"block": "conv"}, r"parts\[0\]: block 'conv' needs width"),
        ({"block": 3, "width": 8}, r"parts\[0\].block: 3 is not a name"),
        ({"block": "conv", "width": 8, "stride": 0}, r"parts\[0\].stride: 0 is not"),
        ({"block": "conv", "width": 8, "kernel": [3]}, r"parts\[0\].kernel: \[3\] is not a number, a text or true"),
        ({"block": "conv", "width": 8, "repeat": 0}, r"parts\[0\].repeat: 0 is not"),
        ({"block": "conv", "width": 8, "repeat": 20_001}, r"parts\[0\]: more than 20,000 parts"),
        ({"join": "sum", "branches": [[]]}, r"parts\[0\].join: 'sum' is not allowed; allowed: add, concat"),
        ({"join": "add", "branches": []}, r"parts\[0\].branches: \[\] is not a list of branches"),
        ({"join": "add", "branches": [[{"layer": "x"}]]}, r"parts\[0\].branches\[0\]\[0\].layer: 'x' is not known"),
        ({"join": "add", "branches": [3]}, r"parts\[0\].branches\[0\]: 3 is not a list of parts"),
        ({"join": "add", "branches": [[{"auxiliary": []}]]}, r"an auxiliary head stands on the main path"),
        ({"auxiliary": [], "loss_weight": -1}, r"parts\[0\].loss_weight: -1 is not a number from 0"),
        ({"auxiliary": [{"layer": "x"}]}, r"parts\[0\].auxiliary\[0\].layer: 'x' is not known"),
        ({"layer": "relu", "name": 3}, r"parts\[0\].name: 3 is not a text"),
        (
            {"layer": "relu", "block": "conv"},
            r"a part has one of layer, block, join, auxiliary; got \['block', 'layer'\]",
        ),
        ({}, r"a part has one of layer, block, join, auxiliary; got \[\]"),
        ("relu", r"parts\[0\]: 'relu' is not a table"),
    ],
)
def test_a_mistake_in_a_part_names_place_value_and_what_is_allowed(part, message):
    with pytest.raises(ArchitectureError, match=rf"^architecture: .*{message}|^architecture: {message}"):
        read(part)


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ({"format": 2}, "format: 2 is not known; allowed: 1"),
        ({"input": [3, 8]}, r"input: \[3, 8\] is not \[channels, height, width\]"),
        ({"input": [3, 8, 0]}, "input: 0 is not a whole number"),
        ({"classes": None}, "classes: None is not a whole number"),
        ({"parts": {}}, "parts: {} is not a list of parts"),
        ({"plugins": 3}, "plugins: 3 is not a table"),
        ({"part": []}, r"part: not known \(did you mean 'parts'\?\)"),
    ],
)
def test_a_mistake_in_the_head_is_named(head, message):
    with pytest.raises(ArchitectureError, match=message):
        read(**head)


def test_nesting_has_an_end():
    parts = []
    for _ in range(DEEPEST_NESTING + 1):
        parts = [{"join": "add", "branches": [parts, []]}]
    with pytest.raises(ArchitectureError, match="nested deeper than 24"):
        read(*parts)


@pytest.mark.parametrize("text", ["{", "\x00", "[" * 100_000, '{"format": 1'])
def test_what_is_not_json_is_told_with_its_path(tmp_path, text):
    file = tmp_path / "net.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ArchitectureError, match=r"net\.json: not a JSON file"):
        read_architecture(file)


def test_a_missing_file_is_told():
    with pytest.raises(ArchitectureError, match=r"nowhere\.json: no such file"):
        read_architecture(Path("nowhere.json"))


def test_data_that_is_no_table_is_told():
    with pytest.raises(ArchitectureError, match=r"architecture: \[\] is not a table"):
        architecture_from_json([])


@pytest.mark.parametrize(
    "part",
    [
        {"join": "add", "branches": [[{"layer": "relu", "repeat": 10_000}], []], "repeat": 2},
        {"auxiliary": [{"layer": "relu", "repeat": 10_000}], "repeat": 2},
        {"layer": "relu", "repeat": 20_001},
    ],
)
def test_repeated_parts_count_with_all_that_is_in_them(part):
    with pytest.raises(ArchitectureError, match="more than 20,000 parts"):
        read(part)


def test_repeats_of_repeats_are_no_bomb():
    part = {"layer": "relu"}
    for _ in range(DEEPEST_NESTING):
        part = {"join": "add", "branches": [[part], []], "repeat": 20}
    with pytest.raises(ArchitectureError, match="more than 20,000 parts"):
        read(part)


@pytest.mark.parametrize("value", [10**15 + 1, -(10**400), float("inf"), 1e16])
def test_absurd_number_in_a_setting_is_told(value):
    with pytest.raises(ArchitectureError, match=r"kernel: .* is not a number, a text or true/false"):
        read({"block": "conv", "width": 8, "kernel": value})


def test_file_without_an_end_is_refused(tmp_path):
    with pytest.raises(ArchitectureError, match="/dev/zero: not a JSON file: larger than 16,777,216 bytes"):
        read_architecture(Path("/dev/zero"))
