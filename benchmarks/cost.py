"""What costing a network takes, beside the tools that count built modules; and that the counts are the right ones.

    python benchmarks/cost.py --networks 10000 --rivals 100

First every network's params and macs are held against its built module on the meta device: parameters as the module
has them, multiply-adds from the shapes that leave each convolution and dense layer, counted here and nowhere else. Then
`nas.cost` is timed over random networks of the quickstart's space: with nothing remembered, with the parts of the space
remembered but each network new, and by tables. The rivals count the same networks, given a built module and from the
architecture on. Times are of the processor, one thread, medians of rounds.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import io
import json
import logging
import random
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from fvcore.nn import FlopCountAnalysis
from provenance import provenance
from ptflops import get_model_complexity_info
from random_spaces import Stranger, random_space
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from torchinfo import summary

from nas.arch.reference import read_reference
from nas.arch.spec import Architecture
from nas.blocks.costing import block_cost, block_layers, is_valid
from nas.blocks.parts import block_steps, layer_step
from nas.blocks.registry import Blocks, load_blocks
from nas.blocks.trace import cost
from nas.errors import NasError
from nas.net.build import build, without_heads
from nas.search.costs import Costs
from nas.search.project import project
from nas.search.tables import CostTables
from nas.study.budget import Budget
from nas.study.file import read_study
from nas.study.space import Draw, RandomPicker, Space, make_space

HERE = Path(__file__).parent
STUDY = HERE.parent / "studies" / "quickstart.toml"
REMEMBERED = (block_cost, block_layers, block_steps, is_valid, layer_step)
"""What is remembered of parts across networks."""

DRAWS = 10
"""Networks from one space in the check of counts."""


def networks(space: Space, blocks: Blocks, count: int, generator: random.Random) -> list[tuple[Draw, Architecture]]:
    """So many networks of a space that can be built, no two alike where the space holds so many."""
    picker, found = RandomPicker(generator), {}
    for _ in range(5 * count):
        draw = space.draw(picker)
        with contextlib.suppress(NasError):
            architecture = space.architecture(draw)
            cost(architecture, blocks)
            found[draw] = architecture
        if len(found) == count:
            break
    return list(found.items())


def on_meta(architecture: Architecture, blocks: Blocks) -> nn.Module:
    """The module without memory behind its tensors, as at inference."""
    with torch.device("meta"):
        return build(architecture, blocks).eval()


def counted(module: nn.Module, architecture: Architecture) -> tuple[int, int]:
    """Params and multiply-adds of a built module, from its parameters and the shapes that leave its layers."""
    macs = 0

    def count(layer: nn.Module, inputs: Any, output: Tensor) -> None:
        nonlocal macs
        each = layer.weight[0].numel()  # type: ignore[index, operator]
        macs += output.numel() * each

    layers = [layer for layer in module.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    with torch.no_grad():
        module(torch.zeros(1, *architecture.input, device="meta"))
    for hook in hooks:
        hook.remove()
    return sum(parameter.numel() for parameter in module.parameters()), macs


def check(count: int, seed: int, blocks: Blocks) -> dict[str, int]:
    """Hold so many networks of random spaces against their modules; raises AssertionError where one differs."""
    registry, generator = blocks.with_block(Stranger), random.Random(seed)
    checked, used = 0, set()
    while checked < count:
        space = random_space(generator, registry)
        for _, architecture in networks(space, registry, min(DRAWS, count - checked), generator):
            found = cost(architecture, registry)
            built = counted(on_meta(architecture, registry), architecture)
            assert (found.params, found.macs) == built, f"{built} built, {found.totals}: {architecture}"
            used.update(architecture.blocks)
            checked += 1
            if checked % 500 == 0:
                print(f"{checked:,} of {count:,} networks equal their modules", file=sys.stderr, flush=True)
    assert count < 500 or used >= set(blocks), f"never drawn: {set(blocks) - used}"
    return {"networks": checked, "blocks": len(used)}


def seconds(work: Callable[[], Any]) -> float:
    """Processor seconds that the work takes."""
    gc.collect()
    gc.disable()
    begun = time.process_time()
    work()
    taken = time.process_time() - begun
    gc.enable()
    return taken


def rates(work: Callable[[], Any], count: int, rounds: int, before: Callable[[], Any] = lambda: None) -> dict[str, Any]:
    """How many a second, over rounds: median, least and most."""
    found = []
    for _ in range(rounds):
        before()
        found.append(count / seconds(work))
    return {"median": round(median(found)), "least": round(min(found)), "most": round(max(found)), "rounds": rounds}


def forget() -> None:
    """Nothing is remembered of any part."""
    for function in REMEMBERED:
        function.cache_clear()


def cost_all(architectures: Sequence[Architecture], blocks: Blocks) -> None:
    """Cost each once."""
    for architecture in architectures:
        cost(architecture, blocks)


def ours(space: Space, blocks: Blocks, count: int, rounds: int, generator: random.Random) -> dict[str, Any]:
    """Networks a second: nothing remembered; parts remembered from other networks; layer by layer; by tables."""
    known = networks(space, blocks, 2 * count, generator)
    others, mine = known[:count], known[count:]
    fresh = [architecture for _, architecture in mine]
    result = {"cold": rates(lambda: cost_all(fresh, blocks), len(fresh), rounds, forget)}
    forget()
    cost_all([architecture for _, architecture in others], blocks)
    # Whole networks are never remembered, only their parts: the first round sees networks that nobody has costed.
    before = block_layers.cache_info().misses
    result["first_round"] = rates(lambda: cost_all(fresh, blocks), len(fresh), 1)
    result["first_round"]["parts_unknown"] = block_layers.cache_info().misses - before
    result["warm"] = rates(lambda: cost_all(fresh, blocks), len(fresh), rounds)
    result["layer_by_layer"] = rates(lambda: [cost(one, blocks).layers for one in fresh], len(fresh), rounds)
    return result | tables(space, blocks, mine, rounds)


def tables(space: Space, blocks: Blocks, known: Sequence[tuple[Draw, Architecture]], rounds: int) -> dict[str, Any]:
    """The same space compiled; every sum is held against `nas.cost` first."""
    forget()
    compiled: list[CostTables] = []
    taken = seconds(lambda: compiled.append(CostTables(space, blocks)))
    table = compiled[0]
    codes = [table.codes(draw) for draw, _ in known]
    for row, sums, (_, architecture) in zip(codes, table.many(np.array(codes)).tolist(), known, strict=True):
        found = cost(architecture, blocks)
        wanted = (found.params, found.weights, found.macs, found.activations, found.receptive_field)
        assert table.one(row) == wanted == tuple(sums), architecture
    many = np.tile(np.array(codes), (max(1, 200_000 // len(codes)), 1))
    return {
        "tables_compiled_seconds": round(taken, 3),
        "tables_one": rates(lambda: [table.one(row) for row in codes], len(codes), rounds),
        "tables_many": rates(lambda: table.many(many), len(many), rounds),
    }


def projection(space: Space, blocks: Blocks, generator: random.Random, rounds: int) -> dict[str, Any]:
    """Microseconds to the largest widths that fit 20,000 params: skeletons new, and the same ones again."""
    picker, budget = RandomPicker(generator), Budget(params=20_000)
    costs = Costs(space, blocks, budget)
    draws = [space.draw(picker) for _ in range(500)]
    first = seconds(lambda: [project(draw, costs) for draw in draws]) / len(draws)
    again = [seconds(lambda: [project(draw, costs) for draw in draws]) / len(draws) for _ in range(rounds)]
    return {"first_us": round(1e6 * first, 1), "again_us": round(1e6 * median(again), 1)}


Count = Callable[[nn.Module, tuple[int, int, int]], tuple[int | None, int]]
"""(params or None, what the tool gives as its work) of a built module for one image (C, H, W)."""


def by_torchinfo(module: nn.Module, shape: tuple[int, int, int]) -> tuple[int | None, int]:
    found = summary(module, (1, *shape), verbose=0, device="cpu")
    return found.total_params, found.total_mult_adds


def by_fvcore(module: nn.Module, shape: tuple[int, int, int]) -> tuple[int | None, int]:
    analysis = FlopCountAnalysis(module, torch.zeros(1, *shape))
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    return sum(parameter.numel() for parameter in module.parameters()), int(analysis.total())


def by_ptflops(module: nn.Module, shape: tuple[int, int, int]) -> tuple[int | None, int]:
    macs, params = get_model_complexity_info(
        module, shape, as_strings=False, print_per_layer_stat=False, verbose=False, backend="pytorch"
    )
    return int(params), int(macs)


def by_torch(module: nn.Module, shape: tuple[int, int, int]) -> tuple[int | None, int]:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(torch.zeros(1, *shape))
    return None, counter.get_total_flops()


RIVALS: dict[str, Count] = {
    "torchinfo": by_torchinfo,
    "fvcore": by_fvcore,
    "ptflops": by_ptflops,
    "FlopCounterMode": by_torch,
}


def beside(known: Sequence[Architecture], blocks: Blocks, rounds: int, warm: float) -> dict[str, dict[str, Any]]:
    """Each rival on the same networks: how many a second, and how its figures stand to ours."""
    built = [build(architecture, blocks).eval() for architecture in known]
    shapes = [architecture.input for architecture in known]
    building = rates(lambda: [build(architecture, blocks) for architecture in known], len(known), rounds)
    rows: dict[str, dict[str, Any]] = {"build alone": building}
    for name, count in RIVALS.items():
        figures = [count(module, shape) for module, shape in zip(built, shapes, strict=True)]
        given = rates(lambda: [count(*one) for one in zip(built, shapes, strict=True)], len(known), rounds)  # noqa: B023
        whole = 1 / (1 / given["median"] + 1 / building["median"]) if given["median"] else 0.0
        rows[name] = {
            "module_given": given,
            "from_architecture": round(whole, 1),
            "times_slower": round(warm / whole),
            **compared(figures, [cost(architecture, blocks) for architecture in known]),
        }
    return rows


def compared(figures: Sequence[tuple[int | None, int]], costs: Sequence[Any]) -> dict[str, Any]:
    """The share of networks whose params are ours, and the least and largest ratio of work to our macs."""
    params = [given == found.params for (given, _), found in zip(figures, costs, strict=True) if given is not None]
    ratios = [work / found.macs for (_, work), found in zip(figures, costs, strict=True)]
    return {
        "params_equal": sum(params) / len(params) if params else None,
        "work_to_macs": [round(min(ratios), 4), round(max(ratios), 4)],
    }


def references(blocks: Blocks, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Params and work of reference networks by every tool, auxiliary heads left out."""
    rows = {}
    for name in names:
        architecture = without_heads(read_reference(name))
        found = cost(architecture, blocks)
        module = build(architecture, blocks).eval()
        figures = {rival: count(module, architecture.input) for rival, count in RIVALS.items()}
        rows[name] = {
            "nas": [found.params, found.macs],
            "built": list(counted(on_meta(architecture, blocks), architecture)),
            **{rival: list(figure) for rival, figure in figures.items()},
        }
    return rows


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """The rivals warn of this and that."""
    logging.disable(logging.WARNING)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield
    logging.disable(logging.NOTSET)


