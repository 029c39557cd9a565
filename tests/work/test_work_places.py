"""How many workers there are, and where: by numbers, and by looking at real ones."""

import os
import sys

import pytest
from work_worlds import wait_for, workers_of

from nas.blocks.registry import load_blocks
from nas.net.memory import memory
from nas.work.places import CONTEXT_BYTES, default_workers, peak_bytes, pins, places, usable_cores
from nas.work.prepare import prepare

GB = 2**30

PAIR = """
name = "pair"
dataset = "digits"
[[architecture]]
name = "narrow"
parts = [{block = "conv", width = 8, kernel = 3}, {layer = "global_average_pool"}, {layer = "dense", width = "classes"}]
[[architecture]]
name = "wide"
parts = [{block = "conv", width = 64, kernel = 3}, {layer = "max_pool", size = 2}, {layer = "dense", width = "classes"}]
[train]
batch_size = 32
"""


@pytest.mark.parametrize(
    ("free", "peak", "cores", "expected"),
    [
        (8 * GB, GB, 16, 5),
        (80 * GB, GB, 64, 16),
        (80 * GB, GB, 2, 4),
        (GB, 2 * GB, 8, 1),
        (0, GB, 8, 1),
        (3 * (GB + CONTEXT_BYTES), GB, 8, 3),
        (3 * (GB + CONTEXT_BYTES) - 1, GB, 8, 2),
    ],
)
def test_places_of_a_device_are_bounded_by_memory_cores_and_a_most(free, peak, cores, expected):
    assert places(free, peak, cores) == expected


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity here")
def test_workers_are_pinned_only_where_they_take_every_core():
    assert pins(2, [4, 7], "cpu") == [4, 7]
    assert pins(5, [4, 7], "cpu") == [4, 7, 4, 7, 4]
    assert pins(1, [4, 7], "cpu") == [None]
    assert pins(2, [4, 7], "cuda") == [None, None]


def test_workers_of_a_cpu_are_one_a_core(study_file):
    assert default_workers(prepare(study_file(), load_blocks()), "cpu") == len(usable_cores())


def test_peak_of_a_comparison_is_that_of_its_largest_candidate_and_the_images(tmp_path):
    (tmp_path / "pair.toml").write_text(PAIR)
    study = prepare(tmp_path / "pair.toml", load_blocks())
    peaks = [memory(one.architecture, study.blocks, batch=32).training_peak_bytes for one in study.listed]
    assert peak_bytes(study) == study.images.train_images.nbytes + max(peaks)
    assert max(peaks) == peaks[1] > peaks[0]


def test_peak_of_a_search_follows_its_budget(study_file):
    tight, loose = (peak_bytes(prepare(study_file(params=params), load_blocks())) for params in ("1k", "1M"))
    assert 0 < tight < loose


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux pins")
def test_worker_processes_stay_on_their_cores(study_file, start):
    before = os.sched_getaffinity(0)
    cores = sorted(before)[:2]
    os.sched_setaffinity(0, cores)
    try:
        process = start(study_file(epochs=200), "--workers", len(cores))
    finally:
        os.sched_setaffinity(0, before)
    wait_for(lambda: sorted(one.cpu_affinity() for one in workers_of(process)) == [[core] for core in cores])
