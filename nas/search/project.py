"""Projecting a draw onto the budget: the skeleton is kept where its widths alone can meet the limits.

The map is deterministic, so a sampler sees one function of its draws and no trial is wasted on a network over the
budget. Attainable means that some widths of the drawn skeleton cost within [0.9 B, B] of the tightest limit B.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from nas.search.band import closest
from nas.search.costs import Costs
from nas.search.extremes import smallest
from nas.search.simpler import larger_fields, mended, simpler
from nas.search.stages import Numbers
from nas.search.widths import Point, WidthGrid
from nas.study.space import Draw, Skeleton

BAND = 0.9
"""A network that takes at least this share of the tightest limit fills the budget."""

NEAREST_FACTORS = 1.0005
"""Factors closer than this are one: no two widths below a thousand lie nearer."""


@dataclass(frozen=True, slots=True)
class Projected:
    """A network within the budget, what it costs, and whether it differs from the draw."""

    draw: Draw
    numbers: Numbers
    changed: bool


def project(draw: Draw, costs: Costs, *, fill: bool = True) -> Projected | None:
    """The network within the budget that stands for a draw, or None where there is none.

    Widths are scaled by one factor: down when over the budget, up when under 0.9 of it (unless `fill` is off). A
    skeleton that no width can fit loses depth, then kernel, then dearer choices, then stages; the last resort is the
    skeleton of the space's smallest network.
    """
    for skeleton in _candidates(draw.skeleton, costs):
        found = _fit(costs.grid(skeleton), _targets(draw, skeleton), fill=fill)
        if found is not None and _sees(skeleton, found.widths, costs):
            there = Draw(skeleton, found.widths)
            return Projected(there, found.numbers, there != draw)
    return None


def _targets(draw: Draw, skeleton: Skeleton) -> tuple[int, ...]:
    """The drawn widths, cut to the skeleton's stages or with the last one carried on."""
    wanted = len(skeleton.stages) + 1
    return (draw.widths + draw.widths[-1:] * wanted)[:wanted]


def _candidates(skeleton: Skeleton, costs: Costs) -> Iterator[Skeleton]:
    """The skeleton, then ever simpler ones; none that sees fewer pixels than the budget demands."""
    start = mended(skeleton, costs)
    if start is not None:
        seen = next((wider for wider in larger_fields(start, costs) if _can_see(wider, costs)), None)
        if seen is not None:
            yield seen
            yield from (one for one in simpler(seen, costs) if _can_see(one, costs))
    last = smallest(costs)
    if last is not None:
        yield last.skeleton


def _can_see(skeleton: Skeleton, costs: Costs) -> bool:
    """Whether a skeleton sees enough pixels, looked at before its widths are chosen: fields do not depend on them."""
    if costs.budget.min_receptive_field is None:
        return True
    grid = costs.grid(skeleton)
    return grid.possible and _sees(skeleton, grid.narrowest.widths, costs)


def _sees(skeleton: Skeleton, widths: tuple[int, ...], costs: Costs) -> bool:
    return costs.budget.min_receptive_field is None or costs.budget.sees(costs.field(skeleton, widths))


def _fit(grid: WidthGrid, targets: tuple[int, ...], *, fill: bool) -> Point | None:
    """The widths for a skeleton: as drawn where they fill the budget, else scaled; None where none fits."""
    if not grid.possible:
        return None
    drawn = grid.nearest(targets)
    if drawn.use > 1:
        return _shrunk(grid, targets, drawn, fill)
    return _grown(grid, targets, drawn) if fill and grid.limits and drawn.use < BAND else drawn


def _grown(grid: WidthGrid, targets: tuple[int, ...], drawn: Point) -> Point:
    """The widths scaled up to the largest that fits; as drawn where even the widest do not reach the band."""
    widest = grid.widest
    if widest.use < BAND:
        return drawn
    if widest.use <= 1:
        return widest
    high = max(values[-1] / target for values, target in zip(grid.values, targets, strict=True))
    return _filled(grid, targets, _scaled(grid, targets, (drawn, widest), 1.0, high))


def _shrunk(grid: WidthGrid, targets: tuple[int, ...], drawn: Point, fill: bool) -> Point | None:
    """The widths scaled down to the largest that fits; None where not even the narrowest do."""
    narrowest = grid.narrowest
    if narrowest.use > 1 and grid.is_free:
        return None
    if narrowest.use > 1:
        return closest(grid, drawn, BAND, 0.0) if fill else closest(grid, drawn, 0.0)
    low = min(values[0] / target for values, target in zip(grid.values, targets, strict=True))
    found = _scaled(grid, targets, (narrowest, drawn), low, 1.0)
    return _filled(grid, targets, found) if fill and grid.limits else found


def _scaled(grid: WidthGrid, targets: tuple[int, ...], ends: tuple[Point, Point], low: float, high: float) -> Point:
    """The widths at the largest common factor that fits, by bisection between ends of which the first does, the second
    does not; no further than something lies between them.
    """
    fits, over = ends
    while high / low > NEAREST_FACTORS and not (grid.is_free and grid.is_step(fits, over)):
        middle = math.sqrt(low * high)
        point = grid.nearest([target * middle for target in targets])
        if point.use <= 1:
            low, fits = middle, point
        else:
            high, over = middle, point
    return fits


def _filled(grid: WidthGrid, targets: tuple[int, ...], point: Point) -> Point:
    """Single widths raised into the band, the most shrunk first; where that ends short, the nearest ones inside it."""
    while point.use < BAND:
        steps = [(place, step) for place, step in grid.raised(point) if step.use <= 1]
        if not steps:
            return closest(grid, point, BAND) or point
        point = min(steps, key=lambda one: (one[1].widths[one[0]] / targets[one[0]], one[0]))[1]
    return point
