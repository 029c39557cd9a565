"""The built-in blocks, and strangers' small plugin files."""

import pytest

from nas.blocks.registry import load_blocks

PLUGIN = """
from torch import nn
from nas import Block, hookimpl

class Toy(Block):
    "A toy."
    name = "{name}"

    def build(self, in_channels, width, stride):
        return nn.Conv2d(in_channels, width, 1, stride)

@hookimpl
def nas_register_blocks(register):
    register(Toy)
"""


@pytest.fixture(scope="session")
def blocks():
    return load_blocks(load=())


@pytest.fixture
def plugin_file(tmp_path):
    def write(file, name="toy", text=PLUGIN):
        path = tmp_path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("{name}", name), encoding="utf-8")
        return path

    return write
