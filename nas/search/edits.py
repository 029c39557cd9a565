"""The networks one edit away from a network, as they are within the budget."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

from nas.arch.record import Value
from nas.search.costs import Costs
from nas.search.drawing import completions, edits, replayed
from nas.search.phrases import summary
from nas.search.project import project
from nas.search.stages import Numbers

MOST_COMPLETIONS = 24
"""Of what an edit brings with it so many combinations are looked at, at random where there are more."""


@dataclass(frozen=True)
class Edited:
    """A network within the budget that an edit leads to: the choice `edit` given another `value`.

    `params` are its choices by name, as those of a trial; the budget may have changed more than the edit.
    """

    edit: str
    value: Value
    params: Mapping[str, Value]
    architecture: str
    network: str
    numbers: Numbers


def around(costs: Costs, named: Mapping[str, Value], *, fill: bool = True) -> list[Edited]:
    """Every network one edit away from the one of these choices, each once, but for what they become unedited.

    Raises ValueError where the space does not draw the network itself.
    """
    space, generator = costs.space, random.Random(0)
    draw, point = replayed(space.draw, named)
    unedited = [draw, *([made.draw] if (made := project(draw, costs, fill=fill)) else [])]
    found: dict[str, Edited | None] = dict.fromkeys(space.architecture(one).fingerprint for one in unedited)
    for name, value in edits(point):
        for other in completions(space.draw, {**point.named, name: value}, MOST_COMPLETIONS, generator):
            one = _edited(costs, other.named, name, value, fill)
            if one is not None and one.architecture not in found:
                found[one.architecture] = one
    return [one for one in found.values() if one is not None]


def _edited(costs: Costs, named: Mapping[str, Value], edit: str, value: Value, fill: bool) -> Edited | None:
    made = project(replayed(costs.space.draw, named)[0], costs, fill=fill)
    if made is None:
        return None
    architecture = costs.space.architecture(made.draw)
    return Edited(
        edit=edit,
        value=value,
        params=costs.space.names(made.draw),
        architecture=architecture.fingerprint,
        network=summary(architecture),
        numbers=made.numbers,
    )
