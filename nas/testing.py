"""The conformance kit for block plugins: plain checks, all of them at once, and the same as a pytest class.

from nas.testing import BlockContract

class TestGhost(BlockContract):
    block = Ghost
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn

from nas.arch.read import architecture_from_json
from nas.arch.spec import settings
from nas.blocks.base import Block
from nas.blocks.costing import block_cost, full_settings, is_valid
from nas.blocks.measure import call_text
from nas.blocks.registry import Blocks
from nas.blocks.trace import normalise
from nas.blocks.verify import CHANNELS, STRIDES, Case, all_settings, cases, verify
from nas.errors import BlockError, NasError
from nas.net.export import check_block_source

SIZES = ((7, 7), (9, 5), (1, 1))
"""The maps (H, W) that blocks are tried on."""

_SEED = 20


@dataclass(frozen=True)
class Finding:
    """One check of the kit: whether it passed and, if not, one line a problem; notes are told, and fail nothing."""

    name: str
    passed: bool
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def check_block(block: type[Block] | Block) -> list[Finding]:
    """Every check of the kit on one block type; random state stays as it was."""
    kind = block if isinstance(block, type) else type(block)
    try:
        made = Blocks().with_block(kind)[kind.name]
    except BlockError as error:
        return [Finding("declaration", False, (str(error),))]
    found = [_finding(name, check, made) for name, check in CHECKS.items()]
    notes = tuple(f"{line}; it is exported as model.pt2" for line in _problems(check_export, made))
    return [Finding("declaration", True), *found, Finding("export", True, notes=notes)]


def _finding(name: str, check: Callable[[Block], list[str]], block: Block) -> Finding:
    problems = _problems(check, block)
    return Finding(name, not problems, tuple(problems))


def _problems(check: Callable[[Block], list[str]], block: Block) -> list[str]:
    """A check's problems; one that breaks off is a problem too, and so is a veto that breaks."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        try:
            return list(dict.fromkeys(check(block)))
        except NasError as error:
            return error.lines
        except Exception as error:
            return [f"{type(error).__name__}: {error}"]


def check_signatures(block: Block) -> list[str]:
    """`build`, `cost` and `valid` take exactly what is declared: nothing undeclared is asked for or refused."""
    found = []
    for name in ("build", "cost", "valid"):
        method = getattr(block, name)
        try:
            inspect.signature(method).bind((8, 7, 7) if name == "cost" else 8, 16, 1, **all_settings(block)[0])
        except TypeError as error:
            declared = ", ".join([*block.choices, *block.options]) or "nothing"
            found.append(f"{block.name}.{name}: {error}; choices and options declare {declared}")
    try:
        full_settings(block, {**all_settings(block)[0], "no_such_option": 1})
        found.append(f"{block.name}: an unknown option is passed on")
    except BlockError:
        pass
    return found


def check_choices(block: Block) -> list[str]:
    """Every declared value builds wherever the block does not veto it, and not everything is vetoed."""
    found, allowed = [], 0
    for values in all_settings(block):
        for in_channels, width in CHANNELS:
            for stride in STRIDES:
                if not is_valid(block, in_channels, width, stride, settings(values)):
                    continue
                allowed += 1
                try:
                    with torch.device("meta"):
                        block.build(in_channels, width, stride, **values)
                except Exception as error:
                    call = call_text(block, in_channels, width, stride, values)
                    found.append(f"{call} is allowed, but: {type(error).__name__}: {error}")
    return found if allowed else [f"{block.name}: vetoes everything; tried (in_channels, width) {CHANNELS}"]


