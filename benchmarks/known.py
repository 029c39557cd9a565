"""The runs of a long benchmark, kept in its results file: what is known is not run again, so that it can be resumed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from provenance import provenance

Runs = dict[str, Any]


class Known:
    """The runs that the results file has, and those that this run adds; `told` says what stands above them."""

    def __init__(self, path: Path | None, again: bool, told: Callable[[Runs], Mapping[str, Any]]) -> None:
        self.path, self.told = path, told
        self.runs: Runs = {}
        if path is not None and path.exists():
            self.runs = json.loads(path.read_text(encoding="utf-8"))["runs"]
        self.redone: set[str] | None = set() if again else None

    def get(self, key: str, settings: Mapping[str, Any]) -> dict[str, Any] | None:
        """A run of the same settings; None where there is none, or all are wanted again."""
        run = self.runs.get(key)
        wanted_again = self.redone is not None and key not in self.redone
        return None if wanted_again or run is None or run["settings"] != settings else dict(run)

    def add(self, key: str, run: Mapping[str, Any]) -> None:
        """Keep a run, in the file too."""
        self.runs[key] = dict(run)
        if self.redone is not None:
            self.redone.add(key)
        self.write()

    def write(self) -> None:
        """The file, whole or not at all."""
        if self.path is None:
            return
        data = {**provenance(), **self.told(self.runs), "runs": self.runs}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.path.with_suffix(".new")
        fresh.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
        fresh.replace(self.path)
