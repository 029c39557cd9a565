"""The reference networks as modules: built, run forward and backward, handed over and read back.

What costs too much for every run is done on the meta device, which knows shapes alone, or marked slow.
"""

import importlib.util
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn.functional import cross_entropy

from nas.arch.reference import read_reference, references
from nas.blocks.trace import cost
from nas.net.batches import Normalisation
from nas.net.build import build, trainable, without_heads
from nas.net.checkpoint import load_weights, weights_bytes
from nas.net.export import MODEL, WEIGHTS, export

NAMES = references()

SMALL = {"googlenet": 96, "keras_cifar10": 32, "mobilenet_v1": 64, "resnet50": 64}
"""Pixels at which a network runs in a moment; GoogLeNet's heads pool over 5×5, which a map of 64 pixels has not."""

SLOW = {
    "alexnet": 64,
    "alexnet_2012": 67,
    "googlenet_torchvision": 64,
    "resnext50_32x4d": 64,
    "vgg16": 32,
    "vgg19": 32,
    "xception": 75,
    "zfnet": 64,
}
"""The same for those that take longer; a dense layer on the flattened map shrinks with it. What is in neither table,
as inception_v3 with its head, needs its own size."""

RUN = [*SMALL, *(pytest.param(name, marks=pytest.mark.slow) for name in NAMES if name not in SMALL)]


def reference(name):
    """A reference network on the smallest images that do."""
    architecture = read_reference(name)
    pixels = {**SMALL, **SLOW}.get(name)
    return architecture if pixels is None else replace(architecture, input=(3, pixels, pixels))


def loaded(path: Path) -> torch.nn.Module:
    """The network that an exported file gives with its weights."""
    spec = importlib.util.spec_from_file_location("exported_reference", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.load()


def heads(architecture):
    return len(architecture.parts) - len(without_heads(architecture).parts)


@pytest.mark.parametrize("name", NAMES)
def test_reference_is_built_at_its_own_size_with_every_head(blocks, name) -> None:
    assert len(NAMES) >= 13
    architecture = read_reference(name)
    with torch.device("meta"):
        network = build(architecture, blocks)
        given = network.train()(torch.empty(2, *architecture.input))
    scores, extra = given if isinstance(given, tuple) else (given, [])
    assert [one.shape for one in (scores, *extra)] == [(2, architecture.classes)] * (1 + heads(architecture))
    declared = cost(architecture, blocks)
    assert trainable(network) == declared.params + declared.auxiliary_params


def test_references_with_heads_for_training_are_these() -> None:
    counted = {name: heads(read_reference(name)) for name in NAMES}
    assert {name: count for name, count in counted.items() if count} == {
        "googlenet": 2,
        "googlenet_torchvision": 2,
        "inception_v3": 1,
    }


@pytest.mark.parametrize("name", RUN)
def test_reference_learns_from_a_batch_in_all_its_parts(blocks, name) -> None:
    architecture = reference(name)
    network = build(architecture, blocks)
    images = torch.randn(2, *architecture.input, generator=torch.Generator().manual_seed(0))
    given = network.train()(images)
    scores, extra = given if isinstance(given, tuple) else (given, [])
    assert len(extra) == heads(architecture)
    sum(cross_entropy(one, torch.tensor([1, 2])) for one in (scores, *extra)).backward()
    for called, parameter in network.named_parameters():
        assert parameter.grad is not None, called
        assert parameter.grad.isfinite().all(), called
    with torch.no_grad():
        assert network.eval()(images).shape == (2, architecture.classes)


@pytest.mark.parametrize("name", RUN)
def test_reference_is_handed_over_and_read_back_with_equal_scores(blocks, name, tmp_path: Path) -> None:
    architecture, plain = reference(name), Normalisation((0.0,) * 3, (1.0,) * 3)
    weights = weights_bytes(build(architecture, blocks, seed=1))
    given = export(
        architecture, blocks, tmp_path / "out", weights=weights, metrics={}, normalisation=plain, class_names=()
    )
    assert given.problem is None
    assert {path.name for path in given.files} >= {MODEL, WEIGHTS}
    network = build(without_heads(architecture), blocks)
    load_weights(network, weights)
    images = torch.randn(2, *architecture.input, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        again = loaded(tmp_path / "out" / MODEL).eval()(images)
        assert torch.allclose(again, network.eval()(images), rtol=1e-5, atol=1e-6)
    (tmp_path / "out" / WEIGHTS).unlink()  # pytest keeps the folders of three runs, and this is 100 MB
