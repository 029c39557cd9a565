"""A GPU's own ways: recorded steps, numbers drawn on the device, its memory. Each is looked at beside the plain way."""

import copy
import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from nas.arch.recipe import Recipe
from nas.arch.record import COMPLETE, WAITING, Plan
from nas.data.split import Split
from nas.errors import OutOfMemory
from nas.net import replay
from nas.net.augment import Augmentation
from nas.net.batches import make_batches
from nas.net.build import build
from nas.net.checkpoint import read_checkpoint
from nas.net.optimizer import optimizer_of, take_step
from nas.net.plan import USUAL, free_bytes, laid_out, options, probe
from nas.net.replay import Replayed, replayed
from nas.net.score import loss_of
from nas.net.train import train, use_one_thread

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")

GPU = torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")
SHORT = Recipe(epochs=3, batch_size=64)
MOVED = Augmentation(crop=1, rotation=10.0, shift=0.1, flip=True, cutout=0.3)


@pytest.fixture(autouse=True)
def deterministic() -> None:
    use_one_thread()


@pytest.fixture
def few(digits):
    parts = (digits.train_images[:256], digits.train_labels[:256])
    split = Split(*parts, digits.validation_images[:64], digits.validation_labels[:64])
    return make_batches(split, 64, GPU, MOVED)


def gradients_of(network, loss_on=None):
    """A step as the trainer does it."""

    def gradients(images, labels):
        network.zero_grad()
        loss = loss_on(images, labels) if loss_on else loss_of(network, images, labels, 0.0)
        loss.backward()
        return loss.detach()

    return gradients


def on_gpu(network):
    return laid_out(network, USUAL, GPU).train()


def grads(network):
    return [parameter.grad.clone() for parameter in network.parameters()]


def test_recorded_step_gives_the_gradients_of_the_step_itself(blocks, few, small) -> None:
    network = on_gpu(build(small, blocks))
    for module in network.modules():
        if isinstance(module, nn.Dropout | nn.Dropout2d):
            module.p = 0.0
    before = {name: value.clone() for name, value in network.state_dict().items()}
    twin = copy.deepcopy(network)
    plain = gradients_of(twin)
    step = replayed(gradients_of(network), network, *few.like())
    assert isinstance(step, Replayed)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    for images, labels in few.epoch(0, 1):
        assert torch.equal(step(images, labels), plain(images, labels))
        assert all(map(torch.equal, grads(network), grads(twin)))
    assert all(torch.equal(value, twin.state_dict()[name]) for name, value in network.state_dict().items())


def test_recorded_training_ends_as_one_that_is_not_recorded(blocks, few, small, monkeypatch) -> None:
    ended = []
    for record in (True, False):
        if not record:
            monkeypatch.setattr(replay, "replayed", lambda gradients, *_: gradients)
        network = build(small, blocks, seed=1)
        trained = train(network, few, replace(SHORT, ema=0.9, clip=1.0), seed=1)
        assert trained.device == ("cuda:0, graph" if record else "cuda:0")
        ended.append((trained.history[-1].train_loss, trained.accuracy, network.state_dict()))
    assert ended[0][:2] == ended[1][:2]
    assert all(torch.equal(value, ended[1][2][name]) for name, value in ended[0][2].items())


@pytest.mark.parametrize("plan", options(Recipe(), torch.device("cuda")), ids=str)
def test_each_plan_is_recorded_and_learns(blocks, digits, small, plan) -> None:
    data = make_batches(digits, 64, GPU)
    trained = train(build(small, blocks), data, replace(SHORT, epochs=6), seed=0, plan=plan)
    assert (trained.device, trained.precision) == ("cuda:0, graph", plan.precision)
    assert trained.accuracy > 0.8


def test_same_seed_gives_the_same_result(blocks, few, small) -> None:
    runs = []
    for seed in (1, 1, 2):
        network = build(small, blocks, seed=seed)
        history = train(network, few, SHORT, seed=seed).history
        runs.append(([record.train_loss for record in history], network.state_dict()))
    assert runs[0][0] == runs[1][0] != runs[2][0]
    assert all(torch.equal(value, runs[1][1][name]) for name, value in runs[0][1].items())


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_training_goes_on_from_its_checkpoint(blocks, few, small, optimizer) -> None:
    recipe, kept = replace(SHORT, optimizer=optimizer, learning_rate=0.01, ema=0.9), []
    whole, part = build(small, blocks, seed=1), build(small, blocks, seed=1)
    at_once = train(whole, few, recipe, seed=1, on_epoch=lambda record, checkpoint: kept.append(checkpoint) or True)
    rest = train(part, few, recipe, seed=1, start=read_checkpoint(kept[0]))
    assert [one.train_loss for one in rest.history] == [one.train_loss for one in at_once.history]
    assert all(torch.equal(value, part.state_dict()[name]) for name, value in whole.state_dict().items())


def test_images_that_grow_are_recorded_at_each_size(blocks, digits, small) -> None:
    data = make_batches(digits, 64, GPU, Augmentation(crop=1))
    trained = train(build(small, blocks), data, replace(SHORT, epochs=6, start_size=0.5), seed=0)
    assert (trained.state, trained.device) == (COMPLETE, "cuda:0, graph")
    assert trained.accuracy > 0.7


