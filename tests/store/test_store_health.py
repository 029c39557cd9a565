"""What is said of a storage on a server, by a server."""

from databases import only_postgresql
from postgres import PASSWORD
from sqlalchemy import text

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
def test_role_that_may_only_read_stops_work(url, postgres_server):
    storage = create_storage(url)
    postgres_server.command("CREATE ROLE reader LOGIN")
    with storage.write() as connection:
        connection.execute(text("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader"))
    storage.close()
    found = {one.check: one for one in check_storage(url.replace("postgres:", "reader:", 1))}
    assert found["storage"].state == "ok"
    assert found["writable"].state == "problem"
    assert "permission denied for table nas_study" in found["writable"].found
