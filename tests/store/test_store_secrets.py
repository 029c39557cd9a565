"""Storage URLs: a password is in no message, traceback or representation; what is no URL of a database gets a line."""

import traceback

import pytest

from nas.errors import StorageError
from nas.store.engine import open_storage
from nas.store.schema import create_storage
from nas.store.urls import parse_url, shown

SECRET = "hunter2"
WITH_SECRET = [
    f"postgresql://ada:{SECRET}@127.0.0.1:1/nas",
    f"postgresql://ada:x{SECRET}@{SECRET}@127.0.0.1:1/nas",
    f"postgresql://ada:{SECRET}@127.0.0.1:{SECRET}/nas",
    f"postgresql://ada@127.0.0.1:1/nas?password={SECRET}",
    f"postgresql://ada@127.0.0.1:1/nas?sslpassword={SECRET}&connect_timeout=1",
    f"postgresql://ada:{SECRET}@127.0.0.1:1/nas?no_such_option=1",
    f"postgresql+nodriver://ada:{SECRET}@127.0.0.1/nas",
    f"mysql://ada:{SECRET}@127.0.0.1/nas",
    f"sqlite://ada:{SECRET}@host/nas.db",
    f"sqlite:///file:/nowhere/nas.db?uri=true&password={SECRET}",
    f"ada:{SECRET}@127.0.0.1",
    f"postgresql:ada:{SECRET}",
]


@pytest.mark.parametrize("url", WITH_SECRET)
@pytest.mark.parametrize("opened", [open_storage, create_storage])
def test_password_is_in_no_line_and_no_traceback(url, opened):
    with pytest.raises(StorageError) as caught:
        opened(url)
    (line,) = caught.value.lines
    assert SECRET not in line
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_secrets_in_the_query_are_hidden_and_the_rest_is_shown():
    url = parse_url(f"postgresql://ada:{SECRET}@host/nas?sslmode=require&password={SECRET}&sslkey=k&authtoken=t")
    assert shown(url) == "postgresql://ada:***@host/nas?authtoken=***&password=***&sslkey=***&sslmode=require"


def test_database_opened_with_a_password_works_and_shows_none(tmp_path):
    url = f"sqlite:///file:{tmp_path}/nas.db?uri=true&password={SECRET}"
    create_storage(url).close()
    storage = open_storage(url)
    assert SECRET not in f"{storage!r} {storage.shown}"
    assert SECRET in storage.url
    storage.close()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("sqlite://folder/nas.db", "a file is on no host; allowed: sqlite:///FILE, with three slashes"),
        ("sqlite:///a\x00b.db", "characters that cannot be printed"),
        ("postgresql://ada:a@b@host/nas", "more than one @; one in a user's name or password is written %40"),
        (f"sqlite:///{'a' * 300}.db", "(no such database|unable to open)"),
        ("sqlite:////dev/full", "(database or disk is full|disk I/O error)"),
    ],
)
def test_url_that_leads_nowhere_is_told_in_one_line(url, message):
    with pytest.raises(StorageError, match=message) as caught:
        create_storage(url)
    assert len(caught.value.lines) == 1
