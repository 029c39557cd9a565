"""The training loop: a recipe's steps over the batches, computed as a plan says, scored every epoch or at the end."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout
from torch.optim import Optimizer

from nas.arch.recipe import Recipe, recipe_hash
from nas.arch.record import COMPLETE, PRUNED, WAITING, EpochRecord, Plan
from nas.errors import NasError, OutOfMemory, TrainingFailed
from nas.net.average import Average
from nas.net.batches import Batch, Batches, mixed
from nas.net.build import Network
from nas.net.checkpoint import Checkpoint, checkpoint_bytes
from nas.net.optimizer import optimizer_of, take_step
from nas.net.plan import USUAL, as_laid_out, computing, laid_out
from nas.net.replay import Recording
from nas.net.resize import Sizes, sizes_of
from nas.net.score import Score, evaluate, loss_of
from nas.net.steps import MODULE

LOOK_EVERY = 8
"""Batches between two looks at the loss and at whether to stop."""

LOOK_SECONDS = 0.1
"""A GPU runs out of work at each look: where less time has passed since the last, the next is twice as far."""

EVERY, LAST = "every", "last"
"""The epochs after which a training is scored."""


@dataclass(frozen=True)
class Trained:
    """How a training ended: complete, pruned, or waiting (stopped, to be taken up from its last checkpoint).

    `history` has all epochs, those before a resume included; `seconds` is their sum.
    """

    state: str
    history: tuple[EpochRecord, ...]
    device: str
    precision: str

    @property
    def accuracy(self) -> float | None:
        """The last epoch's, 0 to 1; None where no epoch was finished or scored."""
        return self.history[-1].accuracy if self.history else None

    @property
    def seconds(self) -> float:
        """Seconds of training and validating."""
        return sum(record.seconds for record in self.history)


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
    plan: Plan = USUAL,
    start: Checkpoint | None = None,
    scored: str = EVERY,
    on_epoch: Callable[[EpochRecord, bytes], bool] = lambda record, checkpoint: True,
    should_stop: Callable[[], bool] = lambda: False,
) -> Trained:
    """Train a network by a recipe, from its beginning or from a checkpoint, with the same result.

    After each epoch `on_epoch` gets its record and a checkpoint, and says whether to go on. `should_stop` is asked
    every few batches. A checkpoint's plan goes before `plan`. `scored`: after `every` epoch, or the `last` alone.
    Raises TrainingFailed where the loss is not finite or a block breaks, OutOfMemory where memory runs out.
    """
    with _failures():
        training = _begin(network, data, recipe, start.plan if start else plan, seed, start)
    history = training.history
    with _training_only(network, recipe, data.device):
        for epoch in range(len(history) + 1, recipe.epochs + 1):
            if _is_stale(history, recipe.patience):
                break
            begun = time.perf_counter()
            train_loss = training.epoch(data, epoch, should_stop)
            if train_loss is None:
                return training.ended(WAITING)
            score = training.score(data.validation()) if scored == EVERY or epoch == recipe.epochs else None
            history.append(_record(epoch, score, train_loss, time.perf_counter() - begun))
            goes_on = on_epoch(history[-1], training.checkpoint())
            if not goes_on and epoch < recipe.epochs:
                return training.ended(PRUNED)
    training.average.settle()
    return training.ended(COMPLETE)


