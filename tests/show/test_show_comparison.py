"""Comparisons of blocks as records, tables and pictures, and pictures in general."""

import re
import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest
from PIL import Image

from nas.blocks.registry import load_blocks
from nas.blocks.sweep import compare_blocks
from nas.errors import ExportError
from nas.show.comparison import comparison_figure, comparison_records, comparison_text, draw_comparison
from nas.show.plot import SUFFIXES, Bars, Interval, Line, Panel, bars, lines, means_with_intervals, write
from nas.show.units import COUNT, MEMORY, PIXELS, SHARE, amount, memory, share

BLOCKS = load_blocks(load=())
KERNELS = (3, 5, 7)


def swept(blocks=("conv", "stacked"), **sweep):
    return compare_blocks(BLOCKS, blocks, sweep=sweep or {"kernel": KERNELS})


def drawn(tmp_path, rows):
    """The gid of each line or bar of the picture, with the number of its points; and the picture's texts."""
    draw_comparison(rows, tmp_path / "picture.svg")
    text = (tmp_path / "picture.svg").read_text()
    found = {}
    for group in ET.fromstring(text).iter("{http://www.w3.org/2000/svg}g"):
        path = group.find("{http://www.w3.org/2000/svg}path")
        if path is not None and ": " in group.get("id", ""):
            found[group.get("id")] = len(re.findall("[ML]", path.get("d")))
    return found, re.findall("<!-- (.*?) -->", text)


def test_records_have_the_swept_values_as_fields():
    records = comparison_records(swept(kernel=KERNELS, size=(8, 16), stride=(1, 2)))
    assert list(records[0])[:7] == ["block", "kernel", "size", "settings", "input", "width", "stride"]
    assert [records[-1][name] for name in ("kernel", "size", "stride", "output")] == [7, 16, 2, [256, 8, 8]]
    assert records[0]["error"] is None


def test_text_is_a_table_and_what_is_not_built():
    text = comparison_text(compare_blocks(BLOCKS, ["conv", "grouped"], in_channels=3, width=64))
    titles, conv = text.splitlines()[:2]
    assert titles.split()[:4] == ["block", "weights", "params", "macs"]
    assert conv.split()[:4] == ["conv", "1,728", "1,856", "1,354,752"]
    assert text.split("not built:\n")[1].startswith("grouped: grouped(in_channels=3")


@pytest.mark.parametrize("suffix", [".png", ".PNG"])
def test_a_png_is_an_image_with_each_line_s_colour(tmp_path, suffix):
    file = tmp_path / f"picture{suffix}"
    draw_comparison(swept(("conv", "stacked", "separable")), file)
    image = Image.open(file).convert("RGB")
    colours = {colour for _, colour in image.getcolors(1 << 24)}
    assert image.width == 1200
    assert {(0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00), (0x00, 0x9E, 0x73)} <= colours


def test_a_sweep_draws_a_line_a_block_with_a_point_a_value(tmp_path):
    found, texts = drawn(tmp_path, swept())
    quantities = ("weights", "multiply-adds", "activations in fp32, bytes", "receptive field, pixels")
    assert found == {f"{quantity}: {block}": 3 for quantity in quantities for block in ("conv", "stacked")}
    assert {*quantities, "kernel, pixels", "conv", "stacked", "256 → 256 channels, 28×28 pixels, stride 1"} <= {*texts}


def test_two_sweeps_draw_a_line_a_second_value(tmp_path):
    found, texts = drawn(tmp_path, swept(("conv",), kernel=KERNELS, stride=(1, 2)))
    assert {name for name in found if name.startswith("weights")} == {
        "weights: conv, stride 1",
        "weights: conv, stride 2",
    }
    assert "256 → 256 channels, 28×28 pixels" in texts


def test_without_a_sweep_there_is_a_bar_a_block(tmp_path):
    found, texts = drawn(tmp_path, compare_blocks(BLOCKS))
    assert len([name for name in found if name.startswith("weights: ")]) == len(BLOCKS) >= 7
    assert {*BLOCKS, "590k", "784 KiB"} <= {*texts}


def test_a_value_that_cannot_be_built_is_left_out_of_its_line(tmp_path):
    found, _ = drawn(tmp_path, swept(("conv", "grouped"), **{"in": (3, 8, 16)}))
    assert (found["weights: conv"], found["weights: grouped"]) == (3, 2)


