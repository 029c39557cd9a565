"""What is asked of large storages is answered by indexes, on either database, and rightly."""

import itertools
import random
from types import SimpleNamespace

import pytest
from databases import only_postgresql
from sqlalchemy import event, insert, text
from store_worlds import candidate, study_record

from nas.arch.record import COMPLETE, FAILED, PRUNED, TEST
from nas.store.claims import _fresh, _Question, claim_key
from nas.store.ranking import best
from nas.store.sizes import size, tightest
from nas.store.status import counts, status, studies
from nas.store.studies import create_study, find_study
from nas.store.tables import architecture, architecture_block, size_text, study, trial
from nas.store.trials import history_since, latest_revision, steps, unmirrored


@pytest.fixture
def many(storage):
    """Three studies on one data set, 600 trials, ties among them; the second of networks much alike, the third scored
    on test images.
    """
    draws = random.Random(0)
    for number, name in enumerate(("alpha", "beta", "gamma")):
        scored = {"scored_on": TEST} if name == "gamma" else {}
        record = create_study(storage, study_record(name, seed=number, trials=900, **scored))
        make = _dense if name == "beta" else _row
        rows = [make(record, place, draws) for place in range(200)]
        with storage.write() as connection:
            if number == 0:
                connection.execute(insert(architecture), [network for network, _ in rows])
                used = [{"fingerprint": network["fingerprint"], "block": "conv"} for network, _ in rows]
                connection.execute(insert(architecture_block), used)
            connection.execute(insert(trial), [made for _, made in rows])
    if storage.engine.dialect.name == "postgresql":
        with storage.write() as connection:
            connection.execute(text("ANALYZE"))
    return storage


def _dense(record, place, draws):
    """Of two sizes, with few accuracies, all above those of smaller networks."""
    network, made = _row(record, place, draws)
    made |= {"params": draws.randrange(20_000, 28_000), "macs": draws.randrange(5_000_000, 5_400_000)}
    return network, made if made["accuracy"] is None else made | {"accuracy": draws.randrange(70, 78) / 100}


def _row(record, place, draws):
    params = int(10 ** draws.uniform(1, 6)) if place % 2 else 10 ** draws.randrange(1, 6)
    one = candidate(place, params=params, macs=params * draws.choice((7, 60, 190)), receptive_field=5 + 2 * (place % 7))
    state = FAILED if place % 40 == 39 else PRUNED if place % 5 == 4 else COMPLETE
    key = claim_key(one.fingerprint, record.dataset_hash, record.recipe_hash, record.seed)
    facts = SimpleNamespace(number=place - 1, revision=place)
    made = _fresh(_Question(record, "worker", one, 60.0, key), facts) | {"state": state, "epochs": 3, "started": 1.0}
    made |= {"accuracy": None if state == FAILED else draws.randrange(60) / 100}
    made |= {"lease": 0.0, "epochs_done": 3, "seconds": 0.5, "finished": 2.0, "mirrored": place > 2}
    network = {"fingerprint": one.fingerprint, "body": one.body, "spec": dict(one.architecture)}
    return network | {"blocks": list(one.blocks), "summary": one.summary}, made


def plans_of(storage, ask):
    """The plans of all statements that `ask` sends; on PostgreSQL with the scans of whole tables forbidden."""
    sent = []

    def note(_connection, _cursor, words, values, *_):
        sent.append((words, values))

    event.listen(storage.engine, "before_cursor_execute", note)
    ask()
    event.remove(storage.engine, "before_cursor_execute", note)
    told = []
    with storage.read() as connection:
        if storage.engine.dialect.name == "postgresql":
            connection.execute(text("SET LOCAL enable_seqscan = off"))
        explain = "EXPLAIN QUERY PLAN " if storage.engine.dialect.name == "sqlite" else "EXPLAIN "
        for words, values in sent:
            if words.startswith(("SELECT", "WITH")):
                told += [row[-1] for row in connection.exec_driver_sql(explain + words, values)]
    return "\n".join(told)


def slowly(storage, top, **limits):
    """The ranking of the data set by looking at every trial."""
    rows = best(storage, dataset="digits", top=None, block="conv")
    kept = [row for row in rows if all(getattr(row, name) <= most for name, most in limits.items())]
    return [(row.study, row.trial) for row in kept[:top]]


