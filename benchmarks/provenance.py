"""Where a figure comes from: machine, commit, date. Loads nothing heavy."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any


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
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "torch": version("torch"),
    }
