"""The choices of trials as columns: what is one kind, what exists under what, what a model is shown."""

import numpy as np
import pytest
from search_worlds import draws, make, tiny

from nas.search.choices import Choice, ChoiceTable, chosen, stage_blocks

STACKED = {"stage1.block": 0, "stage1.stacked.kernel": 5, "stage1.stacked.layers": 2, "stage1.width": 8}
SEPARABLE = {"stage1.block": 1, "stage1.separable.kernel": 3, "stage1.width": 16}
BLOCKS = ("stacked", "separable")


def table_of(space, count=40):
    return ChoiceTable([chosen(space.names(draw), space.blocks) for draw in draws(space, count)])


def test_choices_have_place_and_kind_and_kernels_are_of_one_kind():
    params = {"stem.kernel": 3, "stem.width": 8, "stages": 1, "stage1.depth": 2} | STACKED
    assert chosen(params, BLOCKS) == {
        Choice("stem", "stem.kernel"): 3,
        Choice("stem", "stem.width"): 8,
        Choice("", "stages"): 1,
        Choice("stage1", "depth"): 2,
        Choice("stage1", "block"): "stacked",
        Choice("stage1", "kernel"): 5,
        Choice("stage1", "stacked.layers"): 2,
        Choice("stage1", "width"): 8,
    }


def test_mixed_blocks_have_places_of_their_own():
    found = chosen({"stage2.1.block": 1, "stage2.1.separable.kernel": 3, "stage2.2.block": 0}, BLOCKS)
    assert found == {
        Choice("stage2.1", "block"): "separable",
        Choice("stage2.1", "kernel"): 3,
        Choice("stage2.2", "block"): "stacked",
    }


def test_blocks_of_a_stage_count_as_often_as_it_is_deep_and_mixed_ones_once():
    assert stage_blocks(chosen({"stage1.depth": 3, "stage2.depth": 1} | STACKED | {"stage2.block": 0}, BLOCKS)) == {
        "stacked": 4
    }
    mixed = {"stage1.depth": 2, "stage1.1.block": 0, "stage1.2.block": 1}
    assert stage_blocks(chosen(mixed, BLOCKS)) == {"stacked": 1, "separable": 1}


def test_what_does_not_vary_is_no_column_and_what_is_not_there_is_not_a_number():
    table = ChoiceTable([chosen(one, BLOCKS) for one in (STACKED, SEPARABLE, STACKED | {"stage1.stacked.layers": 3})])
    assert table.kinds == ["block", "kernel", "stacked.layers", "width"]
    layers = table.codes[:, table.columns.index(Choice("stage1", "stacked.layers"))]
    assert np.isnan(layers).tolist() == [False, True, False]
    alike = ChoiceTable([chosen(STACKED, BLOCKS)] * 3)
    assert (alike.kinds, alike.encoded(alike.codes).shape) == ([], (3, 0))


def test_kernel_is_not_brought_by_a_block_but_what_that_alone_has_is():
    table = table_of(make())
    brought = {table.columns[column] for column in table.brought(table.columns.index(Choice("stage1", "block")))}
    alone = {"stacked.layers", "bottleneck.reduction", "grouped.groups", "inception.split"}
    assert brought == {Choice("stage1", "block"), *(Choice("stage1", kind) for kind in alone)}


def test_number_of_stages_brings_the_stages_that_come_and_go_and_no_other():
    table = table_of(make())
    brought = {table.columns[column].place for column in table.brought(table.columns.index(Choice("", "stages")))}
    assert brought == {"", "stage3"}


def test_depth_brings_the_places_of_mixed_blocks():
    table = table_of(make(mix=True))
    brought = {table.columns[column].place for column in table.brought(table.columns.index(Choice("stage1", "depth")))}
    assert brought == {"stage1", "stage1.2"}


def test_model_is_shown_each_choice_and_the_mean_of_its_kind():
    rows = [{Choice("stage1", "kernel"): 3, Choice("stage2", "kernel"): 7}, {Choice("stage1", "kernel"): 5}]
    rows.append({Choice("stage1", "kernel"): 3, Choice("stage2", "kernel"): 3})
    table = ChoiceTable(rows)
    assert table.encoded(table.codes).tolist() == [[3, 7, 5], [5, 2, 5], [3, 3, 3]]


def test_values_that_are_no_numbers_are_shown_one_by_one():
    table = ChoiceTable([{Choice("stage1", "block"): name} for name in ("b", "a", "b")])
    assert table.values["block"] == ["a", "b"]
    assert table.encoded(table.codes).tolist() == [[0, 1], [1, 0], [0, 1]]


@pytest.mark.parametrize("space", [make(), tiny(), make(mix=True, depths=[1, 2])], ids=["five", "tiny", "mixed"])
def test_every_choice_of_a_space_has_a_column(space):
    table = table_of(space, 200)
    names = {name for draw in draws(space, 200) for name in space.names(draw)}
    kernels = {choice for choice in table.columns if choice.kind == "kernel"}
    assert len(kernels) == len({name.rsplit(".", 2)[0] for name in names if name.endswith(".kernel")} - {"stem"})
    assert not np.isnan(table.encoded(table.codes)).any()
