"""Budgets and counts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.arch.record import Totals
from nas.study.budget import Budget, parse_count


def totals(params=100, macs=1000, field=9):
    return Totals(params, 90, macs, 50, field, 0, 3)


@pytest.mark.parametrize(
    ("written", "count"),
    [
        ("20k", 20_000),
        (20_000, 20_000),
        (2e4, 20_000),
        ("1.5M", 1_500_000),
        ("500K", 500_000),
        ("2G", 2_000_000_000),
        ("20_000", 20_000),
        (" 1.0010k ", 1001),
        ("1", 1),
    ],
)
def test_count_is_read(written, count):
    assert parse_count(written) == count


@pytest.mark.parametrize(
    "written",
    [
        *(True, 0, -1, float("nan"), float("inf"), 1.5, None, [20], 10**16, 1 << 200),
        *("-1", "1.0005k", "0.0k", "", "k", "1.", ".5k", "1__0", "1e3", "٣k", "20 k", "20kk", "inf", "9" * 50, "2T"),
    ],
)
def test_no_count_says_the_forms(written):
    with pytest.raises(ValueError, match=r'is not a count; allowed: whole numbers from 1, as 20_000, "20k"'):
        parse_count(written)


@given(st.integers(1, 10**9), st.sampled_from("kMG"))
def test_count_with_a_fraction_is_exact(count, unit):
    factor = {"k": 3, "M": 6, "G": 9}[unit]
    whole, part = divmod(count, 10**factor)
    assert parse_count(f"{whole}.{part:0{factor}d}{unit}") == count


def test_budget_fits_up_to_the_limit():
    budget = Budget(params=100, macs=1000)
    assert budget.fits(totals())
    assert not budget.fits(totals(params=101))
    assert not budget.fits(totals(macs=1001))
    assert Budget().fits(totals(field=None))


def test_minimum_field_excludes_smaller_and_unknown_ones():
    budget = Budget(min_receptive_field=9)
    assert budget.fits(totals(field=9))
    assert not budget.fits(totals(field=8))
    assert not budget.fits(totals(field=None))


def test_use_is_the_share_of_the_tightest_limit():
    assert Budget(params=400, macs=2000).use(totals()) == 0.5
    assert Budget(min_receptive_field=9).use(totals()) == 0.0


def test_budget_json_round_trip_drops_what_is_not_set():
    budget = Budget(params=5, min_receptive_field=9)
    assert budget.to_json() == {"params": 5, "receptive_field": 9}
    assert Budget.from_json(budget.to_json()) == budget


def test_budget_json_with_another_name_is_refused():
    with pytest.raises(ValueError, match="parms: no limit of a budget"):
        Budget.from_json({"parms": 5})