def check_shape(block: Block) -> list[str]:
    """(N, in_channels, H, W) becomes (N, width, ceil(H / stride), ceil(W / stride)), at odd sizes too."""
    found = []
    for case in cases(block):
        module = _built(block, case).eval()
        for height, wide in SIZES:
            with torch.no_grad():
                output = module(torch.randn(2, case.in_channels, height, wide))
            got = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
            wanted = (2, case.width, -(-height // case.stride), -(-wide // case.stride))
            if got != wanted:
                given = (2, case.in_channels, height, wide)
                found.append(f"{_call(block, case)}: an input of {given} gives {got}, not {wanted}")
    return found


def check_gradient(block: Block) -> list[str]:
    """A gradient that is not zero reaches every parameter, in training or with the running statistics."""
    found = []
    for case in cases(block, channels=1):
        module = _built(block, case)
        parameters = {name: one for name, one in module.named_parameters() if one.requires_grad}
        with torch.no_grad():  # gates that start at zero let no gradient through
            for parameter in parameters.values():
                parameter.add_(0.1 * torch.randn_like(parameter))
        for training in (True, False):
            output = module.train(training)(torch.randn(4, case.in_channels, 9, 8))
            (output * torch.randn_like(output)).sum().backward()
        found += [f"{_call(block, case)}: {text}" for text in _without_gradient(parameters)]
    return found


def _without_gradient(parameters: Mapping[str, nn.Parameter]) -> list[str]:
    found = []
    for name, parameter in parameters.items():
        if parameter.grad is None or not parameter.grad.any():
            found.append(f"no gradient reaches parameter {name}")
        elif not parameter.grad.isfinite().all():
            found.append(f"the gradient of parameter {name} is not finite")
    return found


def check_cost(block: Block) -> list[str]:
    """The declared cost, or the measured one where none is declared, is that of the built module."""
    found = []
    for number, case in enumerate(cases(block)):
        sizes = SIZES if case.stride == 1 and number % 2 == 0 else [SIZES[number % len(SIZES)]]
        for height, wide in sizes:
            shape = (case.in_channels, height, wide)
            found += verify(block, shape, case.width, case.stride, case.values)
        count = sum(one.numel() for one in _built(block, case).parameters() if one.requires_grad)
        said = block_cost(block, shape, case.width, case.stride, settings(case.values)).params
        if said != count:
            found.append(f"{_call(block, case)}: {said} params counted, but the module has {count}")
    return found


def check_determinism(block: Block) -> list[str]:
    """One seed, one module: parameters, buffers and outputs agree between two builds."""
    found = []
    for case in cases(block, channels=1):
        outputs, states = [], []
        for _ in range(2):
            torch.manual_seed(_SEED)
            module = _built(block, case).eval()
            states.append(module.state_dict())
            with torch.no_grad():
                outputs.append(module(torch.linspace(-1, 1, case.in_channels * 56).view(1, -1, 8, 7)))
        found += [
            f"{_call(block, case)}: {name} differs between two builds from one seed"
            for name, value in states[0].items()
            if not torch.equal(value, states[1][name])
        ]
        if not torch.equal(outputs[0], outputs[1]):
            found.append(f"{_call(block, case)}: two builds from one seed give two outputs")
    return found


def check_json(block: Block) -> list[str]:
    """An architecture with the block goes through JSON and keeps its fingerprint; spelled-out defaults change none."""
    blocks = Blocks().with_block(type(block))
    found = []
    for case in cases(block, channels=1):
        given = normalise(architecture_from_json(_around(block, case, case.values)), blocks)
        again = normalise(architecture_from_json(json.loads(json.dumps(given.to_json()))), blocks)
        choices = {name: value for name, value in case.values.items() if name in block.choices}
        short = normalise(architecture_from_json(_around(block, case, choices)), blocks)
        if not given.fingerprint == again.fingerprint == short.fingerprint:
            found.append(f"{_call(block, case)}: its JSON reads back as another network")
    return found


def check_export(block: Block) -> list[str]:
    """A network with the block can be written as source that needs torch alone; if not, it goes as `model.pt2`."""
    case = next(cases(block, channels=1), None)
    if case is None:
        return []
    reason = check_block_source(block, *case)
    return [f"{_call(block, case)}: {reason}"] if reason else []


def _around(block: Block, case: Case, values: Mapping[str, Any]) -> dict[str, Any]:
    part = {"block": block.name, "width": case.width, "stride": case.stride, **values}
    head = {"format": 1, "input": [case.in_channels, 8, 8], "classes": 10}
    return {**head, "parts": [part, {"layer": "global_average_pool"}, {"layer": "dense", "width": 10}]}


def _built(block: Block, case: Case) -> nn.Module:
    return block.build(case.in_channels, case.width, case.stride, **case.values)


def _call(block: Block, case: Case) -> str:
    return call_text(block, *case)


CHECKS: dict[str, Callable[[Block], list[str]]] = {
    "signatures": check_signatures,
    "choices": check_choices,
    "shape": check_shape,
    "gradient": check_gradient,
    "cost": check_cost,
    "determinism": check_determinism,
    "json": check_json,
}
"""The checks that every block must pass, by name, in the order in which they are told."""


class BlockContract:
    """The kit as a test class: subclass it, set `block`, and pytest runs one test a check."""

    block: ClassVar[type[Block]]
    exports_source: ClassVar[bool] = True
    """False for a block whose modules cannot be written as source: networks with it are exported as `model.pt2`."""

    def test_declaration_is_sound(self) -> None:
        """The name and the declared choices and options can be registered."""
        Blocks().with_block(self.block)

    def test_signatures_take_what_is_declared(self) -> None:
        """See `check_signatures`."""
        self._check(check_signatures)

    def test_every_choice_builds_or_is_vetoed(self) -> None:
        """See `check_choices`."""
        self._check(check_choices)

    def test_shape_at_odd_sizes_and_strides(self) -> None:
        """See `check_shape`."""
        self._check(check_shape)

    def test_gradient_reaches_every_parameter(self) -> None:
        """See `check_gradient`."""
        self._check(check_gradient)

    def test_cost_is_that_of_the_built_module(self) -> None:
        """See `check_cost`."""
        self._check(check_cost)

    def test_one_seed_gives_one_module(self) -> None:
        """See `check_determinism`."""
        self._check(check_determinism)

    def test_json_keeps_the_fingerprint(self) -> None:
        """See `check_json`."""
        self._check(check_json)

    def test_export_needs_torch_alone(self) -> None:
        """See `check_export`."""
        if self.exports_source:
            self._check(check_export)

    def _check(self, check: Callable[[Block], list[str]]) -> None:
        problems = _problems(check, self.block())
        if problems:
            raise AssertionError("\n".join(problems))
