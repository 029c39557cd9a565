"""What Alembic runs before the steps: on the connection, and in the transaction, of whoever asked."""

from alembic import context

from nas.store.tables import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
)
context.run_migrations()
