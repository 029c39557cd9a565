"""Studies on digits that take seconds, and looking at a run from outside."""

import json
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import optuna
import psutil
from optuna.storages import RDBStorage

from nas.arch.record import COMPLETE
from nas.store.engine import open_storage
from nas.store.status import status
from nas.store.trials import trial_epochs, trials

NAS = Path(sys.executable).with_name("nas")


STUDY = """
name = "{name}"
dataset = "digits"
seed = {seed}
[budget]
params = "{params}"
[space]
blocks = {blocks}
kernels = [3]
widths = {{low = 8, high = 24, step = 8}}
stages = [2]
depths = [1]
stem = {{kernels = [3], widths = [8]}}
[search]
trials = {trials}
sampler = "random"
pruner = "{pruner}"
[train]
epochs = {epochs}
{images}
"""

DEFAULTS = {
    "name": "small",
    "seed": 0,
    "params": "6k",
    "blocks": ["conv", "separable", "grouped"],
    "trials": 4,
    "pruner": "none",
    "epochs": 2,
    "images": None,
}


def write_study(folder, **changes):
    """A study file in a folder; keywords change it. `images` to train on: None: all."""
    values = {**DEFAULTS, **changes}
    path = folder / f"{values['name']}.toml"
    images = "" if values["images"] is None else f"images = {values['images']}"
    path.write_text(STUDY.format(**{**values, "blocks": json.dumps(values["blocks"]), "images": images}))
    return path


def wait_for(condition, seconds=180.0, every=0.05):
    """The first true value of a condition, looked at every so many seconds."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = condition()
        if found:
            return found
        time.sleep(every)
    raise AssertionError(f"did not come about in {seconds:g} s")


def look(url, name="small"):
    """The study's status, or None while the storage is not there."""
    try:
        storage = open_storage(url)
    except Exception:
        return None
    try:
        return status(storage, name)
    except Exception:
        return None
    finally:
        storage.close()


def workers_of(process):
    """The worker processes under a runner."""
    return [child for child in psutil.Process(process.pid).children() if "nas.work.process" in child.cmdline()]


PLUGIN = '''
from torch import nn
from nas import Block, hookimpl

class Mine(Block):
    """A block of one convolution."""
    name = "mine"
    choices = {"kernel": (3, 5)}
    def build(self, in_channels, width, stride, *, kernel):
        return nn.Conv2d(in_channels, width, kernel, stride, kernel // 2)

@hookimpl
def nas_register_blocks(register):
    register(Mine)
'''


def with_own_images(folder, seed=0):
    """A study file of one epoch beside its own data set `own.npz`, in a folder that is made."""
    folder.mkdir()
    draw = np.random.default_rng(seed)
    images, labels = draw.integers(0, 255, (200, 8, 8), dtype=np.uint8), np.arange(200) % 4
    np.savez(folder / "own.npz", x_train=images, y_train=labels)
    path = write_study(folder, trials=1, epochs=1)
    path.write_text(path.read_text().replace('"digits"', '"own.npz"'))
    return path


@contextmanager
def optuna_storage(url):
    """A database as Optuna sees it; left to itself it keeps connections until Python forgets it."""
    opened = RDBStorage(url)
    try:
        yield opened
    finally:
        opened.remove_session()
        opened.engine.dispose()


def mirrored(url, name="small"):
    """The trials of a study in Optuna's tables."""
    with optuna_storage(url) as opened:
        return optuna.load_study(study_name=name, storage=opened).trials


def curves(url):
    """Accuracy and loss of every epoch of the complete trials, by fingerprint."""
    storage = open_storage(url)
    rows = trials(storage, states=(COMPLETE,))
    found = {row.fingerprint: [(one.accuracy, one.loss) for one in trial_epochs(storage, row.id)] for row in rows}
    storage.close()
    return found
