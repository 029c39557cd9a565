"""The reference networks: their files, and what they cost against the papers, torchvision and Keras."""

import json
import re
from pathlib import Path

import pytest

from nas.arch.read import architecture_from_json
from nas.arch.reference import read_reference, reference_file, references
from nas.arch.spec import Auxiliary
from nas.blocks.costing import block_cost, full_settings
from nas.blocks.registry import load_blocks
from nas.blocks.trace import cost, normalise
from nas.errors import ArchitectureError

FROZEN = json.loads((Path(__file__).parents[1] / "golden" / "references.json").read_text(encoding="utf-8"))
BLOCKS = load_blocks(load=())
NAMES = references()
COSTS = {name: cost(read_reference(name), BLOCKS) for name in NAMES}

COUNTED = {
    "alexnet": (61_100_840, 714_188_480),
    "alexnet_2012": (60_965_224, 724_406_816),
    "googlenet": (6_998_552, 1_582_671_872),
    "googlenet_torchvision": (6_624_904, 1_498_376_192),
    "inception_v3": (23_834_568, 5_713_216_096),
    "keras_cifar10": (308_394, 38_653_952),
    "mobilenet_v1": (4_231_976, 568_740_352),
    "resnet50": (25_557_032, 4_089_184_256),
    "resnext50_32x4d": (25_028_904, 4_230_479_872),
    "vgg16": (138_357_544, 15_470_264_320),
    "vgg19": (143_667_240, 19_632_062_464),
    "xception": (22_855_952, 8_357_403_496),
    "zfnet": (62_357_608, 1_168_032_896),
}
"""Params and macs, counted on built networks."""

TORCHVISION = {
    "alexnet": (61_100_840, 0.71),
    "googlenet_torchvision": (6_624_904, 1.50),
    "inception_v3": (27_161_264, 5.71),
    "resnet50": (25_557_032, 4.09),
    "resnext50_32x4d": (25_028_904, 4.23),
    "vgg16": (138_357_544, 15.47),
    "vgg19": (143_667_240, 19.63),
}
"""What torchvision publishes: `num_params`, which counts the head of inception_v3 alone, and 1e9 multiply-adds."""

KERAS = {"keras_cifar10": 309_290, "mobilenet_v1": 4_253_864, "xception": 22_910_480}
"""What Keras calls total params: two running statistics a channel of batch norm are among them."""

MODULES = {
    "stem.7x7": 9_408,
    "stem.3x3": 114_688,
    "3a": 163_328,
    "3b": 388_096,
    "4a": 375_552,
    "4b": 448_512,
    "4c": 509_440,
    "4d": 604_672,
    "4e": 867_328,
    "5a": 1_042_432,
    "5b": 1_442_816,
    "fc": 1_024_000,
}
"""Weights of GoogLeNet by module, in the paper's layout."""


def weights(name, module):
    return sum(layer.weights for layer in COSTS[name].layers if re.match(rf"{re.escape(module)}(\W|_|$)", layer.name))


def layer(name, called):
    return next(layer for layer in COSTS[name].layers if layer.name == called)


def test_folder_holds_the_known_networks_and_perhaps_more():
    assert len(NAMES) >= 13
    assert list(NAMES) == sorted(NAMES)
    assert set(COUNTED) <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_reference_costs_what_it_did(name):
    found = COSTS[name].totals
    frozen = dict(FROZEN[name])
    assert (frozen.pop("fingerprint"), frozen.pop("body")) == (
        read_reference(name).fingerprint,
        read_reference(name).body,
    )
    assert {field: getattr(found, field) for field in frozen} == frozen
    assert len(frozen) == 7


@pytest.mark.parametrize("name", COUNTED)
def test_reference_has_the_counted_params_and_macs(name):
    assert (COSTS[name].params, COSTS[name].macs) == COUNTED[name]


@pytest.mark.parametrize("name", TORCHVISION)
def test_reference_agrees_with_torchvision_s_figures(name):
    found, (params, billions) = COSTS[name], TORCHVISION[name]
    assert found.params + (found.auxiliary_params if name == "inception_v3" else 0) == params
    assert round(found.macs / 1e9, 2) == billions


@pytest.mark.parametrize("name", KERAS)
def test_reference_agrees_with_keras_s_total(name):
    found = COSTS[name]
    biases = 2 * (32 + 64 + 128) + 10 if name == "keras_cifar10" else 1000
    scales_and_shifts = found.params - found.weights - biases
    assert found.params + scales_and_shifts == KERAS[name]


@pytest.mark.parametrize(("name", "both"), [("googlenet_torchvision", 13_004_888), ("inception_v3", 27_161_264)])
def test_heads_for_training_stand_beside(name, both):
    assert COSTS[name].params + COSTS[name].auxiliary_params == both


