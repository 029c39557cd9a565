"""What needs a storage is run on both kinds of database."""

import pytest
from databases import KINDS


@pytest.fixture(scope="module", params=KINDS)
def database(request):
    return request.param
