"""A study as one file: a `.zip` with `nas.json` and, where asked for, `weights/NUMBER.safetensors`.

Nothing in it is code, and nothing is extracted: members are read by the names that they may have, and by no others.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn

from nas.arch.read import architecture_from_json
from nas.data.images import check_packed
from nas.errors import BundleError, NasError
from nas.store.dump import dumped, restore, trial_ids
from nas.store.engine import Storage, open_storage
from nas.store.merge import Merged
from nas.store.schema import create_storage
from nas.store.tables import SCHEMA
from nas.store.weights import get_weights
from nas.study.file import study_from_data
from nas.work.moving import check_names, into

FORMAT = 1
DESCRIPTION = "nas.json"
WEIGHTS = re.compile(r"weights/(0|[1-9][0-9]{0,8})\.safetensors")

LARGEST_DESCRIPTION = 512 * 2**20
LARGEST_WEIGHTS = 2 * 2**30
"""Bytes of the description, and of one network's weights."""

MOST_MEMBERS = 100_000


def export_study(storage: str, name: str, path: Path, *, weights: bool = False) -> Path:
    """Write a study of a storage (its URL) into a file that is not there yet: whole, or not at all.

    Raises NotFound, or BundleError where the file is there or cannot be written.
    """
    opened = open_storage(storage)
    try:
        data = {"format": FORMAT, "schema": SCHEMA, "nas": version("nas"), **dumped(opened, name)}
        ids = trial_ids(opened, name) if weights else {}
        if path.exists():
            raise BundleError(f"{path}: is there already; choose another name")
        staging = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            _write(staging, data, opened, ids)
            os.replace(staging, path)
        except OSError as error:
            raise BundleError(f"{path}: cannot be written: {error.strerror or error}") from error
        finally:
            with suppress(OSError):
                staging.unlink(missing_ok=True)
    finally:
        opened.close()
    return path


def _write(path: Path, data: Mapping[str, Any], storage: Storage, ids: Mapping[int, int]) -> None:
    with zipfile.ZipFile(path, "x", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(DESCRIPTION, json.dumps(data, ensure_ascii=False, indent=1))
        for number, trial_id in ids.items():
            blob = get_weights(storage, trial_id)
            if blob is not None:
                archive.writestr(f"weights/{number}.safetensors", blob, zipfile.ZIP_STORED)


def import_study(path: Path, storage: str, renamed: Mapping[str, str] | None = None) -> list[Merged]:
    """Add the study of a file to a storage (its URL), which is made where it is not; as `merge_storages` does.

    Raises BundleError where the file is damaged, of another version, or holds what no study has.
    """
    check_names(renamed or {})
    with tempfile.TemporaryDirectory(prefix="nas-import-") as folder:
        between = create_storage(f"sqlite:///{folder}/nas.db")
        try:
            _read(path, between)
            return into(between, storage, renamed)
        finally:
            between.close()


def _read(path: Path, storage: Storage) -> None:
    if not os.path.isfile(path):
        raise BundleError(f"{path}: no such file")
    try:
        with zipfile.ZipFile(path) as archive:
            members = _members(archive)
            data = _description(archive, members.pop(DESCRIPTION))
            restore(storage, data, _blobs(archive, members))
    except (NasError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise BundleError(f"{path}: {_line(error)}") from error
    except (OSError, zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, MemoryError) as error:
        raise BundleError(f"{path}: cannot be read as a study's file: {_line(error)}") from error
    except Exception as error:  # a damaged .zip may raise nearly anything: zlib, struct, lzma
        raise BundleError(f"{path}: cannot be read as a study's file: {type(error).__name__}") from error


def _line(error: object) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__


def _members(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """The members by name, each one that may be there, and once."""
    found: dict[str, zipfile.ZipInfo] = {}
    if len(archive.infolist()) > MOST_MEMBERS:
        raise BundleError(f"holds more than {MOST_MEMBERS:,} files")
    for info in archive.infolist():
        name, most = info.filename, LARGEST_DESCRIPTION if info.filename == DESCRIPTION else LARGEST_WEIGHTS
        if name != DESCRIPTION and not WEIGHTS.fullmatch(name):
            raise BundleError(f"holds {name!r}, which is no part of a study; is it a file of `nas db export`?")
        if name in found:
            raise BundleError(f"holds {name!r} twice")
        if info.file_size > most:
            raise BundleError(f"{name} declares {info.file_size:,} bytes; up to {most:,} are allowed")
        check_packed(name, info.file_size, info.compress_size)
        found[name] = info
    if DESCRIPTION not in found:
        raise BundleError(f"holds no {DESCRIPTION}; is it a file of `nas db export`?")
    return found


def _description(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Mapping[str, Any]:
    try:
        data = json.loads(archive.read(info).decode("utf-8"), parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{DESCRIPTION} is no JSON: {_line(error)}") from error
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise BundleError(f"{DESCRIPTION} is of no known format; allowed: {FORMAT}")
    if data.get("schema") != SCHEMA:
        raise BundleError(
            f"of schema {str(data.get('schema'))[:20]!r}, this nas has {SCHEMA}; export it with the same nas"
        )
    _check(data)
    return data


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _check(data: Mapping[str, Any]) -> None:
    """Raise NasError or ValueError where the study's file or a network is not what it says it is."""
    name = data["study"]["name"]
    if study_from_data(data["study"]["config"], "config").name != name:
        raise BundleError(f"the study's name {str(name)[:60]!r} is not that of its configuration")
    shape = data["study"]["input"]
    if not (isinstance(shape, list) and len(shape) == 3 and all(type(side) is int and side > 0 for side in shape)):
        raise BundleError("the study's input is no [channels, height, width]")
    if not all(isinstance(block, str) for block in data["study"]["blocks"]):
        raise BundleError("the study's blocks are no names")
    for one in data["architectures"]:
        made = architecture_from_json(one["spec"], "architecture")
        if (made.fingerprint, made.body, list(made.blocks)) != (one["fingerprint"], one["body"], one["blocks"]):
            raise BundleError(f"network {str(one['fingerprint'])[:32]!r} has not the fingerprint of its parts")


def _blobs(
    archive: zipfile.ZipFile, members: Mapping[str, zipfile.ZipInfo]
) -> Iterator[tuple[int, Callable[[], bytes]]]:
    for name, info in members.items():
        number = WEIGHTS.fullmatch(name)
        assert number is not None
        yield int(number[1]), lambda info=info: archive.read(info)  # type: ignore[misc]