def test_size_is_the_same_in_python_and_sql_and_keeps_the_order(storage):
    numbers = sorted({*range(1, 3_000), *(random.Random(1).randrange(10**12) for _ in range(500)), 0, 99_999, 100_000})
    told = []
    with storage.read() as connection:
        for start in range(0, len(numbers), 400):
            rows = " UNION ALL ".join(f"SELECT {number} AS params" for number in numbers[start : start + 400])
            asked = text(f"SELECT {size_text('params')} FROM ({rows}) one ORDER BY params")
            told += connection.scalars(asked)
    assert told == [size(number) for number in numbers]
    assert all(size(one) <= size(other) for one, other in itertools.pairwise(numbers))


@pytest.mark.parametrize("top", [1, 3, 10, 100])
def test_best_within_limits_are_those_found_by_looking_at_all(many, top):
    for params, macs in itertools.product((0, 40, 999, 1_000, 30_000, 10**7), (None, 500, 70_000, 10**9)):
        limits = {"params": params} | ({} if macs is None else {"macs": macs})
        found = best(many, dataset="digits", top=top, **{f"max_{name}": most for name, most in limits.items()})
        assert [(row.study, row.trial) for row in found] == slowly(many, top, **limits), limits


@pytest.mark.parametrize("cost", ["params", "macs", "weights"])
@pytest.mark.parametrize("most", [None, 5_000, 27_000])
def test_front_is_that_found_by_looking_at_all(many, cost, most):
    rows = [row for row in best(many, top=None) if most is None or row.params <= most]
    unbeaten = [
        (row.study, row.trial)
        for row in rows
        if not any(
            (o.accuracy >= row.accuracy and getattr(o, cost) < getattr(row, cost))
            or (o.accuracy > row.accuracy and getattr(o, cost) <= getattr(row, cost))
            for o in rows
        )
    ]
    found = best(many, dataset="digits", pareto=cost, top=None, max_params=most)
    assert [(row.study, row.trial) for row in found] == unbeaten


@pytest.mark.parametrize("cost", ["params", "macs", "weights"])
def test_front_has_all_that_are_alike_and_its_first_where_few_are_asked_for(many, cost):
    alike = best(many, dataset="digits", pareto=cost, top=None)[0]
    values = {name: getattr(alike, name) for name in ("accuracy", "params", "macs", "weights")}
    with many.write() as connection:
        other = (trial.c.study_id != find_study(many, alike.study).id, trial.c.number.in_([0, 1]))
        connection.execute(trial.update().where(*other).values(values))
    front = best(many, dataset="digits", pareto=cost, top=None)
    assert [row.accuracy for row in front].count(alike.accuracy) == 3
    assert [row.trial for row in best(many, dataset="digits", pareto=cost, top=3)] == [row.trial for row in front[:3]]


@pytest.mark.parametrize("cost", ["params", "macs"])
def test_other_conditions_hold_in_limits_and_fronts(many, cost):
    everything = best(many, dataset="digits", top=None, max_macs=10**6)
    some = [row for row in everything if row.receptive_field >= 9]
    assert 0 < len(some) < len(everything)
    asked = {f"max_{cost}": 10**6, "max_macs": 10**6, "min_receptive_field": 9, "block": "conv"}
    assert [row.trial for row in best(many, dataset="digits", top=30, **asked)] == [row.trial for row in some[:30]]
    front = best(many, dataset="digits", top=None, pareto=cost, **asked)
    assert {row.trial for row in front} <= {row.trial for row in some}
    cheapest = min(some, key=lambda row: (getattr(row, cost), -row.accuracy))
    assert (front[0].trial, front[-1].accuracy) == (some[0].trial, cheapest.accuracy)
    assert best(many, dataset="digits", block="none", **{f"max_{cost}": 10**6}) == []


def test_a_name_for_images_leaves_out_studies_that_call_them_otherwise(many):
    with many.write() as connection:
        connection.execute(study.update().where(study.c.name == "beta").values(dataset="other"))
    for asked in ({"top": None}, {"max_params": 27_000, "top": 400}, {"pareto": "macs", "top": None}):
        assert {row.study for row in best(many, dataset="digits", **asked)} == {"alpha"}
        assert {row.study for row in best(many, dataset="other", **asked)} == {"beta"}
        assert {row.study for row in best(many, **asked)} == {"alpha", "beta"}


