"""The storage as reading commands open it: never created, and closed when the command ends."""

from __future__ import annotations

import click

from nas.cli.options import Settings
from nas.store.engine import Storage, open_storage


def reading(settings: Settings) -> Storage:
    """The storage that was asked for. Raises StorageError where it does not exist."""
    storage = open_storage(settings.storage)
    click.get_current_context().call_on_close(storage.close)
    return storage
