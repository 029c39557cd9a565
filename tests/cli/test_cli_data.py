"""`nas data`: what is known and where it lies; fetching one; studies on sets that are not here."""

import gzip
import hashlib
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest

from nas.data.fetch import SOURCES, Source

CONTENT = gzip.compress(b"some bytes")


@pytest.fixture
def places(home, monkeypatch):
    """NAS_DATA_DIR names `data`, the user's cache lies in `cache`; both are empty."""
    monkeypatch.setenv("NAS_DATA_DIR", str(home / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    (home / "data").mkdir()
    return home


@pytest.fixture
def served(monkeypatch):
    """A server on this machine that gives one file, and another one where asked for it in `bad/`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            content = CONTENT[::-1] if self.path.startswith("/bad/") else CONTENT
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def source(url):
    return Source("", {"cifar-10-python.tar.gz": hashlib.sha256(CONTENT).hexdigest()}, (url,))


def test_list_names_every_set_and_where_it_lies(places, nas, nas_json):
    images = np.zeros((20, 28, 28), np.uint8)
    np.savez(places / "data" / "mnist.npz", x_train=images, y_train=np.arange(20) % 10)
    rows = {row["name"]: row for row in nas_json("data")}
    assert list(rows) == ["digits", "mnist", "fashion-mnist", "cifar10"]
    assert list(rows["mnist"]) == ["name", "available", "format", "place", "summary"]
    assert rows["mnist"]["place"] == str(places / "data" / "mnist.npz")
    assert [row["available"] for row in rows.values()] == [True, True, False, False]
    assert "get it by `nas data fetch cifar10`" in nas("data").out


def test_list_loads_neither_torch_nor_optuna(places):
    code = "import sys; from nas.cli.main import main; main(['data']); print(*sys.modules, file=sys.stderr)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stderr.split()
    assert "nas.data.places" in loaded
    assert not {"torch", "optuna", "sqlalchemy"} & set(loaded)


def test_fetched_set_is_listed_and_its_place_printed(places, nas, nas_json, served, monkeypatch):
    monkeypatch.setitem(SOURCES, "cifar10", source(f"{served}/good/"))
    told = nas("data", "fetch", "cifar10")
    path = places / "cache" / "nas" / "cifar-10-python.tar.gz"
    assert (told.code, told.out) == (0, f"{path}\n")
    assert told.err == f"downloading {served}/good/cifar-10-python.tar.gz\n"
    assert nas_json("data")[3]["place"] == str(path)


def test_note_says_where_another_one_goes_before_the_fetched(places, nas, served, monkeypatch):
    monkeypatch.setitem(SOURCES, "cifar10", source(f"{served}/good/"))
    (places / "data" / "cifar10_images.zip").touch()
    told = nas("data", "fetch", "cifar10")
    assert told.err.splitlines()[1] == f"another one goes before it: {places / 'data' / 'cifar10_images.zip'}"


def test_wrong_checksum_is_one_line_and_leaves_nothing(places, nas, served, monkeypatch):
    monkeypatch.setitem(SOURCES, "cifar10", source(f"{served}/bad/"))
    told = nas("data", "fetch", "cifar10")
    assert (told.code, told.out) == (1, "")
    assert "what came has another SHA-256 than was published" in told.err.splitlines()[-1]
    assert not [path for path in (places / "cache").rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("cifar", "(did you mean 'cifar10'?); allowed: mnist, "), ("digits", "'digits' needs no fetching")],
)
def test_what_cannot_be_fetched_is_one_line(places, nas, name, expected):
    told = nas("data", "fetch", name)
    assert told.code == 1
    (line,) = told.err.splitlines()
    assert expected in line


STUDY = """
name = "far"
dataset = "DATASET"
[space]
blocks = ["conv"]
kernels = [3]
widths = [8]
stages = [1]
depths = [1]
[search]
trials = 1
[train]
epochs = 1
"""


def test_study_on_a_set_that_is_not_here_says_how_to_get_it(places, nas, monkeypatch):
    monkeypatch.delenv("NAS_LOAD_PLUGINS")
    (places / "far.toml").write_text(STUDY.replace("DATASET", "cifar10"))
    told = nas("profile", "far.toml")
    assert told.code == 1
    assert "dataset: 'cifar10' is not on this machine; looked for in " in told.err
    assert "`nas data fetch cifar10` brings it" in told.err
