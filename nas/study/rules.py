"""What a study file must agree on with the blocks that are registered, with its images, and with its own past."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, product
from pathlib import Path
from typing import Any

from nas.arch.cost import Shape
from nas.arch.record import MAY_CHANGE, Value
from nas.arch.spec import settings
from nas.blocks.base import Block, allowed
from nas.blocks.costing import block_layers, full_settings, is_valid
from nas.blocks.registry import Blocks
from nas.data.names import NAMES, PATHS, absent
from nas.errors import BlockError, StudyFileError, nearest
from nas.study.file import StudyFile, parse, read_toml, study_from_data, unknown_key
from nas.study.numbers import plain, shown
from nas.study.space import STEM
from nas.study.tables import SpaceTable

_MOST_TRIED = 20_000
_MOST_REFUSALS = 5
_PLAIN_SIDE = 16
"""Pixels of the map on which options are tried: any would do, since options do not depend on it."""


@dataclass(frozen=True)
class Asked:
    """What a [space] asks of its blocks, as far as it can be read."""

    blocks: tuple[str, ...] = ()
    kernels: tuple[int, ...] = ()
    stem_kernels: tuple[int, ...] = ()
    widths: tuple[int, ...] = ()
    options: tuple[tuple[str, Value], ...] = ()


def open_study(path: Path, blocks: Blocks, *, overrides: Sequence[str] = ()) -> StudyFile:
    """The study in a file, checked against the blocks too; raises StudyFileError with all mistakes of both kinds."""
    data = read_toml(path)
    study, problems = parse(data, str(path), path=path, overrides=overrides)
    asked = _asked(study.space) if study and study.space else _readable(data.get("space"))
    problems += [*_unknown_dataset(data.get("dataset"), path.parent), *_check(asked, blocks)]
    if study is None or problems:
        raise StudyFileError(str(path), problems)
    return study


def _unknown_dataset(name: object, folder: Path) -> list[str]:
    """The line on a data set that is known and lies nowhere, or is neither known nor written as a path."""
    if not isinstance(name, str) or not name.strip() or "/" in name or Path(name).suffix:
        return []
    if name in NAMES:
        return [f"dataset: {shown(name)} {line}"] if (line := absent(name)) else []
    if name.isprintable() and os.path.isdir(folder / name):
        return []
    return [f"dataset: {shown(name)} is not known{nearest(name, NAMES)}; allowed: {', '.join(NAMES)}, or {PATHS}"]


def check_study(study: StudyFile, blocks: Blocks, input: Shape) -> None:
    """Raise StudyFileError where the blocks, or images of the shape (C, H, W), do not bear the study."""
    problems = [*check_blocks(study, blocks), *check_images(study, input)]
    if problems:
        raise StudyFileError(study.place, problems)


def check_blocks(study: StudyFile, blocks: Blocks) -> list[str]:
    """What the study asks that its blocks do not take: unknown names, kernels, options; a line each."""
    return _check(_asked(study.space), blocks) if study.space else []


def check_images(study: StudyFile, input: Shape) -> list[str]:
    """Whether images (C, H, W) bear the crop, and the halving between stages: down to a pixel, and no further."""
    most, side = max(study.space.stages) if study.space else 1, min(input[1:])
    image, lines = f"{input[1]} × {input[2]} pixels", []
    if 2 ** (most - 1) > side:
        allowed_stages = f"allowed: 1 to {side.bit_length()}"
        lines.append(f"space.stages: {most} stages halve images of {image} to nothing; {allowed_stages}")
    if study.recipe.crop >= side:
        lines.append(f"train.crop: {study.recipe.crop} pixels, of images of {image}; allowed: 0 to {side - 1}")
    return lines


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What a changed file may not change of a study that has begun, a line each; both are `StudyFile.config`s."""
    before, after = _flat(_renewed(old)), _flat(_renewed(new))
    removed = [name for name in before.get("space.blocks", []) if name not in after.get("space.blocks", [])]
    lines = [
        f"{key}: was {_told(before, key)}, is now {_told(after, key)}; a study keeps its question: choose another name"
        for key in dict.fromkeys([*before, *after])
        if key not in MAY_CHANGE and key != "space.blocks" and before.get(key) != after.get(key)
    ]
    if removed:
        names = f"was {_told(before, 'space.blocks')}, is now {_told(after, 'space.blocks')}"
        lines.append(f"space.blocks: {names}; blocks may be added, not removed: choose another name")
    return lines + _changed_candidates(old, new)


