"""From an architecture to a module, proven to have the parameters that its cost declares."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from nas.arch.spec import Architecture, Auxiliary, BlockPart, Layer, settings
from nas.blocks.base import Block
from nas.blocks.costing import block_cost, full_settings
from nas.blocks.measure import call_text
from nas.blocks.registry import BUILT_IN, Blocks
from nas.blocks.trace import cost, normalise
from nas.blocks.verify import prove
from nas.errors import BlockError
from nas.net.layers import layer_module
from nas.net.steps import ADD, CONCAT, FLATTEN, IMAGE, MODULE, SCORES, UNFLATTEN, Step, Steps, network_steps


class Network(nn.Module):
    """Runs the steps of an architecture: (N, C, H, W) images to (N, classes) scores.

    While training, a network with auxiliary heads gives (scores, [scores of each head]).
    """

    def __init__(self, architecture: Architecture, steps: Steps, modules: Iterable[tuple[str, nn.Module]]) -> None:
        super().__init__()
        self.architecture = architecture
        self.steps = steps.steps
        self.loss_weights = steps.loss_weights
        self.plain_steps = tuple(step for step in steps.steps if not step.head)
        for name, module in modules:
            self.add_module(name, module)

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, list[Tensor]]:
        """(N, C, H, W) to (N, classes); raises BlockError where a block gives another shape than it declared.

        Images of another size than the architecture's are let through as far as its parts bear them.
        """
        values = {IMAGE: images}
        declared = tuple(images.shape[1:]) == self.architecture.input
        for step in self.steps if self.training else self.plain_steps:
            values[step.output] = self.run(step, [values[name] for name in step.inputs], declared=declared)
        if self.training and self.loss_weights:
            return values[SCORES], [values[f"aux{number}"] for number in range(1, len(self.loss_weights) + 1)]
        return values[SCORES]

    def run(self, step: Step, inputs: list[Tensor], *, declared: bool = True) -> Tensor:
        """One step; on an image of the declared size a block must give what it declared."""
        if step.op != MODULE:
            return _OPERATIONS[step.op](inputs)
        value: Tensor = self._modules[step.name](inputs[0])  # type: ignore[misc]
        if declared and isinstance(step.part, BlockPart) and tuple(value.shape[1:]) != step.shape:
            given = [*step.input_shape], [*value.shape[1:]], [*step.shape]
            raise BlockError(f"block {step.part.block!r} made of {given[0]} {given[1]}, not {given[2]} as it must")
        return value

    @property
    def auxiliary(self) -> tuple[str, ...]:
        """The names of the modules that exist for training alone."""
        return tuple(step.name for step in self.steps if step.head and step.op == MODULE)


def _add(values: list[Tensor]) -> Tensor:
    total = values[0]
    for value in values[1:]:
        total = total + value
    return total


_OPERATIONS: dict[str, Callable[[list[Tensor]], Tensor]] = {
    ADD: _add,
    CONCAT: lambda values: torch.cat(values, dim=1),
    FLATTEN: lambda values: torch.flatten(values[0], 1),
    UNFLATTEN: lambda values: values[0][:, :, None, None],
}


def build(architecture: Architecture, blocks: Blocks, *, seed: int = 0) -> Network:
    """The module of an architecture, initialised under the seed, on the CPU.

    Raises ArchitectureError where shapes do not meet, BlockError where a block breaks, or has not the parameters that
    its cost declares: what was let in under a budget is what is trained.
    """
    architecture = normalise(architecture, blocks)
    declared = cost(architecture, blocks)
    steps = network_steps(architecture)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        # Heads come last, so that a network starts from the same numbers with them and without.
        ordered = sorted((step for step in steps.steps if step.op == MODULE), key=lambda step: step.head)
        with he_start():
            modules = [(step.name, _module(step, blocks)) for step in ordered]
    network = Network(architecture, steps, modules)
    heads = set(network.auxiliary)
    assert sum(trainable(module) for name, module in modules if name not in heads) == declared.params
    return network


@contextmanager
def he_start() -> Iterator[None]:
    """Meanwhile a new convolution with a bias starts from He's numbers; what a block then sets itself stays.

    With a bias it has no batch norm behind it, and PyTorch's own start would let the signal die within a few layers.
    Source: He et al., "Delving Deep into Rectifiers", 2015, equation 10.
    """
    usual = nn.Conv2d.reset_parameters

    def start(convolution: nn.Conv2d) -> None:
        usual(convolution)
        if convolution.bias is not None and convolution.weight.numel():
            nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
            nn.init.zeros_(convolution.bias)

    nn.Conv2d.reset_parameters = start  # type: ignore[assignment, method-assign]
    try:
        yield
    finally:
        nn.Conv2d.reset_parameters = usual  # type: ignore[method-assign]


def trainable(module: nn.Module) -> int:
    """How many numbers a module trains."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)


def _module(step: Step, blocks: Blocks) -> nn.Module:
    if isinstance(step.part, Layer):
        return layer_module(step.part.kind, dict(step.part.fields), step.input_shape, flat=step.input_flat)
    assert step.part is not None
    return block_module(step.part, step, blocks)


def block_module(part: BlockPart, step: Step, blocks: Blocks) -> nn.Module:
    """The module of a block, with the cost that was declared; raises BlockError where it breaks or lies."""
    block, shape, width = blocks[part.block], step.input_shape, int(part.width)
    values = full_settings(block, dict(part.settings))
    call = call_text(block, shape[0], width, part.stride, values)
    try:
        module = _materialised(block.build(shape[0], width, part.stride, **values), step)
        found = trainable(module)
        loose = [name for name, value in module.state_dict().items() if not isinstance(value, Tensor)]
    except Exception as error:
        raise BlockError(f"{call} cannot be built: {type(error).__name__}: {error}") from error
    if loose:
        raise BlockError(f"{call} keeps state that is no tensor: {', '.join(loose)}")
    declared = block_cost(block, shape, width, part.stride, settings(values))
    if found != declared.params:
        raise BlockError(f"{call} lies about its cost: it declares {declared.params:,} params and has {found:,}")
    # The built-in blocks' closed forms are proven by tests; a measurement takes longer than an epoch may.
    if type(block).cost is not Block.cost and blocks.registered[part.block].plugin != BUILT_IN:
        prove(block, shape, width, part.stride, settings(values))
    return module


def _materialised(module: nn.Module, step: Step) -> nn.Module:
    """A module that waits for its first input to know its size is shown one."""
    if any(is_lazy(parameter) for parameter in module.parameters()):
        with torch.no_grad():
            module.eval()(torch.zeros(1, *step.input_shape))
    return module.train()


def without_heads(architecture: Architecture) -> Architecture:
    """The network as used at inference: its auxiliary heads, which stand on the main path alone, left out."""
    kept = tuple(part for part in architecture.parts if not isinstance(part, Auxiliary))
    return replace(architecture, parts=kept)
