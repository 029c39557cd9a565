"""A small study file, and the built-in blocks."""

import pytest

from nas.blocks.registry import load_blocks

SMALL = """
name = "small"
dataset = "digits"
[space]
blocks = ["stacked", "grouped"]
kernels = [3, 5]
widths = [8, 16]
stages = [2]
depths = [1]
[search]
trials = 4
"""


@pytest.fixture
def small():
    return SMALL


@pytest.fixture(scope="session")
def blocks():
    return load_blocks(load=())


@pytest.fixture
def write(tmp_path):
    def write(text, name="x.toml"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write
