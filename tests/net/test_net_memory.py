"""Predicted memory against what torch allocates while the trainer runs, as its profiler records it.

The profiler's records come from the allocator, and know nothing of how the prediction is made.
"""

import random
from dataclasses import asdict
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile, record_function

from nas.arch.read import architecture_from_json
from nas.arch.recipe import Recipe
from nas.arch.record import Plan
from nas.blocks.base import Block
from nas.blocks.registry import load_blocks
from nas.blocks.sweep import first_choices
from nas.blocks.trace import cost
from nas.data.split import Split
from nas.errors import NasError, TrainingFailed
from nas.net.batches import make_batches
from nas.net.build import build, without_heads
from nas.net.memory import memory
from nas.net.plan import USUAL
from nas.net.score import loss_of
from nas.net.train import train

BLOCKS = load_blocks(load=())
BATCH = 16
TOLERANCE = 0.01
"""Of fp32, what docs/memory.md promises."""
HALF_TOLERANCE = 0.15
"""Of bf16 on a CPU, whose kernels take room of their own to convert in."""
HEAD = {"auxiliary": [{"layer": "avg_pool", "size": 2}, {"block": "conv", "width": 8, "kernel": 1},
                      {"layer": "dense", "width": "classes"}], "loss_weight": 0.3}  # fmt: skip
LAYERS = (
    {"block": "conv", "width": 16, "kernel": 3},
    {"layer": "max_pool", "size": 3, "stride": 2, "padding": 1},
    {"layer": "dropout", "rate": 0.3},
    {"layer": "conv", "width": 24, "kernel": 3, "bias": False},
    {"layer": "batch_norm"},
    {"layer": "gelu"},
    HEAD,
    {"join": "add", "branches": [[], [{"block": "separable", "width": 24, "kernel": 3}]]},
    {"layer": "flatten"},
    {"layer": "dense", "width": 50},
    {"layer": "relu"},
    {"layer": "dropout", "rate": 0.5},
)
FAN = (  # where a wide map goes several ways its gradients are summed, and that is where most is live
    {"block": "conv", "width": 64, "kernel": 1, "norm": "none"},
    {"join": "concat", "branches": [[{"layer": "conv", "width": 2, "kernel": 1}]] * 3},
)
HEAVY = (  # the head has more bytes of parameters than any map
    {"layer": "conv", "width": 16, "kernel": 3},
    {"auxiliary": [{"layer": "dense", "width": 100}, {"layer": "dense", "width": "classes"}]},
)


class Allocated(NamedTuple):
    """Bytes that torch's allocator held when a stretch began, when it ended, and at most."""

    before: int
    after: int
    peak: int


def allocated(prof: profile, name: str) -> Allocated:
    """The stretch of that name; the profile must begin before anything is allocated that is freed in it."""
    events = prof.profiler.kineto_results.events()
    [stretch] = [event for event in events if event.name() == name]
    moves = sorted((event.start_ns(), event.nbytes()) for event in events if event.name() == "[memory]")
    live, before, inside = 0, 0, []
    for moment, size in moves:
        live += size
        if moment < stretch.start_ns():
            before = live
        elif moment <= stretch.end_ns():
            inside.append(live)
    return Allocated(before, inside[-1], max(inside))


def profiled() -> profile:
    return profile(activities=[ProfilerActivity.CPU], profile_memory=True)


def laid_out(architecture) -> tuple[nn.Module, torch.Tensor]:
    """The network and a batch as the trainer lays them out."""
    network = build(architecture, BLOCKS).to(memory_format=torch.channels_last)
    return network, torch.zeros(BATCH, *architecture.input).contiguous(memory_format=torch.channels_last)


def pixels(architecture, count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, *architecture.input), dtype=np.uint8)


def trained_peak(architecture, plan: Plan = USUAL, **recipe) -> int:
    """The most bytes allocated while the trainer does two steps, without the data set."""
    images, labels = pixels(architecture, 2 * BATCH), np.arange(2 * BATCH) % architecture.classes
    split = Split(images, labels, images[:2], labels[:2])
    asked = Recipe(epochs=1, batch_size=BATCH, learning_rate=1e-3, **recipe)
    with profiled() as prof:
        network = build(architecture, BLOCKS)
        data = make_batches(split, BATCH)
        with record_function("training"):
            train(network, data, asked, seed=0, plan=plan)
    own = sum(tensor.nbytes for tensor in (*network.parameters(), *network.buffers()))
    found = allocated(prof, "training")
    return found.peak - (found.before - own)


