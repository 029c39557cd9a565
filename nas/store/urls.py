"""The URL of a storage: what is allowed, and how it is shown without its passwords."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from nas.errors import StorageError
from nas.store import postgresql

DRIVERS = {"sqlite": "sqlite", "postgresql": "nas[postgres]"}
"""What to install for a database."""

SECRET = ("pass", "pwd", "secret", "token", "key")
"""A parameter of a URL whose name has one of these in it is never shown."""


def parse_url(url: str) -> URL:
    """The URL in parts. Raises StorageError for what is no URL, or of a database that is not supported."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        # Nothing of the URL is shown, nor kept for a traceback: what cannot be read may hold a password anywhere.
        raise StorageError("the storage's URL cannot be read; allowed: sqlite:///FILE or postgresql://…") from None
    if not (parsed.database or "").isprintable():
        raise StorageError("the storage's URL has characters that cannot be printed; allowed: sqlite:///FILE")
    if "@" in (parsed.host or ""):  # the password goes on up to the last one, and would be shown as the host
        raise StorageError("the storage's URL has more than one @; one in a user's name or password is written %40")
    if parsed.drivername == "postgres":
        parsed = parsed.set(drivername="postgresql")
    if parsed.get_backend_name() not in DRIVERS:
        raise StorageError(f"{shown(parsed)}: allowed are sqlite:///FILE and postgresql://USER@HOST/NAME")
    if parsed.get_backend_name() == "sqlite" and _in_memory(parsed):
        raise StorageError(f"{shown(parsed)}: workers cannot share a database in memory; name a file: sqlite:///FILE")
    if parsed.get_backend_name() == "sqlite" and (parsed.host or parsed.username):
        raise StorageError(f"{shown(parsed)}: a file is on no host; allowed: sqlite:///FILE, with three slashes")
    if parsed.get_backend_name() == "postgresql" and parsed.drivername not in postgresql.DRIVERS:
        raise StorageError(f"{shown(parsed)}: allowed is psycopg 3 alone, which postgresql://USER@HOST/NAME means")
    return parsed


def shown(url: URL) -> str:
    """The URL without its passwords."""
    query = {name: "***" if _is_secret(name) else value for name, value in url.query.items()}
    return url.set(query=query).render_as_string(hide_password=True).replace(quote("***"), "***")


def _is_secret(name: str) -> bool:
    return any(part in name.lower() for part in SECRET)


def _in_memory(url: URL) -> bool:
    return str(sqlite_file(url)) in (".", ":memory:") or (is_uri(url) and url.query.get("mode") == "memory")


def sqlite_file(url: URL) -> Path | None:
    """The file of a SQLite URL, the one that a `file:` URI names too; None for other databases."""
    if url.get_backend_name() != "sqlite":
        return None
    name = url.database or ""
    return Path(unquote(urlsplit(name).path) if is_uri(url) else name)


def is_uri(url: URL) -> bool:
    """Whether the URL has a `file:` URI in it, which says itself how SQLite is to open the file."""
    said = str(url.query.get("uri", "")).strip().lower()
    return (url.database or "").startswith("file:") and said in ("true", "yes", "on", "y", "t", "1")  # as SQLAlchemy
