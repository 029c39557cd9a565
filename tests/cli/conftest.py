"""A storage filled through `nas.store` with real networks, and `nas` called in this process."""

import json
import shutil

import pytest
from cli_worlds import Told, fill

from nas.cli.main import main
from nas.store.schema import create_storage


@pytest.fixture(scope="session")
def filled_database(tmp_path_factory):
    """Two studies on two data sets; see `cli_worlds.fill`."""
    file = tmp_path_factory.mktemp("cli") / "filled.db"
    storage = create_storage(f"sqlite:///{file}")
    fill(storage)
    storage.close()
    return file


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty current folder, and an environment that says nothing of nas."""
    for name in ("NAS_STORAGE", "NAS_PLUGINS_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NAS_LOAD_PLUGINS", "")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def world(home, filled_database):
    """The current folder with the filled storage under its default name."""
    shutil.copy(filled_database, home / "nas.db")
    return home


@pytest.fixture
def nas(home, capsys):
    """Calls `nas` with words; its exit code, standard output and standard error."""

    def call(*words):
        code = main([str(word) for word in words])
        out, err = capsys.readouterr()
        return Told(code, out, err)

    return call


@pytest.fixture
def nas_json(nas):
    """Calls `nas … -f json`, which must succeed; what it printed."""

    def call(*words):
        told = nas(*words, "-f", "json")
        assert told.code == 0, told.err
        return json.loads(told.out)

    return call
