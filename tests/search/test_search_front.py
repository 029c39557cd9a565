"""The hypervolume of a front."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.search.front import hypervolume

NETWORKS = st.lists(st.tuples(st.integers(0, 20).map(lambda part: part / 20), st.integers(0, 30)), max_size=12)


def test_hypervolume_by_hand():
    assert hypervolume([], 10) == 0
    assert hypervolume([(0.5, 5)], 10) == pytest.approx(0.25)
    assert hypervolume([(0.5, 5), (0.75, 8)], 10) == pytest.approx(0.25 + 0.25 * 0.2)
    assert hypervolume([(1.0, 0)], 10) == 1
    assert hypervolume([(1.0, 10), (1.0, 99)], 10) == 0


@given(networks=NETWORKS)
def test_hypervolume_is_the_share_of_cells_that_a_network_beats(networks):
    beaten = sum(
        any(accuracy * 20 >= row and cost <= column for accuracy, cost in networks)
        for row in range(1, 21)
        for column in range(20)
    )
    assert hypervolume(networks, 20) == pytest.approx(beaten / 400)


def test_hypervolume_wants_a_reference():
    with pytest.raises(ValueError, match="at least 1, not 0"):
        hypervolume([(0.5, 1)], 0)
