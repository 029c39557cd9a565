"""Fuzzing of what strangers hand in: valid files of every kind, changed at random, tried by the project's own code.

    python tests/fuzz/fuzz.py --minutes 60
    python tests/fuzz/fuzz.py --target bundle --minutes 5 --seed 7
    python tests/fuzz/fuzz.py --target bundle --replay finds/bundle-3f2a.input
    python tests/fuzz/fuzz.py --target pickle --guided --minutes 5

A find is an exception that is no NasError, a traceback or a terminal's control character shown to a user, a process
that dies, more than 10 s of CPU time or 1 GiB of memory for one input, a file written outside the input's own folder, a
program started. Each goes to `--finds` with its traceback, those of one place once. An input follows from target,
seed and number alone. `--guided` has Atheris, where it is installed, choose the changes by the lines that they reach.
"""

import argparse
import hashlib
import os
import random
import resource
import signal
import struct
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS / name) for name in ("fuzz", "data", "work")]

from fuzz_targets import TARGETS, Find, Target, World, attempted, make_world  # noqa: E402

CPU_SECONDS = 10.0
LOADING_SECONDS = 30.0
"""The first input of a process also pays for what is loaded."""

POLLS = 480
"""A process that computes nothing is given up after so many looks at it, a quarter of a second apart."""

MEMORY_BYTES = 2**30
TOO_MUCH = 77
"""The exit code of a process that took too much memory."""

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
NEVER = ("os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "pickle.find_class", "ctypes.dlopen")
CHANGING = ("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.symlink", "os.link", "os.chmod")


@dataclass(frozen=True)
class Finds:
    """What was found, by where it happened; each is written into the folder once."""

    folder: Path

    def add(self, name: str, content: bytes, place: str, told: str) -> None:
        """Keep an input and what became of it."""
        key = f"{name}: {place}"
        stem = f"{name}-{hashlib.sha256(key.encode()).hexdigest()[:8]}"
        if (self.folder / f"{stem}.txt").exists():
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / f"{stem}.input").write_bytes(content)
        (self.folder / f"{stem}.txt").write_text(f"{key}\n{told}\n", errors="replace")
        print(f"FIND {key}  ({stem})", flush=True)