def _changed_candidates(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """A line on each candidate of a comparison that is gone or is another network by now; more of them may come."""
    after = {one["name"]: one["parts"] for one in new.get("architecture", [])}
    lines = []
    for before in old.get("architecture", []):
        name = shown(before["name"])
        if before["name"] not in after:
            lines.append(f"architecture: candidate {name} is gone; candidates may be added: choose another name")
        elif before["parts"] != after[before["name"]]:
            lines.append(f"architecture: candidate {name} is another network now: choose another name for the study")
    return lines


def _renewed(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """A stored configuration with the defaults of keys that came later; as it stands where it cannot be read."""
    try:
        return study_from_data(config).config
    except StudyFileError:
        return config


def _flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The values by dotted key; widths are one value, as a list or as a range."""
    flat: dict[str, Any] = {}
    for name, value in config.items():
        inner = isinstance(value, Mapping) and name != "widths"
        flat.update(_flat(value, f"{prefix}{name}.") if inner else {f"{prefix}{name}": value})
    return flat


def _told(flat: Mapping[str, Any], key: str) -> str:
    if key not in flat:
        return "not set"
    value = flat[key]
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name} = {shown(number)}" for name, number in value.items()) + "}"
    return shown(value)


def _asked(space: SpaceTable) -> Asked:
    return Asked(space.blocks, space.kernels, space.stem.kernels, space.widths, settings(space.options))


def _readable(space: Any) -> Asked:
    """What can be read of a [space] that has mistakes, so that these hide no others."""
    if not isinstance(space, Mapping):
        return Asked()
    names = tuple(dict.fromkeys(name for name in _list(space.get("blocks")) if isinstance(name, str)))
    kernels = tuple(kernel for kernel in _list(space.get("kernels")) if type(kernel) is int)
    options = {name: value for name, value in space.items() if name not in SpaceTable.model_fields and _plain(value)}
    return Asked(names, kernels, options=settings(options))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _plain(value: Any) -> bool:
    try:
        plain(value)
    except ValueError:
        return False
    return True


def _check(asked: Asked, blocks: Blocks) -> list[str]:
    lines = []
    named: list[Block] = []
    for name in asked.blocks:
        try:
            named.append(blocks[name])
        except BlockError as error:
            lines.append(f"space.blocks: {' '.join(str(error).split())}")
    lines += [line for block in named for line in _check_kernels("space.kernels", block, asked.kernels)]
    if STEM in blocks:
        lines += [
            line
            for kernel in asked.stem_kernels
            for line in _check_kernels("space.stem.kernels", blocks[STEM], [kernel])
        ]
    if len(named) == len(asked.blocks) and named:
        lines += _check_options(asked, named)
    return lines


def _check_kernels(key: str, block: Block, kernels: Sequence[int]) -> list[str]:
    """A line where a block that has a kernel takes none of these."""
    own = block.choices.get("kernel")
    if own is None or not kernels or allowed(own, kernels):
        return []
    takes = repr(own) if not isinstance(own, list | tuple) else ", ".join(map(shown, own))
    return [f"{key}: block {block.name!r} takes none of {', '.join(map(str, kernels))}; allowed: {takes}"]


def _check_options(asked: Asked, named: Sequence[Block]) -> list[str]:
    lines = [line for name, _ in asked.options for line in _check_option_name(name, named)]
    if lines or not asked.widths:
        return lines
    for name, value in asked.options:
        takers = [block for block in named if name in block.options]
        lines += _refusals(asked, takers, f"space.{name}: {shown(value)}", {name: value})
    if not lines and len(asked.options) > 1:
        lines += _refusals(asked, named, "space: the options together", dict(asked.options))
    return lines


def _check_option_name(name: str, named: Sequence[Block]) -> list[str]:
    if any(name in block.options for block in named):
        return []
    choosers = [block.name for block in named if name in block.choices]
    if choosers:
        return [f"space.{name}: a choice of block {choosers[0]!r}, which the study varies; allowed: options of blocks"]
    return [unknown_key(("space", name), sorted({option for block in named for option in block.options}))]


def _refusals(asked: Asked, takers: Iterable[Block], told: str, options: Mapping[str, Value]) -> list[str]:
    """A line naming the blocks that cannot be built with these options, with the first one's reason."""
    refused = {block.name: reason for block in takers if (reason := _refusal(asked, block, options)) is not None}
    if not refused:
        return []
    reason = next((f" ({reason})" for reason in refused.values() if reason), "")
    defaults = {
        block.options[name] for block in takers if block.name in refused for name in options if name in block.options
    }
    usual = ", ".join(sorted(map(shown, defaults)))
    return [f"{told} cannot be built by {', '.join(refused)} at any width of the study{reason}; default: {usual}"]


def _refusal(asked: Asked, block: Block, options: Mapping[str, Value]) -> str | None:
    """Why a block cannot be built with the options, "" for a plain veto; None where it can, or cannot even without."""
    given = {name: value for name, value in options.items() if name in block.options}
    reason = _tried(asked, block, given)
    return reason if reason is not None and _tried(asked, block, {}) is None else None


def _tried(asked: Asked, block: Block, given: Mapping[str, Value]) -> str | None:
    """None once any choices and width of the study can be built, else the first reason given."""
    reasons: list[str] = []
    for width, chosen in islice(_calls(asked, block), _MOST_TRIED):
        try:
            values = settings(full_settings(block, {**chosen, **given}))
            if is_valid(block, width, width, 1, values):
                block_layers(block, (width, _PLAIN_SIDE, _PLAIN_SIDE), width, 1, values)
                return None
        except BlockError as error:
            reasons.append(" ".join(str(error).split()))
        if len(reasons) >= _MOST_REFUSALS:
            break
    return reasons[0] if reasons else ""


def _calls(asked: Asked, block: Block) -> Iterator[tuple[int, dict[str, Value]]]:
    """Widths with a block's choices, kernels met with the study's."""
    choices = {name: tuple(values) for name, values in block.choices.items()}
    if "kernel" in choices:
        choices["kernel"] = allowed(block.choices["kernel"], asked.kernels)
    for width, values in product(asked.widths, product(*choices.values())):
        yield width, dict(zip(choices, values, strict=True))
