"""The name of a worker, and what it tells on the machine where the worker runs: whether it is still there."""

from __future__ import annotations

import hashlib
import os
import socket
import time
from functools import cache
from pathlib import Path

_BOOT, _PROCESSES = Path("/proc/sys/kernel/random/boot_id"), "/proc/self/ns/pid"


def owner_name(slot: int) -> str:
    """A name that no other worker ever has: host, process, moment, place, and where the process's number means it."""
    return f"{socket.gethostname()}:{os.getpid()}:{time.time_ns()}:{slot}:{_here()}"


def process_here(owner: str) -> int | None:
    """The number of a worker's process; None where the worker is of another machine or container."""
    host, process, *_, where = owner.split(":")
    return int(process) if (host, where) == (socket.gethostname(), _here()) else None


def is_gone(owner: str) -> bool:
    """Whether a worker was of this machine, and its process is no more."""
    process = process_here(owner)
    if process is None:
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


@cache
def _here() -> str:
    """The boot and the namespace in which processes are numbered: containers and clones share names, never this.

    Empty where the system does not tell.
    """
    try:
        told = f"{_BOOT.read_text(encoding='ascii').strip()} {os.readlink(_PROCESSES)}"
    except OSError:
        return ""
    return hashlib.sha256(told.encode()).hexdigest()[:12]
