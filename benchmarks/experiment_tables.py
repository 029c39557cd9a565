"""What the experiments' results say: tables, differences with their intervals, and pictures.

The results are those that benchmarks/experiments.py writes; an experiment without any says so.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from statistics import fmean, variance
from typing import Any, NamedTuple

from matplotlib.figure import Figure
from pages import table
from scipy.special import stdtrit

from nas.blocks.registry import Blocks
from nas.blocks.trace import cost
from nas.show.plot import Interval, Line, Panel, lines, means_with_intervals
from nas.show.units import SHARE
from nas.study.candidates import Listed, listed
from nas.study.file import read_study

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "experiments"
STUDIES = HERE.parent / "studies"
CIFAR10 = (3, 32, 32), 10

ASKED = {
    "stacked-vs-5x5": (
        ("two 3×3, 32 and 64 wide", "one 5×5, 32 and 64 wide"),
        ("two 3×3, 16 and 16 wide", "one 5×5, 16 and 16 wide"),
    ),
    "separable-vs-plain": (
        ("two separable 3×3", "two 3×3"),
        ("two separable 3×3", "one 5×5"),
        ("two 3×3", "one 5×5"),
    ),
}
"""Study -> the pairs that its question is about; elsewhere the best is held against all others."""

CLAIMS = {
    "stacked-vs-5x5": "two 3×3 are lighter than one 5×5, and better",
    "separable-vs-plain": "two separable 3×3 are 9 times lighter than two 3×3, and a bit less good",
    "keras-cifar10": "about 85 % by epoch 64",
    "blocks-at-equal-budget": "none: which block type makes the best network of 50,000 params?",
}
"""Study -> what the articles say of it."""

MAIN = {"stacked-vs-5x5": 2, "separable-vs-plain": 1}
"""Study -> how many of its asked pairs the claim itself is about."""

CLAIM = 0.85
"""The accuracy that the article on the Keras network names."""

Result = Mapping[str, Any]


def result(study: str, folder: Path = RESULTS) -> Result | None:
    """A study's results with the candidates that are done, the best first; None where there are none."""
    path = folder / f"{study}.json"
    if not path.exists():
        return None
    found = json.loads(path.read_text(encoding="utf-8"))
    done = [one for one in found["candidates"] if one["complete"] and one["accuracies"]]
    return {**found, "candidates": done} if done else None


def candidates(study: str, blocks: Blocks) -> tuple[Listed, ...]:
    """A comparison's networks on CIFAR-10, as its file lists them."""
    found, problems = listed(read_study(STUDIES / f"{study}.toml").candidates, blocks, *CIFAR10)
    assert not problems, problems
    return found


def parts_of_weights(one: Listed, blocks: Blocks) -> tuple[int, int]:
    """Weights in convolutions, and in dense layers."""
    layers = cost(one.architecture, blocks).layers
    in_dense = sum(layer.weights for layer in layers if layer.block == "dense")
    return one.totals.weights - in_dense, in_dense


def networks_table(study: str, blocks: Blocks) -> str:
    """What a comparison's networks cost, nothing trained."""
    rows = []
    for one in candidates(study, blocks):
        convolutions, in_dense = parts_of_weights(one, blocks)
        totals = (one.totals.params, one.totals.macs, one.totals.activations)
        rows.append([one.name, *(f"{value:,}" for value in (convolutions, in_dense, *totals))])
    heads = ["network", "weights in convolutions", "in dense layers", "params", "macs", "activations"]
    return table(heads, rows)


def experiment(study: str, blocks: Blocks, folder: Path = RESULTS) -> str:
    """A study's results as text: how it was trained, each candidate, and the differences that it was asked for."""
    found = result(study, folder)
    if found is None:
        return f"This experiment has not been run here. `python benchmarks/experiments.py {study}` runs it."
    pairs = differences(found, study, blocks)
    return "\n\n".join([_trained(found), _results_table(found, study, blocks), *pairs])


def _trained(found: Result) -> str:
    recipe, machine = found["recipe"], found["machine"]
    images = f"{recipe['images']:,} training images" if recipe.get("images") else "all 40,000 training images"
    trainings = sum(len(one["accuracies"]) for one in found["candidates"])
    hours = sum(one["seconds"] for one in found["candidates"]) / 3600
    return (
        f"{recipe['epochs']} epochs of {images}, batches of {recipe['batch_size']}, {count(trainings)},\n"
        f"{hours:.1f} hours of computing, in {found['candidates'][0]['precision']}, on {machine['system']},"
        f" torch {machine['torch']}.\nImages: `{found['dataset_hash'][:12]}`. {found['date']}."
    )


