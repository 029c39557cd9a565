"""What a training step holds in memory: the trainer's own step on tensors without numbers, every storage followed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple
from weakref import ref

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd.graph import saved_tensors_hooks
from torch.optim import Optimizer
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from nas.arch.recipe import OPTIMIZERS, Recipe
from nas.arch.spec import Architecture
from nas.blocks.registry import Blocks
from nas.blocks.sweep import BYTES
from nas.blocks.trace import cost, normalise
from nas.errors import NasError, TrainingFailed, nearest
from nas.net.build import Network, build
from nas.net.optimizer import optimizer_of
from nas.net.score import loss_of

_aten = torch.ops.aten
_FORMATS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class NetworkMemory:
    """What a network holds in memory, in bytes, heads for training alone included in all but two numbers.

    `parameter_bytes`: all parameters in fp32, which they stay in every precision; `buffer_bytes`: batch norm's running
    statistics; `gradient_bytes`, `optimizer_bytes`: what stands beside the parameters between two steps.
    `activation_bytes`: the outputs of all convolutions and dense layers of the batch in the precision, without heads:
    the articles' measure. `saved_bytes`: what autograd keeps for the backward pass, each storage once.
    `training_peak_bytes`: the most that is live at any moment of a step, the batch and all of the above included.
    `inference_peak_bytes`: parameters, buffers and the largest set of live maps, without gradient and heads.
    """

    batch: int
    precision: str
    optimizer: str
    parameter_bytes: int
    buffer_bytes: int
    gradient_bytes: int
    optimizer_bytes: int
    activation_bytes: int
    saved_bytes: int
    training_peak_bytes: int
    inference_peak_bytes: int


class _Asked(NamedTuple):
    """The question: which network, in which training."""

    architecture: Architecture
    blocks: Blocks
    batch: int
    precision: str
    optimizer: str


def memory(
    architecture: Architecture, blocks: Blocks, *, batch: int = 64, precision: str = "fp32", optimizer: str = "sgd"
) -> NetworkMemory:
    """The memory of training and of using a network by batches, in bytes; nothing is allocated or computed.

    A network with a block that looks at the values of its tensors is run for real instead, with the same result.
    Raises ArchitectureError and BlockError as `cost` does, TrainingFailed where such a batch cannot be trained on.
    """
    _check(batch, precision, optimizer)
    activations = cost(architecture, blocks, proven=True).activations
    sizes = _sizes(_Asked(normalise(architecture, blocks), blocks, batch, precision, optimizer))
    return NetworkMemory(batch, precision, optimizer, activation_bytes=activations * batch * BYTES[precision], **sizes)


def _check(batch: int, precision: str, optimizer: str) -> None:
    if isinstance(batch, bool) or not isinstance(batch, int) or batch < 1:
        raise NasError(f"batch {batch!r}: allowed: whole numbers from 1")
    for name, value, allowed in (("precision", precision, BYTES), ("optimizer", optimizer, OPTIMIZERS)):
        if value not in allowed:
            raise NasError(f"{name} {value!r}{nearest(str(value), allowed)}; allowed: {', '.join(allowed)}")


def _sizes(asked: _Asked) -> dict[str, int]:
    """The measured sizes, from tensors without numbers where the network can do with them."""
    try:
        return _measured(asked, FakeTensorMode(allow_non_fake_inputs=True))
    except Exception:  # whatever is wrong with the network itself is wrong for real too, and told better there
        pass
    try:
        return _measured(asked, nullcontext())
    except NasError:
        raise
    except Exception as error:
        text = " ".join(str(error).split()) or "no message"
        raise TrainingFailed(f"a training step on a batch of {asked.batch}: {type(error).__name__}: {text}") from error


def _measured(asked: _Asked, tensors: AbstractContextManager[Any]) -> dict[str, int]:
    with torch.random.fork_rng(devices=[]), tensors, _Live() as live:
        network = _channels_last(build(asked.architecture, asked.blocks))
        images = torch.zeros(asked.batch, *asked.architecture.input).contiguous(memory_format=torch.channels_last)
        own = {"parameter_bytes": _size(network.parameters()), "buffer_bytes": _size(network.buffers())}
        trained = _training(network, images, asked, live)
        _strip(network)
        return own | trained | {"inference_peak_bytes": _inference(network, images, asked.precision, live)}


def _training(network: Network, images: Tensor, asked: _Asked, live: _Live) -> dict[str, int]:
    """Two steps as the trainer does them: the first leaves gradients and the optimizer's state to the second."""
    labels = torch.zeros(asked.batch, dtype=torch.int64)
    optimizer = optimizer_of(network, Recipe(optimizer=asked.optimizer))
    saved = _Saved(network)
    network.train()
    with saved_tensors_hooks(saved.keep, lambda tensor: tensor):
        _step(network, optimizer, images, labels, asked.precision, live)
    live.forget_peak()
    _step(network, optimizer, images, labels, asked.precision, live)
    states = [value for state in optimizer.state.values() for value in state.values() if isinstance(value, Tensor)]
    return {
        "gradient_bytes": _size(one.grad for one in network.parameters() if one.grad is not None),
        "optimizer_bytes": _size(states),
        "saved_bytes": sum(saved.sizes.values()),
        "training_peak_bytes": live.peak,
    }


