"""Proposing the candidates of a comparison."""

from search_worlds import record

from nas.arch.read import architecture_from_json
from nas.blocks.registry import load_blocks
from nas.blocks.trace import cost, normalise
from nas.search.listed import Listing, as_candidate
from nas.study.candidates import Listed


def some(count):
    blocks = load_blocks(load=())
    made = []
    for width in range(1, count + 1):
        parts = [{"block": "conv", "width": width, "kernel": 3}, {"layer": "dense", "width": "classes"}]
        data = {"format": 1, "input": [1, 8, 8], "classes": 10, "parts": parts}
        architecture = normalise(architecture_from_json(data), blocks)
        made.append(Listed(f"width {width}", architecture, cost(architecture, blocks).totals))
    return made


def test_candidates_come_in_their_order_and_once():
    listing = Listing(some(3))
    names = [candidate.params for candidate in iter(listing.ask, None)]
    assert names == [{"architecture": f"width {width}"} for width in (1, 2, 3)]
    assert listing.ask() is None


def test_what_is_a_trial_is_not_proposed_again():
    first, second = some(2)
    listing = Listing([first, second])
    listing.learn([record(0, as_candidate(first), state="failed")])
    assert listing.ask().fingerprint == second.architecture.fingerprint
    assert listing.ask() is None


def test_what_another_study_trains_comes_last():
    listing = Listing(some(2))
    first = listing.ask()
    listing.taken(first)
    assert listing.ask().params == {"architecture": "width 2"}
    assert listing.ask() == first
    listing.taken(first)
    listing.learn([record(0, first)])
    assert listing.ask() is None


def test_candidate_has_what_it_costs():
    (one,) = some(1)
    candidate = as_candidate(one)
    assert candidate.totals == one.totals
    assert (candidate.blocks, candidate.summary, candidate.projected) == (("conv",), "conv3 1", False)
