"""What a stranger may hand in: for each kind valid examples, made by the project, how to change and how to try one.

An input is always the bytes of one file, so that each find is one file.
"""

import contextlib
import gzip
import io
import json
import os
import random
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from data_worlds import cifar_batches, idx, mnist_arrays, picture, tar_of, tree, write_idx, write_tree, write_zip
from fuzz_mutate import (
    changed_bundle,
    changed_bytes,
    changed_database,
    changed_gzip,
    changed_json,
    changed_lines,
    changed_picture,
    changed_tar,
    changed_text,
    changed_zip,
)
from work_worlds import write_study

from nas.arch.read import read_architecture
from nas.arch.recipe import recipe_hash
from nas.arch.record import COMPLETE, Candidate, EpochRecord, Outcome, StudyRecord
from nas.arch.reference import reference_file, references
from nas.blocks.registry import Blocks, load_blocks
from nas.blocks.trace import cost, normalise
from nas.cli.main import main
from nas.data.idx import FILES
from nas.data.names import load_images
from nas.errors import NasError
from nas.store.claims import claim
from nas.store.schema import create_storage
from nas.store.studies import create_study
from nas.store.trials import finish, record_epoch
from nas.study.file import StudyFile, read_study
from nas.study.rules import open_study
from nas.study.space import Draw, RandomPicker, Space, make_space
from nas.work.bundle import export_study

ROOT = Path(__file__).parents[2]


class Find(Exception):
    """What no input may bring about."""


@dataclass(frozen=True)
class World:
    """What is made once: a storage with a small study, its file, and the blocks."""

    database: bytes
    bundle: bytes
    blocks: Blocks


Seeds = Callable[[World], list[bytes]]
Change = Callable[[random.Random, bytes, list[bytes]], bytes]
Try = Callable[[bytes, Path, World], None]


@dataclass(frozen=True)
class Target:
    """One kind of input. `attempt` is given it and an empty folder; what it raises, NasError apart, is a find."""

    seeds: Seeds
    change: Change
    attempt: Try


def make_world(folder: Path) -> World:
    """A study of three trials, as if they had been trained, and the file that it is exported to."""
    url, file = f"sqlite:///{folder}/nas.db", folder / "small.nas.zip"
    blocks = load_blocks([])
    storage = create_storage(url)
    study = create_study(storage, _record(read_study(write_study(folder, trials=3, epochs=2))))
    picker = RandomPicker(random.Random(0))
    space = make_space(read_study(folder / "small.toml").space, blocks, study.input, study.classes)
    drawn = dict.fromkeys(space.draw(picker) for _ in range(40))
    for number, draw in enumerate(list(drawn)[:3]):
        claimed = claim(storage, study, "worker", _candidate(space, draw, blocks), 60.0).claim
        for epoch in (1, 2):
            record = EpochRecord(epoch, 0.3 * epoch, 1.0, 1.1, 0.25)
            record_epoch(storage, claimed.trial_id, "worker", record, b"state", 60.0)
        versions = {"nas": "0.1.0"}
        done = Outcome(COMPLETE, 0.6 + number / 10, 2, seconds=1.5, versions=versions, weights=b"w" * 50)
        finish(storage, claimed.trial_id, "worker", done)
    storage.close()
    export_study(url, "small", file, weights=True)
    raw = sqlite3.connect(folder / "nas.db")
    raw.execute("PRAGMA journal_mode = DELETE")  # SQLite takes no file in WAL mode into the memory
    raw.close()
    return World((folder / "nas.db").read_bytes(), file.read_bytes(), blocks)


def _record(file: StudyFile) -> StudyRecord:
    images = {"mean": [0.3], "std": [0.4], "class_names": [str(digit) for digit in range(10)]}
    return StudyRecord(
        name=file.name,
        dataset=file.dataset,
        dataset_hash="d" * 64,
        input=(1, 8, 8),
        classes=10,
        seed=file.seed,
        trials=file.search.trials,
        config=file.config,
        budget=file.budget.to_json(),
        blocks=file.space.blocks,
        recipe=file.recipe.to_json(),
        recipe_hash=recipe_hash(file.recipe),
        epochs=file.recipe.epochs,
        images=images,
    )


def _candidate(space: Space, draw: Draw, blocks: Blocks) -> Candidate:
    made = space.architecture(draw)
    return Candidate(
        architecture=made.to_json(),
        fingerprint=made.fingerprint,
        body=made.body,
        blocks=made.blocks,
        totals=cost(made, blocks).totals,
        draw=space.names(draw),
        params=space.names(draw),
        projected=False,
        summary="a network",
    )


