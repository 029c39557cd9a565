"""Progressive resizing: images are shown small at first, where a network can look at small ones."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch

from nas.arch.recipe import Recipe
from nas.net.batches import Size
from nas.net.build import Network

Sizes = Callable[[int], Size | None]
"""The size at which images are shown in an epoch (from 1); None: as they are."""

GROWS_UNTIL = 0.6
"""The share of the epochs in which images grow; the rest see them whole."""


def sizes_of(network: Network, recipe: Recipe) -> Sizes:
    """The sizes of a training; a network that bears whole images alone sees no others."""
    height, width = network.architecture.input[1:]
    whole = (height, width)
    small = {size_of(recipe, whole, epoch) for epoch in range(1, recipe.epochs + 1)} - {whole}
    if not all(bears(network, size) for size in small):
        return lambda epoch: None
    return lambda epoch: size_of(recipe, whole, epoch)


def size_of(recipe: Recipe, whole: Size, epoch: int) -> Size:
    """Height and width at which images are shown in an epoch (from 1): even numbers, up a line to the whole size."""
    growing = GROWS_UNTIL * recipe.epochs
    if epoch > growing or recipe.start_size == 1.0:
        return whole
    share = recipe.start_size + (1 - recipe.start_size) * (epoch - 1) / growing
    height, width = (min(side, max(2, 2 * round(share * side / 2))) for side in whole)
    return height, width


def bears(network: Network, size: Size) -> bool:
    """Whether a network can be trained on images of that size; a dense layer on a map, say, knows one size alone."""
    trial = copy.deepcopy(network).train()  # its running statistics change
    images = torch.zeros(2, network.architecture.input[0], *size, device=next(trial.parameters()).device)
    try:
        trial(images)
    except Exception:  # whatever a block says to it: it then sees whole images
        return False
    return True
