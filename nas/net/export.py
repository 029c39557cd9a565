"""Handing a network over: a folder with `model.py`, its weights, its description, and proof that it is the same."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from nas.arch.record import Value
from nas.arch.spec import Architecture, BlockPart, Layer, settings
from nas.blocks.base import Block
from nas.blocks.registry import Blocks, Registered
from nas.blocks.trace import cost, normalise
from nas.errors import BlockError, ExportError
from nas.net.batches import Normalisation
from nas.net.build import Network, build, without_heads
from nas.net.checkpoint import load_weights, weights_bytes
from nas.net.model_file import Heading, model_text
from nas.net.onnx_file import check_onnx, write_onnx
from nas.net.source import Calls, NoSource, recorded

MODEL, PROGRAM, WEIGHTS, ONNX = "model.py", "model.pt2", "weights.safetensors", "model.onnx"
DESCRIPTION, METRICS = "architecture.json", "metrics.json"
OURS = frozenset((MODEL, PROGRAM, WEIGHTS, DESCRIPTION, METRICS, ONNX, "__pycache__"))
"""What an export may leave in a folder, and a later one may replace."""

_numbers = itertools.count()


@dataclass(frozen=True)
class Exported:
    """The files written; `problem` says why there is a `model.pt2` instead of a `model.py`."""

    files: tuple[Path, ...]
    problem: str | None = None


def export(
    architecture: Architecture,
    blocks: Blocks,
    folder: Path,
    *,
    weights: bytes | None,
    metrics: Mapping[str, Any],
    normalisation: Normalisation,
    class_names: Sequence[str],
    title: Sequence[str] = (),
    onnx: bool = False,
) -> Exported:
    """Write a network into a folder, all files or none, and check that it gives the same scores when read back.

    `title` opens the docstring of `model.py`; `onnx` adds `model.onnx`.

    Raises ExportError where the folder holds anything but an earlier export, cannot be written, or the network can be
    written neither as source nor as a program.
    """
    folder = folder.absolute()
    _check_folder(folder)
    if onnx:
        check_onnx()
    architecture = normalise(architecture, blocks)
    lines = _heading(architecture, blocks, metrics, title, kept=weights is not None)
    heading = Heading(lines, normalisation, class_names)
    with recorded() as calls:
        network = build(without_heads(architecture), blocks)
    if weights is not None:
        load_weights(network, weights)
    staging = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        _write_facts(architecture, metrics, network if weights is not None else None, staging)
        problem = _write_model(network.eval(), calls, heading, staging)
        if onnx:
            write_onnx(network, _images(architecture), staging / ONNX)
        names = sorted(path.name for path in staging.iterdir())
        _replace(folder, staging)
    except OSError as error:
        raise ExportError(f"{folder}: cannot be written: {error}") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return Exported(tuple(folder / name for name in names), problem)


def check_block_source(
    block: Block, in_channels: int, width: int, stride: int, values: Mapping[str, Value]
) -> str | None:
    """None where a block can be exported as source, else the reason why it would go as `model.pt2`."""
    side = 8 * stride
    parts = (BlockPart(block.name, width, stride, settings(values)), Layer("global_average_pool"))
    architecture = Architecture((in_channels, side, side), width, parts)
    heading = Heading((block.name,), Normalisation((0.0,) * in_channels, (1.0,) * in_channels), ())
    try:
        with recorded() as calls:
            network = build(architecture, Blocks({block.name: Registered(block, "local", "0")}))
        text = _text(network, calls, heading)
        _check_source(network.eval(), text, Path(MODEL), stored=False)
    except (NoSource, BlockError) as error:
        return str(error)
    return None


def _write_facts(architecture: Architecture, metrics: Mapping[str, Any], trained: Network | None, folder: Path) -> None:
    """Make the folder, with the description, the figures, and the weights of a trained network."""
    folder.mkdir(parents=True)
    (folder / DESCRIPTION).write_text(_json(architecture.to_json()), encoding="utf-8")
    (folder / METRICS).write_text(_json(metrics), encoding="utf-8")
    if trained is not None:
        (folder / WEIGHTS).write_bytes(weights_bytes(trained))


def _heading(
    architecture: Architecture, blocks: Blocks, metrics: Mapping[str, Any], title: Sequence[str], *, kept: bool
) -> list[str]:
    total = cost(architecture, blocks)
    lines = [*title, ""] if title else []
    lines.append(f"Architecture {architecture.fingerprint}: {total.params:,} params, {total.macs:,} multiply-adds.")
    accuracy = metrics.get("accuracy")
    if isinstance(accuracy, float):
        lines.append(f"Accuracy on validation images: {accuracy:.4f}.")
    trained = "`load()` the trained one" if kept else "`load(path)` one with weights; none were kept here"
    return [*lines, f"`build()` gives the untrained network, {trained}; `normalise` prepares images."]


def _check_folder(folder: Path) -> None:
    """Raise ExportError unless nothing is there, an empty folder, or an earlier export."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ExportError(f"{folder}: is no folder")
    names = {path.name for path in folder.iterdir()}
    if names and not (DESCRIPTION in names and names <= OURS):
        strange = sorted(names - OURS)[:3]
        raise ExportError(f"{folder}: holds something else than an earlier export: {', '.join(strange) or 'no export'}")


