"""What a network makes of images: the loss it is trained by, and how many it gets right."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from nas.net.batches import Batch
from nas.net.build import Network


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


@torch.no_grad()
def evaluate(network: Network, batches: Iterable[Batch]) -> Score:
    """The score of a network on batches, each image once; the network is left in inference mode."""
    network.eval()
    right, losses, count = [], [], 0
    for images, labels in batches:
        scores = network(images)
        right.append((scores.argmax(1) == labels).sum())
        losses.append(cross_entropy(scores, labels, reduction="sum"))
        count += len(labels)
    # Asked for at the end alone: a GPU is not waited for between batches.
    return Score(int(torch.stack(right).sum()), count, sum(torch.stack(losses).tolist()) / count)


def loss_of(network: Network, images: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    """Cross-entropy of the scores, plus that of each auxiliary head times its weight."""
    given = network(images)
    scores, heads = given if isinstance(given, tuple) else (given, [])
    loss = cross_entropy(scores, labels, label_smoothing=smoothing)
    for head, weight in zip(heads, network.loss_weights, strict=False):
        loss = loss + weight * cross_entropy(head, labels, label_smoothing=smoothing)
    return loss
