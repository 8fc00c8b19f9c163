"""Which column names are names of ids."""

import pytest

from steps.splitting.ids import names_id, names_subject


@pytest.mark.parametrize(
    "name",
    [
        *("customer_id", "CustomerID", "customerId", "Customer Id", "cust_id", "CUSTOMER-NO", "customers", "custid"),
        *(
            "account",
            "AccountNumber",
            "patient",
            "PatientID",
            "patient_key",
            "user",
            "user_name",
            "userid",
            "member no.",
        ),
        *("KundenNr", "Kundennummer", "employee_number", "device_uuid", "home_household_id"),
    ],
)
def test_whoever_rows_are_about_is_recognised_in_any_spelling(name):
    assert names_subject(name)
    assert names_id(name)


@pytest.mark.parametrize("name", ["id", "ID", "order_id", "movieId", "session uuid", "row_guid", "FilmID"])
def test_other_ids_are_ids_but_name_nobody(name):
    assert names_id(name)
    assert not names_subject(name)


@pytest.mark.parametrize(
    "name",
    ["paid", "grid", "valid", "amount", "age", "used", "accountable", "user_rating", "humidity", "zip_code", "key"],
)
def test_other_names_are_no_ids(name):
    assert not names_id(name)
