"""What a space holds under a budget, before anything is trained."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from nas.arch.record import LIMITS
from nas.blocks.registry import Blocks
from nas.errors import BudgetError
from nas.search.costs import Costs
from nas.search.extremes import largest, largest_field, smallest
from nas.search.project import project
from nas.study.budget import Budget
from nas.study.candidates import Listed, over
from nas.study.space import Draw, RandomPicker, Space

SAMPLE = 400
"""Random draws on which shares and medians are counted, in a space of more than `MOST_COUNTED` draws."""

MOST_COUNTED = 10_000
"""A space of at most so many draws is counted whole."""


COUNTING_SECONDS = 60.0
"""How long draws are counted; of a space whose draws take longer, shares are of those that were."""

FEWEST = 5
"""So many draws are counted in any case."""


class _Patience:
    """How long draws may be counted, all shares together; `fewest` draws were counted where that was not enough."""

    def __init__(self, seconds: float) -> None:
        self.until = time.monotonic() + seconds
        self.fewest: int | None = None

    def given(self, draws: Iterable[Draw]) -> Iterator[Draw]:
        """The draws, as long as there is time."""
        for count, draw in enumerate(draws):
            if count >= FEWEST and time.monotonic() > self.until:
                self.fewest = min(count, self.fewest or count)
                return
            yield draw


@dataclass(frozen=True)
class Profile:
    """Sizes and shares of a space; shares from 0 to 1 over all draws of a small space, random ones of a large one.

    `share_feasible` counts draws that fit as drawn, `blocks` the same among the draws of each type alone, and
    `scaled` those of each type that fit once their widths are scaled. `smallest_budget` is the least limit that would
    do, of the params or the first metric limited; `smallest_budgets` says it for each metric limited; `problem` says
    why nothing fits.
    """

    feasible: bool
    space_size: int
    share_feasible: float
    params: Mapping[str, int]
    blocks: Mapping[str, float]
    scaled: Mapping[str, float]
    smallest_budget: int
    smallest_budgets: Mapping[str, int]
    problem: str = ""
    fewest_draws: int | None = None
    """On how many draws a share was counted, the least of all, where there was no time for the whole sample."""
    seconds_expected: float | None = None


def profile(
    space: Space, blocks: Blocks, budget: Budget, *, fill: bool = True, seconds: float = COUNTING_SECONDS
) -> Profile:
    """Count what fits, on as many draws as there is time for; nothing is built or trained."""
    costs, patience = Costs(space, blocks, budget), _Patience(seconds)
    draws = list(patience.given(_sample(space)))
    counted = [costs.numbers(draw.skeleton, draw.widths) for draw in patience.given(draws)]
    built = [numbers.params for numbers in counted if numbers is not None]
    limits = smallest_budgets(costs)
    ends = [_number(costs, "params", way) for way in (smallest(costs, "params"), largest(costs, "params"))]
    alone = {block: Costs(space.only(block), blocks, budget) for block in space.blocks}
    return Profile(
        feasible=is_feasible(costs, fill=fill),
        space_size=space.size(),
        share_feasible=_share(draws, costs, patience),
        params={"min": ends[0], "median": int(median(built)) if built else 0, "max": ends[1]},
        blocks={block: _share(_sample(own.space), own, patience) for block, own in alone.items()},
        scaled={block: _scaled_share(own, fill, patience) for block, own in alone.items()},
        smallest_budget=limits.get("params", next(iter(limits.values()), 0)),
        smallest_budgets=limits,
        problem=_problem(costs, fill),
        fewest_draws=patience.fewest,
    )


def profile_listed(candidates: Sequence[Listed], budget: Budget) -> Profile:
    """The same of a comparison, which is feasible where all its candidates are: none is scaled."""
    params = [one.totals.params for one in candidates]
    fitting = [one for one in candidates if budget.fits(one.totals)]
    names = dict.fromkeys(name for one in candidates for name in one.architecture.blocks)
    shares = {
        name: sum(one in fitting for one in holding) / len(holding)
        for name in names
        if (holding := [one for one in candidates if name in one.architecture.blocks])
    }
    limits = {name: max(getattr(one.totals, name) for one in candidates) for name in budget.maxima or {"params": 0}}
    return Profile(
        feasible=len(fitting) == len(candidates),
        space_size=len(candidates),
        share_feasible=len(fitting) / len(candidates),
        params={"min": min(params), "median": int(median(params)), "max": max(params)},
        blocks=shares,
        scaled=shares,
        smallest_budget=limits.get("params", next(iter(limits.values()), 0)),
        smallest_budgets=limits,
        problem="\n".join(over(candidates, budget)),
    )


def _sample(space: Space) -> Iterator[Draw]:
    """All draws of a small space, else random ones."""
    if space.size() <= MOST_COUNTED and len(set(space.blocks)) == len(space.blocks):
        return space.draws()
    return _random(space, SAMPLE)


def _random(space: Space, count: int) -> Iterator[Draw]:
    picker = RandomPicker(random.Random(0))
    return (space.draw(picker) for _ in range(count))


def _share(draws: Iterable[Draw], costs: Costs, patience: _Patience) -> float:
    """The share of the draws that fit as drawn."""
    return fmean(_fits(draw, costs) for draw in patience.given(draws))


def _fits(draw: Draw, costs: Costs) -> bool:
    numbers = costs.numbers(draw.skeleton, draw.widths)
    if numbers is None or costs.use(numbers) > 1:
        return False
    return costs.budget.sees(costs.field(draw.skeleton, draw.widths))


def _scaled_share(costs: Costs, fill: bool, patience: _Patience) -> float:
    """The share of random draws whose skeleton fits at some widths."""
    draws = patience.given(_random(costs.space, SAMPLE // 4))
    found = ((draw, project(draw, costs, fill=fill)) for draw in draws)
    return fmean(one is not None and one.draw.skeleton == draw.skeleton for draw, one in found)


def _problem(costs: Costs, fill: bool) -> str:
    try:
        check_feasible(costs, fill=fill)
    except BudgetError as error:
        return str(error)
    return ""


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
    draws = _Patience(COUNTING_SECONDS).given(_random(costs.space, SAMPLE // 4))
    found = [project(draw, costs, fill=fill) for draw in draws]
    ordered = sorted((one for one in found if one is not None), key=lambda one: one.numbers.macs)
    return [ordered[len(ordered) * (2 * n + 1) // (2 * count)].draw for n in range(count)] if ordered else []