def _replace(folder: Path, staging: Path) -> None:
    """Put the new folder where the old one was."""
    if folder.exists():
        old = staging.with_name(f"{staging.name}.old")
        folder.rename(old)
        staging.rename(folder)
        shutil.rmtree(old)
    else:
        staging.rename(folder)


def _write_model(network: Network, calls: Calls, heading: Heading, folder: Path) -> str | None:
    """Write `model.py`, or `model.pt2` and give the reason."""
    try:
        text = _text(network, calls, heading)
        _check_source(network, text, folder / MODEL, stored=(folder / WEIGHTS).exists())
    except NoSource as error:
        _write_program(network, folder / PROGRAM)
        return f"written as {PROGRAM} (torch.export) instead of {MODEL}: {error}"
    (folder / MODEL).write_text(text, encoding="utf-8")
    return None


def _text(network: Network, calls: Calls, heading: Heading) -> str:
    """The text of `model.py`; a stranger's file that confuses the reading of it is no reason to break off."""
    try:
        return model_text(network, calls, heading)
    except NoSource:
        raise
    except Exception as error:
        raise NoSource(f"the source cannot be followed: {type(error).__name__}: {error}") from error


def _check_source(network: Network, text: str, path: Path, *, stored: bool) -> None:
    """Run the text and compare; raises NoSource where it breaks or gives other scores."""
    try:
        module = _executed(text, path)
        made: nn.Module = module.load() if stored else module.build()
        if list(made.state_dict()) != list(network.state_dict()):
            raise NoSource("the source makes a network with other weights than the block's")
        if not stored:
            made.load_state_dict(network.state_dict())
        given = _scores(made.eval(), network.architecture)
    except NoSource:
        raise
    except Exception as error:
        raise NoSource(f"the source does not run: {type(error).__name__}: {error}") from error
    _compare(given, network, NoSource("the source gives other scores than the network"))


def _executed(text: str, path: Path) -> ModuleType:
    """The text as a module of a fresh name, gone from `sys.modules` afterwards."""
    module = ModuleType(f"nas_exported_{next(_numbers)}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module
    try:
        exec(compile(text, str(path), "exec"), module.__dict__)
    finally:
        del sys.modules[module.__name__]
    return module


def _write_program(network: Network, path: Path) -> None:
    """The network as a program of torch.export for any number of images; raises ExportError where that fails."""
    images = _images(network.architecture)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            shapes = ({0: torch.export.Dim("images")},)
            program = torch.export.export(network, (images,), dynamic_shapes=shapes)
            torch.export.save(program, path)
            again = torch.export.load(path).module()
        given = _scores(again, network.architecture)
    except Exception as error:
        reason = next(iter(str(error).splitlines()), "")
        raise ExportError(f"the network can be written neither as source nor by torch.export: {reason}") from error
    _compare(given, network, ExportError(f"{PROGRAM} gives other scores than the network"))


def _images(architecture: Architecture) -> Tensor:
    return torch.randn(3, *architecture.input, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def _scores(module: nn.Module, architecture: Architecture) -> Tensor:
    scores: Tensor = module(_images(architecture))
    return scores


def _compare(given: Tensor, network: Network, problem: Exception) -> None:
    wanted = _scores(network, network.architecture)
    if given.shape != wanted.shape or not torch.allclose(given, wanted, rtol=1e-5, atol=1e-6, equal_nan=True):
        raise problem


def _json(data: Any) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"
