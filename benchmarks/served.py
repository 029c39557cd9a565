"""A process that computes when it is told to: a line in, a line of JSON out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any


class Served:
    """A Python process of one thread, on one core where that is given; it says a first line when it is ready."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], core: int | None = None) -> None:
        self.child = subprocess.Popen(
            [sys.executable, *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**environment, **os.environ, "OMP_NUM_THREADS": "1"},
        )
        if core is not None:
            os.sched_setaffinity(self.child.pid, {core})
        self.ready = self.heard()

    def tell(self, what: object) -> None:
        """Say a line."""
        assert self.child.stdin is not None
        self.child.stdin.write(f"{what}\n")
        self.child.stdin.flush()

    def heard(self) -> Any:
        """What it answers; the process's own error is on standard error."""
        assert self.child.stdout is not None
        line = self.child.stdout.readline()
        if not line:
            raise SystemExit(f"{' '.join(self.child.args[1:])} ended with {self.child.wait()}")  # type: ignore[index]
        return json.loads(line)

    def asked(self, what: object) -> Any:
        """Say a line, and hear what it answers."""
        self.tell(what)
        return self.heard()

    def end(self) -> None:
        """Let it end."""
        assert self.child.stdin is not None
        self.child.stdin.close()
        self.child.wait()
