"""The training loop: a recipe's optimizer and schedule over the batches, validated every epoch."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.optim import SGD, Adam, Optimizer

from nas.arch.recipe import Recipe, recipe_hash
from nas.arch.record import COMPLETE, PRUNED, WAITING, EpochRecord
from nas.errors import NasError, TrainingFailed
from nas.net.batches import Batch, Batches, mixed
from nas.net.build import Network
from nas.net.checkpoint import Checkpoint, checkpoint_bytes

WARM_UP = 0.25
"""The share of all steps in which the learning rate rises."""

LOOK_EVERY = 8
"""Batches between two looks at the loss and at whether to stop."""

EVERY, LAST = "every", "last"
"""Which epochs are scored."""

FP32, BF16 = "fp32", "bf16"


@dataclass(frozen=True)
class Trained:
    """How a training ended: complete, pruned, or waiting (stopped, to be taken up from its last checkpoint).

    `history` has all epochs, those before a resume included; `seconds` is their sum.
    """

    state: str
    history: tuple[EpochRecord, ...]
    device: str
    precision: str = FP32

    @property
    def accuracy(self) -> float | None:
        """The last epoch's, 0 to 1; None where no epoch was finished."""
        return self.history[-1].accuracy if self.history else None

    @property
    def seconds(self) -> float:
        """Seconds of training and validating."""
        return sum(record.seconds for record in self.history)


@dataclass(frozen=True)
class Score:
    """What a network makes of images: how many it gets right, of how many, and the mean cross-entropy."""

    correct: int
    count: int
    loss: float

    @property
    def accuracy(self) -> float:
        """The share that it gets right, 0 to 1."""
        return self.correct / self.count


def use_one_thread() -> None:
    """Let this process compute in one thread and in one order; to be called once at its start."""
    torch.set_num_threads(1)
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True


def train(
    network: Network,
    data: Batches,
    recipe: Recipe,
    *,
    seed: int,
    start: Checkpoint | None = None,
    on_epoch: Callable[[EpochRecord, bytes], bool] = lambda record, checkpoint: True,
    should_stop: Callable[[], bool] = lambda: False,
    scored: str = EVERY,
) -> Trained:
    """Train a network by a recipe, from its beginning or from a checkpoint, with the same result.

    After each epoch `on_epoch` gets its record and a checkpoint, and says whether to go on. `should_stop` is asked
    every few batches. `scored` LAST scores the last epoch alone, so that no choice can rest on the others. Raises
    TrainingFailed where the loss is not finite, memory runs out, or a block breaks.
    """
    device, last, precision = data.device, recipe.epochs * data.steps, precision_of(recipe)
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = optimizer_of(network, recipe)
    history = _restore(network, optimizer, start, seed, recipe)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        for epoch in range(len(history) + 1, recipe.epochs + 1):
            begun, total = time.perf_counter(), torch.zeros((), device=device)
            torch.manual_seed(mixed(seed, epoch))
            network.train()
            for step, (images, labels) in enumerate(data.epoch(seed, epoch)):
                if step % LOOK_EVERY == 0 and should_stop():
                    return Trained(WAITING, tuple(history), str(device), precision)
                for group in optimizer.param_groups:
                    group["lr"] = recipe.learning_rate * share_of_rate(recipe, (epoch - 1) * data.steps + step, last)
                with _failures(), computing(precision, device):
                    loss = loss_of(network, images, labels, recipe.label_smoothing)
                with _failures():
                    optimizer.zero_grad()
                    loss.backward()  # type: ignore[no-untyped-call]
                    optimizer.step()
                total += loss.detach()
                if step % LOOK_EVERY == LOOK_EVERY - 1:
                    _check_finite(total.item(), epoch)
            train_loss = _check_finite(total.item() / data.steps, epoch)
            accuracy = scored_loss = None
            if scored != LAST or epoch == recipe.epochs:
                with _failures(), computing(precision, device):
                    score = evaluate(network, data.validation())
                accuracy, scored_loss = score.accuracy, _check_finite(score.loss, epoch)
            record = EpochRecord(epoch, accuracy, scored_loss, train_loss, time.perf_counter() - begun)
            history.append(record)
            goes_on = on_epoch(record, checkpoint_bytes(_checkpoint(network, optimizer, history, seed, recipe)))
            if not goes_on and epoch < recipe.epochs:
                return Trained(PRUNED, tuple(history), str(device), precision)
    return Trained(COMPLETE, tuple(history), str(device), precision)


