"""How many workers a machine has places for, and which core each of them computes on."""

from __future__ import annotations

import os
from collections.abc import Sequence

import torch

from nas.arch.recipe import BF16, FP32
from nas.arch.spec import Architecture
from nas.search.costs import Costs
from nas.search.extremes import largest
from nas.search.profile import typical
from nas.search.project import project
from nas.work.plans import predicted_bytes
from nas.work.prepare import Study

CONTEXT_BYTES = 500 * 2**20
"""What a process takes of a CUDA device before its first tensor, about: driver and libraries."""

MOST, PER_CORE = 16, 2
"""The most workers of a CUDA device, and of a core that prepares their batches and starts their kernels."""

DRAWS = 100
"""Among so many networks that a search would propose the largest are looked for."""


def usable_cores() -> list[int]:
    """The numbers of the cores that this process may use."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))


def default_workers(study: Study, device: str) -> int:
    """As many worker processes as there are cores; of a CUDA device, as its free memory takes."""
    cores = len(usable_cores())
    if not device.startswith("cuda"):
        return cores
    free, _ = torch.cuda.mem_get_info(device)
    return places(free, peak_bytes(study), cores)


def places(free_bytes: int, peak_bytes: int, cores: int) -> int:
    """How many processes, each of which holds `peak_bytes` and a context, share a CUDA device: at least one."""
    return max(1, min(free_bytes // (peak_bytes + CONTEXT_BYTES), MOST, PER_CORE * cores))


def pins(workers: int, cores: Sequence[int], device: str) -> list[int | None]:
    """The core of each worker in turn; None, any, where there are fewer workers than cores, and beside a device.

    Fewer would be pinned to the first cores, where those of another run are, too.
    """
    if device != "cpu" or workers < len(cores) or not hasattr(os, "sched_setaffinity"):
        return [None] * workers
    return [cores[slot % len(cores)] for slot in range(workers)]


def peak_bytes(study: Study) -> int:
    """The most bytes that training a network of the study holds, as predicted, the study's images included."""
    recipe, blocks = study.file.recipe, study.blocks
    precision = BF16 if recipe.precision == BF16 else FP32
    peaks = [predicted_bytes(one, blocks, recipe, precision, recipe.batch_size) for one in _largest(study)]
    return study.images.train_images.nbytes + max(peaks)


def _largest(study: Study) -> list[Architecture]:
    """The networks with the most activations and with the most params, of a comparison's own or a search's typical."""
    if study.space is None:
        by = (lambda one: one.totals.activations, lambda one: one.totals.params)
        return [max(study.listed, key=key).architecture for key in by]
    costs, fill = Costs(study.space, study.blocks, study.file.budget), study.file.search.fill
    widest = largest(costs, "activations")
    projected = project(widest, costs, fill=fill) if widest is not None else None
    draws = [*typical(costs, DRAWS, fill=fill), *([projected.draw] if projected is not None else [])]
    known = [(draw, numbers) for draw in draws if (numbers := costs.numbers(draw.skeleton, draw.widths)) is not None]
    found = (max(known, key=lambda one: one[1].activations), max(known, key=lambda one: one[1].params))
    return [study.space.architecture(draw) for draw, _ in found]
