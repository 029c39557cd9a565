"""What is shown again and again: redrawn in place on a terminal, elsewhere printed whenever it has changed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.text import Text

LOOK_SECONDS = 1.0


def watch(look: Callable[[], tuple[str, bool]], stream: TextIO, *, in_place: bool = True) -> None:
    """Show the text that `look` gives, until it says that it is the last.

    `in_place`: drawn over the one before, where the stream is a terminal that can.
    """
    console = Console(file=stream, highlight=False)
    if in_place and stream.isatty() and not console.is_dumb_terminal:
        with Live(console=console, auto_refresh=False) as live:
            _repeat(look, lambda text: live.update(Text(text), refresh=True))
    else:
        _repeat(look, lambda text: print(text, file=stream, flush=True))


def _repeat(look: Callable[[], tuple[str, bool]], show: Callable[[str], None]) -> None:
    shown, last = None, False
    while not last:
        text, last = look()
        if text != shown:
            show(text)
        shown = text
        if not last:
            time.sleep(LOOK_SECONDS)
