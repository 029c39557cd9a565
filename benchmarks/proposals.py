"""Random proposals over every mix of blocks and budgets: none over budget, none unbuildable, and the budget used.

    python benchmarks/proposals.py --proposals 10000

Spaces and budgets are drawn at random: non-empty subsets of all built-in blocks, now and then with a stranger's that
declares no cost; five sizes of images; narrow and wide grids of widths; 1 to 5 stages, depths 1 to 4, mixed or not,
with batch norm or without; limits on params, weights, macs, activations, two at once, and least receptive fields. Every
proposal is built on the meta device, its parameters counted there, and held against the budget. Whether a proposal
could have filled its budget is counted apart from the search, in `attainable.py`.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from attainable import BAND, Attainable
from provenance import provenance
from random_spaces import BUDGETS, Stranger, random_budget, random_space

from nas.blocks.registry import Blocks, load_blocks
from nas.blocks.trace import cost, normalise
from nas.errors import NasError
from nas.net.build import build
from nas.search.costs import Costs
from nas.search.project import project
from nas.study.budget import Budget
from nas.study.space import Draw, RandomPicker, Space

DRAWS = 10
"""Proposals from one space under one budget."""


@dataclass
class Tally:
    """What became of the proposals under one budget; processor seconds of choosing, building and checking them."""

    counts: Counter[str] = field(default_factory=Counter)
    seconds: Counter[str] = field(default_factory=Counter)

    def row(self) -> dict[str, Any]:
        """The counts with the share of the attainable that fill their budget."""
        names = ("proposals", "kept", "attainable", "filled", "over", "unbuildable", "refused")
        share = self.counts["filled"] / self.counts["attainable"] if self.counts["attainable"] else None
        asked = self.counts["proposals"] + self.counts["refused"]
        each = 1000 * self.seconds["project"] / asked if asked else 0.0
        return {name: self.counts[name] for name in names} | {"share": share, "milliseconds": round(each, 2)}


@dataclass
class Run:
    """One run: tallies by budget, and how the questions after the attainable were answered."""

    blocks: Blocks
    generator: random.Random
    tallies: dict[int, Tally] = field(default_factory=dict)
    ways: dict[str, int] = field(default_factory=dict)
    mistakes: list[str] = field(default_factory=list)

    def world(self, limit: int, space: Space, budget: Budget, draws: int) -> int:
        """Propose from one space; how many proposals there were."""
        tally = self.tallies.setdefault(limit, Tally())
        costs, attainable = Costs(space, self.blocks, budget), Attainable(space, self.blocks, budget, self.ways)
        picker, proposals = RandomPicker(self.generator), 0
        for _ in range(draws):
            draw = space.draw(picker)
            begun = time.process_time()
            found = project(draw, costs)
            tally.seconds["project"] += time.process_time() - begun
            if found is None:
                tally.counts["refused"] += 1
                self.check_refused(space, budget)
                continue
            proposals += 1
            self.check(tally, space, budget, draw, found.draw, attainable)
        return proposals

    def check_refused(self, space: Space, budget: Budget) -> None:
        """Look for a network that would have fitted: random skeletons at their least widths."""
        picker = RandomPicker(random.Random(0))
        for _ in range(20):
            draw = space.draw(picker)
            thin = replace(draw, widths=(min(space.stem_widths), *[min(space.widths)] * len(draw.skeleton.stages)))
            try:
                fits = budget.fits(cost(space.architecture(thin), self.blocks).totals)
            except NasError:
                continue
            if fits:
                self.mistakes.append(f"refused: {budget} though it holds {thin}")

    def check(
        self, tally: Tally, space: Space, budget: Budget, draw: Draw, found: Draw, attainable: Attainable
    ) -> None:
        """Cost, build and judge one proposal."""
        architecture = normalise(space.architecture(found), self.blocks)
        totals = cost(architecture, self.blocks).totals
        kept = draw.skeleton == found.skeleton
        tally.counts["proposals"] += 1
        tally.counts["kept"] += kept
        tally.counts["over"] += not budget.fits(totals)
        begun = time.process_time()
        reason = unbuildable(architecture, totals.params, self.blocks)
        tally.seconds["build"] += time.process_time() - begun
        if reason:
            tally.counts["unbuildable"] += 1
            self.mistakes.append(reason)
        begun = time.process_time()
        filled = kept and budget.use(totals) >= BAND
        could = filled or attainable(draw.skeleton)
        tally.seconds["check"] += time.process_time() - begun
        tally.counts["attainable"] += could
        tally.counts["filled"] += filled
        if could and not filled:
            self.mistakes.append(f"not filled: {budget} {draw} -> {found} use {budget.use(totals):.3f}")


def unbuildable(architecture: Any, params: int, blocks: Blocks) -> str:
    """Why the network cannot be built with so many parameters, counted in the module itself; "" where it can."""
    try:
        with torch.device("meta"):
            network = build(architecture, blocks)
    except NasError as error:
        return str(error)
    counted = sum(parameter.numel() for parameter in network.parameters())
    return "" if counted == params else f"{counted} params built, {params} declared: {architecture}"


def propose(proposals: int, seed: int) -> Run:
    """So many proposals, every budget in turn."""
    run = Run(load_blocks(load=()).with_block(Stranger), random.Random(seed))
    gc.freeze()
    made = 0
    for limit in _around(BUDGETS):
        if made >= proposals:
            return run
        space = random_space(run.generator, run.blocks)
        budget = random_budget(run.generator, limit, space)
        made += run.world(limit, space, budget, min(DRAWS, proposals - made))
    return run


def _around(values: tuple[int, ...]) -> Iterator[int]:
    while True:
        yield from values


def total(run: Run) -> Tally:
    """All budgets together."""
    whole = Tally()
    for tally in run.tallies.values():
        whole.counts.update(tally.counts)
        whole.seconds.update(tally.seconds)
    return whole


def report(run: Run, seconds: float, processor: float, seed: int) -> dict[str, Any]:
    """The run as plain data."""
    whole = total(run)
    return {
        **provenance(),
        "seed": seed,
        "seconds": round(seconds, 1),
        "processor_seconds": round(processor, 1),
        "processor_seconds_each": {name: round(value, 1) for name, value in whole.seconds.items()},
        "attainable_found_by": run.ways,
        "total": whole.row(),
        "budgets": {str(limit): tally.row() for limit, tally in sorted(run.tallies.items())},
    }


def show(data: dict[str, Any]) -> None:
    """The table."""
    print(f"{'budget':>12} {'proposals':>9} {'kept':>6} {'attainable':>10} {'filled':>7} {'share':>7}", end=" ")
    print(f"{'over':>5} {'unbuildable':>11} {'refused':>8} {'ms each':>8}")
    for name, row in [*data["budgets"].items(), ("total", data["total"])]:
        shown = f"{int(name):,}" if name.isdigit() else name
        share = "-" if row["share"] is None else f"{row['share']:.2%}"
        print(
            f"{shown:>12} {row['proposals']:>9,} {row['kept']:>6,} {row['attainable']:>10,} {row['filled']:>7,}",
            end=" ",
        )
        print(f"{share:>7} {row['over']:>5} {row['unbuildable']:>11} {row['refused']:>8} {row['milliseconds']:>8}")
    print(f"every proposal built on the meta device; attainable found by {data['attainable_found_by']}")
    print(f"{data['seconds']} s, of one core {data['processor_seconds']} s ({data['processor_seconds_each']})")
    print(f"on {data['machine']}, commit {data['commit']}")


def main() -> int:
    """Run, print, write; 1 where the claim does not hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--proposals", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "proposals.json")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    begun, processor = time.perf_counter(), time.process_time()
    run = propose(chosen.proposals, chosen.seed)
    data = report(run, time.perf_counter() - begun, time.process_time() - processor, chosen.seed)
    show(data)
    print(*run.mistakes[:10], sep="\n", file=sys.stderr)
    chosen.output.parent.mkdir(parents=True, exist_ok=True)
    chosen.output.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
    whole = data["total"]
    if any(line.startswith("refused") for line in run.mistakes):
        return 1
    return int(whole["over"] or whole["unbuildable"] or (whole["share"] or 1) < 0.95)


if __name__ == "__main__":
    sys.exit(main())
