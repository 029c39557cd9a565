"""Pictures: lines over a swept quantity, bars, means with intervals; the same data makes the same file."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import (
    FixedLocator,
    FuncFormatter,
    Locator,
    LogLocator,
    MaxNLocator,
    MultipleLocator,
    NullFormatter,
    NullLocator,
)

from nas.errors import ExportError
from nas.show.units import COUNT, Unit

SUFFIXES = (".svg", ".png", ".pdf")
"""What a picture's file may end in."""

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Told apart by colour-blind eyes too. Source: Okabe and Ito, "Color Universal Design", 2008, without their yellow."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X")
MOST_MARKED = 20
"""A line of more points is drawn without marks, which would hide it."""

DASHES = ("-", "--", ":", "-.")
WIDTH = 8.0
"""Inches; at 100 dots an inch the texts can be read, and a line of SVG prose is as wide."""

_STYLE = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "savefig.dpi": 150,
    "svg.fonttype": "path",  # looks alike wherever it is shown
    "svg.hashsalt": "nas",
}
_UNDATED: Mapping[str, Mapping[str, Any]] = {
    ".svg": {"Date": None, "Creator": None},
    ".png": {"Software": None},
    ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


@dataclass(frozen=True)
class Line:
    """One line of a panel: its (x, y) points, those unknown left out; `colour` and `dash` count from 0."""

    label: str
    points: Sequence[tuple[float, float]]
    colour: int = 0
    dash: int = 0


@dataclass(frozen=True)
class Panel:
    """One pair of axes. `x` and `y` name quantity and unit; `ticks` are the values along x, as `names` says them."""

    x: str
    y: str
    lines: Sequence[Line]
    ticks: Sequence[float]
    names: Sequence[str]
    unit: Unit = COUNT


@dataclass(frozen=True)
class Bars:
    """One panel of bars: quantity and unit, and a value for each label, None where it is unknown."""

    y: str
    values: Sequence[float | None]
    unit: Unit = COUNT


@dataclass(frozen=True)
class Interval:
    """A mean with the ends of its interval."""

    label: str
    mean: float
    low: float
    high: float


def lines(panels: Sequence[Panel], *, title: str = "") -> Figure:
    """The panels two a row over one legend."""
    with _style():
        figure, axes = _grid(len(panels), title, height=2.6)
        for place, panel in zip(axes, panels, strict=True):
            _draw_lines(place, panel)
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=min(4, len(labels)), handlelength=3)
        return figure


def bars(labels: Sequence[str], panels: Sequence[Bars], *, title: str = "") -> Figure:
    """The panels two a row, a bar a label, each with its value; the first label stands highest."""
    with _style():
        figure, axes = _grid(len(panels), title, height=0.8 + 0.26 * len(labels))
        for index, (place, panel) in enumerate(zip(axes, panels, strict=True)):
            _draw_bars(place, labels if index % 2 == 0 else ["" for _ in labels], panel)
        return figure


def means_with_intervals(rows: Sequence[Interval], *, x: str, title: str = "", unit: Unit = COUNT) -> Figure:
    """A dot at each mean and a whisker over its interval, the first row highest; `x` names quantity and unit."""
    with _style():
        figure, (axes,) = _grid(1, title, height=0.9 + 0.32 * len(rows))
        for place, row in enumerate(rows):
            axes.plot([row.low, row.high], [place, place], color=COLOURS[0], linewidth=2, gid=f"interval {row.label}")
            axes.plot([row.mean], [place], "o", color=COLOURS[0], markersize=7)
            axes.annotate(unit.show(row.mean), (row.mean, place), (0, 6), textcoords="offset points", ha="center")
        _label_rows(axes, [row.label for row in rows])
        _write_ticks(axes.xaxis, unit)
        axes.xaxis.set_major_locator(MaxNLocator(6))
        axes.set_xlabel(x)
        axes.margins(x=0.08)
        return figure


