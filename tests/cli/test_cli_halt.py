"""`nas pause`, `cancel`, `resume`, `submit` again, and `nas status --watch`, in this process."""

import json
import os
import threading

import pytest

from nas.show.watch import watch
from nas.store.engine import open_storage
from nas.store.halting import cancel_study
from nas.store.studies import find_study

STUDY = """
name = "tiny"
dataset = "digits"
[space]
blocks = ["conv"]
kernels = [3]
widths = [8]
stages = [1]
depths = [1]
stem = {kernels = [3], widths = [8]}
[search]
trials = 2
pruner = "none"
[train]
epochs = 1
batch_size = 256
"""


@pytest.fixture
def file(home):
    (home / "tiny.toml").write_text(STUDY)
    return "tiny.toml"


def record():
    storage = open_storage("sqlite:///nas.db")
    try:
        return find_study(storage, "tiny")
    finally:
        storage.close()


def test_halted_study_says_so_until_it_is_resumed(world, nas, nas_json):
    told = nas("pause", "alpha")
    assert (told.code, told.out, told.err) == (0, "", "study 'alpha': paused, 5 of 6 trials\n")
    assert nas_json("status", "alpha")["state"] == "paused"
    assert nas("cancel", "alpha").err == "study 'alpha': cancelled, 5 of 6 trials\n"
    assert [row["state"] for row in nas_json("status")] == ["cancelled", "waiting"]
    assert nas("resume", "alpha").err == "study 'alpha': waiting, 5 of 6 trials\n"
    told = nas("resume", "alpha")
    assert (told.code, told.err) == (
        1,
        "Error: study 'alpha' is waiting: nothing to resume; allowed: paused or cancelled studies\n",
    )
    assert "did you mean 'alpha'" in nas("cancel", "alhpa").err


def test_submit_checks_creates_and_trains_nothing(file, nas, home):
    told = nas("submit", file, "--set", "search.trails=5")
    assert (told.code, "search.trails: unknown key" in told.err) == (1, True)
    assert nas("submit", file, "--set", "budget.params=10").code == 3
    assert not (home / "nas.db").exists()
    told = nas("submit", file, "--priority", "3")
    assert (told.code, told.err) == (0, "study 'tiny': submitted, 2 trials, priority 3\n")
    assert nas("trials", "tiny").out.count("\n") == 1


def test_submit_again_changes_trials_and_priority_and_no_question(file, nas):
    nas("submit", file, "--priority", "3")
    assert nas("submit", file, "--trials", "5").err == "study 'tiny': submitted, 5 trials, priority 3\n"
    nas("submit", file, "--priority", "-2")
    assert (record().trials, record().priority) == (2, -2)
    told = nas("submit", file, "--set", "train.epochs=9")
    assert (told.code, "train.epochs: was 1, is now 9" in told.err) == (1, True)


def test_run_and_submit_of_a_halted_study_are_errors_that_name_the_way_on(file, nas):
    nas("submit", file)
    nas("cancel", "tiny")
    for command in ("run", "submit"):
        told = nas(command, file)
        assert (told.code, told.err) == (1, "Error: study 'tiny' is cancelled; `nas resume tiny` opens it again\n")
    assert nas("worker", "--study", "tiny").err.startswith("Error: study 'tiny' is cancelled; `nas resume tiny`")
    nas("resume", "tiny")
    assert nas("run", file, "--workers", "0").code == 0


def test_watch_shows_each_change_and_ends_with_the_study(world, nas):
    def cancel():
        storage = open_storage("sqlite:///nas.db")
        cancel_study(storage, "alpha")
        storage.close()

    threading.Timer(1.5, cancel).start()
    told = nas("status", "alpha", "--watch", "-f", "json")
    decoder, found, rest = json.JSONDecoder(), [], told.out.strip()
    while rest:
        value, end = decoder.raw_decode(rest)
        found, rest = [*found, value["state"]], rest[end:].strip()
    assert (told.code, found) == (0, ["waiting", "cancelled"])


def test_watch_draws_over_itself_on_a_terminal_alone(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("nas.show.watch.LOOK_SECONDS", 0.01)
    drawn = {in_place: terminal_shows(in_place) for in_place in (True, False)}
    assert "\x1b[" in drawn[True]
    assert drawn[False].split() == ["first", "second"]


def terminal_shows(in_place):
    """What a real terminal is sent for two texts in a row."""
    ours, theirs = os.openpty()
    texts = iter([("first", False), ("first", False), ("second", True)])
    with os.fdopen(theirs, "w") as stream:
        watch(lambda: next(texts), stream, in_place=in_place)
        stream.flush()
        shown = b""
        while b"second" not in shown:  # a terminal hands on what it has so far
            shown += os.read(ours, 10_000)
    os.close(ours)
    return shown.decode()
