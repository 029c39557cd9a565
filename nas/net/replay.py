"""The gradients of a batch as a CUDA graph: recorded once for batches of a shape, then started by a single call.

A small network's step is hundreds of kernels of a few microseconds each; started one by one from Python, they leave a
GPU waiting most of the time.
"""

from __future__ import annotations

import math
import random
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

Gradients = Callable[[Tensor, Tensor], Tensor]
"""Puts the gradients of a batch's loss in place of the last, of images (N, C, H, W) and labels (N,); gives the loss."""

ALIKE = 1e-3
"""A recorded step's loss on another batch may differ from the step's own by so much of it: rounding, no more."""


class Replayed:
    """A recorded step: the graph, the batch that it reads, and the loss that it writes."""

    def __init__(self, gradients: Gradients, images: Tensor, labels: Tensor) -> None:
        self.images, self.labels = images, labels
        self.graph = torch.cuda.CUDAGraph()
        # Other threads of the process, the heartbeat's say, may go on meanwhile.
        with torch.cuda.graph(self.graph, capture_error_mode="thread_local"):
            self.loss = gradients(self.images, self.labels)

    def __call__(self, images: Tensor, labels: Tensor) -> Tensor:
        """The same step on another batch; the loss is overwritten by the next."""
        self.images.copy_(images)
        self.labels.copy_(labels)
        self.graph.replay()
        return self.loss


def replayed(gradients: Gradients, network: nn.Module, images: Tensor, labels: Tensor) -> Gradients:
    """The step recorded for batches like that of the images and labels; itself where it cannot be, or not on a GPU.

    Not recorded is a step that waits for the device, as where a block looks at the values of its maps; that draws the
    host's random numbers; that changes a number or a word that a module holds; and one whose recording gives another
    loss. A recording would repeat what the first step happened to do. Buffers and random numbers are left as they were.
    """
    if images.device.type != "cuda":
        return gradients
    device = images.device
    with torch.random.fork_rng(devices=[device]), _buffers_kept(network):
        other = torch.randn_like(images), labels.roll(1)
        if not _repeats(gradients, network, (images, labels)):
            return gradients
        drawn = torch.cuda.get_rng_state(device)
        expected = _on_its_own(gradients, other)
        if expected is None:
            return gradients
        try:
            with torch.cuda.stream(torch.cuda.current_stream()):  # comes back to it also where a recording breaks
                recorded = Replayed(gradients, images.clone(), labels.clone())
        except torch.OutOfMemoryError:
            raise
        except RuntimeError:  # an operation that no graph can hold
            return gradients
        torch.cuda.set_rng_state(drawn, device)
        found = float(recorded(*other))
    alike = math.isclose(found, expected, rel_tol=ALIKE, abs_tol=ALIKE) or not math.isfinite(expected)
    return recorded if alike else gradients


def _repeats(gradients: Gradients, network: nn.Module, batch: tuple[Tensor, Tensor]) -> bool:
    """Whether a step leaves what the host holds as it was; the first, in which kernels are made."""
    before = _held(network)
    _on_a_stream(gradients, batch)
    return before == _held(network)


def _on_its_own(gradients: Gradients, batch: tuple[Tensor, Tensor]) -> float | None:
    """The loss of a step that does not wait for the device; None where it does."""
    try:
        with _no_waiting():
            loss = _on_a_stream(gradients, batch)
    except torch.OutOfMemoryError:
        raise
    except RuntimeError:
        return None
    return float(loss)


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


def _on_a_stream(gradients: Gradients, batch: tuple[Tensor, Tensor]) -> Tensor:
    """A step beside the usual stream, as a graph wants its first ones."""
    stream, usual = torch.cuda.Stream(), torch.cuda.current_stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(usual)
    with torch.cuda.stream(stream):
        loss = gradients(*batch)
    usual.wait_stream(stream)
    return loss


def _held(network: nn.Module) -> tuple[Any, ...]:
    """The states of the host's random numbers, and the plain values that modules hold."""
    numpy = np.random.get_state(legacy=False)
    plain = [
        (name, value)
        for module in network.modules()
        for name, value in vars(module).items()
        if isinstance(value, bool | int | float | str)
    ]
    return random.getstate(), repr(numpy), torch.get_rng_state().tolist(), plain


@contextmanager
def _buffers_kept(network: nn.Module) -> Iterator[None]:
    """Give running statistics back what they held before."""
    kept = [(buffer, buffer.detach().clone()) for buffer in network.buffers()]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, value in kept:
                buffer.copy_(value)