def drawn(seed: int):
    """A random small network of blocks with heads, pooling, dropout and joins among them."""
    generator = random.Random(seed)
    parts = [{"block": "conv", "width": generator.choice((8, 16)), "kernel": 3}]
    between = ({"layer": "max_pool", "size": 2}, {"layer": "dropout", "rate": 0.2}, {"layer": "silu"}, HEAD,
               {"layer": "local_response_norm", "size": 5})  # fmt: skip
    for _ in range(3):
        name = generator.choice(sorted(BLOCKS))
        norm = generator.choice(("batch", "none"))
        width = generator.choice((16, 32))
        choices = {"stride": generator.choice((1, 2)), **first_choices(BLOCKS[name]), "norm": norm}
        parts += [{"block": name, "width": width, **choices}, generator.choice(between)]
    tail = [{"layer": "global_average_pool"}, {"layer": "dense", "width": "classes"}]
    return architecture_from_json({"format": 1, "input": [3, 33, 29], "classes": 7, "parts": [*parts, *tail]})


@pytest.mark.parametrize("name", sorted(BLOCKS))
def test_training_peak_of_each_block_is_what_the_trainer_allocates(make, name) -> None:
    choices = first_choices(BLOCKS[name])
    twice = [{"block": name, "width": 32, "stride": stride, **choices} for stride in (2, 1)]
    architecture = make({"layer": "conv", "width": 16, "kernel": 3}, *twice, input=(3, 32, 32))
    predicted = memory(architecture, BLOCKS, batch=BATCH)
    assert predicted.training_peak_bytes == pytest.approx(trained_peak(architecture), rel=TOLERANCE)


def test_blocks_are_all_there() -> None:
    assert len(BLOCKS) >= 7


@pytest.mark.parametrize("parts", [LAYERS, FAN], ids=["layers", "fan"])
def test_training_peak_of_layers_and_heads_is_what_the_trainer_allocates(make, parts) -> None:
    architecture = make(*parts, input=(3, 32, 32))
    predicted = memory(architecture, BLOCKS, batch=BATCH)
    assert predicted.training_peak_bytes == pytest.approx(trained_peak(architecture), rel=TOLERANCE)


@pytest.mark.parametrize(
    "parts",
    [
        ({"layer": "batch_norm"}, {"layer": "max_pool", "size": 2}, {"layer": "flatten"}),
        ({"layer": "silu"}, {"layer": "adaptive_avg_pool", "size": 4}, {"layer": "flatten"}),
        ({"layer": "gelu"}, {"layer": "avg_pool", "size": 2}, {"layer": "flatten"}),
        ({"layer": "batch_norm"}, {"layer": "relu"}, {"layer": "flatten"}, {"layer": "batch_norm"}),
    ],
    ids=lambda parts: "-".join(part["layer"] for part in parts),
)
def test_training_peak_counts_what_operators_copy_for_themselves(make, parts) -> None:
    architecture = make({"layer": "conv", "width": 16, "kernel": 3}, *parts, input=(3, 32, 32))
    predicted = memory(architecture, BLOCKS, batch=BATCH)
    assert predicted.training_peak_bytes == pytest.approx(trained_peak(architecture), rel=TOLERANCE)


@pytest.mark.parametrize("seed", range(4))
def test_training_peak_of_a_random_network_is_what_the_trainer_allocates(seed) -> None:
    architecture = drawn(seed)
    predicted = memory(architecture, BLOCKS, batch=BATCH, optimizer="adam")
    assert predicted.training_peak_bytes == pytest.approx(trained_peak(architecture, optimizer="adam"), rel=TOLERANCE)


@pytest.mark.skipif(
    not torch.ops.mkldnn._is_mkldnn_bf16_supported(),
    reason="this processor is too old for torch's bf16 convolutions: what stands in for them takes more memory",
)
@pytest.mark.parametrize("name", sorted(BLOCKS))
def test_training_peak_in_bf16_is_what_the_trainer_allocates(make, name) -> None:
    parts = [{"block": name, "width": 32, "stride": 2, **first_choices(BLOCKS[name])}]
    architecture = make({"block": "conv", "width": 16, "kernel": 3}, *parts, input=(3, 32, 32))
    predicted = memory(architecture, BLOCKS, batch=BATCH, precision="bf16")
    real = trained_peak(architecture, Plan("bf16", "channels_last"))
    assert predicted.training_peak_bytes == pytest.approx(real, rel=HALF_TOLERANCE)
    assert predicted.training_peak_bytes <= 1.01 * real
    assert predicted.training_peak_bytes < 0.75 * memory(architecture, BLOCKS, batch=BATCH).training_peak_bytes


@pytest.mark.parametrize("seed", range(4))
def test_saved_bytes_are_what_stays_after_the_loss(seed) -> None:
    architecture = drawn(seed)
    with profiled() as prof:
        network, images = laid_out(architecture)
        labels = torch.zeros(BATCH, dtype=torch.int64)
        with record_function("forward"):
            loss = loss_of(network, images, labels, 0.1)
    found = allocated(prof, "forward")
    given = images.nbytes + labels.nbytes  # there before, and kept
    assert loss.requires_grad
    assert memory(architecture, BLOCKS, batch=BATCH).saved_bytes == pytest.approx(
        found.after - found.before + given, abs=1024
    )


