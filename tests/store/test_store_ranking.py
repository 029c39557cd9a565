"""The ranking: its order, its filters, its index, and the view that shows the same."""

import json
from dataclasses import astuple, fields

import pytest
from databases import KINDS
from sqlalchemy import event, insert, text
from store_worlds import asked, candidate, held, outcome, study_record, trained

from nas.arch.record import PRUNED, Ranked
from nas.errors import NasError, NotFound
from nas.store.ranking import best, find
from nas.store.schema import create_storage
from nas.store.studies import create_study
from nas.store.tables import architecture


@pytest.fixture(scope="module", params=KINDS)
def ranked(request, tmp_path_factory):
    """Two studies on digits and one on cars; accuracy and params by hand. Read only."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('ranked')}/nas.db"
    else:
        server = request.getfixturevalue("postgres_server")
        url = server.url(server.create())
    storage = create_storage(url)
    alpha = create_study(storage, study_record())
    beta = create_study(storage, study_record("beta", seed=1))
    cars = create_study(storage, study_record("cars", dataset="cars.npz", dataset_hash="c" * 8))
    trained(storage, alpha, 1, 0.8, params=900, receptive_field=5, blocks=("conv", "stacked"))
    trained(storage, alpha, 2, 0.9, params=2_000, macs=70_000, receptive_field=None)
    trained(storage, alpha, 3, 0.8, params=800, macs=80_000)
    trained(storage, beta, 4, 0.85, params=500)
    trained(storage, beta, 5, 0.2, params=100, end=outcome(0.2, PRUNED, 1))
    trained(storage, cars, 1, 0.5)
    yield storage
    storage.close()


def numbers(rows):
    return [(row.rank, row.study, row.trial) for row in rows]


def plan_of(storage, ask):
    """SQLite's plan of the last statement that `ask` sends."""
    sent = []
    event.listen(storage.engine, "before_cursor_execute", lambda *told: sent.append(told[2:4]))
    ask()
    sql, values = sent[-1]
    with storage.read() as connection:
        return "\n".join(row[3] for row in connection.exec_driver_sql("EXPLAIN QUERY PLAN " + sql, values))


def test_study_is_ranked_by_accuracy_then_params(ranked):
    assert numbers(best(ranked, study="alpha")) == [(1, "alpha", 1), (2, "alpha", 2), (3, "alpha", 0)]


def test_rank_starts_anew_in_each_data_set(ranked):
    expected = [(1, "cars", 0), (1, "alpha", 1), (2, "beta", 0), (3, "alpha", 2), (4, "alpha", 0)]
    assert numbers(best(ranked)) == expected
    assert numbers(best(ranked, top=1)) == [(1, "cars", 0), (1, "alpha", 1)]


def test_row_carries_what_was_measured(ranked):
    row = best(ranked, study="alpha")[0]
    assert (row.architecture, row.body) == (candidate(2).fingerprint, candidate(2).body)
    assert (row.params, row.weights, row.macs, row.activations, row.depth) == (2_000, 1_990, 70_000, 5_000, 3)
    assert (row.dataset, row.epochs, row.seed, row.seconds, row.reused) == ("digits", 3, 0, 1.5, False)
    assert (row.blocks, row.repeats, row.test_accuracy, row.receptive_field) == (["conv"], 1, None, None)


@pytest.mark.parametrize(
    ("asked_for", "expected"),
    [
        ({"max_params": 900}, [2, 0]),
        ({"max_weights": 800}, [2]),
        ({"max_macs": 70_000}, [1, 0]),
        ({"max_activations": 4_999}, []),
        ({"min_receptive_field": 5}, [2, 0]),
        ({"block": "stacked"}, [0]),
        ({"block": "ghost"}, []),
        ({"dataset": "cars.npz"}, []),
        ({"top": 2}, [1, 2]),
        ({"top": None}, [1, 2, 0]),
        ({"pareto": "params"}, [1, 2]),
        ({"pareto": "macs"}, [1, 0]),
        ({"pareto": "params", "max_params": 1_000}, [2]),
    ],
)
def test_filter_leaves_what_was_asked_for_ranked_from_one(ranked, asked_for, expected):
    rows = best(ranked, study="alpha", **asked_for)
    assert [row.trial for row in rows] == expected
    assert [row.rank for row in rows] == list(range(1, len(expected) + 1))


def test_data_set_is_asked_for_by_name(ranked):
    assert numbers(best(ranked, dataset="cars.npz")) == [(1, "cars", 0)]
    assert best(ranked, dataset="boats") == []


def test_pareto_front_is_of_each_data_set(ranked):
    expected = [(1, "cars", 0), (1, "alpha", 1), (2, "beta", 0)]
    assert numbers(best(ranked, pareto="params")) == expected


def test_equals_are_both_on_the_front(storage, study):
    trained(storage, study, 1, 0.8)
    trained(storage, study, 2, 0.8)
    assert len(best(storage, pareto="params")) == 2


def test_front_over_no_cost_names_what_is_allowed(ranked):
    with pytest.raises(NasError, match=r"pareto 'parms': allowed are params, .*did you mean 'params'"):
        best(ranked, pareto="parms")


def test_ranking_of_nothing_is_empty(storage, study):
    assert best(storage) == best(storage, study="alpha") == []


def test_unknown_study_is_named_with_the_nearest(ranked):
    with pytest.raises(NotFound, match=r"no study 'alpa' in (sqlite|postgresql):.* \(did you mean 'alpha'\?\)"):
        best(ranked, study="alpa")


only_sqlite = pytest.mark.parametrize("ranked", ["sqlite"], indirect=True)
"""PostgreSQL chooses its plans by how many rows there are."""