def count(trainings: int) -> str:
    """1 training, 2 trainings."""
    return f"{trainings} training{'' if trainings == 1 else 's'}"


def _results_table(found: Result, study: str, blocks: Blocks) -> str:
    split = {one.architecture.fingerprint: parts_of_weights(one, blocks)[0] for one in candidates(study, blocks)}
    rows = []
    for one in found["candidates"]:
        within = split.get(one["architecture"])
        sizes = [f"{one['params']:,}", "" if within is None else f"{within:,}", f"{one['macs']:,}"]
        ends = (
            "" if one["accuracy_low"] is None else f"{percent(one['accuracy_low'])} to {percent(one['accuracy_high'])}"
        )
        rows.append([one["name"], *sizes, str(len(one["accuracies"])), f"{percent(one['accuracy'])} %", ends])
    heads = ["network", "params", "weights in convolutions", "macs", "seeds", "mean accuracy", "95 % interval, %"]
    return table(heads, rows)


def percent(share: float) -> str:
    """0.7312 -> 73.1."""
    return f"{100 * share:.1f}"


def welch(some: Sequence[float], others: Sequence[float], level: float = 0.95) -> tuple[float, float, float]:
    """The difference of two means and the ends of its interval; Welch's t, so the spreads may differ."""
    parts = [variance(values) / len(values) for values in (some, others)]
    difference, error = fmean(some) - fmean(others), sum(parts) ** 0.5
    if error == 0:
        return difference, difference, difference
    sizes = (len(some), len(others))
    freedom = sum(parts) ** 2 / sum(part**2 / (size - 1) for part, size in zip(parts, sizes, strict=True))
    half = float(stdtrit(freedom, (1 + level) / 2)) * error
    return difference, difference - half, difference + half


def told_apart(some: Result, others: Result, level: float = 0.95) -> bool:
    """Whether the interval of the difference leaves 0 out."""
    _, low, high = welch(some["accuracies"], others["accuracies"], level)
    return not low <= 0 <= high


class Difference(NamedTuple):
    """One network against another: accuracy in points with its interval, and ratios of weights and macs."""

    one: str
    other: str
    points: float
    low: float
    high: float
    weights: float
    macs: float

    @property
    def name(self) -> str:
        """The pair."""
        return f"{self.one} against {self.other}"

    @property
    def apart(self) -> bool:
        """Whether the interval leaves 0 out."""
        return not self.low <= 0 <= self.high

    @property
    def size(self) -> str:
        """Lighter or heavier by the weights in convolutions, in words."""
        times = max(self.weights, 1 / self.weights)
        return f"{times:.2f} times {'lighter' if self.weights < 1 else 'heavier'}" if self.weights != 1 else "as heavy"

    @property
    def rank(self) -> str:
        """Better or worse by accuracy, in words."""
        return ("better" if self.points > 0 else "worse") if self.apart else "not to be told apart by accuracy"


def differences(found: Result, study: str, blocks: Blocks) -> list[str]:
    """The asked pairs side by side, and of many candidates how many pairs can be told apart; [] of single trainings."""
    compared = list(_compared(found, study, blocks))
    if not compared:
        return []
    heads = ["A against B", "A − B, points", "95 % interval", "weights of A / B", "macs of A / B", "so A is"]
    sized = study in ASKED  # elsewhere all networks were made equally heavy
    text = table(heads, [_difference(one, sized) for one in compared], texts=("so A is",))
    return [text, *([_all_pairs(repeated(found))] if study not in ASKED else [])]


def repeated(found: Result) -> list[Result]:
    """The candidates that were trained more than once."""
    return [one for one in found["candidates"] if len(one["accuracies"]) > 1]


def _compared(found: Result, study: str, blocks: Blocks) -> Iterator[Difference]:
    """The pairs that the study asks about, of those that were repeated; where it names none, the best against each."""
    named = {one["name"]: one for one in repeated(found)}
    first, *others = named or [""]
    split = {one.architecture.fingerprint: parts_of_weights(one, blocks)[0] for one in candidates(study, blocks)}
    for pair in ASKED.get(study, tuple((first, other) for other in others)):
        if set(pair) <= named.keys():
            one, other = (named[name] for name in pair)
            sizes = [split.get(side["architecture"], side["weights"]) for side in (one, other)]
            ends = (100 * value for value in welch(one["accuracies"], other["accuracies"]))
            yield Difference(*pair, *ends, sizes[0] / sizes[1], one["macs"] / other["macs"])


