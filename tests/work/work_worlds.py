"""Studies on digits that take seconds, and looking at a run from outside."""

import json
import sys
import time
from pathlib import Path

import psutil

from nas.store.engine import open_storage
from nas.store.status import status

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


def wait_for(condition, seconds=180.0):
    """The first true value of a condition, looked at again and again."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
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
