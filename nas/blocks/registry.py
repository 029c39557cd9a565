"""Loading plugins: built-in blocks, installed strangers and folders of files, each in isolation."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType

import pluggy

from nas.blocks import hookspecs
from nas.blocks.base import Block
from nas.errors import BlockError, PluginError, nearest

GROUP = "nas"
BUILT_IN = "nas"
"""The name of our own distribution, whose plugins always load."""

_RESERVED = {"block", "width", "stride", "repeat", "name", "layer", "join", "auxiliary", "norm_only"}


@dataclass(frozen=True)
class Plugin:
    """One plugin as `nas plugins` lists it: a distribution or a file, its blocks, and why it could not be loaded."""

    name: str
    version: str
    path: str
    blocks: tuple[str, ...] = ()
    error: str | None = None


@dataclass(frozen=True)
class Registered:
    """One block with the plugin it came from."""

    block: Block
    plugin: str
    version: str


@dataclass(frozen=True)
class Blocks(Mapping[str, Block]):
    """The registry: block types by name, and the plugins that were asked. A value, carried along; never a global."""

    registered: Mapping[str, Registered] = field(default_factory=dict)
    plugins: tuple[Plugin, ...] = ()

    def __getitem__(self, name: str) -> Block:
        """The block of that name; raises BlockError with the nearest spelling."""
        try:
            return self.registered[name].block
        except KeyError:
            known = ", ".join(sorted(self.registered)) or "none"
            hint = nearest(str(name), self.registered)
            files = "blocks in a folder of files are loaded by --plugins-dir"
            raise BlockError(
                f"block {name!r} is not registered{hint}; registered: {known}; {files}{self._absent()}"
            ) from None

    def __contains__(self, name: object) -> bool:
        return name in self.registered

    def __iter__(self) -> Iterator[str]:
        return iter(self.registered)

    def __len__(self) -> int:
        return len(self.registered)

    def version(self, name: str) -> str:
        """`plugin version` of a block, as it is kept beside an architecture."""
        origin = self.registered[name]
        return f"{origin.plugin} {origin.version}"

    def with_block(self, block: type[Block], plugin: str = "local", version: str = "0") -> Blocks:
        """The same registry with one more block type; raises BlockError where its declaration is not sound."""
        checked = Registered(_declared(block), plugin, version)
        return replace(self, registered={**self.registered, block.name: checked})

    def _absent(self) -> str:
        broken = [f"{plugin.name} ({plugin.error})" for plugin in self.plugins if plugin.error]
        return f"; could not be loaded: {'; '.join(broken)}" if broken else ""


@dataclass(frozen=True)
class _Source:
    """Where a plugin's module comes from, before it is loaded."""

    name: str
    version: str
    path: str
    entry: EntryPoint | None = None
    file: Path | None = None

    def load(self) -> ModuleType:
        if self.entry is not None:
            module = self.entry.load()
            if not isinstance(module, ModuleType):
                raise PluginError(f"entry point {self.entry.name} = {self.entry.value} is not a module")
            return module
        assert self.file is not None
        return _load_file(self.file)


def load_blocks(folders: Iterable[str | Path] = (), *, load: Iterable[str] | None = None) -> Blocks:
    """All blocks of the built-in plugins, of installed strangers, and of the `.py` files in `folders`.

    `load` names which installed strangers load (None: those in NAS_LOAD_PLUGINS, or all where it is not set). A
    plugin that breaks is named with its reason in `Blocks.plugins`; the others go on. Raises PluginError where a
    folder does not exist.
    """
    wanted = _wanted() if load is None else set(load)
    blocks: dict[str, Registered] = {}
    plugins: list[Plugin] = []
    for source in [*_installed(wanted), *_files(folders)]:
        found, error = _register(source, blocks)
        blocks.update(found)
        plugins.append(Plugin(source.name, source.version, source.path, tuple(found), error))
    return Blocks(blocks, _by_distribution(plugins))


def load_path(path: Path) -> Blocks:
    """Only the plugin in one `.py` file or package folder; raises PluginError with the reason where it breaks."""
    file = path / "__init__.py" if path.is_dir() else path
    if not file.is_file():
        raise PluginError(f"{path}: no such plugin file or package folder")
    source = _Source(path.stem, _content_version(file), str(path), file=file)
    found, error = _register(source, {})
    if error:
        raise PluginError(f"{path}: {error}")
    return Blocks(found, (Plugin(source.name, source.version, source.path, tuple(found)),))


def _wanted() -> set[str] | None:
    named = os.environ.get("NAS_LOAD_PLUGINS")
    return None if named is None else {name.strip() for name in named.split(",") if name.strip()}


