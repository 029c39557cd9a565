"""Valid files made invalid: bytes, plain data, members of archives and rows of databases changed at random."""

import copy
import gzip
import io
import json
import random
import sqlite3
import struct
import tarfile
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path

TOKENS = (b"\x00", b"\xff", b"\xff\xfe", b"\x80\x04", b"PK\x05\x06", b"\x1f\x8b", b"[", b"]", b"{", b'"', b"\n", b"%n")

ODD = (
    *(None, True, False, 0, -1, 1, 2, 255, 2**31, -(2**31), 2**53, 2**63 - 1, 2**63, 10**15, 10**30, 10**400),
    *(0.5, -0.0, 1e-320, 1e308, -1e308, float("nan"), float("inf"), "", " ", "0", "1e3", "nan", "block", "conv"),
    *("classes", "a" * 5000, "\x00", "a\x00b", "\x1b[2J", "a\nb", "\ud800", "../../x", "/etc/passwd", "/dev/zero"),
    *("x'; DROP TABLE nas_study; --", "é" * 300, "1" * 5000, "%s%n", "{0}"),
    *([], {}, [[]], [0], [1, 2, 3], ["conv"], {"": 0}, {"a": {"b": []}}, [1] * 2000, [None], [{}]),
)
"""Values that are likely to be of the wrong kind, or at an edge."""

ODD_TOML = (
    *("true", "0", "-1", "1", "31", "64", "65536", "1_000_000", "10_000_000", "9223372036854775808", "1e308", "-0.0"),
    *("nan", "inf", "1e-320", "''", '"\\u0000"', '"x"', '"../.."', '"/dev/zero"', '"1e9"', '"1.0005k"', '"999G"', "[]"),
    *(
        "[1]",
        "[3, 3]",
        "[31, 1, 3]",
        "[16]",
        "[64]",
        '["conv"]',
        '["conv", "stacked"]',
        "[[]]",
        "{}",
        "[{}]",
        "{a = 1}",
    ),
    *("{low = 1, high = 65536}", "{low = 1, high = 10000}", "{low = 8, high = 8}", "{min = 1}", "{min = 65536}"),
    *("1979-05-27", "07:32:00", "'''\na'''", "0x10", "+1", "1__0", "[1,", '"\\ud800"', "[" * 300 + "]" * 300),
)


