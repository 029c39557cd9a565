"""Workers of one run share one copy of its images: seen from outside, through the kernel's own books."""

import os
import signal
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest
from work_worlds import look, wait_for, workers_of

from nas.arch.record import COMPLETE
from nas.store.engine import open_storage
from nas.store.trials import trial_epochs, trials
from nas.work.jobs import run_study

MAPPING = "/memfd:nas-images"
MB = 2**20

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture
def pictures(tmp_path):
    """Writes an .npz of random pictures in colour, and names it in overrides of a study."""

    def write(count, side, kind=np.uint8):
        random = np.random.default_rng(0)
        x = random.integers(0, 256, (count, side, side, 3), np.uint8).astype(kind)
        y = np.arange(count) % 3
        np.savez(tmp_path / "toy.npz", x_train=x, y_train=y, x_test=x[:30], y_test=y[:30])
        return ["--set", "dataset=toy.npz", "--set", "train.batch_size=16"]

    return write


def mapping(process):
    """What the kernel says of a process's part in the shared images: its inode, and bytes by their names in smaps."""
    text = Path(f"/proc/{process.pid}/smaps").read_text()
    if MAPPING not in text:
        return None
    lines = text[text.rindex("\n", 0, text.index(MAPPING)) + 1 :].splitlines()
    sizes = {line.split()[0].rstrip(":"): int(line.split()[1]) * 1024 for line in lines[1:20]}
    return {"inode": lines[0].split()[4], **sizes}


def holders(inode):
    """Processes that map or have open what lies behind an inode of the shared images."""
    found = []
    for process in psutil.process_iter():
        try:
            lines = Path(f"/proc/{process.pid}/maps").read_text().splitlines()
            maps = any(MAPPING in line and inode in line for line in lines)
            opened = os.scandir(f"/proc/{process.pid}/fd")
            files = [one for one in opened if MAPPING in os.readlink(one.path) and str(one.stat().st_ino) == inode]
        except OSError:
            continue
        found += [process.pid] if maps or files else []
    return found


@linux
@pytest.mark.slow
def test_two_workers_hold_one_copy_and_a_killed_run_none(study_file, start, pictures):
    process = start(study_file(epochs=50), "--workers", 2, *pictures(5000, 64))

    def shared():
        found = [mapping(one) for one in workers_of(process)]
        held = len(found) == 2 and all(one and one["Rss"] > 10 * MB for one in found)
        return held and all(one["Pss"] < 0.75 * one["Rss"] for one in found) and found

    first, second = wait_for(shared, 120)
    assert first["Size"] > 55 * MB
    assert first["inode"] == second["inode"]
    assert first["Anonymous"] == second["Anonymous"] == 0
    assert len(holders(first["inode"])) == 3
    process.kill()
    wait_for(lambda: holders(first["inode"]) == [], 20)


@pytest.mark.slow
def test_run_whose_images_are_deleted_replaces_its_workers(url, tmp_path, study_file, start, pictures):
    process = start(study_file(trials=1, epochs=40), "--workers", 1, *pictures(300, 8))
    wait_for(lambda: look(url) and look(url).trials["running"])
    (tmp_path / "toy.npz").unlink()
    [victim] = workers_of(process)
    victim.send_signal(signal.SIGKILL)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert look(url).trials["complete"] == 1


@pytest.mark.slow
def test_results_are_those_of_a_worker_that_loads_for_itself(new_url, study_file, pictures):
    words = [word for word in pictures(300, 9, np.float32) if word != "--set"]
    found = []
    for workers in (0, 1):
        url = new_url()
        run_study(study_file(trials=2), storage=url, workers=workers, overrides=words, device="cpu")
        storage = open_storage(url)
        rows = trials(storage, states=(COMPLETE,))
        curves = [[(one.accuracy, one.loss, one.train_loss) for one in trial_epochs(storage, row.id)] for row in rows]
        found.append(([row.fingerprint for row in rows], curves))
        storage.close()
    assert found[0] == found[1]
    assert len(found[0][0]) == 2
