"""Workers as actors of a real Ray cluster of two nodes, whose processes are killed for real."""

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest
from databases import slow_on_postgresql
from test_work_processes import check_exact, epochs_done, gone
from work_worlds import NAS, curves, look, wait_for

from nas.cli.main import main
from nas.errors import NasError
from nas.work.cluster import Asked, check, places

needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed: pip install 'nas[ray]'")

SMALL = ["--num-cpus=1", "--object-store-memory=100000000", "--disable-usage-stats", "--block"]
PATIENT = {"RAY_raylet_start_wait_time_s": "180", "RAY_gcs_server_request_timeout_seconds": "120"}
"""A machine with other work to do takes longer to start a node than Ray waits by itself."""


PORTS = ("dashboard-agent-grpc-port", "dashboard-agent-listen-port", "metrics-export-port", "runtime-env-agent-port")
"""Given, they are not waited for: Ray kills a node whose helpers have not chosen theirs within 15 seconds."""


def free_ports(count):
    """So many ports that nobody listens on."""
    taken = [socket.socket() for _ in range(count)]
    for one in taken:
        one.bind(("127.0.0.1", 0))
    found = [one.getsockname()[1] for one in taken]
    for one in taken:
        one.close()
    return found


class Cluster:
    """Two nodes on this machine, ended by the numbers of their processes: `ray stop` would end everybody's."""

    def __init__(self, folder):
        self.address = f"127.0.0.1:{free_ports(1)[0]}"
        self.folder, self.nodes = folder, []

    def add(self, *words):
        ports = [f"--{name}={port}" for name, port in zip(PORTS, free_ports(len(PORTS)), strict=True)]
        ray = [sys.executable, "-c", "from ray.scripts.scripts import main; main()", "start", *words, *ports, *SMALL]
        log = (self.folder / f"node{len(self.nodes)}.log").open("wb")
        env = {**os.environ, **PATIENT, "PYTHONPATH": os.pathsep.join(sys.path)}
        self.nodes.append(subprocess.Popen(ray, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=env))
        log.close()
        wait_for(lambda: self.started(len(self.nodes) - 1), 240)

    def started(self, node):
        if self.nodes[node].poll() is not None:
            raise AssertionError((self.folder / f"node{node}.log").read_text()[-3000:])
        return "Ray runtime started" in (self.folder / f"node{node}.log").read_text()

    def of_node(self, node):
        return psutil.Process(self.nodes[node].pid).children(recursive=True)

    def workers(self, node):
        """The processes of our actors on a node."""
        return [one for one in self.of_node(node) if words_of(one)[:1] and words_of(one)[0].startswith("ray::Actor")]

    def kill(self, node):
        """Kill a node at once, as a machine that loses its power."""
        raylets = [one for one in self.of_node(node) if one.name() == "raylet"]
        self.nodes[node].kill()
        for one in raylets:
            one.kill()

    def close(self):
        left = [one for node in self.nodes if node.poll() is None for one in psutil.Process(node.pid).children(True)]
        for one in [*self.nodes, *left]:
            one.kill()
        for node in self.nodes:
            node.wait()
        psutil.wait_procs(left, 10)


def words_of(process):
    """The command line of a process; empty where it has ended."""
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


@pytest.fixture
def cluster(monkeypatch):
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
    # Sockets lie in this folder, and their paths may not be long.
    with tempfile.TemporaryDirectory(prefix="r", ignore_cleanup_errors=True) as folder:
        made = Cluster(Path(folder))
        try:
            port = made.address.partition(":")[2]
            page = ["--include-dashboard=false", f"--temp-dir={folder}"]
            made.add("--head", "--node-ip-address=127.0.0.1", f"--port={port}", *page)
            made.add(f"--address={made.address}")
            yield made
        finally:
            made.close()


def on(cluster):
    return ["--on", "ray", "--address", cluster.address]


@needs_ray
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_worker_and_killed_node_lose_no_trial(url, study_file, start, cluster):
    process = start(study_file(trials=6, epochs=40), *on(cluster), "-f", "json")
    wait_for(lambda: len(cluster.workers(0)) == len(cluster.workers(1)) == 1, 240)
    wait_for(lambda: look(url) and look(url).trials["running"] == 2 and epochs_done(url) >= 4, 240)
    [victim] = cluster.workers(0)
    victim.kill()
    wait_for(lambda: cluster.workers(0) and cluster.workers(0) != [victim], 120)
    killed_at = epochs_done(url)
    cluster.kill(1)
    out, err = process.communicate(timeout=500)
    assert process.returncode == 0, err
    assert len(json.loads(out)) == 6
    assert killed_at < 6 * 40
    check_exact(url, 6)
    wait_for(lambda: not cluster.workers(0), 30)


