"""What a front of accuracy against a cost is worth."""

from __future__ import annotations

from collections.abc import Iterable


def hypervolume(front: Iterable[tuple[float, int]], reference: int) -> float:
    """The share, 0 to 1, of what lies between accuracy 0 at a cost of `reference` and accuracy 1 at none that the
    (accuracy, cost) of a front dominate.

    In whatever order, dominated ones among them or not; those that cost `reference` and more add nothing. Raises
    ValueError where `reference` is below 1. Source: Zitzler and Thiele, "Multiobjective Optimization Using Evolutionary
    Algorithms: A Comparative Case Study", 1998.
    """
    if reference < 1:
        raise ValueError(f"a hypervolume has a reference of at least 1, not {reference!r}")
    area, accuracy = 0.0, 0.0
    for cost, reached in sorted((cost, accuracy) for accuracy, cost in front):
        if cost < reference and reached > accuracy:
            area += (reached - accuracy) * (reference - cost)
            accuracy = reached
    return area / reference
