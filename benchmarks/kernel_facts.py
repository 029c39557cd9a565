"""What four articles on kernel sizes say in numbers, beside what the program says.

    python benchmarks/kernel_facts.py

Every figure comes from the program: the cost algebra, the built-in blocks, a network's cost, or a layer turned into
another on real tensors. Nothing is trained. The articles, each under the word that stands in `source`:

kernels: A. Chazareix, "About Convolutional Layer and Convolution Kernel", 2018
book: "Convolutional Neural Networks", a chapter of an online book on artificial intelligence
workings: "The Inner Workings of Convolutional Nets", 2018
architectures: P. Khurana, "CNN Architectures, part 2", 2020
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from typing import Any

import torch
from torch import nn

from nas.arch.cost import Cost, convolution, dense, window
from nas.arch.read import architecture_from_json
from nas.blocks.registry import load_blocks
from nas.blocks.sweep import BlockVariant, ComparedBlock, compare_blocks
from nas.blocks.trace import cost
from nas.net.convert import convolution_to_dense, dense_to_convolution
from nas.show.cost import block_record

BLOCKS = load_blocks(load=())
MANY = 2**20
"""Channels so many that a ratio is at its limit."""

EXACT, ROUNDED, CUT, WRONG, UNSAID = "exact", "rounded", "cut short", "wrong", "not said"


@dataclass(frozen=True)
class Fact:
    """One figure: what the article prints ("" where it gives none), and the program's value.

    `error` says what went wrong where the article's figure is not the value, not even rounded.
    """

    id: str
    about: str
    source: str
    article: str
    value: float
    error: str = ""

    @property
    def verdict(self) -> str:
        """How the article's figure stands to the value, to the digits that it prints."""
        if not self.article:
            return UNSAID
        said, value = Decimal(self.article.replace(",", "")), Decimal(self.value)
        if said == value:
            return EXACT
        last = Decimal(1).scaleb(said.normalize().as_tuple().exponent)  # type: ignore[arg-type]
        if (value / last).quantize(Decimal(1), ROUND_HALF_UP) * last == said:
            return ROUNDED
        return CUT if (value / last).quantize(Decimal(1), ROUND_DOWN) * last == said else WRONG


def block(name: str, channels: int, **settings: Any) -> ComparedBlock:
    """One block, as many channels in as out, on 28×28 pixels."""
    (row,) = compare_blocks(BLOCKS, [BlockVariant(name, settings)], in_channels=channels, width=channels)
    return row


def weights(name: str, channels: int, **settings: Any) -> int:
    """Its weights."""
    found = block(name, channels, **settings).weights
    assert found is not None
    return found


def dense_against_convolution(side: int, kernel: int) -> tuple[float, float]:
    """The ratios of weights and of multiply-adds on a map of side × side, one channel in and out."""
    heavy, light = dense((1, side, side), side * side), convolution((1, side, side), 1, kernel)
    return heavy.weights / light.weights, heavy.macs / light.macs


def dense_facts() -> Iterator[Fact]:
    """Dense layers against convolutions."""
    (small, small_macs), (large, large_macs) = dense_against_convolution(32, 11), dense_against_convolution(224, 3)
    yield Fact("A1", "weights, dense / 11×11 on 32×32", "kernels", "8,600", small)
    yield Fact("A1", "weights, dense / 3×3 on 224×224", "kernels", "270,000,000", large)
    yield Fact("A2", "multiply-adds, dense / 3×3 on 224×224", "kernels", "5,500", large_macs)
    yield Fact("A2", "multiply-adds, dense / 11×11 on 32×32", "kernels", "8.5", small_macs)
    layer, same = mimicked()
    yield Fact("A3", "3×3 as a dense layer, 4×4 → 2×2: rows of its kernel", "kernels", "4", layer.out_features)
    yield Fact("A3", "the same: columns", "kernels", "16", layer.in_features)
    yield Fact("A3", "the same: numbers that are not zero", "kernels", "", int(layer.weight.count_nonzero()))
    yield Fact("A3", "the same: outputs alike", "kernels", "4", same)


def mimicked() -> tuple[nn.Linear, int]:
    """The dense layer that a 3×3 convolution on 4×4 pixels is, and how many of its outputs are the convolution's."""
    torch.manual_seed(0)
    image, window_3 = torch.rand(1, 1, 4, 4), nn.Conv2d(1, 1, 3)
    layer = convolution_to_dense(window_3, (1, 4, 4))
    return layer, int(torch.isclose(layer(image.flatten(1)), window_3(image).flatten(1)).sum())


_COUNT = {2: "two", 3: "three"}