@torch.no_grad()
def evaluate(network: Network, batches: Iterable[Batch]) -> Score:
    """The score of a network on batches, each image once; the network is left in inference mode."""
    network.eval()
    correct = count = 0
    loss = 0.0
    for images, labels in batches:
        scores = network(images)
        correct += int((scores.argmax(1) == labels).sum())
        loss += float(cross_entropy(scores, labels, reduction="sum"))
        count += len(labels)
    return Score(correct, count, loss / count)


def precision_of(recipe: Recipe) -> str:
    """The number format that a recipe computes in: fp32 or bf16."""
    return BF16 if recipe.precision == BF16 else FP32


def computing(precision: str, device: torch.device) -> torch.autocast:
    """Meanwhile convolutions and dense layers compute in the precision; weights and sums stay in fp32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == BF16)


def share_of_rate(recipe: Recipe, step: int, steps: int) -> float:
    """The share of the recipe's learning rate in a step of all steps."""
    return one_cycle(step, steps) if recipe.schedule == "one_cycle" else 1.0


def one_cycle(step: int, steps: int) -> float:
    """The share of the peak learning rate in a step: up a line over the first quarter, then down a half cosine.

    Source: Smith and Topin, "Super-Convergence", 2018.
    """
    place, peak = step + 1, max(1.0, WARM_UP * steps)
    if place <= peak:
        return place / peak
    return 0.5 * (1 + math.cos(math.pi * (place - peak) / (steps + 1 - peak)))


def loss_of(network: Network, images: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    """Cross-entropy of the scores, plus that of each auxiliary head times its weight."""
    given = network(images)
    scores, heads = given if isinstance(given, tuple) else (given, [])
    loss = cross_entropy(scores, labels, label_smoothing=smoothing)
    for head, weight in zip(heads, network.loss_weights, strict=False):
        loss = loss + weight * cross_entropy(head, labels, label_smoothing=smoothing)
    return loss


def optimizer_of(network: Network, recipe: Recipe) -> Optimizer:
    """Weight decay pulls on kernels alone, not on biases and batch norm."""
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    kernels = [parameter for parameter in parameters if parameter.dim() >= 2]
    others = [parameter for parameter in parameters if parameter.dim() < 2]
    groups = [
        {"params": kernels, "weight_decay": recipe.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if recipe.optimizer == "adam":
        return Adam(groups, lr=0.0)
    return SGD(groups, lr=0.0, momentum=recipe.momentum, nesterov=recipe.momentum > 0)


def _checkpoint(
    network: Network, optimizer: Optimizer, history: list[EpochRecord], seed: int, recipe: Recipe
) -> Checkpoint:
    """The optimizer's numbers of each parameter go by name and kind: SGD's one moment, Adam's two and its steps."""
    moments = {
        f"{name}:{kind}": value
        for name, parameter in network.named_parameters()
        for kind, value in optimizer.state[parameter].items()
        if isinstance(value, Tensor)
    }
    return Checkpoint(network.state_dict(), moments, tuple(history), seed, recipe_hash(recipe))


def _restore(
    network: Network, optimizer: Optimizer, start: Checkpoint | None, seed: int, recipe: Recipe
) -> list[EpochRecord]:
    """Put a checkpoint into network and optimizer, and give the epochs behind it."""
    if start is None:
        return []
    if (start.seed, start.recipe) != (seed, recipe_hash(recipe)):
        raise TrainingFailed("the checkpoint is of another seed, recipe or version of the trainer")
    try:
        network.load_state_dict(start.model)
        parameters = dict(network.named_parameters())
        for key, value in start.moments.items():
            name, _, kind = key.rpartition(":")
            # In the layout of the parameter, since sums depend on it in their last bit.
            like = value if kind == "step" else torch.empty_like(parameters[name], requires_grad=False).copy_(value)
            optimizer.state[parameters[name]][kind] = like
    except (RuntimeError, KeyError) as error:
        raise TrainingFailed(f"the checkpoint is of another network: {str(error).splitlines()[0]}") from error
    return list(start.history)


def _check_finite(loss: float, epoch: int) -> float:
    if not math.isfinite(loss):
        raise TrainingFailed(f"loss is not finite in epoch {epoch}")
    return loss


@contextmanager
def _failures() -> Iterator[None]:
    """Whatever breaks inside ends this training alone."""
    try:
        yield
    except NasError:
        raise
    except Exception as error:
        text = next(iter(str(error).splitlines()), "") or "no message"
        if _is_memory(error):
            raise TrainingFailed(f"out of memory: {text}") from error
        raise TrainingFailed(f"{type(error).__name__}: {text}") from error


def _is_memory(error: Exception) -> bool:
    words = ("not enough memory", "DefaultCPUAllocator", "out of memory")
    told = isinstance(error, RuntimeError) and any(word in str(error) for word in words)
    return told or isinstance(error, MemoryError | torch.OutOfMemoryError)