def test_parts_of_a_batch_are_recorded_together(blocks, few, small) -> None:
    trained = train(build(small, blocks), few, SHORT, seed=0, plan=Plan(micro_batch=16))
    assert (trained.state, trained.device) == (COMPLETE, "cuda:0, graph")


def test_training_stops_between_two_batches(blocks, few, small) -> None:
    asked = iter([False, True])
    assert train(build(small, blocks), few, SHORT, seed=0, should_stop=lambda: next(asked)).state == WAITING


class Looks(nn.Module):
    def forward(self, maps):
        return maps if maps.mean().item() > -100 else -maps


class Drops(nn.Module):
    def forward(self, maps):
        return maps if random.random() < 0.9 else 0.5 * maps


class DropsByNumpy(nn.Module):
    def forward(self, maps):
        return maps * float(np.random.rand() < 0.9)


class Counts(nn.Module):
    calls = 0

    def forward(self, maps):
        self.calls += 1
        return maps * (1.0 if self.calls < 3 else 0.5)


class Remembers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.seen = []

    def forward(self, maps):
        self.seen.append(1)
        return maps * len(self.seen)


class DropsByItsOwn(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.random = random.Random(0)

    def forward(self, maps):
        return maps if self.random.random() < 0.9 else 0.5 * maps


class KeepsAMean(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(8))

    def forward(self, maps):
        self.mean = 0.9 * self.mean + 0.1 * maps.detach().mean((0, 2, 3))
        return maps


class HoldsAFunction(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.function = lambda maps: maps

    def forward(self, maps):
        return self.function(maps)


ODD = [Looks, Drops, DropsByNumpy, Counts, Remembers, DropsByItsOwn, KeepsAMean, HoldsAFunction]


@pytest.mark.parametrize("odd", ODD)
def test_step_that_a_recording_would_not_repeat_is_not_recorded(odd) -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3), odd(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10)).to(GPU)
    images, labels = torch.randn(16, 3, 8, 8, device=GPU), torch.arange(16, device=GPU) % 10

    gradients = gradients_of(network, lambda images, labels: nn.functional.cross_entropy(network(images), labels))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    states = random.getstate(), repr(np.random.get_state(legacy=False))
    step = replayed(gradients, network, images, labels)
    assert step is gradients
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert (random.getstate(), repr(np.random.get_state(legacy=False))) == states
    # And the device is as good as before.
    network[1] = nn.ReLU()
    assert isinstance(replayed(gradients, network, images, labels), Replayed)


def test_dropout_is_drawn_anew_at_each_replay() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(192, 10)).to(GPU).train()
    images, labels = torch.randn(16, 3, 8, 8, device=GPU), torch.arange(16, device=GPU) % 10

    gradients = gradients_of(network, lambda images, labels: nn.functional.cross_entropy(network(images), labels))
    step = replayed(gradients, network, images, labels)
    assert isinstance(step, Replayed)
    torch.manual_seed(3)
    drawn = [float(step(images, labels)) for _ in range(3)]
    torch.manual_seed(3)
    assert [float(step(images, labels)) for _ in range(3)] == drawn
    torch.manual_seed(3)
    assert [float(gradients(images, labels)) for _ in range(3)] == drawn
    assert len(set(drawn)) == 3


def test_random_numbers_and_weights_are_left_as_they_were(blocks, few, small) -> None:
    network = on_gpu(build(small, blocks))
    batch = few.like()
    states = torch.get_rng_state(), torch.cuda.get_rng_state(GPU), random.getstate()
    replayed(gradients_of(network), network, *batch)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert torch.equal(torch.cuda.get_rng_state(GPU), states[1])
    assert random.getstate() == states[2]


def test_probe_times_recorded_steps_and_leaves_the_network_as_it_is(blocks, small) -> None:
    network = build(small, blocks, seed=1)
    plan = probe(network, SHORT, GPU)
    assert plan in options(SHORT, GPU)
    twin = build(small, blocks, seed=1).state_dict()
    assert all(torch.equal(value, twin[name]) for name, value in network.state_dict().items())
    assert probe(network, replace(SHORT, precision="bf16", memory_format="contiguous"), GPU) == Plan(
        "bf16", "contiguous"
    )


def test_memory_of_the_device_that_runs_out_is_told_as_such(blocks, make) -> None:
    wide = make({"block": "conv", "width": 2048, "kernel": 3}, input=(1, 64, 64))
    images = np.zeros((4096, 1, 64, 64), np.uint8)
    labels = np.zeros(4096, np.int64)
    data = make_batches(Split(images, labels, images[:8], labels[:8]), 4096, GPU)
    with pytest.raises(OutOfMemory, match="out of memory"):
        train(build(wide, blocks), data, replace(SHORT, batch_size=4096), seed=0)
    torch.cuda.empty_cache()
    assert free_bytes(GPU) > 0
    assert (
        train(
            build(wide, blocks),
            replace(data, batch_size=8, train_images=data.train_images[:16], train_labels=data.train_labels[:16]),
            SHORT,
            seed=0,
        ).state
        == COMPLETE
    )


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_parameter_may_have_its_first_gradient_later_than_others(optimizer) -> None:
    network = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)).to(GPU)
    moved = optimizer_of(network, Recipe(optimizer=optimizer))
    for layers in (network[:1], network):
        network.zero_grad()
        layers(torch.ones(2, 4, device=GPU)).sum().backward()
        take_step(network, moved, Recipe(optimizer=optimizer), 0, 10)
