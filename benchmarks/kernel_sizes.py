"""Fills the made parts of docs/kernel-sizes.md: its tables, and its pictures in docs/images.

    python benchmarks/kernel_sizes.py            # write what has changed
    python benchmarks/kernel_sizes.py --check    # write nothing; 1 where the page or a picture is not up to date

The figures come from the program and from benchmarks/kernel_facts.py; nothing is trained. What was trained is read from
results/experiments, where benchmarks/experiments.py leaves it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

from experiment_tables import claims_table, curve_picture, curve_text, experiment, intervals_picture, networks_table
from kernel_facts import BLOCKS, UNSAID, WRONG, Fact, facts, written
from kernel_pictures import first_layers, lighter_by_channels, svg, weights_by_field
from matplotlib.figure import Figure
from pages import alike, fill, table

from nas.arch.reference import read_reference, references
from nas.blocks.sweep import BlockVariant, ComparedBlock, compare_blocks
from nas.blocks.trace import LayerCost, NetworkCost, cost
from nas.show.comparison import comparison_figure
from nas.show.units import memory

DOCS = Path(__file__).parents[1] / "docs"
PAGE = DOCS / "kernel-sizes.md"
IMAGES = DOCS / "images"


def main() -> int:
    """Write the page and its pictures, or say what is not up to date."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; end with 1 where something is out of date")
    check = parser.parse_args().check
    old = PAGE.read_text(encoding="utf-8")
    new = fill(old, made)
    stale = {IMAGES / name: text for name, text in pictures().items() if not shown(IMAGES / name, text)}
    if new != old:
        stale[PAGE] = new
    for path, text in sorted(stale.items()):
        print(f"{path.relative_to(DOCS.parent)}: {'not up to date' if check else 'written'}")
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return int(check and bool(stale))


def shown(path: Path, picture: str) -> bool:
    """Whether the file shows this picture."""
    return path.exists() and alike(path.read_text(encoding="utf-8"), picture)


def made(name: str) -> str:
    """The content of the block of this name; the first word says the kind, the others what of it."""
    kind, *rest = name.split()
    if kind not in KINDS:
        raise SystemExit(f"{PAGE.name}: block {name!r}: allowed: {', '.join(KINDS)}")
    return KINDS[kind](*rest)


@cache
def known_facts() -> tuple[Fact, ...]:
    """Computed once."""
    return tuple(facts())


def facts_table(*ids: str) -> str:
    """The figures of these ids: what the article prints, and what the program says."""
    rows = [
        [one.id, one.about, one.source if one.article else "", one.article, written(one.value), verdict(one)]
        for one in known_facts()
        if one.id in ids
    ]
    heads = ["", "figure", "article", "it says", "the program says", "so the article's is"]
    return table(heads, rows, texts=("figure", "article", "so the article's is"))


def verdict(one: Fact) -> str:
    """The verdict as the page words it."""
    if one.verdict == UNSAID:
        return ""
    return f"**{one.verdict}**: {one.error}" if one.error else one.verdict


def errors_table() -> str:
    """The figures that are wrong."""
    rows = [
        [one.source, f"{one.about} ({one.id})", one.article, written(one.value), one.error]
        for one in known_facts()
        if one.verdict == WRONG
    ]
    heads = ["article", "figure", "it says", "the program says", "what went wrong"]
    return table(heads, rows, texts=("figure", "what went wrong"))


