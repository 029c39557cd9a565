"""Every test here is run on both kinds of database."""

import pytest
from databases import KINDS
from store_worlds import study_record

from nas.store.studies import create_study


@pytest.fixture(scope="module", params=KINDS)
def database(request):
    return request.param


@pytest.fixture
def study(storage):
    return create_study(storage, study_record())
