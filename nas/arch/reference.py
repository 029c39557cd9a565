"""The reference networks: known networks as architecture files, one a file in `references/`."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from nas.arch.read import architecture_from_json
from nas.arch.spec import Architecture
from nas.errors import ArchitectureError, nearest

_FOLDER = files("nas.arch") / "references"
_ENDING = ".json"


def references() -> tuple[str, ...]:
    """The names of the reference networks, sorted."""
    found = (file.name for file in _FOLDER.iterdir())
    return tuple(sorted(name.removesuffix(_ENDING) for name in found if name.endswith(_ENDING)))


def read_reference(name: str) -> Architecture:
    """A reference network by name; raises ArchitectureError with the nearest spelling."""
    return architecture_from_json(reference_file(name), f"reference {name!r}")


def reference_file(name: str) -> dict[str, Any]:
    """The file of a reference network as plain data: `source` says which paper, `note` what to know of it.

    Raises ArchitectureError with the nearest spelling.
    """
    known = references()
    if name not in known:
        allowed = ", ".join(known)
        raise ArchitectureError(f"reference {name!r} is not known{nearest(name, known)}; allowed: {allowed}")
    data: dict[str, Any] = json.loads((_FOLDER / f"{name}{_ENDING}").read_text(encoding="utf-8"))
    return data