def types_table() -> str:
    """The block types side by side, 256 channels in and out, on 28×28."""
    variants = [
        BlockVariant("conv", {"kernel": 3}),
        BlockVariant("conv", {"kernel": 5}),
        BlockVariant("conv", {"kernel": 7}),
        BlockVariant("stacked", {"kernel": 3, "layers": 2}),
        BlockVariant("stacked", {"kernel": 3, "layers": 3}),
        BlockVariant("bottleneck", {"kernel": 3, "reduction": 8}),
        BlockVariant("grouped", {"kernel": 3, "groups": 2}),
        BlockVariant("separable", {"kernel": 3}),
        BlockVariant("separable", {"kernel": 5}),
        BlockVariant("spatial", {"kernel": 3}),
        BlockVariant("inception", {"kernel": 5, "split": "paper"}),
    ]
    rows = []
    for row in compare_blocks(BLOCKS, variants):
        sizes = [row.weights, row.params, row.macs, row.activations, row.receptive_field]
        rows.append([f"`{row.block}`", *(f"{value:,}" for value in sizes if value is not None), times(row)])
    heads = ["block", "weights", "params", "macs", "activations", "sees, pixels", "times lighter than the plain one"]
    return table(heads, rows)


def times(row: ComparedBlock) -> str:
    """How many times lighter a block is than the plain convolution that sees as much."""
    return f"{row.times_lighter_by_field:.2f}" if row.times_lighter_by_field else ""