def changed_bytes(rng: random.Random, content: bytes, others: list[bytes] = []) -> bytes:  # noqa: B006
    """The bytes with one to four small changes."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        place, length = rng.randrange(len(data) + 1), rng.choice((1, 1, 2, 4, 8, 40))
        kind = rng.randrange(8)
        if kind == 0 and data:
            data[place % len(data)] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data[place : place + length] = rng.randbytes(length)
        elif kind == 2:
            del data[place : place + length]
        elif kind == 3:
            data[place:place] = data[place : place + length] * rng.choice((1, 2, 50))
        elif kind == 4:
            data[place:place] = rng.choice(TOKENS)
        elif kind == 5:
            number = rng.choice((0, 1, 127, 128, 255, 256, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1))
            data[place : place + 4] = struct.pack(rng.choice("<>") + "I", number)
        elif kind == 6:
            del data[place:]
        else:
            other = rng.choice([content, *others])
            start = rng.randrange(len(other) + 1)
            data[place : place + length] = other[start : start + length * 4]
    return bytes(data)


def changed_lines(rng: random.Random, content: bytes, others: list[bytes]) -> bytes:
    """A TOML text with some values in place of others, lines left out, doubled, or taken from another file."""
    lines = content.decode().split("\n")
    for _ in range(rng.choice((1, 1, 2, 3))):
        place = rng.randrange(len(lines))
        key, equals, _ = lines[place].partition("=")
        kind = rng.randrange(10)
        if kind < 6 and equals and not key.startswith("#"):
            lines[place] = f"{key}= {rng.choice(ODD_TOML)}"
        elif kind == 6:
            del lines[place]
            lines = lines or [""]
        elif kind == 7:
            lines.insert(place, lines[place])
        elif kind == 8:
            lines.insert(place, rng.choice(rng.choice(others).decode().split("\n")))
        else:
            lines[place] = changed_bytes(rng, lines[place].encode()).decode("utf-8", "replace")
    return "\n".join(lines).encode()


def changed_tree(rng: random.Random, data: object) -> object:
    """Plain data with one to three of its values changed, left out, doubled, nested or exchanged."""
    for _ in range(rng.choice((1, 1, 2, 3))):
        places = list(_places(data))
        if not places:
            return _copied(rng.choice(ODD))
        holder, key = rng.choice(places)
        kind = rng.randrange(8)
        if kind == 0:
            del holder[key]
        elif kind == 1 and isinstance(holder, list):
            holder.insert(key, _copied(holder[key]))
        elif kind == 1:
            holder[rng.choice(("x", "", "repeat", "name", "id", "kernel"))] = _copied(rng.choice(ODD))
        elif kind == 2:
            other, name = rng.choice(places)
            if name in other if isinstance(other, dict) else name < len(other):
                holder[key] = _copied(other[name])
        elif kind == 3:
            for _ in range(rng.choice((1, 30, 2000))):
                holder[key] = [holder[key]] if rng.random() < 0.5 else {"join": "add", "branches": [[holder[key]]]}
        elif kind == 4 and type(holder[key]) is int:
            holder[key] += rng.choice((-1, 1, 2**20, 2**40))
        else:
            holder[key] = _copied(rng.choice(ODD))
    return data


def _copied(value: object) -> object:
    """A value of its own, since it may be changed; 0 for one that is nested too deeply to be copied."""
    try:
        return copy.deepcopy(value)
    except RecursionError:
        return 0


def _places(data: object):
    """Every (holder, key) in plain data."""
    stack = [data]
    while stack:
        holder = stack.pop()
        if isinstance(holder, dict | list):
            for key in list(holder) if isinstance(holder, dict) else range(len(holder)):
                yield holder, key
                stack.append(holder[key])


def as_json(data: object) -> bytes:
    """JSON, NaN and lone surrogates included; one that is nested too deeply to be written is written by hand."""
    try:
        return json.dumps(data).encode()
    except RecursionError:
        return b'{"format": 1, "parts": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"


def changed_json(rng: random.Random, content: bytes, others: list[bytes]) -> bytes:
    """A JSON file changed as data, now and then as bytes."""
    if rng.random() < 0.15:
        return changed_bytes(rng, content, others)
    return as_json(changed_tree(rng, json.loads(content)))


def changed_gzip(rng: random.Random, content: bytes, others: list[bytes]) -> bytes:
    """A .gz whose content is changed, more seldom the packed bytes themselves."""
    if rng.random() < 0.3:
        return changed_bytes(rng, content, others)
    return gzip.compress(changed_bytes(rng, gzip.decompress(content)), 1)


def changed_tar(rng: random.Random, content: bytes, others: list[bytes]) -> bytes:
    """A .tar.gz of which a member, its head or the packed bytes are changed."""
    if rng.random() < 0.5:
        return changed_gzip(rng, content, others)
    made = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(content)) as archive, tarfile.open(fileobj=made, mode="w:gz") as out:
        members = archive.getmembers()
        chosen = rng.choice(members)
        for info in members:
            stream = archive.extractfile(info)
            data = stream.read() if stream else b""
            if info is chosen:
                kind = rng.randrange(3)
                data = changed_bytes(rng, data) if kind == 0 else data
                info.name = rng.choice(("../../x", "/x", "data_batch_1", info.name)) if kind == 1 else info.name
                info.type = rng.choice((b"1", b"2", b"5", b"x", b"L", b"S")) if kind == 2 else info.type
            info.size = len(data)
            out.addfile(info, io.BytesIO(data))
    return made.getvalue()


def changed_zip(rng: random.Random, content: bytes, others: list[bytes], member=changed_bytes) -> bytes:
    """A .zip of which a member's content, its name or the packed bytes are changed."""
    if rng.random() < 0.25:
        return changed_bytes(rng, content, others)
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as archive, zipfile.ZipFile(made, "w") as out:
        infos = archive.infolist()
        chosen = rng.choice(infos)
        for info in infos:
            data, name = archive.read(info), info.filename
            if info is chosen and rng.random() < 0.8:
                data = member(rng, data)
            elif info is chosen:
                name = rng.choice(("../../x", "/x", "/", "a/b/c/d", "x\x00y", infos[0].filename, "train/é.png"))
            out.writestr(name, data, rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)))
    return made.getvalue()