def test_of_two_limits_the_tighter_one_is_gone_by(many):
    plan = plans_of(many, lambda: best(many, dataset="digits", max_params=10**6, max_macs=500))
    assert plan.count("nas_trial_macs_ranking") > plan.count("nas_trial_params_ranking")
    ends = {"params": (size(10), size(10**6)), "macs": (size(100), size(10**8))}
    assert tightest({"params": 20, "macs": 10**8}, lambda: ends) == "params"
    assert tightest({"weights": 20}, dict) is None


@pytest.mark.parametrize("cost", ["params", "macs"])
def test_limit_is_answered_by_the_index_on_its_sizes(many, cost):
    plan = plans_of(many, lambda: best(many, dataset="digits", **{f"max_{cost}": 1_000}))
    assert f"nas_trial_{cost}_ranking" in plan
    assert "SCAN nas_trial" not in plan
    assert "Seq Scan on nas_trial" not in plan


@pytest.mark.parametrize("cost", ["params", "macs"])
def test_front_is_answered_by_the_index_on_its_sizes(many, cost):
    plan = plans_of(many, lambda: best(many, dataset="digits", pareto=cost, top=None))
    assert f"nas_trial_{cost}_ranking" in plan
    assert "SCAN of" not in plan
    assert "Seq Scan on nas_trial" not in plan


def test_counts_are_read_from_an_index(many):
    plan = plans_of(many, lambda: (counts(many, 1), studies(many)))
    assert "nas_trial_ranking" in plan
    assert "SCAN nas_trial USING COVERING INDEX" in plan or "Index Only Scan using nas_trial_ranking" in plan
    assert "Seq Scan on nas_trial" not in plan


def test_what_is_not_mirrored_is_found_by_an_index(many):
    assert [one.number for one, _ in unmirrored(many, 1)] == [0, 1, 2]
    assert "nas_trial_unmirrored" in plans_of(many, lambda: unmirrored(many, 1))


def test_counts_and_sums_are_those_of_the_rows(many):
    assert counts(many, 1) == {"complete": 160, "pruned": 35, "failed": 5, "running": 0, "waiting": 0}
    found = status(many, "alpha")
    assert (found.seconds, found.projected, found.reused) == (100.0, 100, 0)
    line = studies(many)[0]
    assert (line.done, line.failed, line.best_accuracy) == (195, 5, found.best.accuracy)


def test_history_tells_all_and_then_nothing(many):
    revision, found = history_since(many, 1, 0)
    assert (revision, len(found)) == (latest_revision(many, 1), 200)
    assert history_since(many, 1, revision) == (revision, [])
    told = found[2].totals
    assert told == candidate(2, params=told.params, macs=told.macs).totals
    assert (found[7].draw, found[7].params, found[7].blocks) == ({"width": 7.5}, {"width": 7}, ("conv",))
    assert steps(many, 1) == 200 * 4


@only_postgresql
def test_server_plans_a_ranking_once_whatever_is_asked_with(many):
    """Nothing else that is sent over the connection is planned so, nor what is found another way when it is rare."""
    for limit in (1_000, 20_000, 30_000):
        best(many, dataset="digits", max_params=limit)
        best(many, dataset="digits", block="conv", max_macs=limit)
        best(many, dataset="digits", pareto="params", top=None)
        best(many, dataset="digits", top=101)
    counts_of = "SELECT statement, generic_plans, custom_plans FROM pg_prepared_statements"
    with many.read() as connection:
        for _ in range(3):
            connection.execute(text("SELECT 1"))
        kept = {words: (generic, custom) for words, generic, custom in connection.execute(text(counts_of))}
        assert connection.scalar(text("SHOW plan_cache_mode")) == "auto"
    [limited] = [words for words in kept if "nas_architecture" in words and not words.startswith("INSERT")]
    assert ("WITH RECURSIVE" in limited, kept[limited]) == (True, (2, 0))
    assert "SELECT 1" not in kept


def test_number_asked_for_stands_in_the_words(many):
    sent = []
    event.listen(many.engine, "before_cursor_execute", lambda *told: sent.append(told[2]))
    best(many, dataset="digits", top=7)
    assert "LIMIT 7" in sent[-1]
