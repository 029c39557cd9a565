"""What the storage keeps of how machines train networks."""

import pytest

from nas.arch.record import Plan
from nas.store.plans import get_plan, least_failed_bytes, put_plan

KEY = ("a machine", "cf452cf321684d15", 64, "auto auto")


def test_plan_is_found_again(storage):
    assert get_plan(storage, *KEY) is None
    chosen = Plan("bf16", "channels_last", 32)
    assert put_plan(storage, *KEY, chosen) == chosen
    assert get_plan(storage, *KEY) == chosen


@pytest.mark.parametrize("place", range(4))
def test_plan_holds_for_its_machine_network_batch_and_recipe_alone(storage, place: int):
    put_plan(storage, *KEY, Plan())
    other = [*KEY]
    other[place] = 65 if place == 2 else "other"
    assert get_plan(storage, *other) is None


def test_first_choice_holds(storage):
    first, second = Plan("fp32", "contiguous"), Plan("fp32", "channels_last")
    put_plan(storage, *KEY, first)
    assert put_plan(storage, *KEY, second) == first
    assert get_plan(storage, *KEY) == first


def test_what_ran_out_of_memory_replaces_the_choice_and_is_remembered(storage):
    put_plan(storage, *KEY, Plan())
    assert least_failed_bytes(storage, "a machine") is None
    for images, predicted in ((32, 5_000_000_000), (16, 3_000_000_000)):
        put_plan(storage, *KEY, Plan(micro_batch=images), replaces=True, failed_bytes=predicted)
    assert get_plan(storage, *KEY) == Plan(micro_batch=16)
    assert least_failed_bytes(storage, "a machine") == 3_000_000_000
    assert least_failed_bytes(storage, "another") is None
