"""Processes of the budgeted search: a contestant is ended with all that it began, and held to cores of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from threading import Event

import psutil

from nas.work.places import usable_cores

PATIENCE = 20.0
"""Seconds that a contestant has to end by itself when its time is over, and then to be ended."""

MARK = "NAS_CONTEST"
"""The environment variable by which the processes of a contestant are known; SPT_NOENV keeps those that give themselves
another title, as Ray's do, from writing over it."""


def stop(child: subprocess.Popen[bytes], mark: str) -> None:
    """End a contestant with all processes that it began, in whatever session: it is asked first."""
    child.terminate()
    with suppress(subprocess.TimeoutExpired):
        child.wait(PATIENCE)
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    until = time.monotonic() + PATIENCE
    while left := marked(mark):
        if time.monotonic() > until:
            raise SystemExit(f"cannot be ended: {', '.join(str(one.pid) for one in left)}, of {mark}")
        for one in left:
            with suppress(psutil.Error):
                one.kill()
        psutil.wait_procs(left, PATIENCE / 4)


def marked(mark: str) -> list[psutil.Process]:
    """The processes of the contestant with that mark."""
    every = psutil.process_iter(["environ"])
    return [one for one in every if (one.info["environ"] or {}).get(MARK) == mark and one.is_running()]


def waited(child: subprocess.Popen[bytes], seconds: float, given_up: Event) -> int:
    """The exit status of a contestant; 0 where its time was over before, or everything is given up."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0 and not given_up.is_set():
        with suppress(subprocess.TimeoutExpired):
            return child.wait(min(1.0, left))
    return 0


def places(cores: int, at_once: int) -> list[list[int]]:
    """The cores of each place at which a contestant runs."""
    usable = usable_cores()
    return [usable[number * cores : (number + 1) * cores] for number in range(at_once)]


def hold_to(cores: list[int]) -> None:
    """Hold this thread, and all that it starts, to some cores; where the system has no such thing, to none."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)
