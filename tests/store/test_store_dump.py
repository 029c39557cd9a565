"""A study as plain data: what is put down of results that another study trained."""

from store_worlds import asked, study_record, trained

from nas.store.dump import dumped
from nas.store.studies import create_study


def test_result_taken_over_is_put_down_with_the_epochs_of_its_source(storage):
    trained(storage, create_study(storage, study_record()), 1, 0.8)
    asked(storage, create_study(storage, study_record("beta")), 1)
    (own,), (taken,) = (dumped(storage, name)["trials"] for name in ("alpha", "beta"))
    assert taken["reused"]
    assert taken["epoch_records"] == own["epoch_records"]
    assert [one["epoch"] for one in taken["epoch_records"]] == [1, 2, 3]
