"""The benchmarks of training, in small: they run, and write what their tables and docs are made from."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from nas.net.build import build

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def run(script, *arguments):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(BENCHMARKS / script), *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280)


@pytest.mark.slow
def test_training_benchmark_measures_ours_beside_the_plain_loop(tmp_path):
    output = tmp_path / "train.json"
    ended = run("train.py", "--quick", "--blocks", "conv", "--rounds", 1, "--output", output)
    assert ended.returncode == 0, ended.stderr
    found = json.loads(output.read_text())["steps"]
    assert {"date", "commit", "machine"} <= set(found)
    for row in found["networks"]:
        assert 0.9 * row["budget"] < row["params"] <= row["budget"]
        assert row["images_per_second"]["ours"]["median"] > 0
        assert row["ratio"]["plain"]["median"] > 0
        assert 0 < row["input_share"]["median"] < 1


def test_networks_of_the_training_benchmark_fill_their_budgets(monkeypatch, capsys):
    monkeypatch.syspath_prepend(BENCHMARKS)
    importlib.import_module("train_networks").main()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 35
    for line in lines:
        budget, params = (int(word.replace(",", "")) for word in line.split()[1:3])
        assert 0.89 * budget < params <= budget, line


def test_whitened_kernels_answer_patches_without_correlation_and_come_with_their_opposites(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    starts = importlib.import_module("starts")
    network = build(starts.TASKS["fashion-mnist"].architecture, starts.BLOCKS, seed=0)
    noise = torch.randn(50, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    images = 30 * torch.nn.functional.avg_pool2d(noise, 3, 1, 1)  # neighbours are alike, as they are in pictures
    starts.whitened(network, images)
    kernels = starts.convolutions(network)[0].weight.detach()
    half = len(kernels) // 3  # 28 kernels: nine directions, their opposites, and ten as they were
    assert torch.equal(kernels[:half], -kernels[half : 2 * half])
    answers = torch.nn.functional.conv2d(images, kernels[:half]).transpose(0, 1).flatten(1)
    among = answers @ answers.T
    assert torch.allclose(among / among[0, 0], torch.eye(half), atol=0.02)


def test_a_convolution_that_begins_as_identity_hands_its_channels_on(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    starts = importlib.import_module("starts")
    network = build(starts.TASKS["fashion-mnist"].architecture, starts.BLOCKS, seed=0)
    starts.identity(network, torch.zeros(1))
    second = starts.convolutions(network)[1]
    maps = torch.randn(2, second.in_channels, 5, 5)
    assert torch.allclose(second(maps)[:, : second.in_channels], maps, atol=1e-6)
