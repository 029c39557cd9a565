"""The pages of the documentation, and the fenced blocks in them."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = (ROOT, ROOT / "docs", ROOT / "docs" / "decisions", ROOT / "studies")
PAGES = sorted(page for folder in FOLDERS for page in folder.glob("*.md"))
README = ROOT / "README.md"
BLOCK, DATABASE, ARCHITECTURE, HOOKS = (
    ROOT / "docs" / f"{name}.md" for name in ("write-a-block", "database", "architecture", "hooks")
)

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


def fences(page: Path, language: str = "") -> list[str]:
    """The contents of the page's fenced blocks of a language, in order."""
    return [content for kind, content in _FENCE.findall(text(page)) if kind == language]


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return _FENCE.sub("", text(page))


def commands(page: Path) -> list[str]:
    """The `nas` command lines in the page's blocks, without what they print and without comments."""
    lines = (line.removeprefix("$ ") for content in fences(page) for line in content.splitlines())
    return [line.split("  #")[0].strip() for line in lines if re.match(r"nas [a-z]", line)]


def rows(page: Path, columns: int) -> list[list[str]]:
    """The rows of the page's tables of so many columns, heads and rules left out."""
    split = (re.split(r"(?<!\\)\|", line)[1:-1] for line in prose(page).splitlines() if line.startswith("|"))
    cells = [[cell.strip() for cell in row] for row in split if len(row) == columns]
    return [row for row in cells if row[0].startswith("`")]


def readme_study() -> str:
    (study,) = fences(README, "toml")
    return study


def readme_block() -> str:
    return next(content for content in fences(README, "python") if "(Block)" in content)
