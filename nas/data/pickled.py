"""Pickles of plain data read without `pickle`: nothing that a file names is ever looked up or called.

A pickle is a small program for a machine with a stack. Here that machine knows dicts, lists, tuples, texts and
numbers; what a file would have called is kept as its name and arguments (`Call`), for the reader to judge. Enough
for files that Python 2 wrote, as those of CIFAR-10.
"""

from __future__ import annotations

import math
import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nas.data.images import Array
from nas.errors import DataError

VALUES = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "GLOBAL"),
}
"""Operations that put their argument on the stack; GLOBAL's is a name, and stays one."""

NEW: dict[str, Callable[[], Any]] = {
    **{"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple},
    **{"NONE": lambda: None, "NEWTRUE": lambda: True, "NEWFALSE": lambda: False},
}
"""Operations that put a value of their own on the stack."""

TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}

MOST_OPERATIONS = 1_000_000
"""A batch of CIFAR-10 has some 50,000."""

MOST_AXES = 8

RECONSTRUCT = ("numpy.core.multiarray _reconstruct", "numpy._core.multiarray _reconstruct")


@dataclass(eq=False)
class Call:
    """What a pickle would have called, and the state that it would have set."""

    name: Any
    arguments: Any
    state: Any = None


@dataclass(eq=False)
class Machine:
    """The stack, where marked stretches begin on it, and what was put aside under numbers."""

    stack: list[Any] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)
    aside: dict[int, Any] = field(default_factory=dict)

    def marked(self) -> list[Any]:
        """What was put on the stack since the last mark, taken off."""
        start = self.marks.pop()
        taken, self.stack[start:] = self.stack[start:], []
        return taken

    def top(self, count: int) -> list[Any]:
        """So many values from the top, taken off."""
        if count > len(self.stack):
            raise ValueError("an operation without its values")
        return [self.stack.pop() for _ in range(count)][::-1]


def plain_data(content: bytes) -> Any:
    """What a pickle holds: dicts, lists, tuples, texts (bytes as Latin-1), numbers, and a `Call` for all else.

    Raises:
        DataError: it is cut short or damaged, or does what plain data does not need.
    """
    machine = Machine()
    try:
        for count, (operation, argument, _) in enumerate(pickletools.genops(content)):
            if count > MOST_OPERATIONS:
                raise DataError(f"is a pickle of more than {MOST_OPERATIONS:,} operations; it is not read")
            if operation.name == "STOP":
                return machine.stack.pop()
            obey(machine, operation.name, argument)
    except DataError:
        raise
    except Exception as error:  # a damaged file may ask for nearly anything
        raise DataError(f"is a damaged pickle ({type(error).__name__})") from error
    raise DataError("is a pickle without an end")


def obey(machine: Machine, name: str, argument: Any) -> None:
    """Carry out one operation; DataError where plain data does not need it."""
    stack = machine.stack
    if name in VALUES:
        stack.append(argument)
    elif name in ("BINPUT", "LONG_BINPUT", "PUT"):
        machine.aside[argument] = stack[-1]
    elif name in ("BINGET", "LONG_BINGET", "GET"):
        stack.append(machine.aside[argument])
    elif name in NEW:
        stack.append(NEW[name]())
    elif name in TUPLES:
        stack.append(tuple(machine.top(TUPLES[name])))
    elif name == "MARK":
        machine.marks.append(len(stack))
    elif name != "PROTO":
        gather(machine, name)


def gather(machine: Machine, name: str) -> None:
    """Carry out one of the operations that put values into others."""
    stack = machine.stack
    match name:
        case "TUPLE" | "LIST":
            values = machine.marked()
            stack.append(tuple(values) if name == "TUPLE" else values)
        case "APPEND" | "APPENDS":
            values = machine.top(1) if name == "APPEND" else machine.marked()
            stack[-1].extend(values)
        case "SETITEM" | "SETITEMS" | "DICT":
            values = machine.top(2) if name == "SETITEM" else machine.marked()
            if name == "DICT":
                stack.append({})
            keys = values[::2]
            # Others are not looked for, and to hash a tuple of tuples may take forever, or the whole C stack.
            if any(type(key) is not str for key in keys):
                raise DataError("holds a dict whose keys are no texts; it is not read")
            stack[-1].update(zip(keys, values[1::2], strict=True))
        case "REDUCE":
            stack.append(Call(*machine.top(2)))
        case "BUILD":
            (state,) = machine.top(1)
            stack[-1].state = state
        case _:
            raise DataError(f"holds more than plain data (operation {name}); it is not read")


def byte_array(value: Any) -> Array:
    """The array of unsigned bytes that a pickle describes as NumPy does.

    Raises:
        DataError: it describes anything else.
    """
    if not (isinstance(value, Call) and value.name in RECONSTRUCT):
        raise DataError("holds no array of unsigned bytes")
    try:
        _, shape, kind, by_column, content = value.state
        if type(shape) is not tuple or len(shape) > MOST_AXES or any(type(size) is not int for size in shape):
            raise ValueError
        letters, size = kind.arguments[0], math.prod(shape)
        if kind.name != "numpy dtype" or letters != "u1" or len(content) != size:
            raise ValueError
        pixels = np.frombuffer(bytearray(content, "latin-1"), np.uint8)
        return pixels.reshape(shape, order="F" if by_column else "C")
    except (AttributeError, IndexError, TypeError, ValueError) as error:
        raise DataError("holds no array of unsigned bytes, or not all of it") from error