def made(name: str, seeds: Sequence[bytes], seed: int, number: int) -> bytes:
    """The input of that number."""
    rng = random.Random(f"{name} {seed} {number}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return TARGETS[name].change(rng, rng.choice(seeds), list(seeds))


def watched(allowed: Path) -> list[str]:
    """Have this process note what it writes or starts outside a folder; the list it is noted in."""
    noted: list[str] = []
    inside = os.path.realpath(allowed)

    def outside(path: object) -> bool:
        if not isinstance(path, str | bytes | os.PathLike):
            return False
        real = os.path.realpath(os.fsdecode(path))
        return not (real == inside or real.startswith(f"{inside}/") or real in ("/dev/null", "/dev/shm"))

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event in NEVER and arguments[0] is not None:
            noted.append(f"{event} {arguments[0]!r:.200}")
        elif event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING and outside(arguments[0]):
            noted.append(f"open {arguments[0]!r:.200}")
        elif event in CHANGING and arguments[-1] == -1:  # else it is told by a folder that is open already
            paths = [one for one in arguments if isinstance(one, str | bytes | os.PathLike)]
            noted.extend(f"{event} {one!r:.200}" for one in paths[event in ("os.symlink", "os.link") :] if outside(one))

    sys.addaudithook(hook)
    return noted


def place_of(error: BaseException) -> str:
    """Which error, and the last line of ours that it came through."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "/nas/" in frame.filename]
    where = f"{frames[-1].filename.split('/nas/')[-1]}:{frames[-1].name}" if frames else "?"
    return f"{type(error).__name__} in {where}" + (f" {error}"[:80] if isinstance(error, Find) else "")


def tried(name: str, content: bytes, folder: Path, world: World, noted: list[str], finds: Finds) -> None:
    """One input; what it does that it may not do goes to the finds."""
    noted.clear()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            attempted(TARGETS[name], content, folder, world)
        outside = list(noted)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        outside = list(noted)
        finds.add(name, content, place_of(error), traceback.format_exc()[-6000:])
    for line in outside[:1]:
        finds.add(name, content, f"outside: {line.split()[0]}", "\n".join(outside[:20]))


def work(name: str, seeds: Sequence[bytes], seed: int, first: int, world: World, mark: int, finds: Finds) -> None:
    """Try inputs from a number on, until stopped; the number of each is written to `mark`, and that before finds."""
    temporary = Path(tempfile.gettempdir())
    noted = watched(temporary)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    resource.setrlimit(resource.RLIMIT_AS, (8 * MEMORY_BYTES, 8 * MEMORY_BYTES))
    number, parent = first, os.getppid()
    while os.getppid() == parent:
        os.pwrite(mark, struct.pack("q", number), 0)
        tried(name, made(name, seeds, seed, number), temporary / f"{os.getpid()}-{number}", world, noted, finds)
        if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before > MEMORY_BYTES:
            os._exit(TOO_MUCH)
        number += 1


def fuzz(name: str, seeds: Sequence[bytes], seed: int, seconds: float, world: World, finds: Finds, most: int) -> int:
    """Try inputs for so long, in processes that may die; how many were tried."""
    until, first = time.monotonic() + seconds, 0
    with tempfile.TemporaryFile() as file:
        while time.monotonic() < until and first < most:
            os.pwrite(file.fileno(), struct.pack("q", first), 0)
            pid = os.fork()
            if pid == 0:
                try:
                    work(name, seeds, seed, first, world, file.fileno(), finds)
                finally:
                    os._exit(1)
            why = _stood_by(pid, file.fileno(), until, most)
            number = struct.unpack("q", os.pread(file.fileno(), 8, 0))[0]
            if why:
                finds.add(name, made(name, seeds, seed, number), why, f"seed {seed}, number {number}")
            first = number + 1
    return first


def _stood_by(pid: int, mark: int, until: float, most: int) -> str:
    """Wait for a process; why its last input ended it, "" where it did not."""
    first, at, cpu, polls = -1, -1, 0.0, 0
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(status)
            return "takes more than 1 GiB" if code == TOO_MUCH else f"ends the process: {code}"
        number = struct.unpack("q", os.pread(mark, 8, 0))[0]
        first = number if first < 0 else first
        if number != at:
            at, cpu, polls = number, _cpu_seconds(pid), 0
        most_seconds = CPU_SECONDS + (LOADING_SECONDS if number == first else 0.0)
        hangs = _cpu_seconds(pid) - cpu > most_seconds or polls > POLLS
        if hangs or time.monotonic() > until or number >= most:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return "takes more than 10 s" if hangs else ""
        polls += 1
        time.sleep(0.25)


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def guided(target: Target, seeds: Sequence[bytes], seed: int, seconds: float, world: World, folder: Path) -> None:
    """Have Atheris choose inputs by the lines that they reach; it ends the process, at the first find."""
    import atheris  # noqa: PLC0415

    corpus = folder / "corpus"
    corpus.mkdir()
    for place, content in enumerate(seeds):
        (corpus / str(place)).write_bytes(content)
    atheris.instrument_all()

    def one(content: bytes) -> None:
        attempted(target, content, folder / "one", world)

    limits = [f"-max_total_time={int(seconds)}", "-timeout=10", "-rss_limit_mb=3000", f"-seed={seed + 1}"]
    largest = 2 * max(map(len, seeds))
    atheris.Setup([sys.argv[0], *limits, f"-max_len={largest}", "-print_final_stats=1", str(corpus)], one)
    atheris.Fuzz()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", choices=[*TARGETS, "all"], default="all")
    parser.add_argument("--minutes", type=float, default=5.0, help="in all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--most", type=int, default=2**62, help="inputs a target")
    parser.add_argument("--finds", type=Path, default=Path("finds"))
    parser.add_argument("--replay", type=Path, help="try one input, and show what it raises")
    parser.add_argument("--guided", action="store_true")
    given = parser.parse_args()
    names = list(TARGETS) if given.target == "all" else [given.target]
    finds = Finds(given.finds.absolute())
    with tempfile.TemporaryDirectory(prefix="nas-fuzz-") as made_folder:
        folder = Path(made_folder)
        os.environ["TMPDIR"] = tempfile.tempdir = made_folder
        # torch makes a folder of its own when it is asked for an optimizer, wherever the environment has it.
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(folder / "torch")
        sys.dont_write_bytecode = True
        (folder / "world").mkdir()
        world = make_world(folder / "world")
        for name in names:
            seeds = TARGETS[name].seeds(world)
            if given.replay:
                attempted(TARGETS[name], given.replay.read_bytes(), folder / "one", world)
                continue
            if given.guided:
                guided(TARGETS[name], seeds, given.seed, given.minutes * 60 / len(names), world, folder)
            share = given.minutes * 60 / len(names)
            before, began = _children_seconds(), time.monotonic()
            count = fuzz(name, seeds, given.seed, share, world, finds, given.most)
            took, cpu = time.monotonic() - began, _children_seconds() - before
            print(f"{name}: {count:,} inputs in {took:.0f} s, {cpu:.0f} s of CPU time", flush=True)
    kept = list(finds.folder.glob("*.input")) if finds.folder.is_dir() else []
    print(f"{len(kept)} finds in {finds.folder}" if kept else "no find")
    return 1 if kept else 0


if __name__ == "__main__":
    sys.exit(main())
