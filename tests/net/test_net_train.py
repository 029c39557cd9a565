import gc
import itertools
from dataclasses import fields, replace
from weakref import ref

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from nas.arch.cost import Cost
from nas.arch.read import architecture_from_json
from nas.arch.recipe import Recipe, recipe_hash
from nas.arch.record import COMPLETE, PRUNED, WAITING, Plan
from nas.blocks.base import Block
from nas.data.split import Split
from nas.errors import ArchitectureError, OutOfMemory, TrainingFailed
from nas.net.augment import Augmentation
from nas.net.average import Average
from nas.net.batches import make_batches
from nas.net.build import build
from nas.net.checkpoint import load_weights, plain_state, read_checkpoint, weights_bytes
from nas.net.optimizer import one_cycle, share_of_rate
from nas.net.score import evaluate
from nas.net.train import EVERY, LAST, train, use_one_thread

SHORT = Recipe(epochs=3, batch_size=64)


@pytest.fixture(scope="module")
def data(digits):
    return make_batches(digits, 64)


@pytest.fixture(scope="module")
def few(digits):
    """256 images to train on, 64 to validate."""
    parts = (digits.train_images[:256], digits.train_labels[:256])
    return make_batches(Split(*parts, digits.validation_images[:64], digits.validation_labels[:64]), 64)


def same(first, second) -> bool:
    return all(torch.equal(value, second[name]) for name, value in first.items())


def test_digits_are_learnt_in_a_few_epochs(blocks, data, make) -> None:
    use_one_thread()
    network = build(
        make({"block": "conv", "width": 12, "kernel": 3}, {"block": "stacked", "width": 16, "kernel": 3, "layers": 2}),
        blocks,
    )
    trained = train(network, data, replace(SHORT, epochs=5), seed=0)
    assert trained.state == COMPLETE
    assert trained.accuracy is not None
    assert trained.accuracy >= 0.95
    assert [record.epoch for record in trained.history] == [1, 2, 3, 4, 5]
    assert trained.seconds > 0
    assert trained.history[-1].train_loss < trained.history[0].train_loss


def test_network_without_norm_learns_too(blocks, data, make) -> None:
    plain = {"kernel": 3, "norm": "none"}
    parts = ({"block": "conv", "width": 16, **plain}, {"block": "stacked", "width": 16, "layers": 2, **plain})
    trained = train(build(make(*parts), blocks), data, Recipe(), seed=0)
    assert trained.accuracy is not None
    assert trained.accuracy >= 0.8


def test_only_the_last_epoch_is_scored_where_that_is_asked_for(blocks, few, small) -> None:
    always, once = (
        train(build(small, blocks, seed=1), few, SHORT, seed=1, scored=scored).history for scored in (EVERY, LAST)
    )
    assert [(record.accuracy, record.loss) for record in once[:2]] == [(None, None)] * 2
    assert (once[2].accuracy, once[2].loss) == (always[2].accuracy, always[2].loss)


def test_whether_to_stop_is_asked_every_eight_batches(blocks, digits, small) -> None:
    parts = digits.train_images[:160], digits.train_labels[:160]
    data = make_batches(Split(*parts, digits.validation_images[:8], digits.validation_labels[:8]), 4)
    asked = []
    recipe = replace(SHORT, epochs=1, batch_size=4)
    train(build(small, blocks), data, recipe, seed=0, should_stop=lambda: bool(asked.append(1)))
    assert len(asked) == 40 // 8


def test_network_is_gone_with_the_last_who_holds_it(blocks, few, small) -> None:
    gc.collect()
    gc.disable()  # a worker trains one after the other, and big ones would wait for a collection that is seldom whole
    try:
        network = build(small, blocks, seed=1)
        gone = ref(network)
        train(network, few, SHORT, seed=1)
        del network
        assert gone() is None
    finally:
        gc.enable()


def test_same_seed_gives_the_same_result(blocks, few, small) -> None:
    runs = []
    for seed in (1, 1, 2):
        network = build(small, blocks, seed=seed)
        history = train(network, few, SHORT, seed=seed).history
        runs.append((weights_bytes(network), [replace(record, seconds=0) for record in history]))
        torch.rand(3)
    assert runs[0] == runs[1]
    assert runs[0][0] != runs[2][0]


