"""The face: every public name is there, where the types say, and loaded on first use alone."""

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import nas


def declared():
    """(name, module) pairs under TYPE_CHECKING."""
    tree = ast.parse(Path(nas.__file__).read_text())
    [block] = [node for node in tree.body if isinstance(node, ast.If)]
    return {alias.name: node.module for node in block.body for alias in node.names}


def test_types_table_and_all_name_the_same():
    assert declared() == nas._HOMES
    assert sorted(nas.__all__) == sorted(nas._HOMES)
    assert len(nas.__all__) >= 20


@pytest.mark.parametrize("name", nas.__all__)
def test_public_name_is_that_of_its_home(name):
    assert getattr(nas, name) is getattr(import_module(nas._HOMES[name]), name)


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        nas.nonsense  # noqa: B018


def test_import_of_the_face_loads_nothing_heavy():
    code = "import nas, sys; assert not {'torch', 'optuna', 'sqlalchemy', 'click', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
