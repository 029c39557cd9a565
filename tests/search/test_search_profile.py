"""How long a space is profiled, and that it says so where that was not long enough."""

from search_worlds import BLOCKS, make, tiny

from nas.search.profile import FEWEST, profile
from nas.show.profile import profile_record, profile_text
from nas.study.budget import Budget


def test_without_time_a_few_draws_are_counted_and_that_is_told():
    found = profile(make(), BLOCKS, Budget(params=20_000), seconds=0.0)
    assert found.fewest_draws == FEWEST
    assert profile_record(found)["fewest_draws"] == FEWEST
    assert f"on as few as {FEWEST} draws" in profile_text(found)
    assert found.feasible


def test_with_time_all_draws_are_counted_and_nothing_is_told():
    found = profile(tiny(), BLOCKS, Budget(params=20_000))
    assert found.fewest_draws is None
    assert "as few as" not in profile_text(found)


def test_widths_are_drawn_from_all_there_are_however_many():
    space = make(widths={"low": 1, "high": 10_000, "step": 1})
    widths = {width for draw in _draws(space) for width in draw.widths[1:]}
    assert min(widths) < 1_000
    assert max(widths) > 9_000


def _draws(space):
    names = iter(range(0, 10_000, 100))
    return [space.draw(_Turning(next(names))) for _ in range(100)]


class _Turning:
    """A picker that takes the value at a place, counted around."""

    def __init__(self, place):
        self.place = place

    def suggest_int(self, name, low, high, *, step=1):
        return low + step * (self.place % ((high - low) // step + 1))

    def suggest_categorical(self, name, choices):
        assert len(choices) < 100, name  # evenly spaced widths are told as a range
        return choices[self.place % len(choices)]
