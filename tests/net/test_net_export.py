import json
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import onnx
import onnx.reference
import pytest
import torch

from nas.blocks.registry import Blocks, load_blocks
from nas.errors import BlockError, ExportError
from nas.net.batches import Normalisation
from nas.net.build import build
from nas.net.checkpoint import weights_bytes
from nas.net.export import Exported, check_block_source, export
from nas.net.source import Group, written

ALONE = """
import sys

class Nowhere:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("nas", "nas_plugins", "safetensors"):
            raise ImportError(name + " is not to be had")

sys.meta_path.insert(0, Nowhere())
import importlib.util, torch
spec = importlib.util.spec_from_file_location("model", sys.argv[1])
model = importlib.util.module_from_spec(spec)
spec.loader.exec_module(model)
network = model.load()
images = torch.linspace(0, 16, 2 * 64).reshape(2, 1, 8, 8)
with torch.no_grad():
    print(network(model.normalise(images)).double().tolist())
assert model.build().training
"""

GREY = Normalisation((5.0,), (6.0,))


def exported(architecture, blocks: Blocks, folder: Path, weights: bytes | None = None, **more: object) -> Exported:
    metrics = {"accuracy": 0.9876}
    names = [str(number) for number in range(architecture.classes)]
    return export(
        architecture, blocks, folder, weights=weights, metrics=metrics, normalisation=GREY, class_names=names, **more
    )


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def plugin(folder: Path, name: str, source: str, build: str) -> None:
    """A plugin file with one block `name`, the modules in `source`."""
    text = f"""
from __future__ import annotations

import functools
import math
import torch
import torch.nn as nn
from typing import NamedTuple
from nas import Block, Cost, hookimpl
{dedent(source)}

class Made(Block):
    name = "{name}"

    def build(self, in_channels, width, stride):
{build}

@hookimpl
def nas_register_blocks(register):
    register(Made)
"""
    (folder / f"{name}.py").write_text(text)


EVERY = (
    {"block": "bottleneck", "width": 16, "kernel": 3, "reduction": 2},
    {"join": "concat", "branches": [[], [{"layer": "conv", "width": 8, "kernel": 1}, {"layer": "relu"}],
        [{"join": "add", "branches": [[{"block": "spatial", "width": 8, "kernel": 3}],
                                      [{"block": "separable", "width": 8, "kernel": 3}]]}]]},
    {"auxiliary": [{"layer": "global_average_pool"}, {"layer": "dense", "width": "classes"}]},
    {"block": "grouped", "width": 32, "kernel": 3, "groups": 4, "norm": "none"},
    {"block": "stacked", "width": 32, "kernel": 3, "layers": 3},
    {"block": "inception", "width": 32, "stride": 2, "kernel": 5, "split": "even"},
    {"layer": "dense", "width": 12},
    {"layer": "batch_norm"},
    {"block": "conv", "width": 8, "kernel": 1},
)  # fmt: skip