def show(data: dict[str, Any]) -> None:
    """The tables."""
    checked = data["checked"]
    print(f"{checked['networks']:,} networks of all {checked['blocks']} blocks equal their built modules")
    for name, row in data["nas"].items():
        shown = f"{row['median']:>12,} a second ({row['least']:,} to {row['most']:,})" if isinstance(row, dict) else row
        print(f"nas {name:<24} {shown}")
    print(f"project onto 20,000 params: {data['projection']}")
    for name, row in data["rivals"].items():
        if name == "build alone":
            print(f"{name:<16} {row['median']:>8,} a second")
            continue
        print(
            f"{name:<16} {row['module_given']['median']:>8,} a second of a built module, {row['from_architecture']:>8}"
            f" from the architecture: {row['times_slower']:,} times slower; params equal {row['params_equal']},"
            f" work / our macs {row['work_to_macs']}"
        )
    for name, row in data["references"].items():
        print(name, row)
    print(f"on {data['machine']}, commit {data['commit']}")


def main() -> int:
    """Run, print, write; 1 where the claim does not hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", type=int, default=10_000, help="networks to time, and to hold against modules")
    parser.add_argument("--checked", type=int, help="networks to hold against modules, where not as many as to time")
    parser.add_argument("--rivals", type=int, default=100, help="networks for the rivals")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--references", default="alexnet,googlenet,resnet50,mobilenet_v1")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "cost.json")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    blocks, generator = load_blocks(load=()), random.Random(chosen.seed)
    table = read_study(STUDY).space
    assert table is not None
    space = make_space(table, blocks, (1, 8, 8), 10)
    data: dict[str, Any] = {**provenance(), "seed": chosen.seed}
    data["versions"] = {name: version(name) for name in ("torchinfo", "fvcore", "ptflops", "torch", "numpy")}
    data["checked"] = check(chosen.checked or chosen.networks, chosen.seed, blocks)
    data["nas"] = ours(space, blocks, chosen.networks, chosen.rounds, generator)
    data["projection"] = projection(space, blocks, generator, chosen.rounds)
    known = [architecture for _, architecture in networks(space, blocks, chosen.rivals, generator)]
    with quiet():
        data["rivals"] = beside(known, blocks, 3, data["nas"]["warm"]["median"])
        data["references"] = references(blocks, chosen.references.split(","))
    show(data)
    chosen.output.parent.mkdir(parents=True, exist_ok=True)
    chosen.output.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
    met = data["nas"]["first_round"]["median"] >= 100_000 and data["nas"]["tables_one"]["median"] >= 500_000
    return int(not (met and data["nas"]["tables_many"]["median"] >= 5_000_000))


if __name__ == "__main__":
    sys.exit(main())