def test_heads_count_as_the_papers_have_them():
    loss = {
        name: [part.loss_weight for part in read_reference(name).parts if isinstance(part, Auxiliary)] for name in NAMES
    }
    assert {name: found for name, found in loss.items() if found} == {
        "googlenet": [0.3, 0.3],
        "googlenet_torchvision": [0.3, 0.3],
        "inception_v3": [0.4],
    }
    assert COSTS["googlenet"].auxiliary_params == 3_188_840 + 3_190_888


@pytest.mark.parametrize("module", MODULES)
def test_googlenet_has_the_weights_of_its_modules(module):
    assert weights("googlenet", module) == MODULES[module]


def test_googlenet_is_its_modules():
    assert sum(MODULES.values()) == COSTS["googlenet"].weights == 6_990_272
    assert layer("googlenet", "3a.3x3").output == (128, 28, 28)
    assert layer("googlenet", "3b.1x1").input == (256, 28, 28)
    assert layer("googlenet", "4a.1x1").input == (480, 14, 14)


def test_module_of_googlenet_costs_what_the_block_inception_does():
    block = BLOCKS["inception"]
    given = full_settings(block, {"kernel": 5, "split": "paper", "norm": "none", "branches": "64,96:128,16:32,32"})
    whole = block_cost(block, (192, 28, 28), 256, 1, tuple(sorted(given.items())))
    layers = [layer for layer in COSTS["googlenet"].layers if layer.name.startswith("3a.")]
    for count in ("params", "weights", "macs", "activations"):
        assert sum(getattr(layer, count) for layer in layers) == getattr(whole, count)


def test_names_of_both_googlenets_meet():
    named = [
        {layer.name for layer in COSTS[name].layers if "." in layer.name}
        for name in ("googlenet", "googlenet_torchvision")
    ]
    assert named[0] == named[1]
    assert len(named[0]) == 3 + 9 * 6 + 2 * 3
    assert weights("googlenet_torchvision", "3a") == 163_328 - 16 * 16 * 32


def test_first_dense_layer_of_vgg_holds_most_of_it():
    assert layer("vgg16", "fc6").weights == layer("vgg19", "fc6").weights == 102_760_448


@pytest.mark.parametrize(
    ("name", "pixels"),
    [("alexnet", 195), ("vgg16", 212), ("inception_v3", 1311), ("mobilenet_v1", 315), ("resnet50", 427)],
)
def test_receptive_field_is_the_published_one(name, pixels):
    """Araujo, Norris and Sim, Distill 2019; resnet50's 483 there is with the stride in the first 1×1."""
    assert COSTS[name].receptive_field == pixels


@pytest.mark.parametrize(
    ("name", "layers"),
    [("alexnet", 8), ("zfnet", 8), ("vgg16", 16), ("vgg19", 19), ("googlenet", 22), ("resnet50", 50), ("xception", 71)],
)
def test_depth_is_what_the_paper_counts(name, layers):
    """Xception's paper counts 36 convolutions: 34 of them are two here, and the dense layer is the last."""
    assert COSTS[name].depth == layers


def test_article_s_comparison_of_googlenet_and_alexnet():
    """It says 12 times fewer parameters and twice the computation; the second is about right."""
    googlenet, alexnet, original = (COSTS[name] for name in ("googlenet", "alexnet", "alexnet_2012"))
    assert round(alexnet.params / googlenet.params, 3) == round(61_100_840 / 6_998_552, 3) == 8.730
    assert round(original.params / googlenet.params, 3) == round(60_965_224 / 6_998_552, 3) == 8.711
    assert round(googlenet.macs / alexnet.macs, 3) == round(1_582_671_872 / 714_188_480, 3) == 2.216
    assert round(googlenet.macs / original.macs, 3) == round(1_582_671_872 / 724_406_816, 3) == 2.185


@pytest.mark.parametrize("name", NAMES)
def test_reference_survives_json_and_the_normal_form(name):
    read = read_reference(name)
    again = architecture_from_json(json.loads(json.dumps(read.to_json())))
    whole = normalise(read, BLOCKS)
    assert again == read
    assert {one.fingerprint for one in (again, whole)} == {read.fingerprint}
    assert {one.body for one in (again, whole)} == {read.body}


@pytest.mark.parametrize("name", NAMES)
def test_file_says_what_it_is(name):
    data = reference_file(name)
    assert list(data) == ["format", "name", "source", "note", "input", "classes", "parts"]
    assert data["name"] == name
    assert re.search(r"\b(19|20)\d\d\b", data["source"])
    assert data["note"].endswith(".")


@pytest.mark.parametrize("name", NAMES)
def test_name_is_no_beginning_of_a_fingerprint_and_no_word_of_the_command(name):
    assert re.search("[g-z]", name)
    assert "#" not in name
    assert name != "block"


def test_unknown_name_is_told_with_the_nearest():
    with pytest.raises(
        ArchitectureError, match=r"'vgg_16' is not known \(did you mean 'vgg16'\?\); allowed: alexnet, "
    ):
        read_reference("vgg_16")
    with pytest.raises(ArchitectureError, match=r"'\.\./spec' is not known"):
        reference_file("../spec")