MOVING = Augmentation(crop=1, rotation=30, shift=0.1, flip=True, cutout=0.25)
ADAM = replace(SHORT, optimizer="adam", schedule="constant", learning_rate=0.003)
BF16 = Plan("bf16", "channels_last")
ALL = replace(SHORT, optimizer="adamw", schedule="cosine", dropout=0.2, ema=0.9, clip=1.0, start_size=0.5, patience=9)
PARTS = Plan("fp32", "contiguous", 24)


@pytest.mark.parametrize(
    ("epochs", "recipe", "plan"),
    [(1, SHORT, Plan()), (2, SHORT, PARTS), (2, ADAM, Plan()), (1, SHORT, BF16), (1, ALL, Plan()), (2, ALL, PARTS)],
)
def test_resumed_training_is_bit_for_bit_the_same(blocks, few, small, epochs: int, recipe: Recipe, plan: Plan) -> None:
    few = replace(few, augmentation=MOVING)
    whole = build(small, blocks, seed=1)
    wanted = train(whole, few, recipe, seed=1, plan=plan)
    kept: list[bytes] = []
    train(
        build(small, blocks, seed=1),
        few,
        recipe,
        seed=1,
        plan=plan,
        on_epoch=lambda _, data: len(kept) < (kept.append(data) or epochs),
    )
    torch.manual_seed(99)
    again = build(small, blocks, seed=7)
    given = train(again, few, recipe, seed=1, start=read_checkpoint(kept[epochs - 1]))
    assert same(whole.state_dict(), again.state_dict())
    assert [replace(one, seconds=0) for one in given.history] == [replace(one, seconds=0) for one in wanted.history]


def test_pruned_training_ends_after_its_epoch(blocks, few, small) -> None:
    trained = train(build(small, blocks), few, SHORT, seed=0, on_epoch=lambda record, _: record.epoch < 2)
    assert (trained.state, len(trained.history)) == (PRUNED, 2)
    last = train(build(small, blocks), few, SHORT, seed=0, on_epoch=lambda record, _: record.epoch < 3)
    assert last.state == COMPLETE


def test_stopped_training_waits(blocks, few, small) -> None:
    asked = itertools.count()
    trained = train(build(small, blocks), few, SHORT, seed=0, should_stop=lambda: next(asked) > 0)
    assert (trained.state, len(trained.history)) == (WAITING, 1)
    at_once = train(build(small, blocks), few, SHORT, seed=0, should_stop=lambda: True)
    assert (at_once.state, at_once.accuracy) == (WAITING, None)


def test_adam_with_a_constant_rate_learns(blocks, few, small) -> None:
    trained = train(build(small, blocks), few, replace(ADAM, epochs=8, learning_rate=0.01), seed=0)
    assert trained.history[-1].train_loss < 0.8 * trained.history[0].train_loss


def test_bf16_is_told_and_weights_stay_fp32(blocks, few, small) -> None:
    network = build(small, blocks)
    trained = train(network, few, SHORT, seed=0, plan=BF16)
    plain = train(build(small, blocks), few, SHORT, seed=0)
    assert (trained.precision, plain.precision) == ("bf16", "fp32")
    assert {value.dtype for value in network.parameters()} == {torch.float32}
    assert trained.history[-1].train_loss != plain.history[-1].train_loss
    assert trained.history[-1].train_loss == pytest.approx(plain.history[-1].train_loss, abs=0.1)


def test_one_step_of_adam_adds_the_decay_to_the_gradient(blocks, few, make) -> None:
    # The step as Kingma and Ba's algorithm 1 has it, with an L2 penalty in the gradient of the kernels alone.
    network = build(make(), blocks)
    recipe = replace(ADAM, epochs=1, batch_size=256, weight_decay=0.5, label_smoothing=0.0, learning_rate=0.01)
    one_batch = replace(few, batch_size=256)
    before = {name: value.detach().clone() for name, value in network.named_parameters()}
    images, labels = next(one_batch.epoch(3, 1))
    cross_entropy(network.train()(images), labels).backward()
    wanted = {}
    for name, value in network.named_parameters():
        gradient = value.grad + (0.5 * value.detach() if value.dim() > 1 else 0.0)
        wanted[name] = before[name] - 0.01 * gradient / (gradient.abs() + 1e-8)
    train(network, one_batch, recipe, seed=3)
    assert all(torch.allclose(value, wanted[name], atol=1e-5) for name, value in network.named_parameters())


@pytest.mark.parametrize("rate", [float("inf"), float("nan"), 1e30])
def test_loss_that_is_not_finite_fails_the_training(blocks, few, small, rate: float) -> None:
    with pytest.raises(TrainingFailed, match="loss is not finite in epoch 1"):
        train(build(small, blocks), few, replace(SHORT, learning_rate=rate), seed=0)