def write(figure: Figure, path: Path) -> None:
    """Write .svg, .png or .pdf, without a date; what was there stays until the new one is whole.

    Raises ExportError on another ending, or where it cannot be written.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ExportError(f"{path}: not a picture's name; allowed: {', '.join(SUFFIXES)}")
    drawn, beside = BytesIO(), path.with_name(f"{path.name}.part")
    with _style():
        figure.savefig(drawn, format=suffix[1:], metadata=dict(_UNDATED[suffix]))
    try:
        beside.write_bytes(drawn.getvalue())
        beside.replace(path)
    except OSError as error:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        raise ExportError(f"{path}: cannot be written: {error.strerror or error}") from error


@contextmanager
def _style() -> Iterator[None]:
    # The salt of SVG's ids can be given nowhere else; what was set before is set again.
    with rc_context(_STYLE):  # type: ignore[arg-type]
        yield


def _grid(panels: int, title: str, height: float) -> tuple[Figure, list[Axes]]:
    """A figure of so many axes, two a row, each row so many inches high."""
    columns = min(2, panels)
    rows = -(-panels // columns)
    figure = Figure(figsize=(WIDTH, 0.5 + rows * height), layout="constrained")
    figure.suptitle(title)
    return figure, [figure.add_subplot(rows, columns, index + 1) for index in range(panels)]


def _draw_lines(axes: Axes, panel: Panel) -> None:
    for order, line in enumerate(panel.lines):
        axes.plot(
            [x for x, _ in line.points],
            [y for _, y in line.points],
            color=COLOURS[line.colour % len(COLOURS)],
            linestyle=DASHES[(line.dash + line.colour // len(COLOURS)) % len(DASHES)],
            marker=MARKERS[line.colour % len(MARKERS)] if len(line.points) <= MOST_MARKED else "",
            # Lines that coincide stay visible: each is thinner than the one below it.
            linewidth=max(1.2, 3 - 0.3 * order),
            markersize=max(3.5, 8 - 0.7 * order),
            label=line.label,
            gid=f"{panel.y}: {line.label}",
        )
    axes.set(xlabel=panel.x, ylabel=panel.y)
    _scale(axes, [y for line in panel.lines for _, y in line.points], panel.unit)
    if _doubling(panel.ticks):
        axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(panel.ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    names = dict(zip(panel.ticks, panel.names, strict=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: names.get(value, "")))


def _doubling(ticks: Sequence[float]) -> bool:
    """Whether the steps between values grow as the values do: 16, 32, 64, 128 and not 1, 3, 5, 7, 9, 11."""
    steps = [after - before for before, after in itertools.pairwise(sorted(ticks))]
    return bool(steps) and min(ticks) > 0 and max(steps) >= 4 * min(steps) and max(ticks) >= 8 * min(ticks)


def _scale(axes: Axes, values: Sequence[float], unit: Unit) -> None:
    """The y axis: logarithmic where its values reach far, else from 0; ticks at the unit's round numbers."""
    if values and min(values) > 0 and max(values) >= unit.far * min(values):
        axes.set_yscale("log")
        near = unit.base == 10 and max(values) < 1000 * min(values)
        axes.yaxis.set_major_locator(LogLocator(unit.base, subs=(1, 2, 5) if near else (1,), numticks=8))
    else:
        top = max(values, default=0) or 1
        axes.set_ylim(0, 1.1 * top)
        axes.yaxis.set_major_locator(_round(top, unit))
    axes.yaxis.set_minor_formatter(NullFormatter())
    _write_ticks(axes.yaxis, unit)


def _round(top: float, unit: Unit) -> Locator:
    """About five ticks from 0 up."""
    if unit.base == 2:
        return MultipleLocator(2 ** math.ceil(math.log2(top / 5)))
    return MaxNLocator(5, steps=[1, 2, 5, 10])


def _write_ticks(axis: Axis, unit: Unit) -> None:
    axis.set_major_formatter(FuncFormatter(lambda value, _: unit.show(value)))


def _draw_bars(axes: Axes, labels: Sequence[str], panel: Bars) -> None:
    known = [(place, value) for place, value in enumerate(panel.values) if value is not None]
    top = max((value for _, value in known), default=0) or 1
    for place, value in known:
        axes.barh(place, value, color=COLOURS[0], gid=f"{panel.y}: {place}")
        axes.annotate(panel.unit.show(value), (value, place), (3, 0), textcoords="offset points", va="center")
    _label_rows(axes, labels)
    axes.set_xlim(0, 1.22 * top)
    axes.xaxis.set_major_locator(_round(top, panel.unit))
    _write_ticks(axes.xaxis, panel.unit)
    axes.set_xlabel(panel.y)


def _label_rows(axes: Axes, labels: Sequence[str]) -> None:
    axes.set_yticks(range(len(labels)), labels)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
