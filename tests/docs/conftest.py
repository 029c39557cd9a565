"""A storage made by the commands and files that README.md shows, made small: few trials of one epoch."""

import sqlite3

import pytest
from doc_pages import ROOT, readme_block, readme_study

from nas.cli.main import main


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    """A folder with README's study file and block, and the storage after both were run."""
    folder = tmp_path_factory.mktemp("docs")
    (folder / "small.toml").write_text(readme_study().replace('"separable"]', '"ghost"]'), encoding="utf-8")
    (folder / "blocks").mkdir()
    (folder / "blocks" / "ghost.py").write_text(readme_block(), encoding="utf-8")
    common = ("--storage", f"sqlite:///{folder}/nas.db", "--workers", "0", "--set", "train.epochs=1")
    blocks = ("--plugins-dir", str(folder / "blocks"))
    assert main(["run", str(folder / "small.toml"), "--trials", "4", *blocks, *common]) == 0
    assert main(["run", str(ROOT / "studies" / "quickstart.toml"), "--trials", "2", *common]) == 0
    return folder


@pytest.fixture
def database(home):
    connection = sqlite3.connect(f"file:{home}/nas.db?mode=ro", uri=True)
    yield connection
    connection.close()
