"""A plugin's file as top-level statements: which bind a name, which change it later, and which names they read."""

from __future__ import annotations

import ast
import inspect
import re
import symtable
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

from nas.net.source import NoSource

_Compound = ast.If | ast.Try | ast.With | ast.For | ast.While


@dataclass(frozen=True)
class Import:
    """One name that an import statement binds: `text` is the statement for it alone."""

    name: str
    text: str
    root: str
    dotted: bool = False


@dataclass(eq=False)
class Statement:
    """A top-level statement of a file: its lines, the comment above it included."""

    node: ast.stmt
    text: str
    binds: tuple[str, ...]


@dataclass
class OwnFile:
    """A plugin's file: which statements bind a name, and which later change what it stands for."""

    module: ModuleType
    statements: list[Statement] = field(default_factory=list)
    imports: dict[str, list[Import]] = field(default_factory=dict)
    bindings: dict[str, list[Statement]] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The file's name, or for an installed plugin its module."""
        name = self.module.__name__
        return Path(self.module.__file__ or name).name if name.startswith("nas_local_") else name

    @property
    def stem(self) -> str:
        """The file's name as part of an identifier."""
        path = Path(self.module.__file__ or "file")
        return re.sub(r"\W", "_", path.parent.name if path.stem == "__init__" else path.stem)


def read_file(module: ModuleType) -> OwnFile:
    """The file of a module; raises NoSource where it cannot be read."""
    try:
        source = inspect.getsource(module)
        tree = ast.parse(source)
    except (OSError, TypeError, SyntaxError) as error:
        raise NoSource(f"the source of {module.__name__} cannot be read: {error}") from error
    lines, file = source.splitlines(), OwnFile(module)
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            for found in imports_of(node):
                file.imports.setdefault(found.name, []).append(found)
        elif not _is_type_checking(node):
            statement = Statement(node, _lines(node, lines), tuple(_bound(node)))
            file.statements.append(statement)
            for name in statement.binds:
                file.bindings.setdefault(name, []).append(statement)
    return file


def imports_of(node: ast.AST) -> list[Import]:
    """What an import statement binds, a name each; nothing for other nodes."""
    if isinstance(node, ast.Import):
        return [
            Import(
                alias.asname or alias.name.split(".")[0],
                f"import {alias.name}" + (f" as {alias.asname}" if alias.asname else ""),
                alias.name.split(".")[0],
                "." in alias.name and not alias.asname,
            )
            for alias in node.names
        ]
    if not isinstance(node, ast.ImportFrom):
        return []
    module = "." * node.level + (node.module or "")
    return [
        Import(
            alias.asname or alias.name,
            f"from {module} import {alias.name}" + (f" as {alias.asname}" if alias.asname else ""),
            module.split(".")[0],
        )
        for alias in node.names
    ]


def _bound(node: ast.AST) -> list[str]:
    """The names that a statement binds at the top of the file."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, _Compound):
        inner = [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt | ast.ExceptHandler)]
        return [name for child in inner for name in (_bound(child) or _handled(child))]
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [found.name for found in imports_of(node)]
    return [name.id for name in ast.walk(node) if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)]


def _handled(node: ast.AST) -> list[str]:
    body = node.body if isinstance(node, ast.ExceptHandler) else []
    return [name for child in body for name in _bound(child)]


def changing(file: OwnFile, name: str) -> list[Statement]:
    """Statements that fill a table or call a method of a name, as `TABLE["a"] = f` and `TABLE.update(...)`."""
    if name not in file.bindings:
        return []
    return [statement for statement in file.statements if name in _changed(statement.node)]


def _changed(node: ast.stmt) -> set[str]:
    targets: Sequence[ast.expr] = ()
    if isinstance(node, ast.Assign):
        targets = [target for target in node.targets if isinstance(target, ast.Subscript | ast.Attribute)]
    elif isinstance(node, ast.AugAssign):
        targets = [node.target]
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        targets = [node.value.func]
    return {root.id for root in map(_root, targets) if isinstance(root, ast.Name)}


def _root(node: ast.expr) -> ast.expr:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node


def _is_type_checking(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def _lines(node: ast.stmt, lines: list[str]) -> str:
    """The statement's lines, decorators and the comment right above it included."""
    first = min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", ()))]) - 1
    while first > 0 and lines[first - 1].startswith("#") and not lines[first - 1].startswith("#!"):
        first -= 1
    return "\n".join(lines[first : node.end_lineno])


def free_names(node: ast.stmt) -> tuple[set[str], set[str]]:
    """The global names that a statement reads when it runs, and those that only its annotations read."""
    annotations = _Annotations()
    bare = annotations.visit(ast.parse(ast.unparse(node)))
    table = symtable.symtable(ast.unparse(ast.fix_missing_locations(bare)), "<definition>", "exec")
    top = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_referenced()}
    inner = {name for child in table.get_children() for name in _globals(child)}
    return top | inner, annotations.names


def _globals(table: symtable.SymbolTable) -> set[str]:
    names = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_global()}
    return names.union(*(_globals(child) for child in table.get_children()))


class _Annotations(ast.NodeTransformer):
    """Takes annotations out of a tree and keeps the names in them."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def visit_arg(self, node: ast.arg) -> ast.arg:
        self.note(node.annotation)
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self.note(node.returns)
        node.returns = None
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        self.note(node.annotation)
        node.annotation = ast.Constant(None)
        return self.generic_visit(node)

    def note(self, annotation: ast.expr | None) -> None:
        if annotation is not None:
            self.names |= {name.id for name in ast.walk(annotation) if isinstance(name, ast.Name)}
