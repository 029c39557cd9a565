"""Studies moved by URL and by file: a real study there and back, and files that a stranger made."""

import json
import stat
import subprocess
import zipfile

import psutil
import pytest
from databases import KINDS, slow_on_postgresql
from work_worlds import NAS, look, wait_for, workers_of, write_study

from nas.arch.record import RUNNING
from nas.cli.main import main
from nas.errors import BundleError, NasError, StorageError
from nas.search.mirror import Mirror
from nas.store.engine import open_storage
from nas.store.ranking import best
from nas.store.studies import find_study
from nas.store.trials import history, trial_epochs
from nas.store.weights import get_weights
from nas.work import bundle
from nas.work.bundle import export_study, import_study
from nas.work.jobs import run_study
from nas.work.moving import merge_storages

EPOCHS = 16

LONG = 250
"""Seconds for what takes ten on an idle machine."""


@pytest.fixture(scope="module")
def trained(new_url, tmp_path_factory):
    """A storage with a small study, trained for real."""
    folder, url = tmp_path_factory.mktemp("moving"), new_url()
    run_study(write_study(folder, trials=2, epochs=1), storage=url, workers=0)
    return url


@pytest.fixture(scope="module")
def packed(trained, tmp_path_factory):
    return export_study(trained, "small", tmp_path_factory.mktemp("packed") / "small.nas.zip", weights=True)


def told(url, name="small"):
    storage = open_storage(url)
    try:
        record = find_study(storage, name)
        trials = [
            (one.number, one.fingerprint, one.accuracy, one.seconds, one.draw, one.versions, one.started)
            for one in history(storage, record.id)
        ]
        kept = [(trial_epochs(storage, one.id), get_weights(storage, one.id)) for one in history(storage, record.id)]
        return dict(record.config), record.images, record.budget, trials, kept
    finally:
        storage.close()


def test_study_comes_back_from_a_file_as_it_was(trained, packed, url):
    (merged,) = import_study(packed, url)
    assert (merged.study, merged.new, merged.added, merged.known) == ("small", True, 2, 0)
    assert told(url) == told(trained)
    assert import_study(packed, url)[0].known == 2
    assert told(url) == told(trained)


def test_imported_study_goes_on(packed, url, tmp_path):
    import_study(packed, url)
    run_study(write_study(tmp_path, trials=3, epochs=1), storage=url, workers=0)
    storage = open_storage(url)
    assert [one.number for one in history(storage, 1)] == [0, 1, 2]
    assert len(best(storage)) == 3
    storage.close()


def test_weights_are_left_out_unless_asked_for(trained, tmp_path, url):
    file = export_study(trained, "small", tmp_path / "bare.nas.zip")
    assert zipfile.ZipFile(file).namelist() == ["nas.json"]
    import_study(file, url)
    assert [one[-1] for one in told(url)[-1]] == [None, None]


def test_file_that_is_there_is_not_written_over(trained, packed):
    before = packed.read_bytes()
    with pytest.raises(BundleError, match="is there already; choose another name"):
        export_study(trained, "small", packed)
    assert packed.read_bytes() == before
    assert [path.name for path in packed.parent.iterdir()] == ["small.nas.zip"]


def test_storage_is_moved_by_its_url_and_read_as_before(trained, url):
    merge_storages(trained, url)
    assert told(url) == told(trained)
    storage = open_storage(url)
    mirror = Mirror(storage, find_study(storage, "small"), None)
    mirror.close()
    storage.close()


@pytest.mark.parametrize("older", ["source", "target"])
def test_other_schema_is_refused_and_not_upgraded(trained, url, new_place, older):
    merge_storages(trained, url)
    storage, new = open_storage(url), new_place()
    with storage.write() as connection:
        connection.exec_driver_sql("UPDATE nas_alembic_version SET version_num = '0002'")
    storage.close()
    pair = (url, new.url) if older == "source" else (trained, url)
    with pytest.raises(StorageError, match=r"schema 0002 is older than .*; run `nas db upgrade`") as caught:
        merge_storages(*pair)
    assert len(caught.value.lines) == 1
    assert new.untouched()


