"""Fetching data sets from a real server on this machine: whole, damaged, cut, gone, and with no room."""

import gzip
import hashlib
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from data_worlds import cifar_batches, idx, mnist_arrays, tar_of

from nas.data.fetch import SOURCES, Source, fetch
from nas.data.idx import FILES
from nas.data.names import load_images
from nas.data.places import NAMED
from nas.errors import DataError

CONTENTS = {f"{FILES[key]}.gz": gzip.compress(idx(array)) for key, array in mnist_arrays().items()}
FIRST, *_, LAST = CONTENTS


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        _, how, file = self.path.split("/")
        content = self.server.contents.get(file)
        if content is None or how == "gone":
            self.send_error(404)
            return
        if how == "wrong":
            content = bytes(len(content))
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if how == "cut" else content)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.contents, server.asked = dict(CONTENTS), []
        server.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def source(server, *ways, files=CONTENTS, folder="mnist"):
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    return {"mnist": Source(folder, sums, tuple(f"{server.url}/{way}/" for way in ways))}


def refused(tmp_path, sources):
    with pytest.raises(DataError) as caught:
        fetch("mnist", folder=tmp_path / "cache", sources=sources)
    (line,) = caught.value.lines
    return line


def left(tmp_path):
    return sorted(path.name for path in tmp_path.rglob("*") if path.is_file() or path.name != "cache")


def test_four_files_come_and_are_a_data_set(server, data_dir):
    said = []
    path = fetch("mnist", folder=data_dir, sources=source(server, "good"), say=said.append)
    assert path == data_dir / "mnist"
    assert load_images("mnist").input == (1, 28, 28)
    assert said == [f"downloading {server.url}/good/{name}" for name in CONTENTS]
    assert left(data_dir) == sorted([*CONTENTS, "mnist"])


def test_without_a_folder_they_come_into_the_users_cache(server, data_dir, tmp_path, monkeypatch):
    server.contents["cifar-10-python.tar.gz"] = content = tar_of(cifar_batches())
    (sources,) = source(server, "good", files={"cifar-10-python.tar.gz": content}, folder="").values()
    path = fetch("cifar10", sources={"cifar10": sources})
    assert path == tmp_path / "cache" / "nas" / "cifar-10-python.tar.gz"
    assert load_images("cifar10").input == (3, 32, 32)


def test_what_is_there_and_whole_is_not_fetched_again(server, tmp_path):
    first = fetch("mnist", folder=tmp_path, sources=source(server, "good"))
    (first / LAST).write_bytes(b"damaged")
    server.asked.clear()
    fetch("mnist", folder=tmp_path, sources=source(server, "good"))
    assert server.asked == [f"/good/{LAST}"]
    assert (first / LAST).read_bytes() == CONTENTS[LAST]


@pytest.mark.parametrize("way", ["gone", "wrong", "cut"])
def test_next_server_is_asked_where_one_fails(server, tmp_path, way):
    fetch("mnist", folder=tmp_path, sources=source(server, way, "good"))
    assert server.asked[:2] == [f"/{way}/{FIRST}", f"/good/{FIRST}"]
    assert (tmp_path / "mnist" / FIRST).read_bytes() == CONTENTS[FIRST]


@pytest.mark.parametrize(
    ("way", "expected"),
    [
        ("gone", "HTTPError: 404 Client Error"),
        ("wrong", "what came has another SHA-256 than was published"),
        ("cut", "IncompleteRead"),
    ],
)
def test_failed_download_is_one_line_and_leaves_nothing(server, tmp_path, way, expected):
    line = refused(tmp_path, source(server, way))
    assert line.startswith(f"'mnist' could not be fetched: {FIRST} from 127.0.0.1:{server.server_port}: ")
    assert expected in line
    assert left(tmp_path) == []


def test_failure_at_the_last_file_leaves_none_of_the_first(server, tmp_path):
    del server.contents[LAST]
    assert f"could not be fetched: {LAST} from " in refused(tmp_path, source(server, "good"))
    assert left(tmp_path) == []


def test_no_server_is_one_line(server, tmp_path):
    with socket.socket() as taken:  # bound and not listening: nobody answers there
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        line = refused(tmp_path, {"mnist": Source("mnist", {"a.gz": "0" * 64}, (f"http://{address}/",))})
    assert f"could not be fetched: a.gz from {address}: ConnectionRefusedError: " in line
    assert left(tmp_path) == []


def test_folder_that_cannot_be_made_is_one_line(server, tmp_path):
    (tmp_path / "cache").write_text("a file")
    line = refused(tmp_path, source(server, "good"))
    assert line.startswith(f"'mnist' cannot be put into {tmp_path / 'cache' / 'mnist'}: ")
    assert server.asked == []


NO_ROOM = """
import resource, sys
from pathlib import Path
from nas.data.fetch import Source, fetch
from nas.errors import DataError
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
try:
    source = Source("mnist", {sys.argv[3]: "0" * 64}, (sys.argv[2],))
    fetch("mnist", folder=Path(sys.argv[1]), sources={"mnist": source})
except DataError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limits on a process's files there")
def test_no_room_is_one_line_and_asks_no_other_server(server, tmp_path):
    arguments = [str(tmp_path), f"{server.url}/good/", FIRST]
    told = subprocess.run(
        [sys.executable, "-c", NO_ROOM, *arguments], capture_output=True, text=True, check=True
    ).stdout
    assert told == f"'mnist' cannot be put into {tmp_path / 'mnist'}: File too large\n"
    assert left(tmp_path) == []


def test_unknown_name_gets_the_nearest_and_digits_need_none(tmp_path):
    with pytest.raises(DataError, match=r"'cifar-10' cannot be fetched \(did you mean 'cifar10'\?\); allowed: mnist, "):
        fetch("cifar-10", folder=tmp_path)
    with pytest.raises(DataError, match="'digits' needs no fetching: it is part of scikit-learn"):
        fetch("digits", folder=tmp_path)


def test_every_known_set_can_be_fetched_into_a_form_that_is_read():
    assert SOURCES.keys() == NAMED.keys()
    for name, known in SOURCES.items():
        entry = known.folder or next(iter(known.files))
        assert any(form.entry == entry for form in NAMED[name].forms)
        assert all(len(sha256) == 64 for sha256 in known.files.values())
        assert all(url.endswith("/") for url in known.urls)
        assert len(known.urls) >= 2