def widths_table() -> str:
    """Two 3×3 for a 5×5, and three for a 7×7, where the width stays and where it grows."""
    places = [(5, 64, 64), (5, 32, 56), (5, 32, 57), (5, 32, 64), (5, 3, 32), (7, 64, 64), (7, 3, 64)]
    rows = []
    for kernel, into, out in places:
        variants = [BlockVariant("conv", {"kernel": kernel}), BlockVariant("stacked", {"layers": (kernel - 1) // 2})]
        large, small = compare_blocks(BLOCKS, variants, settings={"kernel": 3}, in_channels=into, width=out)
        sizes = large.weights or 0, small.weights or 0
        one, many = f"one {kernel}×{kernel}", f"{(kernel - 1) // 2} of 3×3"
        rows.append(
            [f"{one} or {many}", f"{into} → {out}", *(f"{size:,}" for size in sizes), f"{sizes[0] / sizes[1]:.3f}"]
        )
    return table(["", "channels", "weights of the one", "of the 3×3", "one / 3×3"], rows)


def first_layer_table() -> str:
    """Its weights, multiply-adds, activations and bytes."""
    rows = []
    for row in first_layers():
        kernel, stride = row.swept["kernel"], row.swept["stride"]
        sizes = [f"{value:,}" for value in (row.weights or 0, row.macs or 0, row.activations or 0)]
        held = [memory(row.weight_bytes or 0), memory(row.activation_bytes or 0)]
        rows.append([f"{kernel}×{kernel}", str(stride), *sizes, *held])
    return table(["kernel", "stride", "weights", "macs", "activations", "weights, fp32", "activations, fp32"], rows)


@cache
def reference(name: str) -> NetworkCost:
    """The cost of a reference network on its own images."""
    return cost(read_reference(name), BLOCKS)


def references_table() -> str:
    """The reference networks, the fewest parameters first, and how many times AlexNet's each has."""
    alexnet, rows = reference("alexnet"), []
    for name in sorted(references(), key=lambda one: reference(one).params):
        one = reference(name)
        sizes = [f"{value:,}" for value in (one.params, one.weights, one.macs, one.activations)]
        ratios = [f"{one.params / alexnet.params:.3f}", f"{one.macs / alexnet.macs:.3f}"]
        in_dense = sum(layer.weights for layer in one.layers if layer.block == "dense" and not layer.auxiliary)
        seen = [f"{in_dense / one.weights:.0%}", "" if one.receptive_field is None else f"{one.receptive_field:,}"]
        rows.append([f"`{name}`", "×".join(map(str, one.input)), *sizes, *seen, *ratios])
    heads = ["network", "input", "params", "weights", "macs", "activations", "weights in dense layers", "sees, pixels"]
    return table([*heads, "params / `alexnet`", "macs / `alexnet`"], rows)


def alexnet_table() -> str:
    """GoogLeNet against AlexNet, in the article's two figures."""
    rows = []
    for name in ("googlenet", "googlenet_torchvision"):
        for other in ("alexnet", "alexnet_2012"):
            one, against = reference(name), reference(other)
            ratios = [f"{against.params / one.params:.2f}", f"{one.macs / against.macs:.2f}"]
            rows.append([f"`{name}` against `{other}`", "12", ratios[0], "2", ratios[1]])
    heads = ["", "fewer params, the article", "the program", "more computation, the article", "the program"]
    return table(heads, rows)


def googlenet_table() -> str:
    """GoogLeNet module by module, heads for training left out."""
    whole, rows = reference("googlenet"), []
    modules: dict[str, list[LayerCost]] = {}
    for layer in whole.layers:
        if layer.weights and not layer.auxiliary:
            modules.setdefault(module_of(layer.name), []).append(layer)
    for name, layers in modules.items():
        joined = sum(one.output[0] for one in layers if not one.name.endswith("_reduce"))
        held, macs = sum(one.weights for one in layers), sum(one.macs for one in layers)
        shape = "×".join(map(str, layers[0].input))
        rows.append([name, shape, str(joined), f"{held:,}", f"{held / whole.weights:.1%}", f"{macs:,}"])
    rows.append(["all", "", "", f"{whole.weights:,}", "100.0%", f"{whole.macs:,}"])
    return table(["module", "input", "channels out", "weights", "of all", "macs"], rows)


def module_of(layer: str) -> str:
    """The module that a layer of GoogLeNet belongs to."""
    names = {"stem.7x7": "7×7", "stem.3x3_reduce": "1×1, then 3×3", "stem.3x3": "1×1, then 3×3", "fc": "dense"}
    return names.get(layer) or f"inception {layer.split('.')[0]}"


def experiment_block(study: str) -> str:
    """An experiment's tables, with what else there is to say and see of it."""
    parts = [experiment(study, BLOCKS)]
    picture = EXPERIMENT_PICTURES.get(study)
    if picture and picture[1]() is not None:
        curve = curve_text() if study == "keras-cifar10" else ""
        parts += [*([curve] if curve else []), f"![{picture[2]}](images/{picture[0]})"]
    return "\n\n".join(parts)


KINDS: dict[str, Callable[..., str]] = {
    "facts": facts_table,
    "errors": errors_table,
    "types": types_table,
    "widths": widths_table,
    "first-layer": first_layer_table,
    "references": references_table,
    "alexnet": alexnet_table,
    "googlenet": googlenet_table,
    "networks": lambda study: networks_table(study, BLOCKS),
    "claims": lambda: claims_table(BLOCKS),
    "experiment": experiment_block,
}


PICTURES: dict[str, Callable[[], Figure]] = {
    "kernel-sizes-weights.svg": weights_by_field,
    "kernel-sizes-lighter.svg": lighter_by_channels,
    "kernel-sizes-first-layer.svg": lambda: comparison_figure(first_layers()),
}

EXPERIMENT_PICTURES: dict[str, tuple[str, Callable[[], Figure | None], str]] = {
    "separable-vs-plain": (
        "kernel-sizes-small-networks.svg",
        lambda: intervals_picture(("stacked-vs-5x5", "separable-vs-plain"), "Two blocks and two dense layers"),
        "Means and intervals of the networks of both experiments",
    ),
    "keras-cifar10": ("kernel-sizes-keras.svg", curve_picture, "Accuracy by epoch, and the article's 85 %"),
    "blocks-at-equal-budget": (
        "kernel-sizes-equal-budget.svg",
        lambda: intervals_picture(("blocks-at-equal-budget",), "Block types at 50,000 parameters"),
        "Means and intervals of the seven block types",
    ),
}


def pictures() -> dict[str, str]:
    """File name -> SVG; of the experiments only what has been run."""
    made_here = {name: draw() for name, draw in PICTURES.items()}
    run = {name: draw() for name, draw, _ in EXPERIMENT_PICTURES.values()}
    return {name: svg(figure) for name, figure in {**made_here, **run}.items() if figure is not None}


if __name__ == "__main__":
    sys.exit(main())
