"""The networks that the benchmarks of training train: five of each block type, as a search proposes them.

    python benchmarks/train_networks.py      # lists them

A stem, then two or three stages for 32×32 colour images, each stage but the first halving the map; widths double from
stage to stage and are the largest that the budget of parameters allows, in steps of 4; what is left goes to the last.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from nas.arch.read import architecture_from_json
from nas.arch.spec import Architecture
from nas.blocks.registry import load_blocks
from nas.blocks.trace import NetworkCost, cost

CHOICES = {
    "conv": {},
    "stacked": {"layers": 2},
    "bottleneck": {"reduction": 4},
    "grouped": {"groups": 4},
    "separable": {},
    "inception": {"split": "paper"},
    "spatial": {},
}
"""The choices of each block type beside its kernel."""

DEPTHWISE = ("separable",)
"""Block types that live by depthwise convolutions, which have a bar of their own."""

STEP = 4
"""All widths are multiples of this, so that groups and reductions divide them."""

BLOCKS = load_blocks(load=())


class Form(NamedTuple):
    """A network but for its widths; `depth` counts the blocks of a stage."""

    budget: int
    stem: int
    stages: int
    depth: int
    kernel: int


FORMS = (
    Form(20_000, 8, 2, 1, 3),
    Form(50_000, 16, 3, 1, 5),
    Form(100_000, 16, 3, 2, 3),
    Form(250_000, 16, 3, 2, 3),
    Form(500_000, 16, 3, 2, 3),
)


class Proposed(NamedTuple):
    """A network with the budget that it fills."""

    block: str
    budget: int
    architecture: Architecture
    cost: NetworkCost


def proposed(blocks: tuple[str, ...] = tuple(CHOICES), budgets: tuple[int, ...] = ()) -> Iterator[Proposed]:
    """The networks of these block types, and of these budgets; none given: of all."""
    for block in blocks:
        for form in FORMS:
            if not budgets or form.budget in budgets:
                architecture = widest(block, form)
                yield Proposed(block, form.budget, architecture, cost(architecture, BLOCKS))


def widest(block: str, form: Form) -> Architecture:
    """The network of the largest widths within the budget."""
    first = STEP
    while _fits(block, form, _doubling(first + STEP, form.stages)):
        first += STEP
    widths = _doubling(first, form.stages)
    while _fits(block, form, [*widths[:-1], widths[-1] + STEP]):
        widths[-1] += STEP
    return of_widths(block, form, widths)


def of_widths(block: str, form: Form, widths: list[int]) -> Architecture:
    """The network of these widths a stage."""
    parts: list[dict[str, object]] = [{"block": "conv", "width": form.stem, "kernel": 3}]
    for stage, width in enumerate(widths):
        for place in range(form.depth):
            stride = 2 if stage and not place else 1
            parts.append({"block": block, "width": width, "stride": stride, "kernel": form.kernel, **CHOICES[block]})
    parts += [{"layer": "global_average_pool"}, {"layer": "dense", "width": "classes"}]
    return architecture_from_json({"format": 1, "input": [3, 32, 32], "classes": 10, "parts": parts})


def _doubling(first: int, stages: int) -> list[int]:
    return [first * 2**stage for stage in range(stages)]


def _fits(block: str, form: Form, widths: list[int]) -> bool:
    return cost(of_widths(block, form, widths), BLOCKS).params <= form.budget


def main() -> None:
    """A line a network."""
    for one in proposed():
        widths = [part.width for part in one.architecture.parts if hasattr(part, "block")]
        print(f"{one.block:10} {one.budget:7,} {one.cost.params:8,} params {one.cost.macs / 1e6:6.1f} M macs  {widths}")


if __name__ == "__main__":
    main()