def _difference(one: Difference, sized: bool) -> list[str]:
    ends = f"{one.low:+.1f} to {one.high:+.1f}"
    verdict = f"{one.size}, {one.rank}" if sized else one.rank
    return [one.name, f"{one.points:+.1f}", ends, f"{one.weights:.2f}", f"{one.macs:.2f}", verdict]


def claims_table(blocks: Blocks, folder: Path = RESULTS) -> str:
    """Each experiment's claim in a line, and what became of it here."""
    rows = []
    for study, claim in CLAIMS.items():
        found = result(study, folder)
        rows.append([f"`{study}`", claim, _outcome(found, study, blocks) if found else "not run here"])
    return table(["study", "the claim", "here"], rows, texts=("the claim", "here"))


def _outcome(found: Result, study: str, blocks: Blocks) -> str:
    if study == "keras-cifar10":
        curve = found["candidates"][0]["by_epoch"]
        return f"{percent(curve[-1])} % after epoch {len(curve)}"
    compared = list(_compared(found, study, blocks))
    if study in ASKED:
        return "; ".join(f"{one.name}: {one.size}, {one.rank}" for one in compared[: MAIN[study]]) or "not repeated"
    best = found["candidates"][0]["name"]
    alike = [one.other for one in compared if not one.apart]
    rivals = f"not to be told from {', '.join(f'`{name}`' for name in alike)}" if alike else "told from all others"
    return f"`{best}`, {rivals}"


def _all_pairs(repeated: Sequence[Result]) -> str:
    pairs = list(combinations(repeated, 2))
    apart = sum(told_apart(*pair) for pair in pairs)
    together = sum(told_apart(*pair, level=1 - 0.05 / len(pairs)) for pair in pairs)
    return (
        f"Of all {len(pairs)} pairs {apart} can be told apart, each at 95 %; {together} where all {len(pairs)} "
        "verdicts together shall hold at 95 % (Bonferroni)."
    )


def curve_text(study: str = "keras-cifar10", folder: Path = RESULTS) -> str:
    """How far the Keras network came, by epoch."""
    found = result(study, folder)
    if found is None:
        return ""
    curve = found["candidates"][0]["by_epoch"]
    best = max(curve)
    first = next((epoch for epoch, value in enumerate(curve, 1) if value >= CLAIM), None)
    reached = f"{percent(CLAIM)} % is first reached in epoch {first}" if first else f"{percent(CLAIM)} % is not reached"
    return (
        f"After epoch {len(curve)} the network is right on {percent(curve[-1])} % of the validation images; at its "
        f"best, in epoch {curve.index(best) + 1},\non {percent(best)} %. {reached}. The article says about 85 % by "
        "epoch 64."
    )


def intervals_picture(studies: Sequence[str], title: str, folder: Path = RESULTS) -> Figure | None:
    """The means of the studies' candidates, each network once; None where nothing repeated has been run."""
    found = [one for study in studies for one in (result(study, folder) or {"candidates": []})["candidates"]]
    known = {one["architecture"]: one for one in reversed(found) if one["accuracy_low"] is not None}
    rows = sorted(known.values(), key=lambda one: -one["accuracy"])
    if not rows:
        return None
    drawn = [Interval(one["name"], one["accuracy"], one["accuracy_low"], one["accuracy_high"]) for one in rows]
    return means_with_intervals(drawn, x="accuracy on validation images, 95 % interval", title=title, unit=SHARE)


def curve_picture(study: str = "keras-cifar10", folder: Path = RESULTS) -> Figure | None:
    """The accuracy by epoch beside the article's figure."""
    found = result(study, folder)
    if found is None:
        return None
    curve = found["candidates"][0]["by_epoch"]
    ticks = [1, *range(8, len(curve) + 1, 8)]
    drawn = [
        Line("the article: about 85 % by epoch 64", [(1, CLAIM), (len(curve), CLAIM)], 1, 1),
        Line("validation images", list(enumerate(curve, 1))),
    ]
    return lines([Panel("epoch", "accuracy", drawn, ticks, [str(tick) for tick in ticks], SHARE)])