@only_sqlite
@pytest.mark.parametrize("asked_for", [{}, {"top": 3, "max_params": 1_000}, {"block": "conv"}])
def test_study_is_ranked_by_the_index_without_sorting(ranked, asked_for):
    plan = plan_of(ranked, lambda: best(ranked, study="alpha", **asked_for))
    assert "USING INDEX nas_trial_ranking (study_id=? AND state=?" in plan
    assert "TEMP B-TREE" not in plan


@only_sqlite
def test_data_set_is_ranked_by_the_index_without_sorting(ranked):
    plan = plan_of(ranked, lambda: best(ranked, dataset="digits"))
    assert "USING INDEX nas_trial_dataset_ranking (dataset_hash=? AND state=?" in plan
    assert "TEMP B-TREE" not in plan


@only_sqlite
def test_every_data_set_uses_the_index_and_sorts_nothing(ranked):
    plan = plan_of(ranked, lambda: best(ranked))
    assert "USING INDEX nas_trial_dataset_ranking (dataset_hash=? AND state=?" in plan
    assert "TEMP B-TREE" not in plan


def test_view_shows_the_ranking_with_the_same_columns(ranked):
    with ranked.read() as connection:
        seen = connection.execute(text("SELECT * FROM nas_leaderboard ORDER BY dataset, rank"))
        assert list(seen.keys()) == [field.name for field in fields(Ranked)]
        rows = [row._asdict() for row in seen]
    shown = [Ranked(**row | {"blocks": json.loads(row["blocks"]), "reused": bool(row["reused"])}) for row in rows]
    assert [astuple(row) for row in shown] == [astuple(row) for row in best(ranked)]


def test_architecture_is_found_by_fingerprint_and_prefix(ranked):
    fingerprint = candidate(4).fingerprint
    for name in (fingerprint, fingerprint[:6]):
        spec, found = find(ranked, name)
        assert spec == candidate(4).architecture
        assert (found.study, found.number, found.fingerprint) == ("beta", 0, fingerprint)


def test_architecture_is_found_by_study_and_trial(ranked):
    spec, found = find(ranked, "alpha#2")
    assert (spec, found.number) == (candidate(3).architecture, 2)


def test_of_several_trials_the_one_with_weights_is_found(storage, study):
    trained(storage, study, 1, 0.9)
    other = create_study(storage, study_record("beta", seed=1))
    trained(storage, other, 1, 0.5, end=outcome(0.5, weights=b"kept"))
    assert find(storage, candidate(1).fingerprint)[1].study == "beta"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("abc", "architecture 'abc': give at least 4 characters"),
        ("feed0000", "no architecture 'feed0000' in (sqlite|postgresql):"),
        ("alpha#9", "no trial '9' in study 'alpha'; its trials are 0 to 2"),
        ("alpha#first", "no trial 'first' in study 'alpha'"),
        ("alpa#1", "no study 'alpa' .*did you mean 'alpha'"),
    ],
)
def test_what_is_not_found_is_named(ranked, name, message):
    with pytest.raises(NotFound, match=message):
        find(ranked, name)


def test_trial_of_an_empty_study_is_not_found(storage, study):
    with pytest.raises(NotFound, match="no trial '0' in study 'alpha'; it has none"):
        find(storage, "alpha#0")


def test_ambiguous_prefix_lists_who_is_meant(storage, study):
    held(storage, study, 1)
    twin = candidate(1).fingerprint[:8] + "00000000"
    with storage.write() as connection:
        added = {"fingerprint": twin, "body": "", "spec": {"a": 1}, "blocks": [], "summary": ""}
        connection.execute(insert(architecture).values(added))
    with pytest.raises(NotFound, match=f"may be any of .*{twin}"):
        find(storage, twin[:8])
    assert find(storage, twin) == ({"a": 1}, None)


def test_reused_trial_is_ranked_beside_its_source(storage, study):
    trained(storage, study, 1)
    asked(storage, create_study(storage, study_record("beta")), 1)
    assert [(row.study, row.reused) for row in best(storage)] == [("alpha", False), ("beta", True)]


def test_test_accuracies_are_ranked_only_where_their_study_is_named(storage):
    trained(storage, create_study(storage, study_record()), 1, 0.8)
    on_test = create_study(storage, study_record("alpha-confirm", recipe_hash="t" * 8, scored_on="test"))
    trained(storage, on_test, 1, 0.9, end=outcome(0.9, accuracy_low=0.85, accuracy_high=0.95, weights=b"test"))
    [named] = best(storage, study="alpha-confirm")
    assert (named.accuracy, named.test_accuracy, named.test_low, named.test_high) == (0.9, 0.9, 0.85, 0.95)
    assert numbers(best(storage)) == numbers(best(storage, dataset="digits")) == [(1, "alpha", 0)]
    with storage.read() as connection:
        assert connection.execute(text("SELECT study FROM nas_leaderboard")).scalars().all() == ["alpha"]


def test_network_is_found_as_its_pruned_trial_before_one_under_way(storage, study):
    trained(storage, study, 1, end=outcome(0.4, PRUNED, 2))
    held(storage, create_study(storage, study_record("beta", recipe_hash="other")), 1)
    assert find(storage, candidate(1).fingerprint)[1].state == PRUNED


def test_network_is_found_as_its_validated_trial_first(storage):
    trained(storage, create_study(storage, study_record("t", recipe_hash="t" * 8, scored_on="test")), 1, 0.9)
    trained(storage, create_study(storage, study_record()), 1, 0.8)
    trial = find(storage, candidate(1).fingerprint)[1]
    assert (trial.study, trial.scored_on, trial.accuracy) == ("alpha", "validation", 0.8)
