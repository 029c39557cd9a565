"""A few inputs of each kind, the same each time: the fuzzer works, and finds nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

FUZZ = Path(__file__).with_name("fuzz.py")


@pytest.mark.slow
@pytest.mark.parametrize(
    "target", ["study", "architecture", "bundle", "database", "npz", "zip", "idx", "pickle", "url"]
)
def test_few_inputs_of_a_kind_bring_nothing_about(tmp_path, target):
    words = ["--target", target, "--minutes", "4", "--most", "8", "--finds", tmp_path / "finds"]
    done = subprocess.run([sys.executable, FUZZ, *words], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no find" in done.stdout


@pytest.mark.slow
def test_find_is_kept_and_told(tmp_path):
    broken = tmp_path / "broken.py"
    broken.write_text(
        f"import sys; sys.path.insert(0, {str(FUZZ.parent)!r})\n"
        "import fuzz, fuzz_targets\n"
        "def fails(content, folder, world): raise ValueError(len(content))\n"
        "fuzz.TARGETS['study'] = fuzz_targets.Target(lambda world: [b'x'], lambda rng, one, all: one, fails)\n"
        "sys.exit(fuzz.main())\n"
    )
    words = ["--target", "study", "--minutes", "1", "--most", "1", "--finds", tmp_path / "finds"]
    done = subprocess.run([sys.executable, broken, *words], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    (kept,) = (tmp_path / "finds").glob("*.input")
    assert kept.read_bytes() == b"x"
    assert "ValueError: 1" in kept.with_suffix(".txt").read_text()
