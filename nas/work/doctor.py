"""What is wrong with this installation: everything that a study needs is looked at, and nothing is changed.

Each part is loaded by its name when it is looked at: where one cannot be loaded, that is what is told, and the others
go on.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Any

from nas.arch.health import NOTE, OK, PROBLEM, Check

PYTHON = (3, 11)

LOADED = ("torch", "optuna", "sqlalchemy")
"""Libraries that are loaded to see whether they do; each has a compiled part, or loads one."""

SERVER_DRIVER = "psycopg"

BUSY = 1.5
"""Processes that wait for each core from which on trainings take much longer than expected."""


def examine(storage: str, plugins: Sequence[str] = ()) -> list[Check]:
    """All checks: Python and what is installed, the machine, the data, the plugins, the storage (its URL)."""
    parts: list[Callable[[], list[Check]]] = [
        _python,
        lambda: list(_libraries()),
        lambda: list(_loaded()),
        _cores,
        lambda: _named("nas.net.health", "check_torch")(),
        _data,
        lambda: _plugins(plugins),
        lambda: _named("nas.store.health", "check_storage")(storage),
        lambda: _driver(storage),
    ]
    names = ("python", "libraries", "libraries", "cores", "torch", "data", "plugins", "storage", "storage")
    return [check for name, part in zip(names, parts, strict=True) for check in _looked_at(name, part)]


def _looked_at(name: str, part: Callable[[], list[Check]]) -> list[Check]:
    """What a part says, or why it could not look."""
    try:
        return part()
    except Exception as error:
        # Of a storage only the kind of error is told: what it says may hold a password.
        told = type(error).__name__ if name == "storage" else _line(error)
        return [Check(name, PROBLEM, f"cannot be looked at: {told}")]


def _line(error: BaseException) -> str:
    return f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"


def _named(module: str, function: str) -> Callable[..., Any]:
    found: Callable[..., Any] = getattr(import_module(module), function)
    return found


def _python() -> list[Check]:
    told = f"{platform.python_version()} in {sys.prefix}"
    if sys.version_info < PYTHON:
        return [Check("python", PROBLEM, told, "3.11 or later is needed")]
    return [Check("python", OK, f"{told}; nas {version('nas')}")]


def _libraries() -> Iterator[Check]:
    """A line on each library that is absent or of another version than is asked for; else one on all of them."""
    asked = [line for line in requires("nas") or [] if "extra ==" not in line]
    wrong = [check for line in asked if (check := _library(line)) is not None]
    yield from wrong or [Check("libraries", OK, f"{len(asked)} of the versions that are asked for")]


def _library(asked: str) -> Check | None:
    wanted = _named("packaging.requirements", "Requirement")(asked)
    try:
        found = version(wanted.name)
    except PackageNotFoundError:
        return Check(wanted.name, PROBLEM, "not installed", f"pip install '{asked}'")
    if wanted.specifier.contains(found, prereleases=True):
        return None
    return Check(wanted.name, PROBLEM, f"{found} is not {wanted.specifier}", f"pip install '{asked}'")


def _loaded() -> Iterator[Check]:
    for name in LOADED:
        try:
            module = import_module(name)
        except Exception as error:  # a broken build may raise nearly anything
            yield Check(name, PROBLEM, f"cannot be loaded: {_line(error)}")
        else:
            yield Check(name, OK, str(module.__version__))


def _driver(storage: str) -> list[Check]:
    """The driver of PostgreSQL: needed where the storage is there, else worth knowing."""
    try:
        return [Check(SERVER_DRIVER, OK, str(import_module(SERVER_DRIVER).__version__))]
    except Exception as error:
        needed = storage.startswith("postgres")
        advice = "pip install 'nas[postgres]'" + ("" if needed else " for storages on PostgreSQL")
        return [Check(SERVER_DRIVER, PROBLEM if needed else NOTE, f"cannot be loaded: {_line(error)}", advice)]


def _cores() -> list[Check]:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    told = f"{usable} of {os.cpu_count()} for this process"
    waiting = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if waiting > BUSY * usable:
        return [Check("cores", NOTE, f"{told}; {waiting:.0f} processes are at work", "trainings will take longer")]
    return [Check("cores", OK, told)]


def _data() -> list[Check]:
    """The folders of data sets, and where each one known by name lies."""
    named = os.environ.get("NAS_DATA_DIR")
    checks = []
    if named and not os.path.isdir(os.path.expanduser(named)):
        checks.append(Check("data", NOTE, f"NAS_DATA_DIR: no such folder {named!r}"))
    for one in _named("nas.data.names", "datasets")():
        if one.available:
            checks.append(Check("data", OK, f"{one.name}: {one.place or one.format}"))
        else:
            checks.append(Check("data", NOTE, f"{one.name}: not on this machine", f"`nas data fetch {one.name}`"))
    return checks


def _plugins(folders: Sequence[str]) -> list[Check]:
    """Each plugin with its blocks, or why it could not be loaded or is not to be trusted."""
    blocks = _named("nas.blocks.registry", "load_blocks")(folders)
    lies = _named("nas.blocks.verify", "quick_check")(blocks)
    checks = []
    for plugin in blocks.plugins:
        wrong = [reason for reason in (plugin.error, *(lies.get(name) for name in plugin.blocks)) if reason]
        told = f"{plugin.name} {plugin.version}: "
        if wrong:
            own = plugin.name == "nas"
            checks.append(Check("plugin", PROBLEM if own else NOTE, told + " ".join("; ".join(wrong).split())))
        else:
            checks.append(Check("plugin", OK, told + (" ".join(plugin.blocks) or "no blocks")))
    return checks
