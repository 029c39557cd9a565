import shutil

import pytest
from store_worlds import study_record

from nas.store.engine import open_storage
from nas.store.schema import create_storage
from nas.store.studies import create_study


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory):
    """A file of the newest schema without studies, to be copied: migrating takes longer than most tests."""
    file = tmp_path_factory.mktemp("store") / "empty.db"
    create_storage(f"sqlite:///{file}").close()
    return file


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path / 'nas.db'}"


@pytest.fixture
def storage(url, tmp_path, empty_database):
    shutil.copy(empty_database, tmp_path / "nas.db")
    opened = open_storage(url)
    yield opened
    opened.close()


@pytest.fixture
def study(storage):
    return create_study(storage, study_record())
