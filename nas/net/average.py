"""The moving average of a network's weights: what is scored and kept where a recipe asks for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Average:
    """Follows the weights and the running statistics of a network, step by step; with a decay of 0 it is nothing.

    The first steps count for more than the decay says: after t of them it is at most (1 + t) / (10 + t). Source:
    Polyak and Juditsky, "Acceleration of stochastic approximation by averaging", 1992; the start as in TensorFlow's
    ExponentialMovingAverage.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        followed = network.state_dict() if decay else {}
        # Weights that two names share are followed once.
        own = {value.data_ptr(): name for name, value in reversed(followed.items()) if value.is_floating_point()}
        self.live = {name: value for name, value in followed.items() if own.get(value.data_ptr()) == name}
        self.kept = {name: value.detach().clone() for name, value in self.live.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after step `step` (from 0) of the training."""
        if self.decay:
            decay = min(self.decay, (2 + step) / (11 + step))
            torch._foreach_lerp_(list(self.kept.values()), list(self.live.values()), 1 - decay)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Meanwhile the network has the average; its own weights come back after."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def settle(self) -> None:
        """Leave the average in the network for good."""
        for name, value in self.kept.items():
            self.live[name].copy_(value)

    @torch.no_grad()
    def restore(self, kept: Mapping[str, Tensor]) -> None:
        """Go on from a checkpoint; raises KeyError where it is of another network."""
        for name, value in self.kept.items():
            value.copy_(kept[name])

    @torch.no_grad()
    def _swap(self) -> None:
        for name, value in self.kept.items():
            own = self.live[name].clone()
            self.live[name].copy_(value)
            value.copy_(own)
