"""What commands share: where they look, how they print, and the types of their options."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import click

from nas.study.budget import parse_count

DEFAULT_STORAGE = "sqlite:///nas.db"
FORMATS = ("table", "json", "csv")

WHOLE = click.IntRange(1, 1_000_000_000)
"""Channels, strides, images in a batch, rows, epochs: far more than there ever are, far less than overflows."""

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass
class Settings:
    """What was said before and after the command; the environment speaks where nothing was said."""

    url: str | None = field(default=None, repr=False)
    folders: list[str] = field(default_factory=list)
    debug: bool = False

    @property
    def storage(self) -> str:
        """The storage's URL."""
        return self.url or os.environ.get("NAS_STORAGE") or DEFAULT_STORAGE

    @property
    def plugins(self) -> tuple[str, ...]:
        """The folders whose `.py` files load as plugins."""
        named = os.environ.get("NAS_PLUGINS_DIR", "").split(os.pathsep)
        return tuple(self.folders or [folder for folder in named if folder])


def _set_url(context: click.Context, _option: click.Parameter, value: str | None) -> None:
    if value is not None:
        context.ensure_object(Settings).url = value


def _add_folders(context: click.Context, _option: click.Parameter, value: tuple[str, ...]) -> None:
    context.ensure_object(Settings).folders.extend(value)


def _set_debug(context: click.Context, _option: click.Parameter, value: bool) -> None:
    if value:
        context.ensure_object(Settings).debug = True


_COMMON = (
    click.option("--debug", is_flag=True, expose_value=False, callback=_set_debug, help="Show an error's traceback."),
    click.option(
        "--plugins-dir",
        metavar="DIR",
        multiple=True,
        expose_value=False,
        callback=_add_folders,
        help="Load the .py files of a folder as plugins; repeatable. [env: NAS_PLUGINS_DIR]",
    ),
    click.option(
        "--storage",
        metavar="URL",
        expose_value=False,
        callback=_set_url,
        help=f"The database, as SQLAlchemy writes it. [env: NAS_STORAGE; default: {DEFAULT_STORAGE}]",
    ),
)


def common(command: Function) -> Function:
    """Add the options that stand before a command as well as after it; they end up in `Settings`."""
    for option in _COMMON:
        command = option(command)
    return command


def format_option(command: Function) -> Function:
    """Add `-f/--format`, handed over as `form`."""
    add = click.option(
        "-f", "--format", "form", type=click.Choice(FORMATS), default="table", show_default=True, help="How to print."
    )
    return add(command)


def set_option(example: str) -> Callable[[Function], Function]:
    """`--set KEY=VALUE`, repeatable, handed over as `overrides`."""
    help = f"Put a value in place of another, as {example}; repeatable."
    return click.option("--set", "overrides", metavar="KEY=VALUE", multiple=True, help=help)


class Count(click.ParamType[int]):
    """A count such as 20000, 500k or 1.5M."""

    name = "count"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number; fails as a usage error."""
        try:
            return parse_count(int(value) if str(value).isdecimal() else value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Duration(click.ParamType[float]):
    """A span of time: 90s, 10m, 1.5h, or plain seconds."""

    name = "duration"
    factors = {"": 1, "s": 1, "m": 60, "h": 3600}

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds; fails as a usage error."""
        match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)([smh]?)", str(value).strip())
        if match is None or float(match[1]) == 0:
            self.fail(f"{value!r} is not a time; allowed: 90s, 10m, 1.5h, or plain seconds", param, ctx)
        return float(match[1]) * self.factors[match[2]]


class Size(click.ParamType[tuple[int, int]]):
    """Height and width of a map: 28, or 28x20."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """(H, W) in pixels; fails as a usage error."""
        match = re.fullmatch(r"([1-9][0-9]{0,5})(?:x([1-9][0-9]{0,5}))?", str(value).strip())
        if match is None:
            self.fail(f"{value!r} is not a size; allowed: 28, or 28x20 for height and width", param, ctx)
        return int(match[1]), int(match[2] or match[1])
