"""What a training leaves: epochs, end, weights, and what pruning and the mirror read."""

import math

from sqlalchemy import func, select
from store_worlds import LEASE, asked, candidate, epoch_record, held, outcome, study_record, trained

from nas.arch.record import COMPLETE, FAILED, PRUNED, RUNNING, TEST, EpochRecord, Standing
from nas.store import tables
from nas.store.claims import Answer
from nas.store.ranking import best
from nas.store.studies import create_study
from nas.store.trials import (
    claim_mirrored,
    confirm_trial,
    finish,
    history,
    peers,
    record_epoch,
    trained_networks,
    trial_epochs,
    trials,
    unmirrored,
)
from nas.store.weights import get_weights


def rows_in(storage, table):
    with storage.read() as connection:
        return connection.scalar(select(func.count()).select_from(table))


def test_finished_trial_comes_back_as_it_was_told(storage, study):
    trial_id = trained(storage, study, 1, 0.9, end=outcome(0.9, device="cuda", precision="bf16"))
    [trial] = trials(storage, ids=[trial_id])
    assert (trial.state, trial.accuracy, trial.epochs_done, trial.seconds) == (COMPLETE, 0.9, 3, 1.5)
    assert (trial.device, trial.precision, trial.versions) == ("cuda", "bf16", {"nas": "0.1.0"})
    assert (trial.draw, trial.params, trial.projected) == ({"width": 1.5}, {"width": 1}, True)
    assert (trial.blocks, trial.body, trial.summary) == (("conv",), candidate(1).body, "conv 1")
    assert trial.started <= trial.finished


def test_end_of_a_trial_removes_its_checkpoint(storage, study):
    trial = held(storage, study, 1)
    record_epoch(storage, trial.trial_id, "worker", epoch_record(1), b"state", LEASE)
    assert rows_in(storage, tables.checkpoint) == 1
    finish(storage, trial.trial_id, "worker", outcome(0.4, PRUNED, 1))
    assert rows_in(storage, tables.checkpoint) == 0


def test_trial_ends_once(storage, study):
    trial_id = trained(storage, study, 1, 0.9)
    assert not finish(storage, trial_id, "worker", outcome(0.1))
    assert trials(storage, ids=[trial_id])[0].accuracy == 0.9


def test_failed_trial_keeps_the_epochs_that_were_recorded(storage, study):
    trial = held(storage, study)
    for number in (1, 2):
        record_epoch(storage, trial.trial_id, "worker", epoch_record(number), None, LEASE)
    assert finish(storage, trial.trial_id, "worker", outcome(None, FAILED, 0))
    (row,) = history(storage, study.id)
    assert (row.state, row.epochs_done) == (FAILED, 2)


def test_reason_with_a_nul_is_kept_without(storage, study):
    trial_id = trained(storage, study, end=outcome(None, FAILED, 0, reason="broken\0 here"))
    assert trials(storage, ids=[trial_id])[0].reason == "broken here"


def test_epoch_done_again_replaces_its_record(storage, study):
    trial_id = held(storage, study, 1).trial_id
    for accuracy in (0.3, 0.6):
        record_epoch(storage, trial_id, "worker", epoch_record(1, accuracy), b"state", LEASE)
    assert trial_epochs(storage, trial_id) == (epoch_record(1, 0.6),)
    assert trials(storage, ids=[trial_id])[0].accuracy is None


def test_loss_that_is_no_number_survives(storage, study):
    trial_id = held(storage, study, 1).trial_id
    record_epoch(storage, trial_id, "worker", EpochRecord(1, 0.1, math.nan, math.inf, 0.5), None, LEASE)
    [epoch] = trial_epochs(storage, trial_id)
    assert math.isnan(epoch.loss)
    assert epoch.train_loss == math.inf


def test_trials_are_asked_for_by_state(storage, study):
    trained(storage, study, 1)
    running = held(storage, study, 2).trial_id
    assert [trial.id for trial in trials(storage, states=[RUNNING])] == [running]
    assert [trial.number for trial in history(storage, study.id, after_id=running - 1)] == [1]


def test_only_the_best_weights_of_a_study_are_kept(storage):
    study = create_study(storage, study_record(keep=2))
    ids = [trained(storage, study, n, a, end=outcome(a, weights=b"%d" % n)) for n, a in enumerate([0.5, 0.9, 0.7])]
    assert [get_weights(storage, trial_id) for trial_id in ids] == [None, b"1", b"2"]


def test_confirmed_weights_are_kept_whatever_their_rank(storage):
    study = create_study(storage, study_record(keep=1))
    low = trained(storage, study, 1, 0.5)
    confirm_trial(storage, low, test=(0.35, 0.3, 0.4), weights=b"low")
    trained(storage, study, 2, 0.9, end=outcome(0.9, weights=b"high"))
    assert get_weights(storage, low) == b"low"


