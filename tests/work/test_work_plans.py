"""Plans chosen, kept and made smaller where memory runs out, by real trainings."""

import json
from dataclasses import replace

import torch
from databases import slow_on_postgresql

import nas.work.plans as plans_module
from nas.arch.read import architecture_from_json
from nas.arch.recipe import Recipe
from nas.arch.record import COMPLETE, Plan
from nas.blocks.registry import load_blocks
from nas.cli.main import main
from nas.errors import NasError
from nas.net.build import build
from nas.net.memory import memory
from nas.net.plan import machine, options
from nas.store.engine import open_storage
from nas.store.plans import get_plan, least_failed_bytes
from nas.store.studies import find_study
from nas.store.trials import trial_epochs, trials
from nas.work.plans import Plans

CPU = torch.device("cpu")
BLOCKS = load_blocks(load=())
NETWORK = architecture_from_json(
    {
        "format": 1,
        "input": [3, 16, 16],
        "classes": 10,
        "parts": [
            {"block": "conv", "width": 8, "kernel": 3},
            {"layer": "global_average_pool"},
            {"layer": "dense", "width": "classes"},
        ],
    }
)

HUNGRY = '''
import torch
from torch import nn
from nas import Block, hookimpl

class Wants(nn.Module):
    def __init__(self, in_channels, width, stride):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, width, 3, stride, 1)

    def forward(self, x):
        if self.training and x.device.type == "cpu" and len(x) > 16:
            torch.empty(1 << 60)  # more than any machine has
        return self.conv(x)

class Hungry(Block):
    """Asks for more memory than there is where more than 16 images come at once."""
    name = "hungry"
    def build(self, in_channels, width, stride):
        return Wants(in_channels, width, stride)

@hookimpl
def nas_register_blocks(register):
    register(Hungry)
'''

STUDY = """
name = "{name}"
dataset = "digits"
[[architecture]]
name = "hungry"
parts = [{{block = "hungry", width = {width}}}, {{layer = "global_average_pool"}}, {{layer = "dense", width = 10}}]
[train]
epochs = 2
batch_size = 64
images = 300
"""


def plans(storage=None, **changes):
    return Plans(BLOCKS, Recipe(**changes), CPU, 10**9, storage)


def test_plan_is_chosen_once_and_kept(storage):
    network = build(NETWORK, BLOCKS)
    chosen = plans(storage).of(network)
    assert chosen in options(Recipe(), CPU)
    key = (machine(CPU), NETWORK.fingerprint, 64, "auto auto")
    assert get_plan(storage, *key) == chosen
    assert all(plans(storage).of(network) == chosen for _ in range(5))


def test_recipe_that_asks_for_something_gets_it(storage):
    network = build(NETWORK, BLOCKS)
    plans(storage).of(network)
    for layout in ("contiguous", "channels_last"):
        assert plans(storage, precision="fp32", memory_format=layout).of(network) == Plan("fp32", layout)


def test_images_at_once_are_as_many_as_are_predicted_to_fit(monkeypatch):
    peaks = {count: memory(NETWORK, BLOCKS, batch=count).training_peak_bytes for count in (64, 32, 16)}
    for bound, wanted in ((10**12, 0), (peaks[32] + 1, 32), (peaks[16] + 1, 16), (1000, 2)):
        monkeypatch.setattr(plans_module, "free_bytes", lambda device, bound=bound: 1 + int(bound / 0.8))
        chosen = plans(precision="fp32", memory_format="contiguous").of(build(NETWORK, BLOCKS))
        assert chosen.micro_batch == wanted


def test_workers_share_the_memory_that_is_free(monkeypatch):
    peak = memory(NETWORK, BLOCKS, batch=64).training_peak_bytes
    monkeypatch.setattr(plans_module, "free_bytes", lambda device: 1 + int(3.5 * peak / 0.8))
    asked = plans(precision="fp32", memory_format="contiguous")
    chosen = [replace(asked, workers=workers).of(build(NETWORK, BLOCKS)).micro_batch for workers in (1, 3, 4)]
    assert chosen == [0, 0, 32]


def test_smaller_plan_halves_and_is_remembered_by_machine(storage):
    asked = plans(storage, precision="fp32", memory_format="contiguous")
    first = asked.of(build(NETWORK, BLOCKS))
    half = asked.smaller(NETWORK, first)
    assert half == Plan("fp32", "contiguous", 32)
    assert asked.of(build(NETWORK, BLOCKS)) == half
    peak = memory(NETWORK, BLOCKS, batch=64).training_peak_bytes
    assert least_failed_bytes(storage, machine(CPU)) == peak
    # A network that nobody has trained, and that needs more, begins with fewer images at once.
    data = NETWORK.to_json()
    data["parts"][0]["width"] = 12
    assert asked.of(build(architecture_from_json(data), BLOCKS)).micro_batch == 32
    assert asked.smaller(NETWORK, Plan("fp32", "contiguous", 2)) is None


def raising(*_, **__):
    raise NasError("not to be predicted")


def test_network_that_cannot_be_predicted_spoils_nothing_for_others(storage, monkeypatch):
    asked = plans(storage, precision="fp32", memory_format="contiguous")
    monkeypatch.setattr(plans_module, "memory", raising)
    assert asked.smaller(NETWORK, Plan("fp32", "contiguous")).micro_batch == 32
    assert least_failed_bytes(storage, machine(CPU)) is None


@slow_on_postgresql
def test_training_that_runs_out_of_memory_is_tried_on_fewer_images_and_never_so_again(tmp_path, url, capsys):
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "hungry.py").write_text(HUNGRY)
    for name, width in (("first", 4), ("second", 5)):
        path = tmp_path / f"{name}.toml"
        path.write_text(STUDY.format(name=name, width=width))
        words = ["--storage", url, "--plugins-dir", str(tmp_path / "plugins"), "--workers", "0", "--device", "cpu"]
        assert main(["run", str(path), *words, "-f", "json"]) == 0
        ranked = json.loads(capsys.readouterr().out)
        assert ranked[0]["accuracy"] > 0.1
    storage = open_storage(url)
    [trial] = trials(storage, find_study(storage, "first").id)
    assert (trial.state, len(trial_epochs(storage, trial.id))) == (COMPLETE, 2)
    chosen = get_plan(storage, machine(CPU), trial.fingerprint, 64, "auto auto brief")
    assert chosen is not None
    assert chosen.micro_batch == 16
    storage.close()
