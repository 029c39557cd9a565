"""What a run shows: plain lines for logs, bars on a terminal."""

import io

import pytest
from rich.console import Console

from nas.arch.record import COMPLETE, FAILED, PRUNED, RUNNING, Totals, TrialRecord
from nas.show.progress import Bars, Lines, display
from nas.work.launch import Progress


def trial(number, state=COMPLETE, accuracy=0.9722, **changes):
    facts = {"reused": False, "epochs": 10, "epochs_done": 10, "reason": "", "summary": f"conv3 {number}"} | changes
    return TrialRecord(
        id=number,
        study="alpha",
        number=number,
        state=state,
        fingerprint="f" * 32,
        body="b" * 32,
        blocks=("conv",),
        totals=Totals(16_234, 16_000, 1, 1, 3, 0, 2),
        draw={},
        params={},
        projected=False,
        accuracy=accuracy,
        seed=0,
        seconds=1.0,
        device="cpu",
        precision="fp32",
        worker="w",
        versions={},
        started=0.0,
        finished=1.0,
        **facts,
    )


def progress(ended=(), running=(), seconds_left=90.0, best=None, **counts):
    numbers = {COMPLETE: 0, PRUNED: 0, FAILED: 0, RUNNING: 0, "waiting": 0} | counts
    best = best or next((one for one in ended if one.state == COMPLETE), None)
    return Progress(30, numbers, tuple(ended), tuple(running), best, 12.0, seconds_left)


def shown(*steps, width=100):
    """What is drawn last on a terminal of that width, and all that was written to it."""
    stream = io.StringIO()
    bars = Bars(Console(file=stream, force_terminal=True, width=width, highlight=False, color_system=None))
    with bars:
        for step in steps:
            bars(step)
        picture = Console(file=io.StringIO(), width=width, record=True)
        picture.print(bars.drawn(steps[-1]))
    return picture.export_text().splitlines(), stream.getvalue()


def test_lines_have_one_for_each_ended_trial():
    stream = io.StringIO()
    with Lines(stream) as watch:
        watch(progress(complete=2))
        watch(progress([trial(3), trial(4, PRUNED, 0.2)], complete=3, pruned=1))
    assert stream.getvalue().splitlines() == [
        "trial 3  complete  0.9722  16,234 params  conv3 3  (3/30)",
        "trial 4  pruned  0.2000  16,234 params  conv3 4  (4/30)",
    ]


def test_lines_tell_failures_with_their_reason_and_what_was_reused():
    stream = io.StringIO()
    failed = trial(5, FAILED, None, reason="loss is NaN in epoch 1")
    Lines(stream)(progress([failed, trial(6, reused=True)], complete=1, failed=1))
    first, second = stream.getvalue().splitlines()
    assert first == "trial 5  failed  16,234 params  conv3 5  loss is NaN in epoch 1  (0/30)"
    assert second.startswith("trial 6  reused  0.9722")


def test_bars_show_counts_best_and_workers():
    running = trial(7, RUNNING, None, epochs_done=3)
    lines, _ = shown(
        progress([trial(1, accuracy=0.9), trial(2, accuracy=0.95)], complete=2),
        progress([trial(3, accuracy=0.93)], [running], complete=3, failed=1, best=trial(2, accuracy=0.95)),
    )
    assert "3/30 trials, 1 failed, 12.0 s, about 90.0 s left" in lines[0]
    assert lines[1].startswith("best so far  trial 2  complete  0.9500")
    assert lines[2] == "  trial 7  epoch 4/10  16,234 params  conv3 7"


def test_bars_leave_failures_on_the_screen_and_keep_to_the_width():
    failed = trial(5, FAILED, None, reason="out of memory")
    lines, written = shown(progress([trial(1, summary="conv3 16 | " * 30), failed], complete=1, failed=1), width=80)
    assert "out of memory" in written
    assert max(map(len, lines)) <= 80
    assert lines[1].endswith("…")
    assert len(lines) == 2


def test_bars_do_not_guess_the_time_before_the_first_trial():
    lines, _ = shown(progress(seconds_left=None))
    assert lines[0].endswith("0/30 trials, 12.0 s")


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(("term", "kind"), [("xterm", Bars), ("dumb", Lines)])
def test_display_on_a_terminal(monkeypatch, term, kind):
    monkeypatch.setenv("TERM", term)
    assert type(display(Terminal())) is kind


def test_display_elsewhere_is_plain_lines_whatever_is_forced(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert type(display(io.StringIO())) is Lines


def test_no_color_is_respected(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()
    with display(stream) as watch:
        watch(progress([trial(5, FAILED, None, reason="NaN")], failed=1))
    assert "NaN" in stream.getvalue()
    assert "\x1b[31m" not in stream.getvalue()


def test_reason_that_a_plugin_gave_steers_no_terminal():
    stream = io.StringIO()
    Lines(stream)(progress([trial(1, FAILED, None, reason="\x1b[2J" + "x" * 5000)], failed=1))
    line = stream.getvalue().rstrip("\n")
    assert (line.isprintable(), len(line) <= 2000) == (True, True)
    assert "\\x1b[2Jxxx" in line
