"""A worker process as its runner sees it: how it is started, and what it says."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from typing import IO

from nas.work.process import Job

ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

KEEP_FREED = {
    "MALLOC_MMAP_THRESHOLD_": str(4 * 2**30),
    "MALLOC_TRIM_THRESHOLD_": str(8 * 2**30),
    "MALLOC_TOP_PAD_": str(64 * 2**20),
}
"""Has glibc keep the memory of freed maps for the next step. Left to itself it gives them back to the system, and each
step takes them page by page again, by tens of thousands of page faults."""


class Child:
    """A running worker process, its job given, and what it says on standard error."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (it lives as long as the process)
        self.process = subprocess.Popen(
            # -P: no module is imported from the current folder, whoever filled it.
            [sys.executable, "-P", "-m", "nas.work.process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self.errors,
            env={**KEEP_FREED, **os.environ, **ONE_THREAD},
            start_new_session=True,
            pass_fds=(job.images,) if isinstance(job.images, int) else (),
        )
        assert self.process.stdin is not None
        with self.process.stdin as pipe:
            pipe.write(job.to_json().encode())

    def wait(self, seconds: float) -> None:
        """Give the process so much time to end, then kill it."""
        try:
            self.process.wait(max(0.0, seconds))
        except subprocess.TimeoutExpired:
            self.process.kill()

    def said(self) -> str:
        """The last lines on standard error."""
        self.errors.seek(0)
        return self.errors.read().decode(errors="replace").strip()[-2000:]

    def close(self) -> None:
        """Kill the process where it still runs, and forget what it said."""
        self.process.kill()
        self.process.wait()
        self.errors.close()
