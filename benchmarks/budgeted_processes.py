"""Processes of the budgeted search: a contestant is ended with all that it began, and held to cores of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress

import psutil

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


def usable_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def places(cores: int, at_once: int) -> list[list[int]]:
    """The cores of each place at which a contestant runs; of no cores where a process cannot be held to some."""
    if not hasattr(os, "sched_setaffinity"):
        return [[] for _ in range(at_once)]
    mine = sorted(os.sched_getaffinity(0))
    return [mine[number * cores : (number + 1) * cores] for number in range(at_once)]
