"""What `nas doctor` found of one thing, handed from whoever looked to whoever tells."""

from __future__ import annotations

from dataclasses import dataclass

OK, NOTE, PROBLEM = "ok", "note", "problem"


@dataclass(frozen=True)
class Check:
    """One thing looked at: all is well (`ok`), worth knowing (`note`), or work is stopped by it (`problem`).

    `found` says in one line what is there, `advice` what may be done.
    """

    check: str
    state: str
    found: str
    advice: str = ""
