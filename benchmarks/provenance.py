"""Where a figure comes from: machine, commit, date. Loads nothing heavy."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

INSTRUCTIONS = ("avx", "avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_bf16")
"""Instruction sets that the speed of a convolution depends on, by the system's names."""


def provenance() -> dict[str, Any]:
    """Date, commit and machine, to stand beside every result."""
    return {"date": datetime.now(UTC).date().isoformat(), "commit": commit(), "machine": machine()}


def commit() -> str | None:
    """The commit of this checkout, None without git."""
    here = Path(__file__).parent
    try:
        found = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return found.stdout.strip()


def machine() -> dict[str, Any]:
    """What it ran on."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": cpu("model name"),
        "instructions": [name for name in INSTRUCTIONS if name in (cpu("flags") or "").split()],
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "torch": version("torch"),
    }


def cpu(key: str) -> str | None:
    """What the system says of its first core, `model name` or `flags` say; None where it has no such list."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    found = (line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == key)
    return next(found, None)
