"""What is said of a storage on a server, by a server."""

from databases import only_postgresql
from postgres import PASSWORD
from sqlalchemy import text

from nas.store.engine import open_storage
from nas.store.health import check_storage
from nas.store.schema import create_storage


@only_postgresql
def test_server_s_version_schema_and_durable_write_are_told(url):
    found = {one.check: one for one in check_storage(url)}
    assert "without studies of nas yet" in found["storage"].found
    create_storage(url).close()
    found = {one.check: one for one in check_storage(url)}
    assert found["server"].found.startswith("PostgreSQL 1")
    assert (found["storage"].state, found["writable"].found) == ("ok", "yes")
    assert found["durable write"].found.endswith(" ms")
    assert PASSWORD not in str(found)


@only_postgresql
def test_server_that_takes_no_changes_stops_work(url):
    storage = create_storage(url)
    name = storage.engine.url.database
    with storage.write() as connection:
        connection.execute(text(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on'))
    storage.close()
    found = {one.check: one for one in check_storage(url)}
    assert found["writable"].state == "problem"
    assert "read-only" in found["writable"].found
    open_storage(url).close()