class Failing(Block):
    """Breaks when it is trained."""

    name = "failing"
    choices = {"how": ("memory", "cpu", "error")}

    def build(self, in_channels: int, width: int, stride: int, *, how: str) -> nn.Module:
        return Raising(how)

    def cost(self, shape, width, stride, *, how):
        return Cost()


class Raising(nn.Module):
    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return x
        if self.how == "memory":
            raise MemoryError
        if self.how == "cpu":
            return torch.empty(1 << 60)
        raise ValueError("first line\nsecond line")


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("memory", "^out of memory: no message$"),
        ("cpu", "^out of memory: .*DefaultCPUAllocator"),
        ("error", "^ValueError: first line$"),
    ],
)
def test_block_that_breaks_fails_the_training(blocks, few, make, how: str, reason: str) -> None:
    network = build(make({"block": "failing", "width": 1, "how": how}), blocks.with_block(Failing))
    with pytest.raises(TrainingFailed, match=reason):
        train(network, few, SHORT, seed=0)


def test_error_of_the_caller_is_left_alone(blocks, few, small) -> None:
    def broken(record, checkpoint):
        raise KeyError("the storage is gone")

    with pytest.raises(KeyError, match="storage"):
        train(build(small, blocks), few, SHORT, seed=0, on_epoch=broken)


@pytest.mark.parametrize(("channels", "size"), [(1, (6, 10)), (3, (9, 5))])
def test_unbalanced_images_of_any_shape_are_trained(blocks, make, channels: int, size: tuple[int, int]) -> None:
    random = np.random.default_rng(0)
    images = random.integers(0, 255, (33, channels, *size)).astype(np.uint8)
    labels = np.array([0] * 30 + [1, 1, 2], np.int64)
    architecture = make({"block": "conv", "width": 4, "kernel": 3}, input=(channels, *size), classes=3)
    data = make_batches(Split(images, labels, images[:1], labels[:1]), 16)
    trained = train(build(architecture, blocks), data, replace(SHORT, epochs=1, batch_size=16), seed=0)
    assert trained.accuracy in (0.0, 1.0)


def test_head_adds_to_the_loss(blocks, few, make) -> None:
    head = {"auxiliary": [{"layer": "global_average_pool"}, {"layer": "dense", "width": "classes"}]}
    body = {"block": "conv", "width": 4, "kernel": 3}
    once = replace(SHORT, epochs=1, learning_rate=0.0)
    losses = []
    for weight in (0.0, 1.0):
        network = build(make(body, {**head, "loss_weight": weight}), blocks)
        losses.append(train(network, few, once, seed=0).history[0].train_loss)
    assert 1.5 < losses[1] / losses[0] < 2.5


def test_learning_rate_rises_a_quarter_and_falls_to_nothing() -> None:
    shares = [one_cycle(step, 100) for step in range(100)]
    assert shares.index(max(shares)) == 24
    assert shares[24] == 1.0
    assert 0 < shares[-1] < 0.01
    assert one_cycle(0, 1) == 1.0


def test_evaluate_counts_each_image_once(blocks, few, small) -> None:
    score = evaluate(build(small, blocks), few.validation())
    assert score.count == 64
    assert score.accuracy == score.correct / 64
    assert 1 < score.loss < 5


def test_weights_go_and_come_back(blocks, small, make) -> None:
    network, other = build(small, blocks, seed=1), build(small, blocks, seed=2)
    load_weights(other, weights_bytes(network))
    assert same(plain_state(network), plain_state(other))
    assert not any(name.startswith("aux1") for name in plain_state(network))
    with pytest.raises(ArchitectureError, match="not of this network"):
        load_weights(build(make({"block": "conv", "width": 8, "kernel": 3}), blocks), weights_bytes(network))
    with pytest.raises(ArchitectureError, match="cannot be read"):
        load_weights(network, b"nonsense")


def test_checkpoint_of_something_else_is_refused(blocks, few, small, make) -> None:
    kept: list[bytes] = []
    train(build(small, blocks), few, SHORT, seed=0, on_epoch=lambda _, data: bool(kept.append(data)))
    start = read_checkpoint(kept[0])
    with pytest.raises(TrainingFailed, match="another seed, recipe"):
        train(build(small, blocks), few, SHORT, seed=1, start=start)
    with pytest.raises(TrainingFailed, match="another network"):
        train(build(make({"layer": "relu"}), blocks), few, SHORT, seed=0, start=start)
    for damaged in (kept[0][:-5], b"", b"x" * 100, weights_bytes(build(small, blocks))):
        with pytest.raises(TrainingFailed, match="cannot be read"):
            read_checkpoint(damaged)


