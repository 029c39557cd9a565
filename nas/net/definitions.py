"""Carrying definitions: the part of a plugin's file that some of its classes need, found over its syntax tree."""

from __future__ import annotations

import ast
import builtins
import re
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from nas.net.own_file import Import, OwnFile, Statement, changing, free_names, imports_of, read_file
from nas.net.source import PUBLIC, NoSource, Own


@dataclass
class Carried:
    """What of one file is carried: statements in the file's order, and imports."""

    file: OwnFile
    statements: list[Statement] = field(default_factory=list)
    imports: list[Import] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Definitions:
    """Imports and definitions as source, and the names under which a file's own things go there."""

    imports: tuple[str, ...]
    sections: tuple[str, ...]
    names: Mapping[Own, str]


def definitions(own: Iterable[Own], taken: Mapping[str, Any]) -> Definitions:
    """What the classes and functions need from their files; raises NoSource where they need more than may be carried.

    `taken` are the names that the text around uses, with what they stand for where that is known; a clash gets the
    file's name as a suffix.
    """
    carried: dict[str, Carried] = {}
    for module, name in own:
        if module not in carried:
            carried[module] = Carried(read_file(sys.modules[module]))
        _carry(carried[module], name)
    known: dict[str, Any] = dict(taken)
    imports: dict[str, None] = {}
    sections: list[str] = []
    names: dict[Own, str] = {}
    for module, some in carried.items():
        renamed = _allocate(some, known, imports)
        names.update({Own(module, name): other for name, other in renamed.items()})
        texts = [_renamed(statement, renamed) for statement in _in_order(some)]
        sections.append(f"# From {some.file.title}.\n\n\n" + "\n\n\n".join(texts))
    return Definitions(tuple(imports), tuple(sections), names)


def _carry(carried: Carried, name: str) -> None:
    """Add what a name of the file needs, and what that needs in turn."""
    file = carried.file
    if name in carried.seen:
        return
    carried.seen.add(name)
    if name not in file.bindings and name not in file.imports:
        if hasattr(builtins, name) or name == "__name__":
            return
        raise NoSource(f"{name} is not defined at the top of {file.title}")
    for found in file.imports.get(name, ()):
        if found.root not in PUBLIC:
            raise NoSource(
                f"{file.title} uses {name} by `{found.text}`; only torch and the standard library can go along"
            )
        carried.imports.append(found)
    for statement in [*file.bindings.get(name, ()), *changing(file, name)]:
        _carry_statement(carried, statement)


def _carry_statement(carried: Carried, statement: Statement) -> None:
    if statement in carried.statements:
        return
    carried.statements.append(statement)
    for found in (one for node in ast.walk(statement.node) for one in imports_of(node)):
        if found.root not in PUBLIC:
            raise NoSource(
                f"{carried.file.title} uses `{found.text}`; only torch and the standard library can go along"
            )
    needed, annotated = free_names(statement.node)
    for name in [*sorted(needed), *statement.binds]:
        _carry(carried, name)
    for name in sorted(annotated - needed):
        _carry_annotation(carried, name)


def _carry_annotation(carried: Carried, name: str) -> None:
    """Annotations are never evaluated, so what they name goes along only where it can."""
    before = (list(carried.statements), list(carried.imports), set(carried.seen))
    with suppress(NoSource):
        _carry(carried, name)
        return
    carried.statements, carried.imports, carried.seen = before


def _in_order(carried: Carried) -> list[Statement]:
    return [statement for statement in carried.file.statements if statement in carried.statements]


def _allocate(carried: Carried, known: dict[str, Any], imports: dict[str, None]) -> dict[str, str]:
    """Give every carried name of a file its name in the text, and note imports; what `known` lacks is added."""
    renamed: dict[str, str] = {}
    for found in carried.imports:
        stands_for = getattr(carried.file.module, found.name, found)
        name = _free(found.name, carried.file.stem, known, stands_for)
        if name != found.name:
            if found.dotted:
                raise NoSource(f"`{found.text}` of {carried.file.title} meets another plugin's {found.name}")
            renamed[found.name] = name
            imports[f"{found.text.split(' as ')[0]} as {name}"] = None
        elif found.name not in known or found.dotted:
            imports[found.text] = None
        known[name] = stands_for
    for bound in dict.fromkeys(name for statement in _in_order(carried) for name in statement.binds):
        name = _free(bound, carried.file.stem, known, object())
        known[name] = renamed[bound] = name
    return renamed


def _free(name: str, stem: str, known: Mapping[str, Any], stands_for: object) -> str:
    other, number = name, 1
    while other in known and known[other] is not stands_for:
        other = f"{name}_{stem}" if number == 1 else f"{name}_{stem}{number}"
        number += 1
    return other


def _renamed(statement: Statement, names: Mapping[str, str]) -> str:
    """The statement's text, each name of the file as it goes in the exported one."""
    changed = {name: other for name, other in names.items() if name != other}
    if not changed:
        return statement.text
    lines = [line.encode() for line in statement.text.splitlines()]
    tree = ast.parse(statement.text)
    places = {place for node in ast.walk(tree) for place in _places(node, changed, lines)}
    for line, column, name in sorted(places, reverse=True):
        text = lines[line]
        if not text.startswith(name.encode(), column):
            raise NoSource(f"{name} is also defined by another plugin and cannot be renamed here")
        lines[line] = text[:column] + changed[name].encode() + text[column + len(name.encode()) :]
    return b"\n".join(lines).decode()


def _places(node: ast.AST, changed: Mapping[str, str], lines: list[bytes]) -> list[tuple[int, int, str]]:
    """Line, column in bytes, and name of each place where a node spells a name that changes."""
    if isinstance(node, ast.Name) and node.id in changed:
        return [(node.lineno - 1, node.col_offset, node.id)]
    if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name in changed and node.col_offset == 0:
        found = re.search(rb"\b(def|class)\s+", lines[node.lineno - 1])
        return [(node.lineno - 1, found.end(), node.name)] if found else []
    return []