def test_exported_model_runs_alone_with_the_same_scores(blocks, make, tmp_path: Path) -> None:
    architecture = make(*EVERY)
    network = build(architecture, blocks, seed=5).eval()
    given = exported(architecture, blocks, tmp_path / "out", weights_bytes(network), title=['Trial 3 of """x\\'])
    assert given.problem is None
    assert [path.name for path in given.files] == [
        "architecture.json",
        "metrics.json",
        "model.py",
        "weights.safetensors",
    ]
    command = [sys.executable, "-I", "-c", ALONE, str(tmp_path / "out" / "model.py")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    images = (torch.linspace(0, 16, 2 * 64).reshape(2, 1, 8, 8) - 5) / 6
    wanted = network(images)
    assert torch.allclose(torch.tensor(json.loads(done.stdout)), wanted, rtol=1e-5, atol=1e-6)


def test_exported_text_says_what_it_is(blocks, make, tmp_path: Path) -> None:
    architecture = make(*EVERY)
    exported(architecture, blocks, tmp_path / "out")
    text = (tmp_path / "out" / "model.py").read_text()
    assert architecture.fingerprint in text
    assert "Accuracy on validation images: 0.9876." in text
    assert "none were kept" in text
    assert "self.conv2 = Convolution(12, 8, 1)" in text
    assert "self.bottleneck1 = BottleneckUnit(1, 16, 3, reduction=2)" in text
    assert "x = torch.cat([x, branch2, branch3], dim=1)  # (N, 32, 8, 8)" in text
    assert "aux" not in text
    assert "import nas" not in text
    assert "from nas" not in text
    saved = json.loads((tmp_path / "out" / "architecture.json").read_text())
    assert saved["plugins"]["conv"].startswith("nas ")


def test_every_built_in_block_goes_as_source(blocks) -> None:
    values = {"kernel": 3, "reduction": 2, "groups": 2, "layers": 2, "split": "paper"}
    assert len(blocks) >= 7
    for block in blocks.values():
        chosen = {name: values[name] for name in block.choices}
        assert check_block_source(block, 16, 16, 2, chosen) is None


def test_new_export_replaces_an_earlier_one_and_nothing_else(blocks, make, tmp_path: Path) -> None:
    architecture, folder = make({"block": "conv", "width": 4, "kernel": 3}), tmp_path / "a" / "out"
    network = build(architecture, blocks)
    exported(architecture, blocks, folder, weights_bytes(network))
    exported(architecture, blocks, folder)
    assert files(folder) == ["architecture.json", "metrics.json", "model.py"]
    (folder / "thesis.txt").write_text("mine")
    with pytest.raises(ExportError, match=r"something else than an earlier export: thesis\.txt"):
        exported(architecture, blocks, folder)
    with pytest.raises(ExportError, match="is no folder"):
        exported(architecture, blocks, folder / "thesis.txt")
    with pytest.raises(ExportError, match="cannot be written"):
        exported(architecture, blocks, folder / "thesis.txt" / "deeper")
    assert files(folder.parent) == ["out"]
    assert (folder / "thesis.txt").read_text() == "mine"


def test_broken_export_leaves_nothing(blocks, make, tmp_path: Path) -> None:
    architecture = make({"block": "conv", "width": 4, "kernel": 3})
    with pytest.raises(TypeError):
        export(
            architecture, blocks, tmp_path / "out", weights=None, metrics={"a": object()}, normalisation=GREY,
            class_names=["a"],
        )  # fmt: skip
    assert files(tmp_path) == []


RICH = """
SCALES = {"half": 0.5}
SCALES["third"] = 1 / 3

# Why this is so.
GAIN: float = math.sqrt(2)

try:
    from math import cbrt as root
except ImportError:
    root = math.sqrt


class Pair(NamedTuple):
    first: int
    second: int


def scaled(x: torch.Tensor, by: str) -> "Block":
    return x * SCALES[by] * GAIN * root(8.0)


class Base(nn.Module):
    def __init__(self, pair: Pair, act: type = nn.ReLU, norm=None, by="third", layers=()):
        super().__init__()
        self.act, self.norm, self.by = act(), norm(pair.second), by
        self.first = nn.Conv2d(pair.first, pair.second, 1)
        self.rest = nn.ModuleList(layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = scaled(self.norm(self.first(x)), self.by)
        for layer in self.rest:
            x = layer(x)
        return self.act(x)


class Unit(Base):
    def extra(self, block: Block) -> Block:
        return self
"""

RICH_BUILD = """
        from collections import OrderedDict
        named = nn.Sequential(OrderedDict(pad=nn.ZeroPad2d(1), crop=nn.MaxPool2d(3, stride, 0)))
        return Unit(Pair(in_channels, width), act=nn.GELU, norm=functools.partial(nn.BatchNorm2d, eps=1e-3),
                    layers=[nn.Identity(), nn.Sequential(nn.Dropout(float(0.25)), named)])
"""


def local_block(folder: Path, name: str):
    return load_blocks([folder], load=())[name]


def test_block_of_many_parts_goes_as_source(make, tmp_path: Path) -> None:
    plugin(tmp_path, "rich", RICH, RICH_BUILD)
    blocks = load_blocks([tmp_path], load=())
    given = exported(make({"block": "rich", "width": 4, "stride": 2}), blocks, tmp_path / "out")
    assert given.problem is None
    text = (tmp_path / "out" / "model.py").read_text()
    assert "# From rich.py." in text
    assert "# Why this is so.\nGAIN: float" in text
    assert 'SCALES["third"] = 1 / 3' in text
    assert "nas_register_blocks" not in text
    assert "class Made" not in text


ARGUMENTS = """
class Colour(enum.Enum):
    RED = 1


@dataclass
class Settings:
    scale: float = 1.0


class Unit(nn.Module):
    def __init__(self, *layers, table=None, names=frozenset(), colour=None, settings=None, kind=None, high=0.0, **more):
        super().__init__()
        self.layers = nn.Sequential(*layers)
        self.table, self.names, self.colour, self.settings = table, names, colour, settings
        self.kind, self.high, self.more = kind, high, more

    def forward(self, x):
        assert self.colour is Colour.RED and self.names == {"a"} and self.kind is torch.float32 and self.high > 1e308
        assert self.more["note"] == "tab\\there" and self.more["size"] == (1, 2) and self.more["tie"] == (1,)
        for layer in self.more["inner"].values():
            x = layer(x)
        return self.more["apply"](self.layers(x)) * self.table["two"] * self.settings.scale + self.more["root"](4.0)
"""

ARGUMENTS_BUILD = """
        return Unit(nn.Conv2d(in_channels, width, 1, stride), table={"two": 2}, names={"a"}, colour=Colour.RED,
                    settings=Settings(3.0), kind=torch.float32, high=float("inf"), note="tab\\there",
                    size=torch.Size([1, 2]), tie=(1,), apply=nn.functional.relu, root=math.sqrt, cast=int,
                    inner=nn.ModuleDict({"a": nn.Identity()}), pool=nn.ModuleList())
"""


def test_arguments_of_many_kinds_are_written_down(tmp_path: Path) -> None:
    head = "import enum\nfrom dataclasses import dataclass\n"
    plugin(tmp_path, "arguments", head + ARGUMENTS, ARGUMENTS_BUILD)
    assert check_block_source(local_block(tmp_path, "arguments"), 3, 4, 2, {}) is None


def test_many_class_names_fill_lines(blocks, make, tmp_path: Path) -> None:
    names = [f'traffic "light" {number}' for number in range(40)]
    architecture = make({"block": "conv", "width": 8, "kernel": 1}, classes=40)
    export(architecture, blocks, tmp_path / "out", weights=None, metrics={}, normalisation=GREY, class_names=names)
    text = (tmp_path / "out" / "model.py").read_text()
    assert max(len(line) for line in text.split("class Convolution")[0].splitlines()) <= 110
    namespace: dict[str, object] = {"__name__": "model"}
    exec(text, namespace)
    assert namespace["CLASSES"] == tuple(names)


TWO = """
def helper(x):
    return {helper}


class Unit(nn.Module):
    def forward(self, x):
        return helper(x)

class Network(nn.Module):
    def __init__(self, channels, width, stride):
        super().__init__()
        self.unit, self.pool = Unit(), nn.Conv2d(channels, width, 1, stride)

    def forward(self, x):
        return self.unit(self.pool(x))
"""


def test_same_names_in_two_plugins_are_kept_apart(make, tmp_path: Path) -> None:
    for name, helper in (("first", "x.sin()"), ("second", "x * 2")):
        plugin(tmp_path, name, TWO.format(helper=helper), "        return Network(in_channels, width, stride)")
    blocks = load_blocks([tmp_path], load=())
    architecture = make({"block": "first", "width": 4}, {"block": "second", "width": 4})
    given = exported(architecture, blocks, tmp_path / "out")
    assert given.problem is None
    text = (tmp_path / "out" / "model.py").read_text()
    assert "self.first1 = Network_first(1, 4, 1)" in text
    assert "self.second1 = Network_second(4, 4, 1)" in text
    assert "class Unit_second(nn.Module)" in text
    assert "return helper_second(x)" in text


CONV = "nn.Conv2d(in_channels, width, 1, stride)"

NO_SOURCE = {
    "local": ("", f"""
        class Local(nn.Sequential):
            pass
        return Local({CONV})
""", "Local is defined inside another class or function"),
    "ours": ("""
class Ours(nn.Sequential):
    kind = Block
""", f"        return Ours({CONV})", "uses Block by `from nas import Block`; only torch and the standard library"),
    "hidden": ("""
class Hidden(nn.Sequential):
    def forward(self, x):
        from nas.arch import cost
        return super().forward(x)
""", f"        return Hidden({CONV})", "uses `from nas.arch import cost`"),
    "anonymous": ("""
class Unit(nn.Module):
    def __init__(self, f, layer):
        super().__init__()
        self.f, self.layer = f, layer
    def forward(self, x):
        return self.f(self.layer(x))
""", f"        return Unit(lambda x: x + 1, {CONV})", "is a lambda"),
    "tensor": ("""
class Unit(nn.Sequential):
    def __init__(self, values, layer):
        super().__init__(layer)
""", f"        return Unit(torch.ones(2), {CONV})", "an argument of type Tensor has no source"),
    "copied": ("", f"""
        import copy
        return copy.deepcopy({CONV})
""", "was not made by a call of its class"),
    "altered": ("""
class Unit(nn.Sequential):
    pass
""", f"""
        unit = Unit({CONV})
        unit.append(nn.Sigmoid())
        return unit
""", "the source gives other scores"),
    "grown": ("""
class Unit(nn.Sequential):
    pass
""", f"""
        unit = Unit({CONV})
        unit.append(nn.BatchNorm2d(width))
        return unit
""", "other weights than the block's"),
    "made": ("""
globals()["Unit"] = type("Unit", (nn.Sequential,), {"__module__": __name__})
""", f"        return Unit({CONV})", "Unit is not defined at the top of made.py"),
}  # fmt: skip


@pytest.mark.parametrize("name", list(NO_SOURCE))
def test_block_without_source_is_told_beforehand(tmp_path: Path, name: str) -> None:
    source, make_it, reason = NO_SOURCE[name]
    plugin(tmp_path, name, source, make_it)
    told = check_block_source(local_block(tmp_path, name), 3, 4, 2, {})
    assert told is not None
    assert reason in told


def test_block_without_source_goes_as_a_program(make, tmp_path: Path) -> None:
    plugin(tmp_path, "local", *NO_SOURCE["local"][:2])
    blocks = load_blocks([tmp_path], load=())
    architecture = make({"block": "local", "width": 4, "stride": 2})
    network = build(architecture, blocks, seed=3).eval()
    given = exported(architecture, blocks, tmp_path / "out", weights_bytes(network))
    assert given.problem is not None
    assert given.problem.startswith("written as model.pt2 (torch.export) instead of model.py: block 'local': Local is")
    assert files(tmp_path / "out") == ["architecture.json", "metrics.json", "model.pt2", "weights.safetensors"]
    images = torch.randn(5, 1, 8, 8)
    again = torch.export.load(tmp_path / "out" / "model.pt2").module()
    assert torch.allclose(again(images), network(images), atol=1e-6)


def test_block_that_no_program_can_hold_is_an_error(make, tmp_path: Path) -> None:
    body = f"""
        class Local(nn.Conv2d):
            def forward(self, x):
                return super().forward(x) if float(x.sum()) > 0 else super().forward(x) * 2
        return Local({CONV.removeprefix("nn.Conv2d(").removesuffix(")")})
"""
    plugin(tmp_path, "wild", "", body)
    blocks = load_blocks([tmp_path], load=())
    with pytest.raises(ExportError, match=r"neither as source nor by torch\.export"):
        exported(make({"block": "wild", "width": 4}), blocks, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_block_that_cannot_be_built_is_told(blocks) -> None:
    told = check_block_source(blocks["bottleneck"], 16, 15, 1, {"kernel": 3, "reduction": 2})
    assert told is not None
    assert "the block does not allow it" in told
    with pytest.raises(BlockError):
        blocks["no such block"]


def test_long_calls_are_broken_into_lines() -> None:
    call = Group("Call", "()", tuple((f"argument_{number}=", "1") for number in range(12)))
    text = written(call, {}, 8, 20)
    assert text.splitlines()[1] == "            argument_0=1,"
    assert text.splitlines()[-1] == "        )"


def test_onnx_file_gives_the_same_scores(make, blocks, tmp_path: Path) -> None:
    architecture = make({"block": "bottleneck", "width": 8, "kernel": 3, "reduction": 2})
    written = exported(architecture, blocks, tmp_path / "out", onnx=True)
    assert "model.onnx" in {file.name for file in written.files}
    model = onnx.load(tmp_path / "out" / "model.onnx")
    images = torch.randn(5, *architecture.input)
    [scores] = onnx.reference.ReferenceEvaluator(model).run(None, {"images": images.numpy()})
    assert scores.shape == (5, architecture.classes)


def test_onnx_without_its_packages_is_one_line(make, blocks, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("nas.net.onnx_file.onnx", None)
    with pytest.raises(ExportError, match=r"pip install 'nas\[onnx\]'"):
        exported(make({"block": "conv", "width": 8, "kernel": 3}), blocks, tmp_path / "out", onnx=True)
    assert not (tmp_path / "out").exists()
