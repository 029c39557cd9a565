"""What the other studies of a storage tell a search, and what `nas explain` says of it."""

import threading
from contextlib import closing

import pytest
from databases import slow_on_postgresql
from explain_worlds import BLOCKS, by_kernel, searched

from nas.show.explanation import explanation_text
from nas.store.engine import open_storage
from nas.store.schema import create_storage
from nas.store.studies import find_study
from nas.work.explain import explain_study
from nas.work.process import Job, make_worker
from nas.work.remembered import remembered


def by_small_kernels(params, totals, noise):
    return by_kernel(params, totals, noise) - 0.1


def by_size(params, totals, noise):
    """Params alone count."""
    return 0.5 + totals.params / 1e5


@pytest.fixture(scope="module")
def two(new_url):
    """A storage with two searches of one rule, the second by our own sampler, and a third that forgets."""
    url = new_url()
    storage = create_storage(url)
    searched(storage, by_small_kernels, name="earlier", trials=30, space={"widths": [12, 20, 28, 44]})
    searched(storage, by_kernel, name="later", trials=20, sampler="budget", draws=2)
    forgets = {"memory": False}
    searched(storage, by_kernel, name="forgets", trials=9, sampler="budget", draws=3, search=forgets)
    storage.close()
    return url


@slow_on_postgresql
def test_what_other_studies_told_stands_beside_what_macs_would_have(two):
    told = explain_study("later", storage=two).recalled
    assert (told.problem, told.studies, told.networks, told.followed) == ("", 2, 39, True)
    assert told.rank_correlation > 0.5 > max(told.expected_rank_correlation, told.macs_rank_correlation)
    text = explanation_text(explain_study("later", storage=two), None)
    assert "39 networks of 2 other studies; rank correlation with the accuracies here: what they told" in text


@slow_on_postgresql
@pytest.mark.parametrize(
    ("study", "problem"),
    [("earlier", "the sampler 'tpe' does not ask for it"), ("forgets", "search.memory is false")],
)
def test_study_that_asks_no_other_says_so(two, study, problem):
    told = explain_study(study, storage=two)
    assert (told.recalled.problem, told.recalled.networks, told.recalled.rank_correlation) == (problem, 0, None)
    assert f"nothing: {problem}" in explanation_text(told, None)


@slow_on_postgresql
def test_study_that_ranks_better_without_the_others_says_so(url):
    storage = create_storage(url)
    searched(storage, by_small_kernels, name="earlier", trials=20)
    searched(storage, by_size, name="later", trials=20, sampler="budget", draws=2)
    storage.close()
    told = explain_study("later", storage=url)
    assert not told.recalled.followed
    assert "the search goes by params and last width" in explanation_text(told, None)


@slow_on_postgresql
def test_study_alone_in_its_storage_has_none_to_ask(url):
    storage = create_storage(url)
    searched(storage, by_kernel, trials=20, sampler="budget")
    storage.close()
    told = explain_study("toy", storage=url).recalled
    assert told.problem == "no other study of the storage has trained enough networks"


@slow_on_postgresql
def test_workers_of_a_study_remember_the_others(two):
    storage = open_storage(two)
    try:
        own = find_study(storage, "later").id
        memory = remembered(storage, own)
        assert len(memory.networks) == 39
        assert own not in {one.study for one in memory.networks}
    finally:
        storage.close()


@slow_on_postgresql
def test_worker_is_made_with_what_others_told_where_its_study_asks_for_it(two):
    for study, networks in (("later", 39), ("forgets", None)):
        with closing(make_worker(Job(two, study, 0, "."), threading.Event(), BLOCKS)) as worker:
            memory = worker.search.proposer.memory
            assert (memory and len(memory.networks)) == networks
