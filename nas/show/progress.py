"""What a run shows while it goes on: bars on a terminal, elsewhere a line for each trial that ended."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Protocol, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from nas.arch.record import COMPLETE, FAILED, PRUNED, TrialRecord
from nas.show.table import seconds, told
from nas.work.launch import Progress

BAR_WIDTH = 24


class Display(Protocol):
    """A watcher of a run that is entered before and left after it."""

    def __call__(self, progress: Progress) -> None:
        """Show where the run stands."""
        ...

    def __enter__(self) -> Display:
        """Begin to show."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the screen tidy."""
        ...


def display(stream: TextIO) -> Display:
    """Bars where the stream is a terminal that can redraw lines, else plain lines."""
    console = Console(file=stream, highlight=False)
    return Bars(console) if stream.isatty() and not console.is_dumb_terminal else Lines(stream)


def trial_lines(progress: Progress) -> Iterator[str]:
    """A line for each trial that ended since the last look, with the count of trials done after it."""
    done = progress.counts[COMPLETE] + progress.counts[PRUNED]
    done -= sum(trial.state in (COMPLETE, PRUNED) for trial in progress.ended)
    for trial in progress.ended:
        done += trial.state in (COMPLETE, PRUNED)
        yield trial_line(trial, f"({done}/{progress.total})")


def trial_line(trial: TrialRecord, place: str) -> str:
    """One ended trial: what became of it, how good it is, what it is; why, where it failed."""
    state = "reused" if trial.reused else trial.state
    accuracy = "" if trial.accuracy is None else f"{trial.accuracy:.4f}"
    words = [f"trial {trial.number}", state, accuracy, f"{trial.totals.params:,} params", trial.name or trial.summary]
    reason = f"{trial.reason}" if trial.state == FAILED else ""
    return told("  ".join(word for word in (*words, reason, place) if word))


class Lines:
    """Plain lines, for logs and pipes."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def __enter__(self) -> Lines:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def __call__(self, progress: Progress) -> None:
        """Print what ended since the last look."""
        for line in trial_lines(progress):
            print(line, file=self.stream, flush=True)


class Bars:
    """A bar of trials done, the best so far, and what each worker trains; failures stay as lines above."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.live = Live(console=console, auto_refresh=False, transient=True)

    def __enter__(self) -> Bars:
        self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.live.stop()

    def __call__(self, progress: Progress) -> None:
        """Redraw."""
        for trial, line in zip(progress.ended, trial_lines(progress), strict=True):
            if trial.state == FAILED:
                self.console.print(Text(line, style="red"))
        self.live.update(self.drawn(progress), refresh=True)

    def drawn(self, progress: Progress) -> RenderableType:
        """The picture: a line for the study, one for the best, one a worker."""
        parts: list[RenderableType] = [_head(progress)]
        if progress.best is not None:
            parts.append(_one_line(f"best so far  {trial_line(progress.best, '')}", style="green"))
        return Group(*parts, *(_one_line(_worker_line(trial)) for trial in progress.running))


def _head(progress: Progress) -> Table:
    done = progress.counts[COMPLETE] + progress.counts[PRUNED]
    failed = f", {progress.counts[FAILED]} failed" if progress.counts[FAILED] else ""
    left = "" if not progress.seconds_left else f", about {seconds(progress.seconds_left)} left"
    line = Table.grid(padding=(0, 1))
    bar = ProgressBar(total=max(1, progress.total), completed=done, width=BAR_WIDTH)
    told = f"{done}/{progress.total} trials{failed}, {seconds(progress.seconds)}{left}"
    line.add_row(bar, _one_line(told))
    return line


def _one_line(text: str, style: str = "") -> Text:
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")


def _worker_line(trial: TrialRecord) -> str:
    epochs = trial.epochs * trial.repeats
    epoch = min(trial.epochs_done + 1, epochs)
    network = trial.name or trial.summary
    return f"  trial {trial.number}  epoch {epoch}/{epochs}  {trial.totals.params:,} params  {network}"