@pytest.mark.parametrize("parts", [LAYERS, FAN, HEAVY], ids=["layers", "fan", "heavy"])
def test_inference_peak_is_what_scoring_allocates_without_heads(make, parts) -> None:
    architecture = make(*parts, input=(3, 32, 32))
    with profiled() as prof, torch.no_grad():
        network, images = laid_out(without_heads(architecture))
        with record_function("scoring"):
            network.eval()(images)
    predicted = memory(architecture, BLOCKS, batch=BATCH).inference_peak_bytes
    assert predicted == pytest.approx(allocated(prof, "scoring").peak, rel=TOLERANCE)


def test_first_layer_with_stride_two_and_kernel_seven_keeps_a_quarter(make) -> None:
    tail = 4 * 2  # two class scores
    small, large = (
        make({"layer": "conv", "width": 64, "kernel": kernel, "stride": stride}, input=(3, 256, 256), classes=2)
        for kernel, stride in ((3, 1), (7, 2))
    )
    first, second = (memory(one, BLOCKS, batch=1) for one in (small, large))
    assert first.activation_bytes - tail == 16_777_216
    assert second.activation_bytes - tail == 4_194_304
    assert memory(large, BLOCKS, batch=1, precision="bf16").activation_bytes == second.activation_bytes // 2
    assert first.inference_peak_bytes > 16_777_216 > second.inference_peak_bytes > 4_194_304


@pytest.mark.parametrize(("optimizer", "moments"), [("sgd", 1), ("adam", 2)])
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_numbers_beside_the_parameters_stay_in_fp32(small, precision, optimizer, moments) -> None:
    found = memory(small, BLOCKS, batch=4, precision=precision, optimizer=optimizer)
    total, tensors = cost(small, BLOCKS), len(list(build(small, BLOCKS).parameters()))
    params = 4 * (total.params + total.auxiliary_params)
    counters = 4 * tensors if optimizer == "adam" else 0  # Adam counts the steps of each tensor
    assert (found.parameter_bytes, found.gradient_bytes, found.optimizer_bytes) == (
        params,
        params,
        moments * params + counters,
    )
    assert found.activation_bytes == 4 * total.activations * (4 if precision == "fp32" else 2)
    assert found.buffer_bytes == sum(buffer.nbytes for buffer in build(small, BLOCKS).buffers())


def test_a_batch_of_a_million_is_costed_and_nothing_allocated(small) -> None:
    one, many = (memory(small, BLOCKS, batch=batch) for batch in (1_000, 1_000_000))
    assert many.training_peak_bytes > 2**33
    assert many.saved_bytes == pytest.approx(1000 * one.saved_bytes, rel=0.001)


def test_random_state_is_left_as_it_was(small) -> None:
    before = torch.get_rng_state()
    assert memory(small, BLOCKS) == memory(small, BLOCKS)
    assert torch.equal(torch.get_rng_state(), before)


class Plain(nn.Module):
    def __init__(self, in_channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, width, 3, stride, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(self.conv(images))


class Looking(Plain):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        found = super().forward(images)
        return found if found.detach()[0, 0, 0, 0].item() > 2 else 2 * found


class Doubling(Plain):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return 2 * super().forward(images)


def stranger(kind: type[nn.Module]) -> type[Block]:
    members = {"name": "stranger", "build": lambda self, *sizes: kind(*sizes)}
    return type("Stranger", (Block,), members)


def test_block_that_looks_at_values_is_run_for_real_with_the_same_result(make) -> None:
    architecture = make({"block": "stranger", "width": 8, "stride": 2})
    found, wanted = (memory(architecture, BLOCKS.with_block(stranger(kind)), batch=8) for kind in (Looking, Doubling))
    assert {**asdict(found), "training_peak_bytes": 0} == {**asdict(wanted), "training_peak_bytes": 0}
    assert found.training_peak_bytes == pytest.approx(wanted.training_peak_bytes, abs=64)


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"batch": 0}, "batch 0: allowed: whole numbers from 1"),
        ({"batch": True}, "batch True: allowed: whole numbers from 1"),
        ({"precision": "fp61"}, r"precision 'fp61' \(did you mean 'fp16'\?\); allowed: fp32, bf16, fp16"),
        ({"optimizer": "adm"}, r"optimizer 'adm' \(did you mean 'adam'\?\); allowed: sgd, adam"),
    ],
)
def test_mistakes_name_what_is_allowed(small, given, line) -> None:
    with pytest.raises(NasError, match=line):
        memory(small, BLOCKS, **given)


def test_batch_that_cannot_be_trained_on_is_one_line(make) -> None:
    architecture = make({"layer": "global_average_pool"}, {"layer": "batch_norm"})
    with pytest.raises(TrainingFailed, match="a training step on a batch of 1: ValueError: Expected more than 1"):
        memory(architecture, BLOCKS, batch=1)