def _step(network: Network, optimizer: Optimizer, images: Tensor, labels: Tensor, precision: str, live: _Live) -> None:
    """One step in the order of `nas.net.train.train`: the last step's gradients live until the loss is known."""
    with _computing(precision):
        loss = loss_of(network, images, labels, Recipe().label_smoothing)
    optimizer.zero_grad()
    with live.summing_in_place():
        loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()


@torch.no_grad()
def _inference(network: Network, images: Tensor, precision: str, live: _Live) -> int:
    """The most bytes that are live while the batch is scored."""
    network.eval()
    live.forget_peak()
    with _computing(precision):
        network(images)
    return live.peak


def _computing(precision: str) -> torch.autocast:
    return torch.autocast("cpu", _FORMATS[precision], enabled=precision != "fp32")


def _channels_last(network: Network) -> Network:
    """The network as the trainer lays it out; tensors without numbers cannot be moved by `network.to`."""
    for parameter in network.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return network


def _strip(network: Network) -> None:
    """Take away what training alone needs: gradients and heads."""
    network.zero_grad()
    for name in network.auxiliary:
        delattr(network, name)


def _size(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.nbytes for tensor in tensors)


class _Saved:
    """Notes what autograd keeps, each storage once; the network's own parameters and buffers are no part of it."""

    def __init__(self, network: Network) -> None:
        self.sizes: dict[int, int] = {}
        self.own = {_storage(tensor)._cdata for tensor in (*network.parameters(), *network.buffers())}

    def keep(self, tensor: Tensor) -> Tensor:
        """To be called with every tensor that is kept; as all of them live on, no address comes twice."""
        storage = _storage(tensor)
        if storage._cdata not in self.own:
            self.sizes[storage._cdata] = storage.nbytes()
        return tensor


class _Live(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Follows every storage from the operator that makes it to its end: the live bytes, and the most there were."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.bytes = self.peak = 0
        self.storages: dict[int, ref[torch.UntypedStorage]] = {}
        self.in_place = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.look()
        result = func(*args, **(kwargs or {}))
        if func is _aten.channel_shuffle.default:
            # Without numbers the operator forgets the layout that it keeps with them.
            result = result.contiguous(memory_format=_layout(args[:1]))
        for value in _tensors(result):
            self.note(_storage(value))
        if not (self.in_place and func is _aten.add.Tensor):
            inside = _INSIDE.get(func.overloadpacket)
            self.look(inside(args) if inside else 0)
        return result

    def note(self, storage: torch.UntypedStorage) -> None:
        """Count a storage that is new, until nobody has it any more."""
        address, size = storage._cdata, storage.nbytes()
        if address in self.storages:
            return

        def gone(_: object) -> None:
            self.bytes -= size
            del self.storages[address]

        self.storages[address] = ref(storage, gone)
        self.bytes += size

    def look(self, inside: int = 0) -> None:
        """Remember the most bytes seen, those that live inside an operator alone included."""
        self.peak = max(self.peak, self.bytes + inside)

    def forget_peak(self) -> None:
        """Begin a new stretch from what is live now."""
        self.peak = self.bytes

    @contextmanager
    def summing_in_place(self) -> Iterator[None]:
        """Meanwhile a sum is looked at only after its terms have gone.

        Without a dispatch mode autograd adds up the gradients of a map that went several ways in place; with one it
        makes a third tensor.
        """
        self.in_place = True
        try:
            yield
        finally:
            self.in_place = False


def _unlike(maps: Sequence[Tensor]) -> int:
    """The bytes of the maps that do not lie as the others do; those of one pixel or one channel lie in both ways."""
    maps = [one for one in maps if one.dim() == 4]
    return _size(one for one in maps if not one.is_contiguous(memory_format=_layout(maps)))


def _layout(maps: Iterable[Tensor]) -> torch.memory_format:
    """Channels last where one of the maps lies so, and in no other way."""
    both = [
        (one.is_contiguous(), one.is_contiguous(memory_format=torch.channels_last)) for one in maps if one.dim() == 4
    ]
    return torch.channels_last if (False, True) in both else torch.contiguous_format


def _tensors(value: Any) -> Iterator[Tensor]:
    return (leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor))


def _storage(tensor: Tensor) -> torch.UntypedStorage:
    return tensor.untyped_storage()


_INSIDE: dict[Any, Callable[[Any], int]] = {
    _aten.convolution: lambda args: _unlike(args[:2]),
    _aten.convolution_backward: lambda args: _unlike(args[:3]),
    _aten.native_batch_norm_backward: lambda args: 0 if _unlike(args[:2]) else args[1].nbytes,
    _aten.avg_pool2d_backward: lambda args: args[1].nbytes if _unlike(args[:2]) else 0,
    _aten._adaptive_avg_pool2d_backward: lambda args: args[1].nbytes if _unlike(args[:2]) else 0,
    _aten.max_pool2d_with_indices_backward: lambda args: args[1].nbytes + args[7].nbytes if _unlike(args[:2]) else 0,
}
"""Maps that live inside an operator alone, in bytes by its arguments, as its kernel on the CPU is written: copies of
what does not lie as the rest does, and the gradient of batch norm, which is reserved twice where all lie alike."""
