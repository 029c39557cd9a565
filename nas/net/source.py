"""Constructor expressions: the call that made a module, written down again as Python source."""

from __future__ import annotations

import builtins
import dataclasses
import enum
import functools
import inspect
import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional

WIDTH = 110
"""Columns of a line of exported source."""

PUBLIC = frozenset(("torch", *sys.stdlib_module_names))
"""Packages that exported source may import."""


class NoSource(Exception):
    """A module cannot be written as source; the message says why."""


class Own(NamedTuple):
    """A class or function of a plugin's own file."""

    module: str
    name: str


@dataclass(frozen=True)
class Group:
    """A call or a display: head, opening bracket, items (each with a prefix as `bias=`), closing bracket."""

    head: str | Own
    brackets: str
    items: tuple[tuple[str, Expression], ...]


Expression = str | Own | Group


class Made(NamedTuple):
    """How a module was made; the module is kept, so that its id stays its own."""

    module: nn.Module
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


Calls = Mapping[int, Made]
"""The outermost constructor call of each module, by id."""


@contextmanager
def recorded() -> Iterator[Calls]:
    """Meanwhile note how every module is made, by wrapping the `__init__` of all module classes there are."""
    calls: dict[int, Made] = {}
    usual = {kind: kind.__dict__["__init__"] for kind in _subclasses(nn.Module) if "__init__" in kind.__dict__}
    for kind, init in usual.items():
        kind.__init__ = _noting(init, calls)  # type: ignore[method-assign]
    try:
        yield calls
    finally:
        for kind, init in usual.items():
            kind.__init__ = init  # type: ignore[method-assign]


def _noting(init: Callable[..., None], calls: dict[int, Made]) -> Callable[..., None]:
    @functools.wraps(init)
    def noting(self: nn.Module, *args: Any, **kwargs: Any) -> None:
        if id(self) not in calls or calls[id(self)].module is not self:
            calls[id(self)] = Made(self, tuple(map(_kept, args)), {name: _kept(kwargs[name]) for name in kwargs})
        init(self, *args, **kwargs)

    return noting


def _kept(value: Any) -> Any:
    """A list or dict as it is now: the constructor may change it."""
    return value.copy() if type(value) in (list, dict) else value


def _subclasses(kind: type[nn.Module]) -> set[type[nn.Module]]:
    return {kind}.union(*(_subclasses(child) for child in kind.__subclasses__()))


@dataclass
class Expressions:
    """Writes modules and their arguments as expressions, and notes what these need."""

    calls: Calls
    own: list[Own] = field(default_factory=list)
    imports: set[str] = field(default_factory=set)

    def module(self, module: nn.Module) -> Expression:
        """The expression that makes the module; raises NoSource where there is none."""
        kind = type(module)
        if kind in (nn.Sequential, nn.ModuleList, nn.ModuleDict):
            return self.container(module)
        made = self.calls.get(id(module))
        if made is None:
            raise NoSource(f"{kind.__name__} was not made by a call of its class while the block was built")
        args, kwargs = _shortened(kind, made)
        items = [("", self.value(arg)) for arg in args]
        items += [(f"{name}=", self.value(value)) for name, value in kwargs.items()]
        return Group(self.named(kind), "()", tuple(items))

    def container(self, module: nn.Module) -> Expression:
        """A plain container with the children that it has now."""
        children = dict(module.named_children())
        items = tuple(("", self.module(child)) for child in children.values())
        if isinstance(module, nn.ModuleList):
            return Group("nn.ModuleList", "()", (("", Group("", "[]", items)),) if items else ())
        if isinstance(module, nn.Sequential) and list(children) == [str(n) for n in range(len(children))]:
            return Group("nn.Sequential", "()", items)
        named = tuple((f"{_text(name)}: ", self.module(child)) for name, child in children.items())
        table: Expression = Group("", "{}", named)
        if isinstance(module, nn.Sequential):
            self.imports.add("collections")
            table = Group("collections.OrderedDict", "()", (("", table),))
        return Group(f"nn.{type(module).__name__}", "()", (("", table),))

    def value(self, value: Any) -> Expression:
        """The expression of an argument."""
        if isinstance(value, nn.Module):
            return self.module(value)
        if value is None or type(value) in (bool, int, bytes, complex):
            return repr(value)
        if type(value) is float:
            return repr(value) if math.isfinite(value) else f'float("{value}")'
        if type(value) is str:
            return _text(value)
        if isinstance(value, torch.dtype):
            return str(value)
        if isinstance(value, enum.Enum):
            return Group(self.named(type(value)), "[]", (("", _text(value.name)),))
        if isinstance(value, functools.partial):
            return self.partial(value)
        if isinstance(value, tuple | list | set | dict):
            return self.collection(value)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = [(f"{item.name}=", self.value(getattr(value, item.name))) for item in dataclasses.fields(value)]
            return Group(self.named(type(value)), "()", tuple(fields))
        if isinstance(value, type) or callable(value):
            return self.named(value)
        raise NoSource(f"an argument of type {type(value).__name__} has no source")

    def collection(self, value: Any) -> Expression:
        """A tuple, list, set or dict, a named tuple included."""
        if isinstance(value, dict):
            pairs = [(self.value(key), self.value(item)) for key, item in value.items()]
            if type(value) is not dict or not all(isinstance(key, str) for key, _ in pairs):
                raise NoSource(f"an argument of type {type(value).__name__} has no source")
            return Group("", "{}", tuple((f"{key}: ", item) for key, item in pairs))
        items = tuple(("", self.value(item)) for item in value)
        if hasattr(value, "_fields") or isinstance(value, set) or type(value) is torch.Size:
            inner = items if hasattr(value, "_fields") else (("", Group("", "[]", items)),)
            return Group(self.named(type(value)), "()", inner)
        if type(value) not in (tuple, list):
            raise NoSource(f"an argument of type {type(value).__name__} has no source")
        return Group("", "[]" if isinstance(value, list) else "()", items)

    def partial(self, value: functools.partial[Any]) -> Expression:
        """A `functools.partial` of something that has a name."""
        self.imports.add("functools")
        items = [("", self.named(value.func)), *(("", self.value(arg)) for arg in value.args)]
        items += [(f"{name}=", self.value(item)) for name, item in value.keywords.items()]
        return Group("functools.partial", "()", tuple(items))

    def named(self, thing: Any) -> str | Own:
        """The name of a class or function: of torch, of the standard library, or of a plugin's own file."""
        name = getattr(thing, "__qualname__", None) or type(thing).__name__
        for prefix, place in (("nn", nn), ("torch", torch), ("nn.functional", functional)):
            if getattr(place, name, None) is thing:
                return f"{prefix}.{name}"
        if getattr(builtins, name, None) is thing:
            return str(name)
        home = getattr(thing, "__module__", None) or ""
        if "<" in name or "." in name:
            where = "a lambda" if "lambda" in name else "defined inside another class or function"
            raise NoSource(f"{name.split('.')[-1]} is {where}")
        if getattr(sys.modules.get(home), name, None) is not thing:
            raise NoSource(f"{name} is not found under its name in {home or 'any module'}")
        if home.split(".")[0] in PUBLIC:
            self.imports.add(home)
            return f"{home}.{name}"
        self.own.append(Own(home, name))
        return self.own[-1]