@needs_ray
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_study_begun_with_processes_goes_on_with_ray_and_back(url, new_url, study_file, start, cluster):
    path = study_file(trials=3, epochs=30)
    for words in (["--workers", 1], on(cluster)):
        before = epochs_done(url) if look(url) else 0
        process = start(path, *words)
        wait_for(lambda before=before: look(url) and epochs_done(url) >= before + 8, 240)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=120)
        assert process.returncode == 130, err
        assert (look(url).state, look(url).trials["running"]) == ("waiting", 0)
    wait_for(lambda: not [*cluster.workers(0), *cluster.workers(1)], 30)
    last = start(path, "--workers", 1)
    _, err = last.communicate(timeout=300)
    assert last.returncode == 0, err
    check_exact(url, 3)
    once = new_url()
    words = [NAS, "run", path, "--workers", "1", "--storage", once]
    subprocess.run(words, check=True, capture_output=True, timeout=300)
    here, there = curves(url), curves(once)
    both = here.keys() & there.keys()  # two workers draw other networks than one
    assert both
    assert {name: here[name] for name in both} == {name: there[name] for name in both}


@needs_ray
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_killed_runner_leaves_no_worker_on_the_cluster(url, study_file, start, cluster):
    path = study_file(trials=2, epochs=40)
    process = start(path, *on(cluster))
    wait_for(lambda: look(url) and epochs_done(url) >= 3, 240)
    workers = [*cluster.workers(0), *cluster.workers(1)]
    assert workers
    process.kill()
    wait_for(lambda: gone(workers), 60)
    again = start(path, *on(cluster))
    _, err = again.communicate(timeout=400)
    assert again.returncode == 0, err
    check_exact(url, 2)


@needs_ray
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_what_a_cluster_has_no_room_for_is_told(url, study_file, start, cluster, tmp_path):
    process = start(study_file(), *on(cluster), "--gpus-per-worker", 0.25)
    out, err = process.communicate(timeout=240)
    assert (process.returncode, out) == (1, "")
    told = "Error: the Ray cluster has no room for a worker, which takes one CPU and 0.25 of a GPU"
    assert f"{told}: none of its 2 nodes has more than 1 CPUs and 0 GPUs" in err
    assert "Traceback" not in err


@slow_on_postgresql
def test_missing_ray_is_one_line(url, study_file, start):
    if find_spec("ray") is not None:
        pytest.skip("ray is installed")
    _, err = start(study_file(), "--on", "ray").communicate(timeout=60)
    assert err == "Error: ray is not installed: pip install 'nas[ray]'\n"


@pytest.mark.parametrize("words", [("--address", "127.0.0.1:1"), ("--gpus-per-worker", "0.5")])
def test_what_is_said_of_a_cluster_needs_one(study_file, capsys, words):
    assert main(["run", str(study_file()), *words]) == 2
    assert f"{words[0]} {words[1]}: only with --on ray" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (Asked(workers=0), "--workers 0"),
        (Asked(gpus=0.0), "--gpus-per-worker 0"),
        (Asked(gpus=1.5), "--gpus-per-worker 1.5"),
        (Asked(gpus=0.5, device="cpu"), "not with --device cpu"),
    ],
)
def test_what_cannot_be_asked_of_a_cluster_is_told(asked, told):
    with pytest.raises(NasError, match=told):
        check(asked)


@pytest.mark.parametrize(
    ("node", "gpus", "found"),
    [
        ({"CPU": 4.0}, 0.0, 4),
        ({"CPU": 4.0}, 0.25, 0),
        ({"CPU": 8.0, "GPU": 1.0}, 0.25, 4),
        ({"CPU": 8.0, "GPU": 2.0}, 0.3, 6),
        ({"CPU": 2.0, "GPU": 1.0}, 0.25, 2),
        ({"CPU": 8.0, "GPU": 3.0}, 2.0, 1),
        ({"memory": 1.0}, 0.0, 0),
    ],
)
def test_places_of_a_node(node, gpus, found):
    assert places(node, gpus) == found