def stacking_facts() -> Iterator[Fact]:
    """Several small kernels for one large one."""
    for kernel, layers, id in ((5, 2, "A4"), (7, 3, "A5")):
        large, small = weights("conv", 64, kernel=kernel), weights("stacked", 64, kernel=3, layers=layers)
        yield Fact(id, f"weights of a {kernel}×{kernel}, by c²", "book", str(kernel**2), large / 64**2)
        yield Fact(id, f"weights of {_COUNT[layers]} 3×3, by c²", "book", str(9 * layers), small / 64**2)
        yield Fact(
            id, f"{kernel}×{kernel} / {_COUNT[layers]} 3×3", "kernels", {5: "1.4", 7: "2"}[kernel], large / small
        )
        fields = [block("conv", 64, kernel=kernel), block("stacked", 64, kernel=3, layers=layers)]
        assert fields[0].receptive_field == fields[1].receptive_field == kernel


def channel_facts() -> Iterator[Fact]:
    """Bottlenecks, groups, separable and spatial convolutions."""
    plain, neck = weights("conv", 256, kernel=3), weights("bottleneck", 256, kernel=3, reduction=8)
    forgot = "3² · 256² without the 3²; the 2 follows from it"
    yield Fact("A6", "weights of a 3×3, 256 → 256", "kernels", "65,536", plain, forgot)
    yield Fact("A6", "weights of the bottleneck 256 → 32 → 256", "kernels", "25,600", neck)
    yield Fact("A6", "3×3 / bottleneck", "kernels", "2", plain / neck, forgot)
    for kernel in (1, 3, 5, 7):
        ratio = weights("conv", 512, kernel=kernel) / weights("grouped", 512, kernel=kernel, groups=2)
        yield Fact("A7", f"{kernel}×{kernel} / two groups of it, 512 channels", "kernels", "2", ratio)
    for kernel in (3, 5):
        for channels in (256, MANY):
            ratio = weights("conv", channels, kernel=kernel) / weights("separable", channels, kernel=kernel)
            said = str(kernel**2) if channels == MANY else ""
            yield Fact(
                "A8", f"{kernel}×{kernel} / separable {kernel}×{kernel}, {_many(channels)}", "kernels", said, ratio
            )
    thirteen = "1.4 · 9 multiplies two rounded limits; 12.5 is the limit, and no width reaches it"
    for channels in (32, 128, 256, MANY):
        twice = 2 * weights("separable", channels, kernel=3)
        ratio = weights("conv", channels, kernel=5) / twice
        said = "13" if channels == MANY else ""
        yield Fact(
            "A9", f"5×5 / two separable 3×3, {_many(channels)}", "kernels", said, ratio, thirteen if said else ""
        )
        ratio = weights("stacked", channels, kernel=3, layers=2) / twice
        yield Fact("A9", f"two 3×3 / two separable 3×3, {_many(channels)}", "kernels", "9" if said else "", ratio)
    yield Fact("A10", "weights of 1×3 then 3×1, by c²", "book", "6", weights("spatial", 96, kernel=3) / 96**2)
    yield Fact("A10", "weights of a 3×3, by c²", "book", "9", weights("conv", 96, kernel=3) / 96**2)


def _many(channels: int) -> str:
    return "channels without end" if channels == MANY else f"{channels} channels"


def layer_facts() -> Iterator[Fact]:
    """One layer's numbers and sizes, receptive fields."""
    layer = convolution((3, 32, 32), 10, 5, padding=2, bias=True)
    yield Fact("A11", "params of ten 5×5 on 32×32×3", "book", "760", layer.params)
    yield Fact("A11", "the same: weights", "book", "750", layer.weights)
    yield Fact("A11", "the same: activations", "book", "10,240", layer.activations)
    yield Fact(
        "A11", "bytes of ten 5×5's activations, fp32", "book", "10,240", 4 * layer.activations, "elements called bytes"
    )
    yield Fact("A12", "side after 3×3 on 4×4", "book", "2", window(4, 3))
    yield Fact("A12", "side after 3×3, padding 1, on 5×5", "book", "5", window(5, 3, padding=1))
    yield Fact("A12", "side after 5×5 on 32×32", "book", "28", window(32, 5))
    for (name, field), said in zip(receptive_fields().items(), ("3", "", "", ""), strict=True):
        yield Fact("A13", f"receptive field of {name}", "book", said, field)


def receptive_fields() -> dict[str, int]:
    """Layer -> receptive field of the book's example: two 3×3, a pool of 2, a 3×3, on 14×14 pixels."""
    window_3 = {"layer": "conv", "kernel": 3, "width": 8, "padding": 0}
    pool = {"layer": "max_pool", "size": 2, "stride": 2}
    end = [{"layer": "global_average_pool"}, {"layer": "dense", "width": "classes"}]
    data = {"format": 1, "input": [3, 14, 14], "classes": 2, "parts": [window_3, window_3, pool, window_3, *end]}
    layers = cost(architecture_from_json(data), BLOCKS).layers[:4]
    return {layer.name: layer.receptive_field for layer in layers if layer.receptive_field is not None}