def changed_bundle(rng: random.Random, content: bytes, others: list[bytes]) -> bytes:
    """A study's file of which most often the description is changed as data."""

    def member(rng: random.Random, data: bytes) -> bytes:
        return changed_json(rng, data, []) if data[:1] == b"{" else changed_bytes(rng, data)

    return changed_zip(rng, content, others, member)


SCHEMAS = (
    "ALTER TABLE {table} DROP COLUMN {column}",
    "ALTER TABLE {table} RENAME COLUMN {column} TO other",
    "ALTER TABLE {table} RENAME TO other",
    "ALTER TABLE {table} ADD COLUMN other TEXT DEFAULT 'x'",
    "DELETE FROM {table}",
    "UPDATE nas_alembic_version SET version_num = {value}",
    "CREATE TRIGGER spring BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'sprung'); END",
    "DROP VIEW nas_leaderboard",
)


def changed_database(rng: random.Random, content: bytes, others: list[bytes]) -> bytes:
    """A SQLite file of which values, more seldom the schema or the bytes themselves, are changed."""
    if rng.random() < 0.2:
        return changed_bytes(rng, content, others)
    raw = sqlite3.connect(":memory:", isolation_level=None)
    try:
        raw.deserialize(content)
        raw.execute("PRAGMA ignore_check_constraints = ON")
        for _ in range(rng.choice((1, 1, 2, 4))):
            _change_database(rng, raw)
        return raw.serialize()
    finally:
        raw.close()


def _change_database(rng: random.Random, raw: sqlite3.Connection) -> None:
    tables = [name for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    table = rng.choice([name for name in tables if name.startswith("nas_")] or ["nas_study"])
    column = rng.choice([row[1] for row in raw.execute(f"PRAGMA table_info({table})")] or ["id"])
    value = rng.choice(ODD)
    if not isinstance(value, str | int | float | None) or rng.random() < 0.2:
        value = rng.choice((as_json(value).decode(), rng.randbytes(5), as_json(value)))
    if isinstance(value, int) and abs(value) >= 2**63:
        value = float(2**63)
    if rng.random() < 0.15:
        asked, given = rng.choice(SCHEMAS).format(table=table, column=column, value="?"), (value,)
    else:
        asked = f"UPDATE {table} SET {column} = ?" + rng.choice(("", " WHERE rowid = (SELECT max(rowid) FROM {0})"))
        asked, given = asked.format(table), (value,)
    if rng.random() < 0.2 and "UPDATE" in asked:  # bytes that are no UTF-8 under the type of a text
        asked, given = f"UPDATE {table} SET {column} = CAST(? AS TEXT)", (b"a\xff\xfe",)
    with suppress(sqlite3.Error, UnicodeEncodeError):  # what no database takes, no stranger hands in
        raw.execute(asked, given if "?" in asked else ())


def changed_text(rng: random.Random, content: bytes, others: list[bytes]) -> bytes:
    """A short text with pieces of others in it."""
    return (
        changed_bytes(rng, content, others) if rng.random() < 0.5 else content + rng.choice(others)[: rng.randrange(40)]
    )


def changed_picture(rng: random.Random, content: bytes, others: list[bytes]) -> bytes:
    """An image file changed as bytes; the checksums of a PNG's chunks are made good again, most often."""
    data = changed_bytes(rng, content, others)
    return _mended(data) if data[:8] == b"\x89PNG\r\n\x1a\n" and rng.random() < 0.7 else data


def _mended(data: bytes) -> bytes:
    made, place = bytearray(data[:8]), 8
    while place + 12 <= len(data):
        length = struct.unpack(">I", data[place : place + 4])[0]
        body = data[place + 4 : place + 8 + length]
        made += data[place : place + 4] + body + struct.pack(">I", zlib.crc32(body))
        place += 12 + length
    return bytes(made)


def unpacked(folder: Path) -> set[str]:
    """Everything that lies in a folder, by its path from there."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}
