"""A fresh database for a test, of either kind: SQLite, or a PostgreSQL server started for the tests.

`url` is one without tables, `storage` is open on one of the newest schema; both are the same one in one test. What a
test or a whole file of tests needs besides, `new_url` makes. A folder of tests, or a test, says by `database` on which
kinds it is run.

Properties are tried on a third of their examples, on all of them with `--hypothesis-profile=long`.
"""

import signal

import pytest
from databases import PostgresPlace, SqlitePlace
from hypothesis import settings
from postgres import Server, why_absent

from nas.store.engine import open_storage
from nas.store.schema import create_storage

# What a shell starts in the background is deaf to Ctrl-C, and so would be all that the tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("long", max_examples=100)
settings.register_profile("short", max_examples=34)
settings.load_profile("short")


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory):
    reason = why_absent()
    if reason is not None:
        pytest.skip(reason)
    server = Server(tmp_path_factory.mktemp("postgresql"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def postgres_template(postgres_server):
    """A database of the newest schema, to be copied: migrating takes longer than most tests."""
    name = postgres_server.create()
    create_storage(postgres_server.url(name)).close()
    return name


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory):
    """A file of the newest schema, to be copied."""
    file = tmp_path_factory.mktemp("store") / "empty.db"
    create_storage(f"sqlite:///{file}").close()
    return file


@pytest.fixture(scope="module")
def database(request):
    """The kind of database."""
    return getattr(request, "param", "sqlite")


def place_of(request, kind, folder):
    """A database of a kind that is not there yet."""
    if kind == "sqlite":
        return SqlitePlace(folder / "nas.db", request.getfixturevalue("sqlite_template"))
    server = request.getfixturevalue("postgres_server")
    return PostgresPlace(server, request.getfixturevalue("postgres_template"))


@pytest.fixture
def a_database(request, database, tmp_path):
    made = place_of(request, database, tmp_path)
    yield made
    made.drop()


@pytest.fixture(scope="module")
def new_place(request, database, tmp_path_factory):
    """Makes further databases, of the kind or of another; they are gone when the file's tests are through."""
    made = []

    def make(kind=database):
        made.append(place_of(request, kind, tmp_path_factory.mktemp("place")))
        return made[-1]

    yield make
    for one in made:
        one.drop()


@pytest.fixture(scope="module")
def new_url(new_place):
    """Makes the URLs of further databases without tables."""
    return lambda *kind: new_place(*kind).url


@pytest.fixture
def url(a_database):
    return a_database.url


@pytest.fixture
def storage(a_database):
    a_database.migrated()
    opened = open_storage(a_database.url)
    yield opened
    opened.close()
