"""A space compiled to tables costs its networks as the walk does."""

import numpy as np
import pytest
from search_worlds import BLOCKS, FIVE, Dark, Even, draws, make, tiny

from nas.arch.cost import Cost
from nas.blocks.trace import cost
from nas.errors import BlockError, StudyFileError
from nas.search.tables import _CHUNK, ABSENT, COLUMNS, CostTables
from nas.study.space import Draw, Skeleton

ALL = (*FIVE, "conv", "spatial")


def costed(space, draw, registry=BLOCKS):
    """The columns as `nas.cost` gives them, None where a block vetoes."""
    try:
        found = cost(space.architecture(draw), registry)
    except BlockError:
        return None
    return tuple(getattr(found, name) for name in COLUMNS)


@pytest.mark.parametrize(
    "changes",
    [
        {"widths": [8, 16, 32]},
        {"blocks": ALL, "norm": "none", "input": (3, 33, 17), "stages": [1, 3], "depths": [3], "widths": [16, 64]},
        {"blocks": ("separable", "grouped"), "mix": True, "depths": [1, 2], "widths": [8, 16]},
        {"widths": [24, 8, 12], "stem": {"kernels": [7], "widths": [3, 16]}},
    ],
)
def test_tables_cost_as_the_walk_does(changes):
    space = make(**changes)
    tables, drawn = CostTables(space, BLOCKS), draws(space, 300)
    wanted = [costed(space, draw) for draw in drawn]
    assert len(set(wanted)) > 150
    assert [tables.one(tables.codes(draw)) for draw in drawn] == wanted
    many = tables.many(np.array([tables.codes(draw) for draw in drawn]))
    assert many.tolist() == [[-1] * len(COLUMNS) if one is None else list(one) for one in wanted]


def test_vetoed_widths_have_no_cost():
    registry = BLOCKS.with_block(Even)
    space = tiny(("conv", "even"), registry=registry, stages=[1])
    tables = CostTables(space, registry)
    found = [tables.one(tables.codes(draw)) for draw in space.draws()]
    assert found == [costed(space, draw, registry) for draw in space.draws()]
    assert None in found
    assert found[0] is not None


def test_an_unknown_field_is_none_and_the_sums_stand():
    registry = BLOCKS.with_block(Dark)
    space = tiny(("dark",), registry=registry)
    tables, draw = CostTables(space, registry), next(space.draws())
    assert tables.one(tables.codes(draw)) == costed(space, draw, registry)
    assert tables.one(tables.codes(draw))[-1] is None
    assert tables.many(np.array([tables.codes(draw)]))[0, -1] == -1


@pytest.mark.parametrize("mix", [False, True])
def test_codes_lead_back_to_the_draw(mix):
    space = make(("separable", "stacked"), mix=mix, widths=[8, 16])
    tables = CostTables(space, BLOCKS)
    for draw in draws(space, 50):
        assert tables.draw(tables.codes(draw)) == draw


def test_every_draw_has_codes_of_its_own():
    space = tiny()
    tables = CostTables(space, BLOCKS)
    assert len({tables.codes(draw) for draw in space.draws()}) == space.size()


@pytest.mark.parametrize(("stages", "kept"), [([2, 3], (1,)), ([1, 2, 3], (1, 3))])
def test_too_few_stages_or_a_gap_are_no_network(stages, kept):
    tables = CostTables(make(("conv",), stages=stages), BLOCKS)
    whole = tables.codes(draws(make(("conv",), stages=[3]), 1)[0])
    codes = tuple(code if place in (0, *kept) else ABSENT for place, code in enumerate(whole))
    assert tables.one(whole) is not None
    assert tables.one(codes) is None
    assert tables.many(np.array([whole, codes])).tolist() == [[*tables.one(whole)], [-1] * len(COLUMNS)]


def test_many_rows_are_summed_in_pieces():
    space = tiny()
    tables = CostTables(space, BLOCKS)
    codes = np.array([tables.codes(draw) for draw in space.draws()])
    once = tables.many(codes)
    times = 2 * _CHUNK // len(codes) + 1
    assert (tables.many(np.tile(codes, (times, 1))) == np.tile(once, (times, 1))).all()


def test_a_draw_of_another_space_has_no_codes():
    draw = draws(make(("conv",)), 1)[0]
    with pytest.raises(KeyError):
        CostTables(tiny(("separable",)), BLOCKS).codes(Draw(Skeleton(9, draw.skeleton.stages), draw.widths))


def test_too_many_stages_are_an_error():
    with pytest.raises(StudyFileError, match=r"^space: [\d,]+ stages are too many to compile; at most 2,000,000$"):
        CostTables(make(mix=True, depths=[4]), BLOCKS)


def test_a_cost_beyond_64_bits_is_an_error():
    huge = type("Huge", (Dark,), {"name": "huge", "cost": lambda self, *_: Cost(2**60, 1, 1, 1, 3)})
    registry = BLOCKS.with_block(huge)
    with pytest.raises(StudyFileError, match="a stage costs more than"):
        CostTables(tiny(("huge",), registry=registry), registry)
