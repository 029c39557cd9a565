"""The mirror into Optuna's tables: whole trials, written once, that optuna and optuna-dashboard open unchanged."""

import gc
import io
import json
import multiprocessing
import warnings
from dataclasses import replace

import optuna
import optuna_dashboard
import pytest
from optuna.exceptions import ExperimentalWarning
from optuna.storages import RDBStorage
from optuna.trial import TrialState
from search_worlds import FIVE, finished, make, proposer, study_record

from nas.arch.record import COMPLETE, FAILED, PRUNED, EpochRecord
from nas.search.drawing import replayed
from nas.search.loop import Search
from nas.search.mirror import NUMBER, Mirror
from nas.store.engine import open_storage
from nas.store.foreign import unwritten
from nas.store.studies import create_study, update_study
from nas.store.trials import record_epoch, trials
from nas.study.budget import Budget

SPACE = make(("stacked", "separable"))


@pytest.fixture
def study(storage):
    return create_study(storage, study_record(SPACE))


def search(storage, study, space=SPACE, slot=0):
    asked = proposer(space, budget=Budget(params=20_000), trials=study.trials, seed=slot, slot=slot)
    return Search(storage, study, f"worker {slot}", asked)


def trained(storage, study, states=(COMPLETE, PRUNED, FAILED, COMPLETE), **more):
    worker = search(storage, study, **more)
    for state in states:
        claim = worker.next_claim()
        for epoch in (1, 2, 3):
            told = EpochRecord(epoch, 0.1 * epoch, 1.0, 1.0, 0.1)
            assert record_epoch(storage, claim.trial_id, worker.owner, told, None, 60.0)
        finished(storage, claim, worker.owner, state)


def mirrored(storage, study, space=SPACE):
    mirror = Mirror(storage, study, space)
    written = mirror.update()
    mirror.close()
    return written


def loaded(storage, name="toy"):
    opened = RDBStorage(storage.url)
    try:
        return optuna.load_study(study_name=name, storage=opened).trials
    finally:
        opened.remove_session()
        opened.engine.dispose()


def test_ended_trials_are_written_whole(storage, study):
    trained(storage, study)
    assert mirrored(storage, study) == 4
    ours, theirs = trials(storage, study.id), loaded(storage)
    assert [trial.state for trial in theirs] == [
        TrialState.COMPLETE,
        TrialState.PRUNED,
        TrialState.FAIL,
        TrialState.COMPLETE,
    ]
    for one, other in zip(ours, theirs, strict=True):
        assert other.user_attrs[NUMBER] == one.number
        assert other.user_attrs["architecture"] == one.fingerprint
        assert other.user_attrs["params"] == one.totals.params
        assert other.value == (one.accuracy if one.state == COMPLETE else None)
        assert other.intermediate_values == pytest.approx({1: 0.1, 2: 0.2, 3: 0.3})
        assert other.datetime_start <= other.datetime_complete


def test_params_are_those_of_the_projected_network(storage, study):
    trained(storage, study, [COMPLETE] * 8)
    mirrored(storage, study)
    ours = trials(storage, study.id)
    assert any(one.projected for one in ours)
    for one, other in zip(ours, loaded(storage), strict=True):
        assert other.params == {name: one.params[name] for name in replayed(SPACE.draw, one.params)[1].named}
        assert other.system_attrs == ({"nas:draw": one.draw} if one.projected else {})


def test_trials_under_way_are_not_mirrored(storage, study):
    trained(storage, study, [COMPLETE])
    search(storage, study, slot=1).next_claim()
    assert mirrored(storage, study) == 1
    assert [trial.state for trial in loaded(storage)] == [TrialState.COMPLETE]


def test_second_update_writes_nothing(storage, study):
    trained(storage, study)
    mirror = Mirror(storage, study, SPACE)
    assert (mirror.update(), mirror.update()) == (4, 0)
    mirror.close()
    assert mirrored(storage, study) == 0
    assert len(loaded(storage)) == 4


def test_kill_between_claiming_and_writing_is_repaired(storage, study, monkeypatch):
    trained(storage, study)

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Mirror, "_add", killed)
        with pytest.raises(KeyboardInterrupt):
            mirrored(storage, study)
    assert loaded(storage) == []
    assert list(unwritten(storage, study, NUMBER)) == [0]
    mirrored(storage, study)
    assert unwritten(storage, study, NUMBER) == {}
    assert [trial.user_attrs[NUMBER] for trial in loaded(storage)] == [0, 1, 2, 3]
    assert mirrored(storage, study) == 0


