"""A network in a line, as rankings and displays show it."""

from __future__ import annotations

from typing import Any

from nas.arch.spec import Architecture, BlockPart


def summary(architecture: Architecture) -> str:
    """The network in a line: `conv3 16 | stacked3 layers=2 24 | separable5 48 /2`."""
    return " | ".join(phrase(part) for part in architecture.parts if isinstance(part, BlockPart))


def phrase(part: BlockPart) -> str:
    """A block in a few words: its type and kernel, its other choices, its width, its stride where that is not 1."""
    chosen: dict[str, Any] = dict(part.settings)
    kernel = chosen.pop("kernel", "")
    words = [f"{part.block}{kernel}", *(f"{name}={value}" for name, value in chosen.items()), str(part.width)]
    return " ".join([*words, f"/{part.stride}"] if part.stride > 1 else words)