def _installed(wanted: set[str] | None) -> list[_Source]:
    """Entry points of the group, ours first, one a module; a distribution found twice on the path counts once."""
    sources: dict[tuple[str, str], _Source] = {}
    for entry in entry_points(group=GROUP):
        name = entry.dist.name if entry.dist else entry.name
        version = entry.dist.version if entry.dist else "unknown"
        if name == BUILT_IN or wanted is None or name in wanted or entry.name in wanted:
            sources.setdefault((name, entry.name), _Source(name, version, entry.value, entry=entry))
    return sorted(sources.values(), key=lambda source: (source.name != BUILT_IN, source.name, source.path))


def _files(folders: Iterable[str | Path]) -> list[_Source]:
    sources = []
    for folder in map(Path, folders):
        if not folder.is_dir():
            raise PluginError(f"--plugins-dir {folder}: no such folder")
        for file in sorted(folder.glob("*.py")):
            if not file.name.startswith(("_", "test_")) and file.name != "conftest.py":
                sources.append(_Source(file.stem, _content_version(file), str(file), file=file))
    return sources


def _content_version(file: Path) -> str:
    """A loose file has no version of its own: its content is its version."""
    return f"0+{hashlib.sha256(file.read_bytes()).hexdigest()[:8]}"


def _load_file(file: Path) -> ModuleType:
    """A plugin file as a module of its own name, unlike every installed module's."""
    package = file.name == "__init__.py"
    path = file.resolve()
    stem = file.parent.name if package else file.stem
    name = f"nas_local_{stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    where = [str(path.parent)] if package else None
    spec = importlib.util.spec_from_file_location(name, path, submodule_search_locations=where)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _register(source: _Source, taken: Mapping[str, Registered]) -> tuple[dict[str, Registered], str | None]:
    """The blocks that one plugin brings and, if something in it broke, the reason in one line."""
    found: dict[str, Registered] = {}
    problems: list[str] = []

    def register(block: type[Block]) -> None:
        try:
            made = _declared(block)
        except BlockError as error:
            problems.append(str(error))
            return
        if made.name in taken or made.name in found:
            first = (taken.get(made.name) or found[made.name]).plugin
            problems.append(f"block {made.name!r} is already registered by {first}; that one stays")
            return
        found[made.name] = Registered(made, source.name, source.version)

    try:
        manager = pluggy.PluginManager(GROUP)
        manager.add_hookspecs(hookspecs)
        manager.register(source.load())
        manager.check_pending()
        manager.hook.nas_register_blocks(register=register)
    except (Exception, SystemExit) as error:
        problems.append(_reason(error))
    return found, "; ".join(problems) or None


def _reason(error: BaseException) -> str:
    text = " ".join(str(error).split()) or "no message"
    return text if isinstance(error, PluginError) else f"{type(error).__name__}: {text}"


def _declared(block: object) -> Block:
    """An instance of a block type whose declaration is sound; raises BlockError otherwise."""
    if not (isinstance(block, type) and issubclass(block, Block)):
        raise BlockError(f"{block!r} is not a subclass of nas.Block")
    name = getattr(block, "name", None)
    if not isinstance(name, str) or not name.isidentifier() or name in _RESERVED:
        raise BlockError(f"{block.__name__}.name: {name!r} is not a name of letters, digits and _")
    clash = set(block.choices) & set(block.options)
    unsound = [key for key in (*block.choices, *block.options) if not key.isidentifier() or key in _RESERVED]
    if clash or unsound:
        raise BlockError(f"block {name!r}: {', '.join(sorted(clash) + unsound)} cannot name a choice or option")
    for choice, values in block.choices.items():
        if not isinstance(values, Iterable) or isinstance(values, str) or len(list(values)) == 0:
            raise BlockError(f"block {name!r}: choice {choice!r} declares no values")
        if len(set(values)) != len(list(values)):
            raise BlockError(f"block {name!r}: choice {choice!r} declares a value twice")
    if block.build is Block.build:
        raise BlockError(f"block {name!r} has no build")
    return block()


def _by_distribution(plugins: list[Plugin]) -> tuple[Plugin, ...]:
    """One row a distribution, its modules' blocks and errors together."""
    rows: dict[tuple[str, str], Plugin] = {}
    for plugin in plugins:
        local = plugin.path.endswith(".py")
        key = (plugin.name, plugin.path if local else "")
        error = plugin.error and (plugin.error if local else f"{plugin.path}: {plugin.error}")
        before = rows.get(key)
        if before is None:
            rows[key] = replace(plugin, error=error)
            continue
        errors = "; ".join(text for text in (before.error, error) if text) or None
        blocks = before.blocks + plugin.blocks
        rows[key] = replace(before, path=before.path.split(".")[0], blocks=blocks, error=errors)
    return tuple(rows.values())
