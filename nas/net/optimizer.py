"""What a recipe says of the steps of a training: the optimizer, the learning rate, and how long a gradient may be."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn.utils import clip_grad_norm_
from torch.optim import SGD, Adam, AdamW, Optimizer

from nas.arch.recipe import Recipe

WARM_UP = 0.25
"""The share of all steps in which one cycle's learning rate rises."""

STEPS_DOWN = (0.5, 0.75)
"""The shares of all steps after which the step schedule's rate is a tenth of what it was."""


def optimizer_of(network: nn.Module, recipe: Recipe) -> Optimizer:
    """Weight decay pulls on kernels alone, not on biases and batch norm."""
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    kernels = [parameter for parameter in parameters if parameter.dim() >= 2]
    others = [parameter for parameter in parameters if parameter.dim() < 2]
    groups = [
        {"params": kernels, "weight_decay": recipe.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    # A GPU takes the whole step in a few kernels.
    fused = any(parameter.device.type == "cuda" for parameter in parameters) or None
    if recipe.optimizer == "adam":
        return Adam(groups, lr=0.0, fused=fused)
    if recipe.optimizer == "adamw":
        return AdamW(groups, lr=0.0, fused=fused)
    sgd = SGD(groups, lr=0.0, momentum=recipe.momentum, nesterov=recipe.momentum > 0, fused=fused)
    if fused and recipe.momentum:
        # The fused kernel wants either all moments or none, but not all parameters need have a gradient at first.
        for parameter in parameters:
            sgd.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    return sgd


def take_step(network: nn.Module, optimizer: Optimizer, recipe: Recipe, step: int, steps: int) -> None:
    """Move the weights along their gradients, in step `step` (from 0) of `steps`."""
    for group in optimizer.param_groups:
        group["lr"] = recipe.learning_rate * share_of_rate(recipe.schedule, step, steps)
    if recipe.clip:
        clip_grad_norm_(network.parameters(), recipe.clip)
    optimizer.step()


def share_of_rate(schedule: str, step: int, steps: int) -> float:
    """The share of the peak learning rate in a step (from 0) of all steps."""
    if schedule == "one_cycle":
        return one_cycle(step, steps)
    if schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * step / steps))
    if schedule == "step":
        return float(0.1 ** sum(step >= share * steps for share in STEPS_DOWN))
    return 1.0


def one_cycle(step: int, steps: int) -> float:
    """The share of the peak learning rate in a step: up a line over the first quarter, then down a half cosine.

    Source: Smith and Topin, "Super-Convergence", 2018.
    """
    place, peak = step + 1, max(1.0, WARM_UP * steps)
    if place <= peak:
        return place / peak
    return 0.5 * (1 + math.cos(math.pi * (place - peak) / (steps + 1 - peak)))
