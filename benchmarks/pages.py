"""The mechanics of a page with made parts: blocks between comments, tables, and whether two pictures are alike."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence

END = "<!-- end -->"

_BLOCK = re.compile(r"^<!-- made by (?P<script>\S+): (?P<name>.+?) -->\n(?P<content>.*?)^<!-- end -->$", re.M | re.S)
_ID = re.compile(r"\b[a-z][0-9a-f]{10}\b")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")


def blocks(text: str) -> dict[str, str]:
    """What stands between each opening comment and its end, by the block's name."""
    return {found["name"]: found["content"] for found in _BLOCK.finditer(text)}


def fill(text: str, make: Callable[[str], str]) -> str:
    """The page with `make(name)` in each of its blocks."""

    def made(found: re.Match[str]) -> str:
        return f"<!-- made by {found['script']}: {found['name']} -->\n{make(found['name'])}\n{END}"

    return _BLOCK.sub(made, text)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, texts: Sequence[str] = ()) -> str:
    """A table of the page; the first column and those named in `texts` stand left, numbers right."""
    rules = ["---" if index == 0 or head in texts else "---:" for index, head in enumerate(heads)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (heads, rules, *rows))


def alike(old: str, new: str) -> bool:
    """Whether two SVG pictures show the same, up to what another machine rounds otherwise: half a point."""
    old, new = _ID.sub("id", old), _ID.sub("id", new)
    if _NUMBER.sub("0", old) != _NUMBER.sub("0", new):
        return False
    pairs = zip(_NUMBER.findall(old), _NUMBER.findall(new), strict=True)
    return all(math.isclose(float(before), float(after), rel_tol=1e-4, abs_tol=0.5) for before, after in pairs)
