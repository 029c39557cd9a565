"""Small worlds: a study on digits that takes seconds, `nas run` as a real process; on both kinds of database."""

import os
import subprocess

import pytest
from databases import KINDS
from work_worlds import NAS, write_study


@pytest.fixture(scope="module", params=KINDS)
def database(request):
    return request.param


@pytest.fixture
def study_file(tmp_path):
    """Writes a study file; keywords change it."""

    def write(**changes):
        return write_study(tmp_path, **changes)

    return write


@pytest.fixture
def start(start_words):
    """Starts `nas run` as a process of its own."""
    return lambda path, *words: start_words("run", path, *words)


@pytest.fixture
def start_words(url):
    """Starts `nas` as a process of its own; whatever is left of it is killed at the end."""
    started = []

    def begin(*words):
        command = [NAS, *map(str, words), "--storage", url]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "NO_COLOR": "1"}
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()
