"""What a block is: the contract that built-in blocks and strangers' meet alike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from nas.arch.cost import Cost, Shape
from nas.arch.record import Value

if TYPE_CHECKING:
    from torch import nn


class Block:
    """A block type: a family of modules from (N, in_channels, H, W) to (N, width, ceil(H/stride), ceil(W/stride)).

    The first line of a subclass's docstring is what `nas blocks` shows. Instances hold no state.
    """

    name: ClassVar[str]
    choices: ClassVar[Mapping[str, Sequence[Value]]] = {}
    """What a study may vary, each with its values; the first value stands where none is given to `nas cost block`.
    `kernel` is met with the study's kernels."""
    options: ClassVar[Mapping[str, Value]] = {}
    """What is fixed for a study, each with its default; a block without options is never passed one."""

    def build(self, in_channels: int, width: int, stride: int, *args: Any, **kwargs: Any) -> nn.Module:
        """The module: (N, in_channels, H, W) -> (N, width, ceil(H / stride), ceil(W / stride))."""
        raise NotImplementedError(f"block {self.name!r} has no build")

    def cost(self, shape: Shape, width: int, stride: int, *args: Any, **kwargs: Any) -> Cost | list[Cost] | None:
        """The closed form for an input (C, H, W), as one Cost or one a layer; None: the host measures the module."""
        return None

    def valid(self, in_channels: int, width: int, stride: int, *args: Any, **kwargs: Any) -> bool:
        """Whether such a block can be built; a study never proposes one that cannot."""
        return True


class Odd(Sequence[int]):
    """All odd numbers from `first` on, as the values of a choice; listed up to the four or five usual ones."""

    def __init__(self, first: int, default: int = 3, last: int = 7) -> None:
        usual = range(first, last + 1, 2)
        self.values = (default, *(value for value in usual if value != default))
        self.first = first

    def __contains__(self, value: object) -> bool:
        """Any odd number from the first on belongs, listed or not."""
        return isinstance(value, int) and not isinstance(value, bool) and value >= self.first and value % 2 == 1

    def __iter__(self) -> Iterator[int]:
        return iter(self.values)

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index: Any) -> Any:
        return self.values[index]

    def __repr__(self) -> str:
        return f"odd numbers from {self.first}"


def odd(first: int = 3, default: int = 3) -> Odd:
    """The values of a kernel choice that takes any odd number from `first` on."""
    return Odd(first, default)


def allowed(values: Sequence[Value], wanted: Iterable[Value]) -> tuple[Value, ...]:
    """Those of the wanted values that a choice declares, in the order wanted."""
    return tuple(value for value in wanted if value in values)