def test_the_memory_of_a_batch_says_so(tmp_path):
    _, texts = drawn(tmp_path, compare_blocks(BLOCKS, ["conv"], batch=32, precision="bf16"))
    assert {"activations of 32 samples in bf16, bytes", "12.2 MiB"} <= {*texts}


def test_texts_are_swept_too(tmp_path):
    found, texts = drawn(tmp_path, swept(("conv",), norm=("batch", "none")))
    assert found["weights: conv"] == 2
    assert {"batch", "none", "norm"} <= {*texts}


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_same_rows_make_the_same_file(tmp_path, suffix):
    files = [tmp_path / f"{name}{suffix}" for name in "ab"]
    for file in files:
        draw_comparison(swept(), file)
    assert files[0].read_bytes() == files[1].read_bytes()


def scales(**sweep):
    axes = comparison_figure(swept(("conv", "separable"), **sweep)).axes
    return axes[0].get_xscale(), [one.get_yscale() for one in axes]


def test_axes_are_logarithmic_where_values_reach_far():
    assert scales(kernel=(1, 3, 5, 7, 9, 11)) == ("linear", ["log", "log", "linear", "linear"])
    assert scales(channels=(16, 32, 64, 128)) == ("log", ["log", "log", "linear", "linear"])
    assert scales(stride=(1, 2, 4)) == ("linear", ["linear", "log", "log", "linear"])


def test_many_lines_are_told_apart():
    panel = Panel("x", "y", [Line(str(n), [(1, n), (2, n)], colour=n) for n in range(1, 15)], (1, 2), ("1", "2"))
    looks = {(one.get_color(), one.get_linestyle()) for one in lines([panel]).axes[0].get_lines()}
    assert len(looks) == 14


def test_an_empty_panel_and_zeros_are_drawn():
    figure = lines([Panel("x", "y", [Line("a", []), Line("b", [(1, 0)])], (1,), ("one",), PIXELS)])
    assert figure.axes[0].get_ylim() == (0, 1.1)
    assert bars(["a", "b"], [Bars("y", [None, 0], MEMORY)]).axes[0].get_xlim()[0] == 0


def test_means_stand_in_their_intervals_the_first_highest(tmp_path):
    rows = [Interval("stacked", 0.93, 0.92, 0.94), Interval("conv", 0.91, 0.88, 0.94)]
    figure = means_with_intervals(rows, x="accuracy on test images, 95 % interval", unit=SHARE)
    whiskers = [list(line.get_xdata()) for line in figure.axes[0].get_lines() if line.get_gid()]
    assert whiskers == [[0.92, 0.94], [0.88, 0.94]]
    assert [tick.get_text() for tick in figure.axes[0].get_yticklabels()] == ["stacked", "conv"]
    bottom, top = figure.axes[0].get_ylim()
    assert bottom > top
    write(figure, tmp_path / "means.svg")
    assert "<!-- 93.0 % -->" in (tmp_path / "means.svg").read_text()


@pytest.mark.parametrize(("name", "line"), [("a.jpg", "allowed: .svg, .png, .pdf"), ("none/a.svg", "No such file")])
def test_a_file_that_cannot_be_written_is_named(tmp_path, name, line):
    with pytest.raises(ExportError, match=line) as raised:
        draw_comparison(swept(), tmp_path / name)
    assert name in str(raised.value)


@pytest.mark.parametrize(
    ("written", "text"),
    [
        (amount(0), "0"),
        (amount(999), "999"),
        (amount(999_900), "1M"),
        (amount(589_824), "590k"),
        (amount(67_840), "67.8k"),
        (amount(1_179_648), "1.18M"),
        (amount(1e16), "10000T"),
        (memory(802_816), "784 KiB"),
        (memory(16_777_216), "16 MiB"),
        (memory(1023), "1023 B"),
        (share(0.976), "97.6 %"),
        (COUNT.show(5), "5"),
        (PIXELS.show(212.0), "212"),
    ],
)
def test_short_numbers(written, text):
    assert written == text


def test_picture_that_cannot_be_written_whole_leaves_the_earlier_one(tmp_path):
    path = tmp_path / "k.svg"
    path.write_text("earlier")
    code = (
        "import resource, sys; from pathlib import Path; from nas.show.plot import Bars, bars, write\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))\n"
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "write(bars(['a'], [Bars('weights', [1.0])]), Path(sys.argv[1]))\n"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True)
    assert "cannot be written: File too large" in ended.stderr
    assert path.read_text() == "earlier"
    assert [file.name for file in tmp_path.iterdir()] == ["k.svg"]
