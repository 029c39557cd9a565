"""The gradients of a batch as a CUDA graph: recorded once for batches of a shape, then started by a single call.

A small network's step is hundreds of kernels of a few microseconds each; started one by one from Python, they leave a
GPU waiting most of the time.
"""

from __future__ import annotations

import pickle
import random
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

Gradients = Callable[[Tensor, Tensor], Tensor]
"""Puts the gradients of a batch's loss in place of the last, of images (N, C, H, W) and labels (N,); gives the loss."""

ALIKE = 1e-2
"""Loss and lengths of gradients of a recorded step may differ from the step's own by so much: rounding alone."""

_OWN = vars(nn.Module()).keys() - {"training"}
"""What every module holds: its tensors, which are looked at apart, and its hooks."""


class Replayed:
    """A recorded step: the graph, the batch that it reads, and the loss that it writes."""

    def __init__(self, gradients: Gradients, images: Tensor, labels: Tensor) -> None:
        self.images, self.labels = images, labels
        self.graph = torch.cuda.CUDAGraph()
        # Other threads of the process, the heartbeat's say, may go on meanwhile.
        with torch.cuda.graph(self.graph, stream=_beside(images.device), capture_error_mode="thread_local"):
            self.loss = gradients(self.images, self.labels)

    def __call__(self, images: Tensor, labels: Tensor) -> Tensor:
        """The same step on another batch; the loss is overwritten by the next."""
        self.images.copy_(images)
        self.labels.copy_(labels)
        self.graph.replay()
        return self.loss


class Recording:
    """The step of a training, recorded anew where images of another shape are shown; it holds no network."""

    def __init__(self) -> None:
        self.shape: torch.Size | None = None
        self.step: Replayed | None = None

    def of(self, gradients: Gradients, network: nn.Module, like: tuple[Tensor, Tensor]) -> Gradients:
        """The step for batches like this one, as `replayed` gives it."""
        if like[0].shape != self.shape:
            self.step = None  # the memory of the last one is free
            found = replayed(gradients, network, *like)
            self.shape, self.step = like[0].shape, found if isinstance(found, Replayed) else None
        return self.step or gradients


def replayed(gradients: Gradients, network: nn.Module, images: Tensor, labels: Tensor) -> Gradients:
    """The step recorded for batches like that of the images and labels; itself where it cannot be, or not on a GPU.

    Not recorded is a step that waits for the device, as where a block looks at the values of its maps; that draws the
    host's random numbers; that changes what a module holds beside the values of its tensors; and one whose recording
    gives another loss or other gradients. A recording would repeat what the first step happened to do. Tensors and
    random numbers are left as they were; what a block counts for itself has run ahead by a few steps.
    """
    device = images.device
    if device.type != "cuda":
        return gradients
    torch.cuda.empty_cache()  # of what an earlier recording reserved
    with torch.cuda.device(device), _numbers_kept(device), _buffers_kept(network):
        other = torch.randn_like(images), labels.roll(1)
        if not _repeats(gradients, network, (images, labels)):
            return gradients
        drawn = torch.cuda.get_rng_state(device)
        expected = _without_waiting(gradients, network, other)
        if expected is None or not bool(expected.isfinite().all()):
            return gradients
        try:
            with torch.cuda.stream(torch.cuda.current_stream(device)):  # comes back to it where a recording breaks
                recorded = Replayed(gradients, images.clone(), labels.clone())
        except RuntimeError:  # an operation that no graph can hold, or no memory for it
            return gradients
        torch.cuda.set_rng_state(drawn, device)
        found = _told(network, recorded(*other))
    alike = found.shape == expected.shape and torch.allclose(found, expected, rtol=ALIKE, atol=ALIKE)
    return recorded if alike else gradients


def _repeats(gradients: Gradients, network: nn.Module, batch: tuple[Tensor, Tensor]) -> bool:
    """Whether a step leaves what the host holds as it was; the first, in which kernels are made."""
    before, tensors = _held(network), _tensors(network)
    _on_a_stream(gradients, batch)
    same = [*map(id, tensors)] == [*map(id, _tensors(network))]
    return same and before is not None and before == _held(network)


def _without_waiting(gradients: Gradients, network: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor | None:
    """What a step tells that does not wait for the device; None where it does."""
    try:
        with _no_waiting():
            loss = _on_a_stream(gradients, batch)
    except torch.OutOfMemoryError:
        raise
    except RuntimeError:
        return None
    return _told(network, loss)


def _told(network: nn.Module, loss: Tensor) -> Tensor:
    """The loss, and the length of each parameter's gradient."""
    lengths = [one.grad.norm().float() for one in network.parameters() if one.grad is not None]
    return torch.stack([loss.float(), *lengths])


@contextmanager
def _no_waiting() -> Iterator[None]:
    """Meanwhile an operation that waits for the device raises RuntimeError."""
    before = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the mode is a prototype
        torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode(before)


@lru_cache
def _beside(device: torch.device) -> torch.cuda.Stream:
    """A stream beside the usual one; a single one, since cuBLAS keeps memory for each for good."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


def _on_a_stream(gradients: Gradients, batch: tuple[Tensor, Tensor]) -> Tensor:
    """A step beside the usual stream, as a graph wants its first ones."""
    device = batch[0].device
    stream, usual = _beside(device), torch.cuda.current_stream(device)
    stream.wait_stream(usual)
    try:
        with torch.cuda.stream(stream):
            return gradients(*batch)
    finally:
        usual.wait_stream(stream)


def _held(network: nn.Module) -> tuple[Any, ...] | None:
    """The states of the host's random numbers, and as bytes what modules hold beside their tensors; None without bytes.

    A generator of a block's own, say, is equal to itself whatever it has drawn.
    """
    states = random.getstate(), repr(np.random.get_state(legacy=False)), torch.get_rng_state().tolist()
    try:
        held = [
            (name, pickle.dumps(value))
            for module in network.modules()
            for name, value in vars(module).items()
            if name not in _OWN
        ]
    except Exception:  # whatever a stranger's object says to it
        return None
    return *states, held


def _tensors(network: nn.Module) -> list[Tensor]:
    """The tensors that a graph would read and write at their places, those that modules hold as attributes included."""
    loose = [value for module in network.modules() for value in vars(module).values() if isinstance(value, Tensor)]
    return [*network.parameters(), *network.buffers(), *loose]


@contextmanager
def _numbers_kept(device: torch.device) -> Iterator[None]:
    """Give random numbers of host and device their states back."""
    states = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=[device]):
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])


@contextmanager
def _buffers_kept(network: nn.Module) -> Iterator[None]:
    """Give running statistics, and whatever else is a buffer, back what they held before."""
    kept = [
        (module, name, buffer, buffer.detach().clone())
        for module in network.modules()
        for name, buffer in module._buffers.items()
        if buffer is not None
    ]
    try:
        yield
    finally:
        with torch.no_grad():
            for module, name, buffer, value in kept:
                buffer.copy_(value)
                module._buffers[name] = buffer