def test_confirmed_trial_keeps_the_accuracy_it_was_chosen_by(storage):
    study = create_study(storage, study_record())
    confirm_trial(storage, trained(storage, study, 1, 0.5), test=(0.35, 0.3, 0.4))
    row = best(storage, study="alpha")[0]
    assert (row.accuracy, row.accuracy_low, row.repeats) == (0.5, None, 1)
    assert (row.test_accuracy, row.test_low, row.test_high) == (0.35, 0.3, 0.4)


def test_epoch_that_was_not_scored_has_neither_accuracy_nor_loss_and_is_no_peer(storage, study):
    unscored, scored = held(storage, study, 1).trial_id, held(storage, study, 2).trial_id
    record_epoch(storage, unscored, "worker", EpochRecord(1, None, None, 1.1, 0.25), None, LEASE)
    record_epoch(storage, scored, "worker", epoch_record(1, 0.7), None, LEASE)
    assert trial_epochs(storage, unscored) == (EpochRecord(1, None, None, 1.1, 0.25),)
    assert peers(storage, study.id, 1, exclude_trial=0) == [Standing(0.7, 50_000)]


def test_reused_trial_has_the_weights_of_its_source(storage, study):
    trained(storage, study, 1, end=outcome(weights=b"source"))
    for name in ("beta", "gamma"):
        answer = asked(storage, create_study(storage, study_record(name)), 1)
        assert answer.kind is Answer.REUSED
        assert get_weights(storage, answer.trial_id) == b"source"


def test_peers_are_at_the_same_epoch_with_their_macs(storage, study):
    own = held(storage, study, 0).trial_id
    trained(storage, study, 1, 0.6)
    trained(storage, study, 2, 0.5, end=outcome(0.5, PRUNED, 2))
    trained(storage, study, 3, 0.9, macs=1_000_000)
    trained(storage, study, 4, 0.8, end=outcome(None, FAILED, 3))
    large = Standing(0.9, 1_000_000)
    assert peers(storage, study.id, 2, own) == [Standing(0.6, 50_000), Standing(0.5, 50_000), large]
    assert peers(storage, study.id, 3, own) == [Standing(0.6, 50_000), large]
    assert peers(storage, study.id, 2, own, most=3) == [Standing(0.5, 50_000), large]


def test_peer_stands_with_its_best_epoch_so_far(storage, study):
    peer, own = held(storage, study, 1).trial_id, held(storage, study, 2).trial_id
    for epoch, accuracy in enumerate([0.7, 0.4, 0.99], 1):
        record_epoch(storage, peer, "worker", epoch_record(epoch, accuracy), None, LEASE)
    assert peers(storage, study.id, 2, own) == [Standing(0.7, 50_000)]


def test_ended_trials_wait_for_the_mirror_once(storage, study):
    ended = trained(storage, study, 1, 0.6)
    held(storage, study, 2)
    [(trial, epochs)] = unmirrored(storage, study.id)
    assert (trial.id, len(epochs)) == (ended, 3)
    assert claim_mirrored(storage, ended)
    assert not claim_mirrored(storage, ended)
    assert unmirrored(storage, study.id) == []


def test_networks_trained_elsewhere_are_those_of_other_studies_with_an_accuracy(storage):
    own, other = create_study(storage, study_record("own")), create_study(storage, study_record("other", seed=1))
    tested = create_study(storage, study_record("tested", seed=2, scored_on=TEST))
    trained(storage, own, 1, 0.9)
    trained(storage, other, 2, 0.8, params=700)
    trained(storage, other, 3, 0.2, end=outcome(0.2, PRUNED, 1))
    trained(storage, tested, 4, 0.7)
    trained(storage, other, 5, 0.6)
    found = trained_networks(storage, own.id, 10, elsewhere=True)
    assert [(one.study_id, one.accuracy, one.params) for one in found] == [(other.id, 0.6, 1000), (other.id, 0.8, 700)]
    assert found[1].spec == candidate(2).architecture
    assert [one.accuracy for one in trained_networks(storage, own.id, 1, elsewhere=True)] == [0.6]
    assert [one.accuracy for one in trained_networks(storage, own.id, 10)] == [0.9]


def test_network_taken_over_counts_once(storage):
    first, second = create_study(storage, study_record("first")), create_study(storage, study_record("second"))
    trained(storage, first, 1, 0.9)
    assert asked(storage, second, 1).kind is Answer.REUSED
    third = create_study(storage, study_record("third", seed=9))
    assert [one.study_id for one in trained_networks(storage, third.id, 10, elsewhere=True)] == [first.id]
    assert [one.accuracy for one in trained_networks(storage, second.id, 10)] == [0.9]