def test_storage_that_could_not_be_filled_is_not_left(trained, a_database):
    with pytest.raises(StorageError, match="no study 'none'"):
        merge_storages(trained, a_database.url, {"none": "x"})
    assert a_database.untouched()


def test_commands_move_a_study(trained, packed, url, tmp_path, capsys):
    file = str(tmp_path / "again.nas.zip")
    assert main(["db", "merge", trained, url, "-f", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == [{"study": "small", "new": True, "added": 2, "known": 0}]
    assert main(["db", "export", "small", "-o", file, "--storage", url]) == 0
    assert capsys.readouterr().out == f"{file}\n"
    assert main(["db", "import", file, "--rename", "small=copy", "--storage", url, "-f", "json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["study"] == "copy"
    assert main(["db", "import", file, "--rename", "small", "--storage", url]) == 2
    assert main(["db", "import", file, "--rename", "small=../x", "--storage", url]) == 1


def told_epochs(url):
    """Of each trial its network and epochs, by number."""
    storage = open_storage(url)
    try:
        return {one.number: (one.fingerprint, trial_epochs(storage, one.id)) for one in history(storage, 1)}
    finally:
        storage.close()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_search_killed_in_the_middle_goes_on_in_a_database_of_the_other_kind(url, database, new_url, study_file, start):
    there = new_url(*set(KINDS) - {database})
    begun = start(study_file(trials=4, epochs=EPOCHS), "--workers", 2)
    wait_for(lambda: look(url) and look(url).trials["complete"] and 2 <= under_way(url) < EPOCHS - 4, LONG)
    family = workers_of(begun)
    begun.kill()
    psutil.wait_procs(family, 30)
    with pytest.raises(StorageError, match="study 'small' is being run; stop its workers first"):
        merge_storages(url, there)  # so it seems, until the leases of the killed are over
    assert main(["pause", "small", "--storage", url]) == 0
    wait_for(lambda: main(["db", "merge", url, there]) == 0, 120, every=2.0)
    kept = told_epochs(url)
    assert told_epochs(there) == kept
    assert look(there).trials["complete"] == look(url).trials["complete"] >= 1
    for words in (["resume", "small"], ["worker", "--study", "small", "--concurrency", "2"]):
        assert subprocess.run([NAS, *words, "--storage", there], timeout=LONG).returncode == 0
    found, now = look(there), told_epochs(there)
    assert (found.state, found.trials["complete"], found.trained_twice, len(now)) == ("complete", 4, 0, 4)
    for number, (network, epochs) in now.items():
        assert [one.epoch for one in epochs] == list(range(1, EPOCHS + 1))
        if number in kept:
            assert (network, epochs[: len(kept[number][1])]) == kept[number]
    (again,) = merge_storages(url, there)
    assert (again.added, again.known) == (0, len(kept))
    assert told_epochs(there) == now


def under_way(url):
    """The most epochs of a trial that is under way."""
    storage = open_storage(url)
    try:
        return max(
            (len(trial_epochs(storage, one.id)) for one in history(storage, 1) if one.state == RUNNING), default=0
        )
    finally:
        storage.close()


def rewritten(packed, path, change=None, extra=None):
    """The file with its description changed, and with members added: (ZipInfo or name, content)."""
    with zipfile.ZipFile(packed) as whole, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        data = json.loads(whole.read("nas.json"))
        if change is not None:
            changed = change(data)
            data = data if changed is None else changed
        made.writestr("nas.json", data if isinstance(data, bytes) else json.dumps(data))
        for name, content in extra or []:
            made.writestr(name, content)
    return path


def link():
    info = zipfile.ZipInfo("weights")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


EXTRAS = {
    "climbs": ("../sprung", b"x"),
    "absolute": ("/tmp/sprung", b"x"),
    "windows": ("..\\sprung", b"x"),
    "inside": ("weights/../../sprung", b"x"),
    "link": (link(), b"/etc"),
    "module": ("nas.py", b"raise SystemExit"),
    "twice": ("nas.json", b"{}"),
    "strange number": ("weights/007.safetensors", b""),
    "no such trial": ("weights/77.safetensors", b""),
    "bomb": ("weights/0.safetensors", bytes(70 * 2**20)),
}


@pytest.mark.parametrize("case", EXTRAS)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_file_with_more_than_a_study_is_refused_and_nothing_is_written(packed, tmp_path, url, a_database, case):
    file = rewritten(packed, tmp_path / "odd.nas.zip", extra=[EXTRAS[case]])
    with pytest.raises(BundleError) as caught:
        import_study(file, url)
    assert len(caught.value.lines) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["odd.nas.zip"]
    assert a_database.untouched()


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_weights_that_are_there_twice_are_refused(packed, tmp_path, url):
    name = "weights/0.safetensors"
    file = rewritten(packed, tmp_path / "odd.nas.zip", extra=[(name, b"one"), (name, b"other")])
    with pytest.raises(BundleError, match=f"holds '{name}' twice"):
        import_study(file, url)


def put(*place_and_value):
    """A change of the description: the value put in its place."""
    *place, last, value = place_and_value

    def change(data):
        inner = data
        for step in place:
            inner = inner[step]
        if value is KeyError:
            del inner[last]
        else:
            inner[last] = value

    return change


CHANGES = {
    "format": put("format", 2),
    "schema": put("schema", "0001"),
    "no study": put("study", KeyError),
    "study a list": put("study", []),
    "name": put("study", "name", "x'; DROP TABLE nas_study; --"),
    "config name": put("study", "config", "name", "../x"),
    "config path": put("study", "config", "plugins", ["/tmp"]),
    "input": put("study", "input", [1, 8]),
    "seed": put("study", "seed", 10**30),
    "images": put("study", "images", "x"),
    "nul": put("study", "dataset", "a\x00b"),
    "trials": put("trials", 7),
    "trial twice": lambda data: data["trials"].append(data["trials"][0]),
    "state": put("trials", 0, "accuracy", None),
    "params": put("trials", 0, "params", "1 OR 1=1"),
    "flag": put("trials", 0, "reused", 1),
    "column missing": put("trials", 0, "macs", KeyError),
    "no network": put("trials", 0, "fingerprint", "0" * 32),
    "epochs": put("trials", 0, "epoch_records", [[]]),
    "network": put("architectures", 0, "spec", "parts", 0, "width", 64),
    "absurd": put("architectures", 0, "spec", "parts", 0, "width", 10**9),
    "deep": lambda data: b"[" * 10**6,
    "nan": lambda data: b'{"format": NaN}',
    "infinite": put("trials", 0, "seconds", float("inf")),
    "empty": lambda data: b"",
    "not utf-8": lambda data: b"\xff\xfe",
    "digits": lambda data: b'{"format": ' + b"1" * 10**5 + b"}",
}


@slow_on_postgresql
@pytest.mark.parametrize("case", CHANGES)
def test_description_that_is_none_is_refused_in_one_line(packed, tmp_path, url, a_database, case):
    file = rewritten(packed, tmp_path / "odd.nas.zip", CHANGES[case])
    with pytest.raises(NasError) as caught:
        import_study(file, url)
    assert len(caught.value.lines) == 1
    assert str(file) in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["odd.nas.zip"]
    assert a_database.untouched()


@pytest.mark.parametrize(
    "damage", [lambda c: b"", lambda c: c[:-30], lambda c: c[:200] + bytes(50) + c[250:], lambda c: b"x"]
)
def test_damaged_file_is_refused(packed, tmp_path, url, damage):
    file = tmp_path / "odd.nas.zip"
    file.write_bytes(damage(packed.read_bytes()))
    with pytest.raises(BundleError):
        import_study(file, url)


def test_description_too_large_is_refused_unread(packed, tmp_path, url, monkeypatch):
    monkeypatch.setattr(bundle, "LARGEST_DESCRIPTION", 100)
    with pytest.raises(BundleError, match=r"nas\.json declares .* bytes; up to 100 are allowed"):
        import_study(packed, url)
