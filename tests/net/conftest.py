"""Small worlds for the room: built-in blocks, digits, and architectures written short."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from nas.arch.read import architecture_from_json
from nas.arch.spec import Architecture
from nas.blocks.registry import Blocks, load_blocks
from nas.data.names import load_images
from nas.data.split import Split, split_validation

Make = Callable[..., Architecture]


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def blocks() -> Blocks:
    return load_blocks(load=())


@pytest.fixture(scope="session")
def digits() -> Split:
    return split_validation(load_images("digits"), 0)


@pytest.fixture(scope="session")
def make() -> Make:
    def made(*parts: dict[str, Any], input: tuple[int, int, int] = (1, 8, 8), classes: int = 10) -> Architecture:
        tail = [{"layer": "global_average_pool"}, {"layer": "dense", "width": "classes"}]
        data = {"format": 1, "input": list(input), "classes": classes, "parts": [*parts, *tail]}
        return architecture_from_json(data)

    return made


@pytest.fixture(scope="session")
def small(make: Make) -> Architecture:
    """A net of 3,000 params with dropout and an auxiliary head, so that random state and heads matter."""
    return make(
        {"block": "conv", "width": 8, "kernel": 3},
        {"auxiliary": [{"layer": "global_average_pool"}, {"layer": "dense", "width": "classes"}]},
        {"layer": "dropout", "rate": 0.1},
        {"block": "stacked", "width": 16, "stride": 2, "kernel": 3, "layers": 2},
    )