def _shortened(kind: type[nn.Module], made: Made) -> tuple[Sequence[Any], Mapping[str, Any]]:
    """The arguments without those at their default; what has a default goes by its name."""
    signature = inspect.signature(kind.__init__)
    parameters = list(signature.parameters.values())[1:]
    awkward = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.POSITIONAL_ONLY)
    if any(parameter.kind in awkward for parameter in parameters):
        return made.args, made.kwargs
    try:
        bound = signature.bind(made.module, *made.args, **made.kwargs).arguments
    except TypeError as error:
        raise NoSource(f"{kind.__name__} was made by another class's call: {error}") from error
    args = [bound[parameter.name] for parameter in parameters if _is_positional(parameter)]
    kwargs: dict[str, Any] = {}
    for parameter in parameters:
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            kwargs.update(bound.get(parameter.name, {}))
        elif not _is_positional(parameter) and parameter.name in bound:
            value = bound[parameter.name]
            if not _is_same(value, parameter.default):
                kwargs[parameter.name] = value
    return args, kwargs


def _is_positional(parameter: inspect.Parameter) -> bool:
    usual = parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    return usual and parameter.default is inspect.Parameter.empty


def _is_same(value: Any, default: Any) -> bool:
    plain = type(value) is type(default) and isinstance(value, bool | int | float | str | tuple)
    return value is default or (plain and value == default)


def _text(value: str) -> str:
    """A string in double quotes."""
    return json.dumps(value, ensure_ascii=False) if value.isprintable() else repr(value)


def written(expression: Expression, names: Mapping[Own, str], indent: int = 0, used: int = 0) -> str:
    """The source of an expression; in lines of WIDTH columns, the first begun at column `used`."""
    if isinstance(expression, str):
        return expression
    if isinstance(expression, Own):
        return names.get(expression, expression.name)
    line = _one_line(expression, names)
    if used + len(line) < WIDTH or not expression.items:
        return line
    inner = indent + 4
    rows = [
        f"{' ' * inner}{prefix}{written(item, names, inner, inner + len(prefix))},\n"
        for prefix, item in expression.items
    ]
    head = written(expression.head, names)
    return f"{head}{expression.brackets[0]}\n{''.join(rows)}{' ' * indent}{expression.brackets[1]}"


def _one_line(expression: Expression, names: Mapping[Own, str]) -> str:
    if not isinstance(expression, Group):
        return written(expression, names)
    items = [f"{prefix}{_one_line(item, names)}" for prefix, item in expression.items]
    only = len(items) == 1 and not expression.head and expression.brackets == "()"
    inside = f"{', '.join(items)}{',' if only else ''}"
    return f"{written(expression.head, names)}{expression.brackets[0]}{inside}{expression.brackets[1]}"