@dataclass
class _Training:
    """A training under way: what its steps change, and how they are computed."""

    network: Network
    optimizer: Optimizer
    average: Average
    recipe: Recipe
    plan: Plan
    device: torch.device
    sizes: Sizes
    seed: int
    history: list[EpochRecord]
    recording: Recording = field(default_factory=Recording)

    def epoch(self, data: Batches, epoch: int, should_stop: Callable[[], bool]) -> float | None:
        """Show every image once; the mean loss of the batches, None where that was stopped on the way."""
        steps, total = data.steps, torch.zeros((), device=self.device)
        size = self.sizes(epoch)
        self.network.train()
        with _failures():
            on_gpu = self.device.type == "cuda"
            gradients = self.recording.of(self.gradients, self.network, data.like(size)) if on_gpu else self.gradients
        torch.manual_seed(mixed(self.seed, epoch))
        look, stretch, looked = 0, LOOK_EVERY, time.perf_counter()
        for step, (images, labels) in enumerate(_guarded(data.epoch(self.seed, epoch, size))):
            if step == look:
                _check_finite(total.item(), epoch)
                if should_stop():
                    return None
                now = time.perf_counter()
                stretch *= 2 if on_gpu and now - looked < LOOK_SECONDS else 1
                look, looked = step + stretch, now
            done = (epoch - 1) * steps + step
            with _failures():
                total += gradients(images, labels)
                take_step(self.network, self.optimizer, self.recipe, done, self.recipe.epochs * steps)
                self.average.update(done)
        return _check_finite(total.item() / steps, epoch)

    def gradients(self, images: Tensor, labels: Tensor) -> Tensor:
        """Put the gradients of a batch's loss in place of the last ones; gives the loss.

        The parts of a batch that go through at once each count by their share of it.
        """
        total = torch.zeros((), device=self.device)
        for part, (some, of_them) in enumerate(self._parts(images, labels)):
            with computing(self.plan, self.device):
                loss = loss_of(self.network, as_laid_out(some, self.plan), of_them, self.recipe.label_smoothing)
            if part == 0:
                self.optimizer.zero_grad()
            if len(of_them) < len(labels):
                loss = loss * (len(of_them) / len(labels))
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
        return total

    def _parts(self, images: Tensor, labels: Tensor) -> Iterator[Batch]:
        """What of a batch goes through at once: equal parts, none of one image, of which batch norm learns nothing."""
        size = self.plan.micro_batch or len(labels)
        parts = max(1, min(math.ceil(len(labels) / size), len(labels) // 2))
        return zip(torch.tensor_split(images, parts), torch.tensor_split(labels, parts), strict=True)

    def score(self, batches: Iterable[Batch]) -> Score:
        """The score of the weights that count: the average's where there is one."""
        laid = (
            (as_laid_out(some, self.plan), of_them)
            for images, labels in batches
            for some, of_them in self._parts(images, labels)
        )
        with _failures(), self.average.in_place(), computing(self.plan, self.device):
            return evaluate(self.network, laid)

    def checkpoint(self) -> bytes:
        """All that is needed to go on; of an optimizer SGD's one moment, or Adam's two and its steps, by name."""
        moments = {
            f"{name}:{kind}": value
            for name, parameter in self.network.named_parameters()
            for kind, value in self.optimizer.state[parameter].items()
            if isinstance(value, Tensor)
        }
        state, hashed = self.network.state_dict(), recipe_hash(self.recipe)
        history = tuple(self.history)
        with _failures():
            whole = Checkpoint(state, moments, history, self.seed, hashed, self.plan, self.average.kept)
            return checkpoint_bytes(whole)

    def ended(self, state: str) -> Trained:
        """How it ended."""
        device = f"{self.device}, graph" if self.recording.step else str(self.device)
        return Trained(state, tuple(self.history), device, self.plan.precision)


def _begin(
    network: Network, data: Batches, recipe: Recipe, plan: Plan, seed: int, start: Checkpoint | None
) -> _Training:
    """The training as it stands before its first epoch, or after those of a checkpoint."""
    laid_out(network, plan, data.device)
    optimizer, average = optimizer_of(network, recipe), Average(network, recipe.ema)
    history = _restore(network, optimizer, average, start, seed, recipe)
    return _Training(network, optimizer, average, recipe, plan, data.device, sizes_of(network, recipe), seed, history)


def _restore(
    network: Network, optimizer: Optimizer, average: Average, start: Checkpoint | None, seed: int, recipe: Recipe
) -> list[EpochRecord]:
    """Put a checkpoint into network, optimizer and average, and give the epochs behind it."""
    if start is None:
        return []
    if (start.seed, start.recipe) != (seed, recipe_hash(recipe)):
        raise TrainingFailed("the checkpoint is of another seed, recipe or version of the trainer")
    try:
        network.load_state_dict(start.model)
        average.restore(start.average)
        parameters = dict(network.named_parameters())
        for key, value in start.moments.items():
            name, _, kind = key.rpartition(":")
            # In the layout of the parameter, since sums depend on it in their last bit.
            like = torch.empty_like(parameters[name], requires_grad=False)
            like = value.to(like.device) if kind == "step" else like.copy_(value)
            optimizer.state[parameters[name]][kind] = like
    except (RuntimeError, KeyError) as error:
        raise TrainingFailed(f"the checkpoint is of another network: {str(error).splitlines()[0]}") from error
    return list(start.history)


def _record(epoch: int, score: Score | None, train_loss: float, seconds: float) -> EpochRecord:
    if score is None:
        return EpochRecord(epoch, None, None, train_loss, seconds)
    return EpochRecord(epoch, score.accuracy, _check_finite(score.loss, epoch), train_loss, seconds)


def _is_stale(history: list[EpochRecord], patience: int) -> bool:
    """Whether the last `patience` epochs brought no better accuracy than there was before."""
    reached = [record.accuracy for record in history if record.accuracy is not None]
    return 0 < patience < len(reached) and max(reached[-patience:]) <= max(reached[:-patience])


@contextmanager
def _training_only(network: Network, recipe: Recipe, device: torch.device) -> Iterator[None]:
    """What holds while a network is trained: random numbers of its own, and dropout before its last dense layer."""
    layers = [network.get_submodule(step.name) for step in network.plain_steps if step.op == MODULE]
    dense = [layer for layer in layers if isinstance(layer, nn.Linear)]
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        if not recipe.dropout or not dense:
            yield
            return
        hook = dense[-1].register_forward_pre_hook(
            lambda module, given: (dropout(given[0], recipe.dropout, module.training), *given[1:])
        )
        try:
            yield
        finally:
            hook.remove()


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
            raise OutOfMemory(f"out of memory: {text}") from error
        raise TrainingFailed(f"{type(error).__name__}: {text}") from error


def _guarded(batches: Iterator[Batch]) -> Iterator[Batch]:
    """The batches; what breaks in making them ends this training alone."""
    with _failures():
        yield from batches


def _is_memory(error: Exception) -> bool:
    words = ("not enough memory", "DefaultCPUAllocator", "out of memory")
    told = isinstance(error, RuntimeError) and any(word in str(error) for word in words)
    return told or isinstance(error, MemoryError | torch.OutOfMemoryError)