def commanded(*words: str) -> int:
    """Run a command in this process; its exit code. What a user may not be shown is a find."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([*words])
    told = err.getvalue()
    if code not in (0, 1, 2, 3) or "Traceback" in told:
        raise Find(f"{words[0]}: exit code {code}: {told[-500:]}")
    if code and not told.strip():
        raise Find(f"{words[0]}: exit code {code} without a word")
    if any(not one.isprintable() for one in told.replace("\n", "")):
        raise Find(f"{words[0]}: tells what steers a terminal")
    if max(map(len, told.split("\n"))) > 5000:
        raise Find(f"{words[0]}: a line of more than 5,000 characters")
    return code


def _studies(world: World) -> list[bytes]:
    return [path.read_bytes() for path in sorted((ROOT / "studies").glob("*.toml"))]


def _study(content: bytes, folder: Path, world: World) -> None:
    (folder / "study.toml").write_bytes(content)
    open_study(folder / "study.toml", world.blocks)


def _profile(content: bytes, folder: Path, world: World) -> None:
    (folder / "study.toml").write_bytes(content.replace(b"cifar10", b"digits").replace(b"fashion-", b""))
    with contextlib.suppress(NasError):
        open_study(folder / "study.toml", world.blocks)
        commanded("profile", str(folder / "study.toml"), "--set", "dataset=digits", "-f", "json")


def _architectures(world: World) -> list[bytes]:
    return [json.dumps(reference_file(name)).encode() for name in references()]


def _architecture(content: bytes, folder: Path, world: World) -> None:
    (folder / "a.json").write_bytes(content)
    cost(normalise(read_architecture(folder / "a.json"), world.blocks), world.blocks)
    commanded("cost", str(folder / "a.json"))
    commanded("show", str(folder / "a.json"), "-f", "json")


READING = (
    ("studies",),
    ("studies", "-f", "json"),
    ("status", "small"),
    ("status", "-f", "json"),
    ("trials", "small"),
    ("trials", "small", "-f", "csv"),
    ("best",),
    ("best", "small", "--pareto", "params", "-f", "json"),
    ("best", "--block", "conv", "--max-params", "1M", "--dataset", "digits"),
    ("show", "small#0"),
    ("diff", "small#0", "small#1"),
    ("cost", "small#1", "-f", "json"),
)
"""What is asked of every storage from elsewhere."""


def _read(url: str, file: Path) -> None:
    for words in READING:
        commanded(*words, "--storage", url)
    commanded("db", "export", "small", "-o", str(file), "--storage", url)


def _bundle(content: bytes, folder: Path, world: World) -> None:
    (folder / "in.nas.zip").write_bytes(content)
    url = f"sqlite:///{folder}/nas.db"
    if commanded("db", "import", str(folder / "in.nas.zip"), "--storage", url) == 0:
        _read(url, folder / "out.nas.zip")
    elif (folder / "nas.db").exists():
        raise Find("a storage is left of what could not be imported")


def _database(content: bytes, folder: Path, world: World) -> None:
    (folder / "nas.db").write_bytes(content)
    (folder / "ours.db").write_bytes(world.database)
    url = f"sqlite:///{folder}/nas.db"
    _read(url, folder / "out.nas.zip")
    for target in ("new", "ours"):
        if commanded("db", "merge", url, f"sqlite:///{folder}/{target}.db") == 0:
            _read(f"sqlite:///{folder}/{target}.db", folder / f"{target}.nas.zip")
    commanded("db", "upgrade", "--storage", url)


def _explain(content: bytes, folder: Path, world: World) -> None:
    (folder / "nas.db").write_bytes(content)
    commanded("explain", "small", "--storage", f"sqlite:///{folder}/nas.db")


def _npz_files(world: World) -> list[bytes]:
    made = []
    for save in (np.savez, np.savez_compressed):
        for arrays in (mnist_arrays(20, 4), {"x_train": np.zeros((6, 3, 4, 4), "f4"), "y_train": np.arange(6) % 2}):
            stream = io.BytesIO()
            save(stream, **arrays)
            made.append(stream.getvalue())
    return made


def _idx_files(world: World) -> list[bytes]:
    return [gzip.compress(idx(mnist_arrays()["x_train"]))]


def _picture_files(world: World) -> list[bytes]:
    kinds = [("RGB", "PNG"), ("L", "PNG"), ("P", "PNG"), ("P", "GIF"), ("RGB", "BMP"), ("RGB", "WEBP"), ("L", "PPM")]
    return [picture(mode=mode, format=format) for mode, format in [*kinds, ("RGB", "JPEG"), ("CMYK", "JPEG")]]


def _zip_files(world: World) -> list[bytes]:
    path = Path(os.environ["TMPDIR"]) / "seed.zip"
    write_zip(path, tree())
    return [path.read_bytes()]


def _file(name: str) -> Try:
    """Images in one file."""

    def attempt(content: bytes, folder: Path, world: World) -> None:
        (folder / name).write_bytes(content)
        load_images(name, folder=folder)

    return attempt


def _idx(content: bytes, folder: Path, world: World) -> None:
    write_idx(folder / "data" / "mnist", mnist_arrays())
    (folder / "data" / "mnist" / f"{FILES['x_train']}.gz").write_bytes(content)
    _named("mnist", folder)


def _pickle(content: bytes, folder: Path, world: World) -> None:
    write_tree(folder / "data" / "cifar-10-batches-py", {**cifar_batches(), "data_batch_2": content})
    _named("cifar10", folder)


def _tar(content: bytes, folder: Path, world: World) -> None:
    write_tree(folder / "data", {"cifar-10-python.tar.gz": content})
    _named("cifar10", folder)


def _named(name: str, folder: Path) -> None:
    os.environ["NAS_DATA_DIR"] = str(folder / "data")
    load_images(name)


def _picture(content: bytes, folder: Path, world: World) -> None:
    write_tree(folder / "data", {**tree(parts=("",)), "a/1.png": content})
    load_images("data", folder=folder)


URLS = (
    *("sqlite:///nas.db", "sqlite:///nas.db?timeout=5", "sqlite:///file:nas.db?uri=true&mode=ro", "sqlite:///./nas.db"),
    *("sqlite+pysqlite:///nas.db?check_same_thread=false&cached_statements=10", "sqlite:///nas.db?isolation_level=x"),
    *("sqlite:///nas.db?detect_types=3&database=x", "sqlite:///file:none.db?uri=true", "sqlite:///a/../nas.db#x"),
    *(
        "postgresql://user:secret@127.0.0.1:1/nas",
        "postgresql+psycopg://u@127.0.0.1:1/nas?connect_timeout=1&sslmode=no",
    ),
    *("postgresql://u:p@127.0.0.1:1/nas?options=-csearch_path=x", "mysql://u:secret@h/d", "sqlite://"),
)
"""No server is reached by them."""


def _url(content: bytes, folder: Path, world: World) -> None:
    text = content.decode("utf-8", "replace").replace("\x00", "")
    if "post" in text and ("127.0.0.1:1/" not in text or "host" in text):
        return  # whoever that is, it is none of ours
    (folder / "nas.db").write_bytes(world.database)
    there = os.getcwd()
    os.chdir(folder)
    try:
        commanded("best", f"--storage={text}")
        commanded("db", "upgrade", f"--storage={text}")
    finally:
        os.chdir(there)
    left = {path.name for path in folder.iterdir()} - {"nas.db", "nas.db-wal", "nas.db-shm"}
    if left:
        raise Find(f"a storage that was not there is made by reading it: {sorted(left)}")


TARGETS = {
    "study": Target(_studies, changed_lines, _study),
    "study-bytes": Target(_studies, changed_bytes, _study),
    "profile": Target(_studies, changed_lines, _profile),
    "architecture": Target(_architectures, changed_json, _architecture),
    "bundle": Target(lambda world: [world.bundle], changed_bundle, _bundle),
    "database": Target(lambda world: [world.database], changed_database, _database),
    "explain": Target(lambda world: [world.database], changed_database, _explain),
    "url": Target(lambda world: [url.encode() for url in URLS], changed_text, _url),
    "npz": Target(_npz_files, changed_zip, _file("x.npz")),
    "zip": Target(_zip_files, changed_zip, _file("x.zip")),
    "idx": Target(_idx_files, changed_gzip, _idx),
    "pickle": Target(lambda world: list(cifar_batches().values()), changed_bytes, _pickle),
    "tar": Target(lambda world: [tar_of(cifar_batches())], changed_tar, _tar),
    "picture": Target(_picture_files, changed_picture, _picture),
}


def attempted(target: Target, content: bytes, folder: Path, world: World) -> None:
    """Try one input in a folder that is made, and gone afterwards; NasErrors are as they should be."""
    folder.mkdir()
    try:
        target.attempt(content, folder, world)
    except NasError as error:
        if not all(line.strip() for line in error.lines):
            raise Find(f"a mistake without a word: {error.lines[:5]!r}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
