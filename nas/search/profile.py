"""What a space holds under a budget, before anything is trained."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median

from nas.arch.record import LIMITS
from nas.blocks.registry import Blocks
from nas.errors import BudgetError
from nas.search.costs import Costs
from nas.search.extremes import largest, largest_field, smallest
from nas.search.project import project
from nas.study.budget import Budget
from nas.study.space import Draw, RandomPicker, Space

SAMPLE = 400
"""Random draws on which shares and medians are counted."""


@dataclass(frozen=True)
class Profile:
    """Sizes and shares of a space; shares from 0 to 1 over random draws.

    `share_feasible` counts draws that fit as drawn; `blocks`, for each type alone, the draws whose skeleton fits at
    some widths. `smallest_budget` is the least limit that would do, of the params or the first metric limited;
    `smallest_budgets` says it for each metric limited.
    """

    feasible: bool
    space_size: int
    share_feasible: float
    params: Mapping[str, int]
    blocks: Mapping[str, float]
    smallest_budget: int
    smallest_budgets: Mapping[str, int]
    seconds_expected: float | None = None


def profile(space: Space, blocks: Blocks, budget: Budget, *, fill: bool = True) -> Profile:
    """Count what fits; nothing is built or trained."""
    costs = Costs(space, blocks, budget)
    picker = RandomPicker(random.Random(0))
    draws = [space.draw(picker) for _ in range(SAMPLE)]
    counted = [costs.numbers(draw.skeleton, draw.widths) for draw in draws]
    built = [numbers.params for numbers in counted if numbers is not None]
    fits = sum(
        numbers is not None and costs.use(numbers) <= 1 and budget.sees(costs.field(draw.skeleton, draw.widths))
        for draw, numbers in zip(draws, counted, strict=True)
    )
    limits = smallest_budgets(costs)
    ends = [_number(costs, "params", way) for way in (smallest(costs, "params"), largest(costs, "params"))]
    return Profile(
        feasible=is_feasible(costs, fill=fill),
        space_size=space.size(),
        share_feasible=fits / SAMPLE,
        params={"min": ends[0], "median": int(median(built)) if built else 0, "max": ends[1]},
        blocks={block: _share(space.only(block), blocks, budget, fill) for block in space.blocks},
        smallest_budget=limits.get("params", next(iter(limits.values()), 0)),
        smallest_budgets=limits,
    )


def _share(space: Space, blocks: Blocks, budget: Budget, fill: bool) -> float:
    """Of one type's draws, those whose skeleton fits at some widths."""
    costs, picker = Costs(space, blocks, budget), RandomPicker(random.Random(0))
    draws = [space.draw(picker) for _ in range(SAMPLE // 4)]
    found = [(draw, project(draw, costs, fill=fill)) for draw in draws]
    return sum(one is not None and one.draw.skeleton == draw.skeleton for draw, one in found) / len(draws)


def is_feasible(costs: Costs, *, fill: bool = True) -> bool:
    """Whether some network of the space meets every limit."""
    least = smallest(costs)
    return least is not None and project(least, costs, fill=fill) is not None


def smallest_budgets(costs: Costs) -> dict[str, int]:
    """For each metric limited from above, the params where none is, what the cheapest network costs that sees enough.

    0 where there is no such network.
    """
    names = list(costs.budget.maxima) or ["params"]
    return {name: _number(costs, name, smallest(costs, name)) for name in names}


def _number(costs: Costs, metric: str, draw: Draw | None) -> int:
    numbers = costs.numbers(draw.skeleton, draw.widths) if draw is not None else None
    return numbers[LIMITS.index(metric)] if numbers is not None else 0


def check_feasible(costs: Costs, *, fill: bool = True) -> None:
    """Raise BudgetError, naming the smallest budget that would do, where no network of the space meets the budget."""
    if is_feasible(costs, fill=fill):
        return
    least = smallest(costs)
    if least is None:
        raise BudgetError(_unseen(costs))
    limits, alone = costs.budget.maxima, smallest_budgets(costs)
    sees = costs.budget.min_receptive_field
    among = f" among those that see {sees} pixels" if sees else ""
    over = [name for name in limits if alone[name] > limits[name]]
    if over:
        lines = [
            f"budget.{n}: no network has at most {limits[n]:,}; the smallest{among} has {alone[n]:,}" for n in over
        ]
        raise BudgetError("\n".join(lines))
    together = " and ".join(f"{name} {limit:,}" for name, limit in limits.items())
    nearest = " and ".join(f"{name} {_number(costs, name, least):,}" for name in limits)
    raise BudgetError(f"budget: no network keeps within {together} together; the nearest{among} has {nearest}")


def _unseen(costs: Costs) -> str:
    """Why there is no smallest network at all."""
    most = largest_field(costs)
    sees = costs.budget.min_receptive_field
    if sees and most is not None:
        return f"budget.receptive_field: no network sees {sees:,} pixels; the one that sees most sees {most:,}"
    if sees and largest(costs, "params") is not None:
        return "budget.receptive_field: of no network of the space is it known what it sees"
    return "space: no network of it can be built: its blocks take none of these widths"


def typical(costs: Costs, count: int, *, fill: bool = True) -> list[Draw]:
    """A few networks within the budget, from the cheap to the dear in macs: quantiles of projected random draws."""
    picker = RandomPicker(random.Random(0))
    found = [project(costs.space.draw(picker), costs, fill=fill) for _ in range(SAMPLE // 4)]
    ordered = sorted((one for one in found if one is not None), key=lambda one: one.numbers.macs)
    return [ordered[len(ordered) * (2 * n + 1) // (2 * count)].draw for n in range(count)] if ordered else []
