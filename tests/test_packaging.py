"""The wheel, installed far from the checkout."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BUILT_IN = {"conv", "stacked", "bottleneck", "grouped", "separable", "inception", "spatial"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", folder, ROOT], check=True, capture_output=True
    )
    [built] = folder.glob("*.whl")
    return built


@pytest.mark.slow
def test_wheel_carries_types_migrations_and_templates(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"nas/py.typed", "nas_plugins/py.typed", "nas/store/migrations/env.py"} <= names
    assert any(name.startswith("nas/cli/templates/") for name in names)
    assert any(name.startswith("nas/store/migrations/versions/v0001") for name in names)
    assert "nas/arch/references/vgg16.json" in names
    assert not any(name.startswith(("tests/", "benchmarks/")) for name in names)


@pytest.mark.slow
def test_wheel_installed_elsewhere_lists_all_blocks_and_runs(wheel, tmp_path):
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("NAS_", "COVERAGE", "PYTHON"))}
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", "--no-deps", wheel], check=True, cwd=tmp_path, env=plain)
    site = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], capture_output=True, text=True
    ).stdout.strip()
    # What it needs comes from this environment; a folder named in a .pth has its own .pth files left unread, so the
    # checkout that is installed here for editing stays out of sight.
    Path(site, "needs.pth").write_text(sysconfig.get_path("purelib") + "\n")
    nas = tmp_path / "venv" / "bin" / "nas"

    def run(*words):
        return subprocess.run([nas, *words], check=True, capture_output=True, text=True, cwd=tmp_path, env=plain).stdout

    listed = json.loads(run("blocks", "-f", "json"))
    assert {row["name"] for row in listed} == BUILT_IN
    [plugin] = json.loads(run("plugins", "-f", "json"))
    assert (plugin["name"], plugin["error"]) == ("nas", None)
    study = tmp_path / "tiny.toml"
    study.write_text(
        'name = "tiny"\ndataset = "digits"\n[space]\nblocks = ["conv"]\nkernels = [3]\nwidths = [8]\nstages = [1]\n'
        "depths = [1]\n[search]\ntrials = 1\n[train]\nepochs = 1\n"
    )
    assert len(json.loads(run("run", str(study), "--workers", "1", "-f", "json"))) == 1
