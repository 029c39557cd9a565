"""The two folders that named data sets are looked for in, empty and of this test alone."""

import pytest


@pytest.fixture
def data_dir(tmp_path, monkeypatch):
    """The folder that NAS_DATA_DIR names; the user's cache is another."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("NAS_DATA_DIR", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    return tmp_path / "data"
