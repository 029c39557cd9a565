"""Where the pixels of a block's input lie in a tensor, and how far back they reach: the records of the dataflow.

Source of the arithmetic: Araujo, Norris and Sim, "Computing Receptive Fields of Convolutional Neural Networks", 2019.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, NamedTuple

Sizes = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Axis:
    """Pixels along one axis: pixel p stands where (index in `dim` // inner) % size == p.

    `reach` is the receptive field along this axis and `jump` the distance of neighbours, in pixels of the input.
    """

    dim: int
    size: int
    inner: int = 1
    reach: int = 1
    jump: int = 1


class Gone(Enum):
    """An axis without pixels of its own."""

    GLOBAL = "mixed over the whole axis: adds nothing where joined with one that has pixels"
    LOST = "moved in a way that is not followed"


GLOBAL, LOST = Gone.GLOBAL, Gone.LOST

Track = Axis | Gone
Tracks = tuple[Track, Track] | None
"""(vertical, horizontal), or None for what does not depend on the input."""


class Seen(NamedTuple):
    """A tensor as the rules see it: its sizes and tracks."""

    shape: Sizes
    tracks: Tracks


Arguments = Mapping[str, Any]
"""An operator's arguments by name, every tensor as a `Seen`."""

Rule = Callable[[Arguments, Sizes], Tracks]
"""(arguments, sizes of one output) -> the output's tracks."""

Move = Callable[[Axis, Sizes], Track]
"""(axis, sizes of its tensor) -> the axis in the output."""


def start(shape: Sizes) -> Tracks:
    """The tracks of a block's own input (N, C, H, W)."""
    return Axis(2, shape[2]), Axis(3, shape[3])


def receptive_field(seen: Seen) -> int | None:
    """The larger of both axes' reach in a block's output (N, C, H, W); None where it is undetermined."""
    reaches = []
    for dim, track in zip((2, 3), seen.tracks or (LOST, LOST), strict=True):
        if not isinstance(track, Axis) or track.dim != dim or not whole(track, seen.shape):
            return None
        reaches.append(track.reach)
    return max(reaches)


def join(many: Iterable[Tracks], clash: Gone = LOST) -> Tracks:
    """The widest of several, axis by axis; `clash` is what becomes of pixels that lie in different places."""
    known = [tracks for tracks in many if tracks is not None]
    if not known:
        return None
    return _join([one for one, _ in known], clash), _join([other for _, other in known], clash)


def _join(tracks: Sequence[Track], clash: Gone) -> Track:
    if LOST in tracks:
        return LOST
    live = [track for track in tracks if isinstance(track, Axis)]
    if not live:
        return GLOBAL
    if len({(axis.dim, axis.inner, axis.size) for axis in live}) > 1:
        return clash
    return replace(live[0], reach=max(axis.reach for axis in live), jump=max(axis.jump for axis in live))


def seen_in(value: Any) -> list[Seen]:
    """Every tensor among the arguments, those in lists included."""
    if isinstance(value, Seen):
        return [value]
    if isinstance(value, list | tuple):
        return [seen for item in value for seen in seen_in(item)]
    if isinstance(value, Mapping):
        return [seen for item in value.values() for seen in seen_in(item)]
    return []


def move(seen: Seen, how: Move) -> Tracks:
    """A tensor's tracks with each axis moved; what is gone stays so."""
    if seen.tracks is None:
        return None
    one, other = (how(track, seen.shape) if isinstance(track, Axis) else track for track in seen.tracks)
    return one, other


def whole(axis: Axis, shape: Sizes) -> bool:
    """Whether the pixels are a dimension of their own."""
    return axis.dim < len(shape) and axis.inner == 1 and axis.size == shape[axis.dim]
