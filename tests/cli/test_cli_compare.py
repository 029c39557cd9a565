"""`nas compare`: block types side by side, swept, drawn."""

import json
import subprocess
import sys

import pytest
from cli_worlds import GONE, LIAR
from PIL import Image

from nas.blocks.registry import load_blocks
from nas.blocks.sweep import compare_blocks
from nas.show.comparison import comparison_records

BLOCKS = load_blocks(load=())
FIRST_LAYER = ("compare", "conv", "--in", 3, "--width", 64, "--size", 256)


def test_json_is_what_python_gives(nas_json):
    words = ("--in", 64, "--width", 32, "--size", "12x10", "--stride", 2, "--precision", "bf16", "--batch", 4)
    asked = {"in_channels": 64, "width": 32, "size": (12, 10), "stride": 2, "precision": "bf16", "batch": 4}
    assert nas_json("compare", *words) == json.loads(json.dumps(comparison_records(compare_blocks(BLOCKS, **asked))))


def test_csv_has_a_line_a_block_and_value(nas):
    rows = nas("compare", "conv", "stacked", "--sweep", "kernel=1,3", "-f", "csv").rows
    pairs = [(row["block"], row["kernel"]) for row in rows]
    assert pairs == [("conv", "1"), ("stacked", "1"), ("conv", "3"), ("stacked", "3")]
    assert (rows[2]["weights"], rows[3]["times_lighter"], rows[2]["error"]) == ("589824", "0.5", "")


def test_table_has_every_registered_block_and_explains_the_ratios(nas):
    told = nas("compare")
    assert (told.code, told.err) == (0, "")
    lines = told.out.splitlines()
    assert [line.split()[0] for line in lines[1 : 1 + len(BLOCKS)]] == list(BLOCKS)
    assert "against the plain convolution of the same kernel" in told.out


def test_a_stranger_of_a_folder_is_compared_and_one_that_lies_is_told(nas, home):
    (home / "gone.py").write_text(GONE)
    (home / "liar.py").write_text(LIAR)
    told = nas("compare", "--plugins-dir", ".")
    assert told.code == 0
    assert "\ngone " in told.out
    assert "liar: liar(in_channels=256" in told.out.split("not built:")[1]


def test_variants_keep_their_own_settings(nas_json):
    names = ["stacked:layers=3", "stacked:kernel=3", "inception:branches=64,96:128,16:32,32,norm=none"]
    rows = nas_json("compare", *names, "--in", 192, "--set", "kernel=5")
    assert [row["block"] for row in rows] == names
    assert [row["settings"]["kernel"] for row in rows] == [5, 3, 5]
    assert (rows[2]["weights"], rows[2]["settings"]["norm"]) == (163_328, "none")


def test_the_first_layer_over_kernel_and_stride(nas_json):
    rows = nas_json(*FIRST_LAYER, "--sweep", "kernel=3,5,7,11", "--sweep", "stride=1,2")
    by = {(row["kernel"], row["stride"]): row for row in rows}
    names = ("activations", "activation_bytes", "weights", "macs")
    assert [by[3, 1][name] for name in names] == [4_194_304, 16_777_216, 1_728, 113_246_208]
    assert [by[7, 2][name] for name in names] == [1_048_576, 4_194_304, 9_408, 154_140_672]
    assert len(rows) == 8


@pytest.mark.parametrize(
    ("sweep", "values"), [("channels=32,64", [32, 64]), ("size=32, 64,128", [32, 64, 128]), ("norm=none", ["none"])]
)
def test_values_of_a_sweep(nas_json, sweep, values):
    name = sweep.partition("=")[0]
    assert [row[name] for row in nas_json("compare", "conv", "--sweep", sweep)] == values


def test_a_picture_is_written_beside_the_table(nas, home):
    told = nas(*FIRST_LAYER, "--sweep", "kernel=3,5,7,11", "-o", "memory.png")
    assert (told.code, told.err) == (0, "wrote memory.png\n")
    assert told.out.startswith("block  kernel")
    assert len(Image.open(home / "memory.png").convert("RGB").getcolors(1 << 24)) > 50


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["conv", "--sweep", "kernel=3,4"], "kernel 4 is not among odd numbers from 1"),
        (["grouped", "--in", 3], "grouped(in_channels=3"),
        (["covn"], "did you mean 'conv'?"),
        (["conv:kernl=3"], "did you mean 'kernel'?"),
        (["conv:kernel"], "'kernel': not of the form key=value"),
        (["conv:kernel=x"], "takes whole numbers"),
        (["--set", "layrs=3"], "did you mean 'layers'?"),
        (["--sweep", "kernel"], "not of the form name=value,value"),
        (["--sweep", "kernel=,"], "not of the form name=value,value"),
        (["--sweep", "kernel=3,x"], "takes whole numbers"),
        (["--sweep", "stride=1,x"], "'x'; allowed: whole numbers from 1"),
        (["--sweep", "stride=0"], "allowed: whole numbers from 1"),
        (["--sweep", "kernels=3"], "did you mean 'kernel'?"),
        (["conv", "-o", "picture.jpg"], "allowed: .svg, .png, .pdf"),
    ],
)
def test_mistakes_are_one_line(nas, words, line):
    told = nas("compare", *words)
    assert (told.code, told.out) == (1, "")
    assert told.err.startswith("Error: ")
    assert told.err.count("\n") == 1
    assert line in told.err


@pytest.mark.parametrize("words", [["--in", 0], ["--precision", "fp8"], ["--batch", 0], ["--size", "x"], ["-f", "svg"]])
def test_usage(nas, words):
    assert nas("compare", *words).code == 2


def test_other_commands_load_no_matplotlib_and_this_one_no_pyplot(nas):
    code = "import sys; from nas.cli.main import main; main(['--help']); main(['data']); print(*sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "matplotlib" not in told.stdout.splitlines()[-1].split()
    assert nas("compare", "conv").code == 0
    assert "matplotlib.figure" in sys.modules
    assert "matplotlib.pyplot" not in sys.modules
