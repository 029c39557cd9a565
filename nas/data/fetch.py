"""Bringing the data sets known by name onto this machine: downloads, each checked by its SHA-256.

The checksums are those of the files as their authors published them.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pooch

from nas.data.images import first_line
from nas.data.places import DIGITS, cache_folder
from nas.errors import DataError, nearest

TIMEOUT_SECONDS = 30
"""How long a server may stay silent."""

pooch.get_logger().setLevel("WARNING")  # what is being downloaded is told through `say`


@dataclass(frozen=True)
class Source:
    """The files of a data set with their SHA-256, the folder that they belong in, and where to get them, best first."""

    folder: str
    files: Mapping[str, str]
    urls: tuple[str, ...]


SOURCES = {
    "mnist": Source(
        "mnist",
        {
            "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        },
        (
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
    ),
    "fashion-mnist": Source(
        "fashion-mnist",
        {
            "train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            "train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        },
        (
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        ),
    ),
    "cifar10": Source(
        "",
        {"cifar-10-python.tar.gz": "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"},
        (
            "https://www.cs.toronto.edu/~kriz/",
            "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        ),
    ),
}
"""What can be fetched."""


def fetch(
    name: str,
    *,
    folder: Path | None = None,
    sources: Mapping[str, Source] = SOURCES,
    say: Callable[[str], None] = lambda line: None,
) -> Path:
    """Bring a data set into `folder` (None: the user's cache) and return where it lies; what is there stays.

    Files get to their place only when all are whole. `say` is told, a line each, what is being downloaded.

    Raises:
        DataError: unknown, not to be had, damaged on every server, or no room; nothing half-made is left.
    """
    if name == DIGITS:
        raise DataError(f"{name!r} needs no fetching: it is part of scikit-learn")
    if name not in sources:
        raise DataError(f"{name!r} cannot be fetched{nearest(name, sources)}; allowed: {', '.join(sources)}")
    source, folder = sources[name], folder or cache_folder()
    target = folder / source.folder
    try:
        wanted = [file for file, sha256 in source.files.items() if not whole(target / file, sha256)]
        if wanted:
            bring(source, wanted, target, say)
    except OSError as error:
        raise DataError(f"{name!r} cannot be put into {target}: {error.strerror or first_line(error)}") from error
    except DataError as error:
        raise DataError(f"{name!r} could not be fetched: {error}") from error.__cause__
    return target if source.folder else target / next(iter(source.files))


def whole(path: Path, sha256: str) -> bool:
    """Whether a file is there and has that checksum."""
    return path.is_file() and pooch.file_hash(str(path), alg="sha256") == sha256


def bring(source: Source, files: Sequence[str], target: Path, say: Callable[[str], None]) -> None:
    """Download files beside their place, and move them there when all have come."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=target.parent) as beside:
        for file in files:
            download(source, file, Path(beside), say)
        target.mkdir(exist_ok=True)
        for file in files:
            os.replace(Path(beside, file), target / file)


def download(source: Source, file: str, folder: Path, say: Callable[[str], None]) -> None:
    """One file into a folder, from the first server that has it whole; OSError where it cannot be written."""
    reasons = []
    for url in source.urls:
        say(f"downloading {url}{file}")
        try:
            retrieve(f"{url}{file}", source.files[file], folder / file)
            return
        except Exception as error:  # requests and urllib3 raise many kinds, pooch ValueError for a wrong checksum
            if local(error):
                raise
            reasons.append(f"{urlsplit(url).netloc}: {reason(error)}")
    raise DataError(f"{file} from {', '.join(reasons)}")


def retrieve(url: str, sha256: str, path: Path) -> None:
    """Download to a path, which is not there until the content has its checksum."""
    # Not "gzip": a server that packs a packed file once more would have it unpacked on the way, and the checksum wrong.
    plain = pooch.HTTPDownloader(timeout=TIMEOUT_SECONDS, headers={"Accept-Encoding": "identity"})
    pooch.retrieve(url, known_hash=f"sha256:{sha256}", fname=path.name, path=path.parent, downloader=plain)


def local(error: Exception) -> bool:
    """Whether an error is of this machine, as a full disk, so that another server would not help."""
    return isinstance(error, OSError) and error.errno is not None and not isinstance(error, ConnectionError)


def reason(error: BaseException) -> str:
    """Why a download failed, in a few words: the innermost of the errors that led to one another."""
    if isinstance(error, ValueError) and not isinstance(error, OSError):
        return "what came has another SHA-256 than was published"
    while error.__context__ is not None:
        error = error.__context__
    return f"{type(error).__name__}: {first_line(error)}"
