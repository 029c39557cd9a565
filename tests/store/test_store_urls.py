"""What stands in a storage's URL: what is allowed, and that its password is shown nowhere."""

import os
import subprocess
import sys

import pytest
from databases import only_postgresql
from postgres import PASSWORD

from nas.errors import StorageError
from nas.store.engine import open_storage
from nas.store.schema import create_storage
from nas.store.studies import list_studies
from nas.store.urls import parse_url, shown


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
@only_postgresql
def test_every_spelling_of_postgresql_opens(url, scheme):
    storage = create_storage(url.replace("postgresql", scheme, 1))
    assert list_studies(storage) == []
    assert PASSWORD not in f"{storage!r}{storage.shown}"
    storage.close()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgresql://ada:se@cret@host/nas", "more than one @; one in a user's name or password is written %40"),
        ("postgresql+psycopg2://ada:secret@host/nas", r"ada:\*\*\*@host/nas: allowed is psycopg 3 alone"),
        ("postgresql://ada:secret@host:port/nas", "the storage's URL cannot be read"),
    ],
)
def test_url_that_means_nothing_is_refused_without_its_password(url, message):
    with pytest.raises(StorageError, match=message) as caught:
        parse_url(url)
    assert "cret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_passwords_among_the_parameters_are_not_shown_either():
    url = parse_url("postgresql://host/nas?password=secret&sslpassword=secret&user=ada")
    assert shown(url) == "postgresql://host/nas?password=***&sslpassword=***&user=ada"


@pytest.mark.parametrize("given", ["file:none.db", "file:none.db?uri=true", "file:./none.db?uri=1&mode=rwc"])
def test_reading_makes_no_file_however_it_is_spelt(tmp_path, monkeypatch, given):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StorageError, match="no such database"):
        open_storage(f"sqlite:///{given}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("given", ["file:x?uri=true&mode=memory", "file::memory:?uri=true", ":memory:", ""])
def test_database_in_memory_is_refused_however_it_is_spelt(given):
    with pytest.raises(StorageError, match="cannot share a database in memory"):
        parse_url(f"sqlite:///{given}")


PARAMETERS = (
    *("timeout=abc", "uri=perhaps", "cached_statements=1.5", "detect_types=secret"),
    *(f"detect_types={10**20}", f"cached_statements={10**20}"),
)


@pytest.mark.parametrize("parameter", PARAMETERS)
def test_parameter_of_no_such_value_is_one_line_that_names_it(tmp_path, parameter):
    with pytest.raises(StorageError, match=rf"takes no such values of parameters \({parameter.partition('=')[0]}\)"):
        create_storage(f"sqlite:///{tmp_path}/nas.db?{parameter}")


def test_host_whose_name_is_none_is_one_line():
    with pytest.raises(StorageError, match=r"@x\.\.y/nas: its host's name cannot be looked up"):
        open_storage("postgresql://ada@x..y/nas")


def test_missing_driver_is_one_line_with_what_to_install(tmp_path):
    (tmp_path / "psycopg.py").write_text("raise ImportError('no psycopg')\n")
    program = "from nas.store.engine import open_storage; open_storage('postgresql://ada:secret@host/nas')"
    path = os.pathsep.join([str(tmp_path), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}
    )
    assert done.stderr.splitlines()[-1] == (
        "nas.errors.StorageError: postgresql://ada:***@host/nas: its driver is not installed; "
        "pip install 'nas[postgres]'"
    )
    assert "secret@" not in done.stderr.replace(program, "")


@only_postgresql
def test_database_that_is_not_there_says_how_to_make_it(url, postgres_server):
    with pytest.raises(StorageError, match=r'"absent" does not exist; `createdb absent` makes it') as caught:
        open_storage(postgres_server.url("absent"))
    assert len(caught.value.lines) == 1
    assert PASSWORD not in str(caught.value)


def test_wrong_password_is_told_at_once_and_not_shown(postgres_server):
    postgres_server.command("DROP ROLE IF EXISTS locked")
    postgres_server.command("CREATE ROLE locked LOGIN PASSWORD 'another'")
    with pytest.raises(StorageError, match="password authentication failed for user") as caught:
        open_storage(postgres_server.url("postgres", user="locked"))
    assert PASSWORD not in str(caught.value)


@only_postgresql
def test_role_that_may_not_make_tables_is_told(url, postgres_server):
    postgres_server.command("DROP ROLE IF EXISTS guest")
    postgres_server.command("CREATE ROLE guest LOGIN")
    with pytest.raises(StorageError, match="permission denied for schema public"):
        create_storage(url.replace("postgres:", "guest:", 1))


def test_server_that_is_away_is_told_at_once(postgres_server):
    with pytest.raises(StorageError, match="Connection refused"):
        open_storage(postgres_server.url("nas").replace(str(postgres_server.port), "1"))