def test_recipe_hash_tells_recipes_apart_and_not_their_spelling() -> None:
    assert recipe_hash(Recipe(learning_rate=1)) == recipe_hash(Recipe(learning_rate=1.0))
    others = {
        "epochs": 11,
        "batch_size": 32,
        "learning_rate": 0.3,
        "momentum": 0,
        "weight_decay": 0,
        "label_smoothing": 0,
        "precision": "bf16",
        "memory_format": "contiguous",
        "optimizer": "adam",
        "schedule": "constant",
        "rotation": 45,
        "shift": 0.1,
        "flip": True,
        "dropout": 0.1,
        "ema": 0.9,
        "clip": 1,
        "crop": 4,
        "cutout": 0.25,
        "start_size": 0.5,
        "patience": 3,
        "images": 1000,
    }
    assert set(others) == {field.name for field in fields(Recipe)}
    hashes = {recipe_hash(replace(Recipe(), **{name: value})) for name, value in others.items()}
    assert len(hashes | {recipe_hash(Recipe()), recipe_hash(Recipe(), repeats=3)}) == len(others) + 2


def test_recipe_keeps_its_hash() -> None:
    assert recipe_hash(Recipe()) == "4b99cb42109a1b093dc3d1665633d990"
    assert recipe_hash(Recipe(epochs=3), repeats=1) == "806307ee4c84c9b70a54cac9f6ba9b7e"


@pytest.mark.parametrize(
    ("schedule", "shares"),
    [
        ("constant", [1, 1, 1, 1, 1]),
        ("cosine", [1, 0.8536, 0.5, 0.1464, 0.0002]),
        ("step", [1, 1, 0.1, 0.01, 0.01]),
    ],
)
def test_schedule_gives_its_share_of_the_rate(schedule: str, shares: list[float]) -> None:
    given = [share_of_rate(schedule, step, 100) for step in (0, 25, 50, 75, 99)]
    assert given == pytest.approx(shares, abs=1e-4)


def test_parts_of_a_batch_give_its_gradients(blocks, few, make) -> None:
    # Without batch norm, whose statistics are those of a part, a batch in parts is the batch.
    plain = make({"block": "conv", "width": 6, "kernel": 3, "norm": "none"})
    recipe = replace(SHORT, epochs=1, learning_rate=0.01)
    losses, seen = [], []
    for size in (0, 24):
        network = build(plain, blocks)
        network.register_forward_pre_hook(lambda module, given: seen.append(len(given[0])) if module.training else None)
        losses.append(train(network, few, recipe, seed=0, plan=Plan(micro_batch=size)).history[0].loss)
    assert seen == [64] * 4 + [22, 21, 21] * 4
    assert losses[1] == pytest.approx(losses[0], abs=1e-5)


def test_average_of_the_weights_is_scored_and_kept(blocks, few, small) -> None:
    average, plain = build(small, blocks, seed=1), build(small, blocks, seed=1)
    scored = train(average, few, replace(SHORT, ema=0.99), seed=1)
    other = train(plain, few, SHORT, seed=1)
    assert [one.train_loss for one in scored.history] == [one.train_loss for one in other.history]
    assert scored.history[-1].loss != other.history[-1].loss
    assert evaluate(average, few.validation()).loss == pytest.approx(scored.history[-1].loss, abs=1e-6)


def test_average_follows_the_weights_by_its_decay(blocks, few, make) -> None:
    network = build(make(), blocks)
    before = {name: value.clone() for name, value in network.named_parameters()}
    one_step = replace(few, batch_size=256)
    train(network, one_step, replace(SHORT, epochs=1, ema=0.9), seed=0)
    plain = build(make(), blocks)
    train(plain, one_step, replace(SHORT, epochs=1), seed=0)
    for name, value in plain.named_parameters():  # after one step the decay is 2/11
        wanted = before[name] * 2 / 11 + value * 9 / 11
        assert torch.allclose(network.get_parameter(name), wanted, atol=1e-6)


