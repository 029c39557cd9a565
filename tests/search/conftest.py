"""A storage of one's own for every test."""

import shutil

import pytest

from nas.store.engine import open_storage
from nas.store.schema import create_storage


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory):
    """A file of the newest schema without studies, to be copied: migrating takes longer than most tests."""
    file = tmp_path_factory.mktemp("store") / "empty.db"
    create_storage(f"sqlite:///{file}").close()
    return file


@pytest.fixture
def storage(tmp_path, empty_database):
    shutil.copy(empty_database, tmp_path / "nas.db")
    opened = open_storage(f"sqlite:///{tmp_path / 'nas.db'}")
    yield opened
    opened.close()
