"""The URL of a storage: what is allowed, and how it is shown without its passwords."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from nas.errors import StorageError
from nas.store import postgresql

DRIVERS = {"sqlite": "sqlite", "postgresql": "nas[postgres]"}
"""What to install for a database."""


def parse_url(url: str) -> URL:
    """The URL in parts. Raises StorageError for what is no URL, or of a database that is not supported."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        # Nothing of the URL is shown, nor kept for a traceback: what cannot be read may hold a password anywhere.
        raise StorageError("the storage's URL cannot be read; allowed: sqlite:///FILE or postgresql://…") from None
    if parsed.drivername == "postgres":
        parsed = parsed.set(drivername="postgresql")
    if parsed.get_backend_name() not in DRIVERS:
        raise StorageError(f"{shown(parsed)}: allowed are sqlite:///FILE and postgresql://USER@HOST/NAME")
    if parsed.get_backend_name() == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise StorageError(f"{shown(parsed)}: workers cannot share a database in memory; name a file: sqlite:///FILE")
    if parsed.get_backend_name() == "postgresql":
        _check_postgresql(parsed)
    return parsed


def _check_postgresql(url: URL) -> None:
    if "@" in (url.host or ""):
        raise StorageError("the storage's URL has more than one @; one that belongs to the password is written %40")
    if url.drivername not in postgresql.DRIVERS:
        raise StorageError(f"{shown(url)}: allowed is psycopg 3 alone, which postgresql://USER@HOST/NAME means")


def shown(url: URL) -> str:
    """The URL without its passwords."""
    hidden = url.set(query=postgresql.without_secrets(url.query))
    return hidden.render_as_string(hide_password=True).replace(quote("***"), "***")


def sqlite_file(url: URL) -> Path | None:
    """The file of a SQLite URL; None for other databases, and for `file:` URIs, which say themselves how to open."""
    name = url.database or ""
    if url.get_backend_name() != "sqlite" or name.startswith("file:"):
        return None
    return Path(name)
