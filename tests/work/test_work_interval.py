"""Statistics over seeds, against numbers known from elsewhere."""

import pytest

from nas.work.interval import holm, interval, welch

# The examples of Wikipedia's article on Welch's t-test; p-values by scipy.stats.ttest_ind(equal_var=False).
A1 = [27.5, 21.0, 19.0, 23.6, 17.0, 17.9, 16.9, 20.1, 21.9, 22.6, 23.1, 19.6, 19.0, 21.7, 21.4]
B1 = [27.1, 22.0, 20.8, 23.4, 23.4, 23.5, 25.8, 22.0, 24.8, 20.2, 21.9, 22.1, 22.9, 20.5, 24.4]
A2 = [17.2, 20.9, 22.6, 18.1, 21.7, 21.4, 23.5, 24.2, 14.7, 21.8]
B2 = [21.5, 22.8, 21.0, 23.0, 21.6, 23.6, 22.5, 20.7, 23.4, 21.8]
B2 += [20.7, 21.7, 21.5, 22.5, 23.6, 21.5, 22.5, 23.5, 21.5, 21.8]


def test_interval_is_student_s():
    assert interval([0.5, 0.6, 0.7]) == pytest.approx((0.6 - 0.248414, 0.6 + 0.248414), abs=1e-6)
    assert interval([0.9]) == (None, None)


@pytest.mark.parametrize(("first", "second", "p_value"), [(A1, B1, 0.0213780015), (A2, B2, 0.1488416966)])
def test_welch_is_what_others_compute(first, second, p_value):
    assert welch(first, second) == pytest.approx(p_value, abs=1e-9)
    assert welch(second, first) == pytest.approx(p_value, abs=1e-9)


def test_welch_says_nothing_where_seeds_do_not_allow_it():
    assert welch([0.9, 0.9, 0.9], [0.9, 0.9]) == 1.0
    assert welch([0.9, 0.9], [0.8, 0.8]) is None
    assert welch([0.9], [0.8, 0.7]) is None


def test_holm_keeps_order_and_never_falls():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.5]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []
