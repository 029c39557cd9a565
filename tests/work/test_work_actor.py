"""A worker of a cluster, in this process: what it is handed, what it says, and how the next in its place goes on."""

import threading
from dataclasses import replace
from importlib.metadata import version

import numpy as np
import pytest
from databases import slow_on_postgresql
from test_work_processes import check_exact, epochs_done
from work_worlds import curves, look, wait_for

from nas.blocks.registry import load_blocks
from nas.data.shared import whole
from nas.store.engine import open_storage
from nas.store.schema import create_storage
from nas.store.studies import find_study
from nas.work.actor import Actor, Place, environment, free, held, placed
from nas.work.jobs import run_study
from nas.work.owner import owner_name
from nas.work.prepare import enter, prepare, shared_images
from nas.work.process import Job, make_worker


@pytest.fixture
def place(url, study_file):
    """A place in a study on digits, and all bytes of its images; keywords change the study."""

    def make(**changes):
        study = prepare(study_file(**changes), load_blocks([]))
        storage = create_storage(url)
        enter(storage, study)
        storage.close()
        with shared_images(study) as file:
            images = np.array(whole(file))
        images.flags.writeable = False
        return Place("here", Job(url, "small", 0, "."), {}, version("nas")), images

    return make


@slow_on_postgresql
def test_actor_trains_what_a_process_trains(url, new_url, study_file, place):
    here, images = place(trials=2)
    assert Actor(here).work(images) == []
    check_exact(url, 2)
    other = new_url()
    run_study(study_file(trials=2), storage=other, workers=0, device="cpu")
    assert curves(url) == curves(other)


@slow_on_postgresql
def test_stopped_actor_lets_go_and_the_next_goes_on(url, place):
    here, images = place(trials=1, epochs=30)
    first = Actor(here)
    work = threading.Thread(target=first.work, args=(images,))
    work.start()
    wait_for(lambda: epochs_done(url) >= 2)
    first.stop()
    work.join()
    assert look(url).trials["waiting"] == 1
    before = epochs_done(url)
    assert 2 <= before < 30
    assert Actor(replace(here, name="there")).work(images) == []
    check_exact(url, 1)


@slow_on_postgresql
def test_node_with_another_version_is_told_of(place):
    here, images = place()
    [line] = Actor(replace(here, version="9.9")).work(images)
    assert f"has nas {version('nas')}, the runner has 9.9" in line


def test_images_of_another_data_set_are_refused(place):
    here, images = place()
    own = images.tobytes().partition(b'"content_hash": "')[2][:12]
    other = np.frombuffer(images.tobytes().replace(own, b"0123456789ab", 1), np.uint8)
    [line] = Actor(here).work(other)
    assert f"shared images have the content hash 0123456789ab…, the study's have {own.decode()}" in line


@pytest.mark.filterwarnings("ignore:The given NumPy array is not writable")
def test_what_a_place_held_is_free_and_what_others_hold_is_not(url, place):
    here, images = place(trials=3)
    storage = open_storage(url)
    record = find_study(storage, "small")
    for name in ("here", "there", ""):
        worker = make_worker(replace(here.job, images=images.data), threading.Event())
        worker.search.owner = placed(owner_name(0), name) if name else owner_name(0)
        assert worker.search.next_claim() is not None
        worker.close()
    assert free(storage, record, {"here"}) == 1
    assert {owner.split(":")[2].partition("-")[2] for owner in held(storage, record, {"here", "there"})} == {"there"}
    assert look(url).trials["running"] == 2
    storage.close()


def test_worker_is_told_how_the_database_is_reached_and_which_plugins_load(monkeypatch):
    for name in ("PGPASSWORD", "NAS_LOAD_PLUGINS", "NAS_STORAGE", "SECRET"):
        monkeypatch.setenv(name, "x")
    told = environment()
    assert {"PGPASSWORD", "NAS_LOAD_PLUGINS"} <= set(told)
    assert not {"NAS_STORAGE", "SECRET"} & set(told)
