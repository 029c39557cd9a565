"""What worker processes are given: no password where others see it, no module from the current folder."""

import os
import subprocess

import psutil
import pytest
from postgres import PASSWORD
from work_worlds import NAS, look, wait_for, workers_of, write_study

from nas.cli.options import Settings
from nas.work.jobs import How
from nas.work.process import Job

SECRET = "hunter2"


@pytest.fixture
def begun(tmp_path):
    """`nas run` as a process of its own, its storage told by the environment, a password in it."""
    started = []

    def begin(url, folder, **changes):
        command = [NAS, "run", str(write_study(tmp_path, **changes)), "--workers", "2", "--debug"]
        environment = {**os.environ, "NAS_STORAGE": url, "NO_COLOR": "1"}
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.slow
def test_password_is_on_no_command_line_and_in_no_output(tmp_path, begun, url, database):
    secret = PASSWORD if database == "postgresql" else SECRET
    if database == "sqlite":
        url = f"sqlite:///file:{tmp_path}/nas.db?uri=true&password={SECRET}"
    assert secret in url
    process = begun(url, tmp_path, trials=2, epochs=30)
    wait_for(lambda: process.poll() is not None or ((found := look(url)) and found.trials["running"] == 2))
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    assert len(workers_of(process)) == 2
    for one in family:
        assert secret not in " ".join(one.cmdline())
    process.terminate()
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert secret not in out + err


@pytest.mark.slow
def test_module_that_lies_in_the_current_folder_is_not_imported(tmp_path, url, begun):
    folder = tmp_path / "stranger"
    folder.mkdir()
    for name in ("json", "torch", "optuna", "sitecustomize", "nas_plugins"):
        (folder / f"{name}.py").write_text(f"open({str(tmp_path / 'sprung')!r}, 'a').write({name!r})\n")
    evil = folder / "evil-1.0.dist-info"
    evil.mkdir()
    (evil / "METADATA").write_text("Name: evil\nVersion: 1.0\n")
    (evil / "entry_points.txt").write_text("[nas]\nevil = torch\n")
    process = begun(url, folder, trials=1, epochs=1)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert not (tmp_path / "sprung").exists()


def test_records_that_carry_a_url_do_not_show_it():
    url = f"postgresql://ada:{SECRET}@host/nas"
    assert SECRET not in f"{Job(url, 'small', 0, '.')!r} {How(url)!r} {Settings(url=url)!r}"
