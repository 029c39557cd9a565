"""The cost of a block without a closed form: built once on the meta device, its operators counted.

Counted are convolutions and matrix products; `nas.blocks.operators` says what costs nothing, and any other operator
is an error that names it. The receptive field is followed by the rules of `nas.blocks.reach`.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy
from torch.utils._python_dispatch import TorchDispatchMode

from nas.arch.cost import Cost, Shape
from nas.blocks import reach
from nas.blocks.axes import Seen, Tracks, join, receptive_field, start
from nas.blocks.base import Block
from nas.blocks.operators import ATTENTIONS, CONVOLUTIONS, FREE, PRODUCTS
from nas.errors import BlockError, UncountedOperator

_ROOMY = (48, 80)
"""The map on which receptive fields are followed: no axis shrinks to one pixel, and the two cannot be confused."""


def measure(block: Block, shape: Shape, width: int, stride: int, values: Mapping[str, Any]) -> Cost:
    """The cost of the built module for one sample of `shape` (C, H, W), without a memory or time worth the name.

    Raises UncountedOperator naming the operator whose cost is not known, BlockError where the block cannot be built
    or run, or gives another shape than (width, ceil(H / stride), ceil(W / stride)). Random state stays as it was.
    """
    call = call_text(block, shape[0], width, stride, values)
    with torch.random.fork_rng(devices=[]):
        try:
            return _measured(block, shape, width, stride, values, "meta")
        except BlockError as error:
            raise type(error)(f"{call}: {error}") from None
        except (Exception, SystemExit) as error:
            # A module that reads a tensor's values, as `.item()` does, needs a real device.
            if "meta" not in str(error).lower():
                raise BlockError(f"{call}: {_reason(error)}") from error
        try:
            return _measured(block, shape, width, stride, values, "cpu")
        except BlockError as error:
            raise type(error)(f"{call}: {error}") from None
        except (Exception, SystemExit) as error:
            raise BlockError(f"{call}: {_reason(error)}") from error


def call_text(block: Block, in_channels: int, width: int, stride: int, values: Mapping[str, Any]) -> str:
    """`ghost(in_channels=8, width=16, stride=1, kernel=3)`: how messages name a block with its values."""
    numbers = [f"in_channels={in_channels}", f"width={width}", f"stride={stride}"]
    return f"{block.name}({', '.join([*numbers, *(f'{name}={value!r}' for name, value in values.items())])})"


def _reason(error: Exception | SystemExit) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split()) or 'no message'}"


def _measured(block: Block, shape: Shape, width: int, stride: int, values: Mapping[str, Any], device: str) -> Cost:
    with torch.no_grad(), torch.device(device):
        module = block.build(shape[0], width, stride, **values)
        if not isinstance(module, nn.Module):
            raise BlockError(f"build gave {type(module).__name__}, not an nn.Module")
        module.eval()
        _refuse_recurrent(module)
        if any(is_lazy(parameter) for parameter in module.parameters()):
            module(torch.zeros(1, *shape))
        counter = _run(module, shape)
        wanted = (1, width, -(-shape[1] // stride), -(-shape[2] // stride))
        if counter.output.shape != wanted:
            got = list(counter.output.shape[1:])
            raise BlockError(f"an input of {list(shape)} gives {got}, not {list(wanted[1:])}")
        return Cost(
            params=sum(one.numel() for one in module.parameters() if one.requires_grad),
            weights=sum(one.numel() for one in module.parameters() if one.requires_grad and id(one) in counter.kernels),
            macs=counter.macs,
            activations=counter.activations,
            receptive_field=_field(module, shape, counter.output),
        )


def _refuse_recurrent(module: nn.Module) -> None:
    for part in module.modules():
        if isinstance(part, nn.RNNBase | nn.RNNCellBase):
            raise UncountedOperator(f"cost of operator nn.{type(part).__name__} (recurrent) is not known")


def _field(module: nn.Module, shape: Shape, output: Seen) -> int | None:
    """The receptive field on a roomy map or, where the module takes no such map, on its own."""
    with suppress(Exception):  # no mistake: the module has shown that it takes `shape`
        output = _run(module, (shape[0], *_ROOMY)).output
    return receptive_field(output)


def _run(module: nn.Module, shape: Shape) -> _Counter:
    image = torch.zeros(1, *shape)
    counter = _Counter(module, image)
    with counter:
        output = module(image)
    if not isinstance(output, torch.Tensor):
        raise BlockError(f"forward gave {type(output).__name__}, not one tensor")
    counter.output = counter.seen(output)
    return counter


@dataclass
class _Record:
    """What is known of one tensor: the tensor itself, so that its id stays its own, its tracks, and its parameters.

    `made_from` holds the ids of the parameters that a tensor independent of the input was computed from.
    """

    tensor: torch.Tensor
    tracks: Tracks
    made_from: frozenset[int]


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts multiply-adds and activations of every operator, and follows positions and parameters."""

    def __init__(self, module: nn.Module, image: torch.Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.macs = self.activations = 0
        self.kernels: set[int] = set()
        self.output = Seen((), None)
        self.parameters = {_storage(one): one for one in module.parameters()}
        self.records: dict[int, _Record] = {}
        self.sharing: defaultdict[int, list[_Record]] = defaultdict(list)
        self.record(image, start(tuple(image.shape)), frozenset())

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = _name(func)
        if not _known(func, name):
            with self:
                result = func.decompose(*args, **kwargs)
            if result is not NotImplemented:
                return result
            raise UncountedOperator(f"cost of operator {func.name()} is not known")
        bound = _bound(func, args, kwargs)
        before = {key: self.shadow(value) for key, value in bound.items()}
        result = func(*args, **kwargs)
        outputs = list(_tensors(result))
        if outputs:
            self.count(name, bound, tuple(outputs[0].shape))
        for output in outputs:
            tracks = _flow(name, before, tuple(output.shape))
            made_from = frozenset() if tracks else frozenset().union(*map(self.made_from, _tensors(bound)))
            self.record(output, tracks, made_from)
        return result

    def count(self, name: str, bound: dict[str, Any], out: tuple[int, ...]) -> None:
        """Add what one operator costs; most cost nothing."""
        if name in CONVOLUTIONS:
            self.convolution(bound, out)
        elif name in PRODUCTS:
            left, right = PRODUCTS[name]
            self.product(bound[left], bound[right], out)
        elif name in ATTENTIONS:
            query, key, value = (bound[one].shape for one in ("query", "key", "value"))
            self.macs += math.prod(query[:-1]) * key[-2] * (query[-1] + value[-1])

    def convolution(self, bound: dict[str, Any], out: tuple[int, ...]) -> None:
        """A kernel element meets each output pixel once; in a transposed convolution each input pixel."""
        weight = bound["weight"]
        pixels = bound["input"].shape if bound["transposed"] else out
        self.macs += weight.numel() * pixels[0] * math.prod(pixels[2:])
        self.activations += math.prod(out)
        self.kernel(weight)

    def product(self, left: torch.Tensor, right: torch.Tensor, out: tuple[int, ...]) -> None:
        """(n, k)·(k, m): n·k·m. With parameters on one side and data on the other it is a dense layer."""
        self.macs += math.prod(out) * left.shape[-1]
        for kernel, other in ((left, right), (right, left)):
            if self.made_from(kernel) and self.seen(other).tracks:
                self.activations += math.prod(out)
                self.kernel(kernel)

    def kernel(self, tensor: torch.Tensor) -> None:
        """The parameters behind a kernel: those of its size, so that no scale or gain counts as a weight."""
        made_from = self.made_from(tensor)
        same = {id(one) for one in self.parameters.values() if one.numel() == tensor.numel()} & made_from
        self.kernels |= same or made_from

    def record(self, tensor: torch.Tensor, tracks: Tracks, made_from: frozenset[int]) -> None:
        """Remember a new tensor, or one written to, together with what shares its memory."""
        known = self.records.get(id(tensor))
        fresh = _Record(tensor, tracks, made_from)
        if known is not None:
            for other in self.sharing[_storage(tensor)]:
                other.tracks = join([other.tracks, _seen_through(fresh, other)])
            known.tracks, known.made_from = tracks, made_from
            return
        self.records[id(tensor)] = fresh
        self.sharing[_storage(tensor)].append(fresh)

    def made_from(self, tensor: torch.Tensor) -> frozenset[int]:
        """The parameters that a tensor is, or was computed from; none where it depends on the input."""
        known = self.records.get(id(tensor))
        if known is not None:
            return known.made_from
        parameter = self.parameters.get(_storage(tensor))
        return frozenset() if parameter is None else frozenset([id(parameter)])

    def seen(self, tensor: torch.Tensor) -> Seen:
        known = self.records.get(id(tensor))
        return Seen(tuple(tensor.shape), known.tracks if known else None)

    def shadow(self, value: Any) -> Any:
        """An argument with every tensor in it as the rules see it."""
        if isinstance(value, torch.Tensor):
            return self.seen(value)
        return [self.shadow(item) for item in value] if isinstance(value, list | tuple) else value


def _flow(name: str, seen: dict[str, Any], out: tuple[int, ...]) -> Tracks:
    """Where the input's pixels are in an operator's output."""
    if name in CONVOLUTIONS:
        return reach.convolution(seen, out)
    if name in ATTENTIONS:
        return reach.attention(seen, out)
    if name in PRODUCTS:
        left, right = PRODUCTS[name]
        added = [] if "self" in (left, right) else [seen["self"]]
        return join([reach.product(seen[left], seen[right], out), reach.elementwise({"self": added}, out)])
    return FREE.get(name, reach.elementwise)(seen, out)


def _seen_through(written: _Record, other: _Record) -> Tracks:
    """The tracks that a write into one tensor leaves in another that shares its memory."""
    seen = Seen(tuple(written.tensor.shape), written.tracks)
    if written.tensor.numel() == other.tensor.numel() and written.tensor.shape != other.tensor.shape:
        return reach.reshape({"self": seen}, tuple(other.tensor.shape))
    return reach.elementwise({"self": seen}, tuple(other.tensor.shape))


def _storage(tensor: torch.Tensor) -> int:
    address: int = tensor.untyped_storage()._cdata
    return address


def _name(func: Any) -> str:
    """The operator's name without its overload; of an in-place one that of the plain one."""
    name: str = func.overloadpacket.__name__
    return name if name in FREE else name.rstrip("_") or name


def _known(func: Any, name: str) -> bool:
    if func.namespace != "aten":
        return False
    if name in FREE or name in PRODUCTS or name in CONVOLUTIONS or name in ATTENTIONS:
        return True
    plain = getattr(torch.ops.aten, name, None)
    variants = [func] if plain is None else [func, *(getattr(plain, one) for one in plain.overloads())]
    return any(torch.Tag.pointwise in variant.tags for variant in variants)


def _bound(func: Any, args: Any, kwargs: Any) -> dict[str, Any]:
    """The operator's arguments by the names of its schema, defaults filled in."""
    named = {}
    for place, argument in enumerate(func._schema.arguments):
        default = argument.default_value if argument.has_default_value() else None
        named[argument.name] = args[place] if place < len(args) else kwargs.get(argument.name, default)
    return named


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, Mapping):
        yield from _tensors(list(value.values()))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _tensors(item)