def test_gradients_are_clipped_to_the_length(blocks, few, make) -> None:
    network = build(make(), blocks)
    before = torch.cat([value.detach().flatten() for value in network.parameters()])
    recipe = replace(SHORT, epochs=1, batch_size=256, learning_rate=1.0, momentum=0.0, weight_decay=0.0, clip=1e-3)
    train(network, replace(few, batch_size=256), recipe, seed=0)
    after = torch.cat([value.detach().flatten() for value in network.parameters()])
    assert float((after - before).norm()) == pytest.approx(1e-3, rel=1e-3)


def test_dropout_acts_before_the_last_dense_layer_in_training_alone(blocks, few, make) -> None:
    network = build(make({"block": "conv", "width": 8, "kernel": 3}), blocks)
    still = replace(SHORT, epochs=1, learning_rate=1e-30)
    plain, dropped = (train(network, few, replace(still, dropout=rate), seed=0).history[0] for rate in (0.0, 0.9))
    assert dropped.train_loss > 1.05 * plain.train_loss
    assert dropped.loss == pytest.approx(plain.loss, abs=0.05)


class Squeezing(Block):
    """Weighs its channels by what a dense layer of its own makes of their means."""

    name = "squeezing"

    def build(self, in_channels: int, width: int, stride: int) -> nn.Module:
        return Squeeze(in_channels)


class Squeeze(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.dense = nn.Linear(channels, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.dense(x.mean((2, 3)))[:, :, None, None]


def test_dropout_leaves_the_inside_of_blocks_alone(blocks, few) -> None:
    parts = [
        {"layer": "conv", "width": "classes", "kernel": 3},
        {"block": "squeezing", "width": 10},
        {"layer": "global_average_pool"},
        {"layer": "flatten"},
    ]
    data = {"format": 1, "input": [1, 8, 8], "classes": 10, "parts": parts}
    network = build(architecture_from_json(data), blocks.with_block(Squeezing))
    still = replace(SHORT, epochs=1, learning_rate=1e-30)
    losses = [train(network, few, replace(still, dropout=rate), seed=0).history[0].train_loss for rate in (0.0, 0.9)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_training_ends_early_where_nothing_gets_better(blocks, few, small) -> None:
    recipe = replace(SHORT, epochs=9, learning_rate=1e-30, patience=2)
    kept: list[bytes] = []
    trained = train(build(small, blocks), few, recipe, seed=0, on_epoch=lambda _, data: not kept.append(data))
    assert trained.state == COMPLETE
    assert 3 <= len(trained.history) < 9
    again = train(build(small, blocks), few, recipe, seed=0, start=read_checkpoint(kept[-1]))
    assert again.history == trained.history


def test_out_of_memory_is_an_error_of_its_own(blocks, few, make) -> None:
    network = build(make({"block": "failing", "width": 1, "how": "cpu"}), blocks.with_block(Failing))
    with pytest.raises(OutOfMemory):
        train(network, few, SHORT, seed=0)


@pytest.mark.parametrize(("batch", "at_once", "wanted"), [(33, 16, [11, 11, 11]), (5, 2, [3, 2]), (2, 2, [2])])
def test_no_part_of_a_batch_is_one_image(blocks, few, make, batch: int, at_once: int, wanted: list[int]) -> None:
    # Behind a pool batch norm has one value a channel and image, and cannot work on one of them.
    network = build(make({"layer": "global_average_pool"}, {"block": "conv", "width": 4, "kernel": 1}), blocks)
    seen: list[int] = []
    network.register_forward_pre_hook(lambda module, given: seen.append(len(given[0])))
    images = replace(
        few, batch_size=batch, train_images=few.train_images[:batch], train_labels=few.train_labels[:batch]
    )
    train(network, images, replace(SHORT, epochs=1), seed=0, plan=Plan(micro_batch=at_once))
    assert seen[: len(wanted)] == wanted
    assert max(seen) <= at_once + 1


def test_memory_that_runs_out_in_making_batches_is_told_as_such(blocks, few, small) -> None:
    class Greedy(Augmentation):
        def taken(self, images, index, generator):
            return torch.empty(1 << 60)

    with pytest.raises(OutOfMemory):
        train(build(small, blocks), replace(few, augmentation=Greedy()), SHORT, seed=0)


class Shared(nn.Module):
    """One convolution under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 1, 3, padding=1)
        self.second = self.first


def test_average_of_weights_that_two_names_share_leaves_them_alone() -> None:
    module = Shared()
    average = Average(module, 0.9)
    with torch.no_grad():
        module.first.weight += 1
    average.update(0)
    before = module.first.weight.detach().clone()
    with average.in_place():
        assert not torch.equal(module.second.weight, before)
    assert torch.equal(module.second.weight, before)