def memory_facts() -> Iterator[Fact]:
    """The first layer on 256×256×3, 64 filters."""
    rows = compare_blocks(
        BLOCKS, ["conv"], in_channels=3, width=64, size=256, sweep={"kernel": [3, 7], "stride": [1, 2]}
    )
    by = {(row.swept["kernel"], row.swept["stride"]): row for row in rows}
    for kernel, stride in ((3, 1), (7, 2)):
        row = by[kernel, stride]
        name = f"{kernel}×{kernel} stride {stride}"
        yield Fact(
            "A14", f"activations of {name}", "book", f"{256 * 256 * 64:,}" if stride == 1 else "", row.activations or 0
        )
        said, error = ("4", "elements called bytes: fp32 has four a number") if stride == 1 else ("", "")
        yield Fact("A14", f"MiB of them in fp32, {name}", "book", said, (row.activation_bytes or 0) / 2**20, error)
        yield Fact("A14", f"weights of {name}", "book", "", row.weights or 0)
        yield Fact("A14", f"multiply-adds of {name}", "book", "", row.macs or 0)


def head_facts() -> Iterator[Fact]:
    """Dense layers on maps, and as convolutions."""
    head: Cost = dense((512, 7, 7), 4096, bias=False)
    turned = dense_to_convolution(nn.Linear(512 * 7 * 7, 4096, bias=False, device="meta"), (512, 7, 7))
    yield Fact("A15", "weights of a dense 7×7×512 → 4096", "architectures", "102,000,000", head.weights)
    yield Fact("A15", "weights of it as a 7×7 convolution", "book", "", turned.weight.numel())
    yield Fact("A15", "its side on 7×7", "book", "1", turned(torch.empty(1, 512, 7, 7, device="meta")).shape[-1])
    yield Fact("A15", "its side on 9×9", "book", "", turned(torch.empty(1, 512, 9, 9, device="meta")).shape[-1])
    pooled, flat = dense((1024, 1, 1), 1000), dense((1024, 7, 7), 1000)
    yield Fact("A16", "weights of GoogLeNet's 1024 → 1000", "architectures", "1,000,000", pooled.weights)
    took = "49 times one million, where 1024 · 1000 is 1.024 million"
    yield Fact("A16", "weights without the average pool", "architectures", "49,000,000", flat.weights, took)


def module_facts() -> Iterator[Fact]:
    """GoogLeNet's modules, and a dense layer on a large image."""
    modules = {"3a": (192, 256, "64,96:128,16:32,32"), "3b": (256, 480, "128,128:192,32:96,64")}
    for name, (channels, width, branches) in modules.items():
        record = block_record(BLOCKS["inception"], (channels, 28, 28), width, given={"branches": branches})
        ends = {layer["name"]: layer["output"][0] for layer in record["layers"]}
        joined = sum(ends[branch] for branch in ("one", "three", "large", "pool"))
        yield Fact("A17", f"weights of inception {name}", "architectures", "", record["weights"])
        said, error = ("448", "128 + 192 + 96 + 64 is 480; the 448 leaves 32 out") if name == "3b" else ("", "")
        yield Fact("A17", f"channels out of inception {name}", "architectures", said, joined, error)
    yield Fact("A18", "weights of a dense 512×512×3 → 100", "workings", "78,643,200", dense((3, 512, 512), 100).weights)
    flat = 3 * 512 * 512
    row = convolution((1, 1, flat), 1, (1, 100), padding=0)
    yield Fact("A18", "outputs of a kernel of 100 on the flattened image", "workings", "786,333", row.activations)
    called = "the number of outputs called weights; the kernel alone is learned"
    yield Fact("A18", "weights of a kernel of 100", "workings", "786,333", row.weights, called)


def facts() -> list[Fact]:
    """All of them, in the order of their ids."""
    kinds = (dense_facts, stacking_facts, channel_facts, layer_facts, memory_facts, head_facts, module_facts)
    return [fact for kind in kinds for fact in kind()]


def written(value: float) -> str:
    """279,736,775 or 8.46."""
    return f"{value:,.0f}" if value >= 10_000 or value == int(value) else f"{value:,.3f}"


def main() -> int:
    """Print the table, or JSON; 1 where an article's figure is wrong and nothing says why."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print JSON")
    found = facts()
    if parser.parse_args().json:
        print(json.dumps([asdict(fact) | {"verdict": fact.verdict} for fact in found], indent=2, ensure_ascii=False))
    else:
        print(f"{'id':<4} {'figure':<52} {'article':>13} {'program':>13}  verdict")
        for fact in found:
            said = f"{fact.verdict}: {fact.error}" if fact.error else fact.verdict
            print(f"{fact.id:<4} {fact.about:<52} {fact.article or '-':>13} {written(fact.value):>13}  {said}")
    return int(any((fact.verdict == WRONG) != bool(fact.error) for fact in found))


if __name__ == "__main__":
    sys.exit(main())
