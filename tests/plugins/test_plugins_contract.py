"""The contract that strangers inherit, run over the live registry."""

import pytest

from nas.blocks.registry import load_blocks
from nas.testing import CHECKS, BlockContract, check_block

BLOCKS = load_blocks(load=())
BUILT_IN = ("bottleneck", "conv", "grouped", "inception", "separable", "spatial", "stacked")


def test_all_seven_built_in_blocks_are_there():
    assert tuple(sorted(BLOCKS)) == BUILT_IN
    assert all(plugin.error is None for plugin in BLOCKS.plugins)


@pytest.mark.parametrize("block", BLOCKS.values(), ids=lambda block: block.name)
class TestBuiltIn(BlockContract):
    @pytest.fixture(autouse=True)
    def _of_the_registry(self, block, monkeypatch):
        monkeypatch.setattr(type(self), "block", type(block), raising=False)


@pytest.mark.parametrize("block", BLOCKS.values(), ids=lambda block: block.name)
def test_the_kit_passes_whole(block):
    findings = check_block(block)
    assert [finding.name for finding in findings] == ["declaration", *CHECKS, "export"]
    assert [finding for finding in findings if not finding.passed or finding.problems or finding.notes] == []


@pytest.mark.parametrize("block", BLOCKS.values(), ids=lambda block: block.name)
def test_every_built_in_declares_its_cost_norm_and_source(block):
    assert "cost" in vars(type(block))
    assert block.options["norm"] == "batch"
    assert next(iter(block.choices)) == "kernel"
    assert "Source: " in (type(block).__doc__ or "").splitlines()[0]