def test_two_mirrors_of_one_study_write_each_trial_once(storage, study):
    one, other = Mirror(storage, study, SPACE), Mirror(storage, study, SPACE)
    trained(storage, study)
    one.update()
    other.update()
    trained(storage, study, [COMPLETE], slot=1)
    other.update()
    one.update()
    one.close()
    other.close()
    assert [trial.user_attrs[NUMBER] for trial in loaded(storage)] == [0, 1, 2, 3, 4]


def _open_mirror(url, study, barrier):
    barrier.wait()
    mirror = Mirror(open_storage(url), study, SPACE)
    mirror.update()
    mirror.close()


@pytest.mark.slow
def test_mirrors_of_several_processes_may_begin_at_once(storage, study):
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(4)
    started = [context.Process(target=_open_mirror, args=(storage.url, study, barrier)) for _ in range(4)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # forking is what makes this test quick
        for process in started:
            process.start()
    for process in started:
        process.join(60)
    assert [process.exitcode for process in started] == [0, 0, 0, 0]


def test_blocks_that_come_later_do_not_break_the_mirror(storage, study):
    trained(storage, study)
    mirrored(storage, study)
    more = make(FIVE, order=SPACE.blocks)
    grown = update_study(storage, study.id, blocks=more.blocks, trials=20)
    trained(storage, grown, [COMPLETE] * 6, space=more, slot=1)
    assert mirrored(storage, grown, more) == 6
    theirs = loaded(storage)
    assert max(trial.params["stage1.block"] for trial in theirs) > 1
    assert max(trial.value for trial in theirs if trial.value is not None) == 0.9


def test_trial_that_the_space_no_longer_draws_is_written_without_params(storage, study):
    trained(storage, study, [COMPLETE] * 4)
    assert mirrored(storage, study, make(("stacked", "conv"), widths=[100, 108])) == 4
    assert all(trial.params == {} and trial.value == 0.9 for trial in loaded(storage))


def test_choices_that_a_plugin_changed_do_not_break_the_mirror(storage, study):
    trained(storage, study, [COMPLETE] * 6)
    mirrored(storage, study)
    changed = make(("stacked", "separable"), kernels=[3, 5, 7, 11])
    trained(storage, study, [COMPLETE] * 4, space=changed, slot=1)
    assert mirrored(storage, study, changed) == 4
    assert len(loaded(storage)) == 10


def test_mirror_gives_no_experimental_warning(storage, study):
    trained(storage, study, [COMPLETE])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ExperimentalWarning)
        mirrored(storage, study)
    assert not [one for one in caught if issubclass(one.category, ExperimentalWarning)]


def answer(app, path):
    given = []
    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": path,
        "QUERY_STRING": "after=0",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": io.StringIO(),
        "wsgi.url_scheme": "http",
    }
    body = b"".join(app(environ, lambda status, headers, *_: given.append(status)))
    return given[0], json.loads(body)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # it closes no connection
def test_dashboard_opens_the_study(storage, study):
    trained(storage, study)
    mirrored(storage, study)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the dashboard's own
        app = optuna_dashboard.wsgi(storage.url)
        status, listed = answer(app, "/api/studies")
        assert (status[:3], [one["study_name"] for one in listed["study_summaries"]]) == ("200", ["toy"])
        status, told = answer(app, f"/api/studies/{listed['study_summaries'][0]['study_id']}")
    assert status.startswith("200")
    assert [trial["state"] for trial in told["trials"]] == ["Complete", "Pruned", "Fail", "Complete"]
    assert told["trials"][0]["values"] == [0.9]
    del app
    gc.collect()


def test_reused_trials_are_mirrored_as_complete(storage, study):
    trained(storage, study, [COMPLETE] * 3)
    other = create_study(storage, replace(study, name="other", id=0))
    assert search(storage, other).next_claim().number == 3
    mirrored(storage, other)
    theirs = loaded(storage, "other")
    assert [trial.state for trial in theirs] == [TrialState.COMPLETE] * 3
    assert all(trial.user_attrs["reused"] for trial in theirs)
