"""Dates are read as people write them; where two orders of day and month fit, the column asks."""

# ruff: noqa: DTZ001 - naive times are among what is read

from datetime import UTC, date, datetime

import pytest
from ingested import csv_file

DAY, LATER = date(2023, 1, 15), datetime(2023, 1, 15, 15, 4)


@pytest.mark.parametrize(
    ("cells", "first"),
    [
        (["15-Jan-23", "3-Feb-24"], DAY),
        (["15-JAN-2023", "03-FEB-2024"], DAY),
        (["January 15, 2023", "May 3, 2024"], DAY),
        (["Jan 15, 2023", "Sep 3, 2024"], DAY),
        (["15 January 2023", "3 May 2024"], DAY),
        (["15. January 2023", "3. May 2024"], DAY),
        (["15/Jan/2023", "03/May/2024"], DAY),
        (["15Jan2023", "03May2024"], DAY),
        (["2023-Jan-15", "2024-May-03"], DAY),
        (["Sunday, January 15, 2023", "Friday, May 3, 2024"], DAY),
        (["Sun 15 Jan 2023", "Fri 03 May 2024"], DAY),
        (["2023.01.15", "2024.05.03"], DAY),
        (["15.01.23", "03.05.24"], DAY),
        (["1/15/23", "5/3/24"], DAY),
        (["01/15/2023 3:04 PM", "05/03/2024 11:00 AM"], LATER),
        (["1/15/2023, 3:04:00 PM", "5/13/2024, 11:00:00 AM"], LATER),
        (["15-Jan-2023 15:04", "03-May-2024 11:00"], LATER),
        (["Sun Jan 15 15:04:00 2023", "Fri May  3 11:00:00 2024"], LATER),
        (["20230115T150400", "20240503T110000"], LATER),
        (["Sun, 15 Jan 2023 15:04:00 +0000", "Fri, 03 May 2024 11:00:00 +0000"], LATER.replace(tzinfo=UTC)),
        (["15/Jan/2023:15:04:00 +0000", "03/May/2024:11:00:00 +0000"], LATER.replace(tzinfo=UTC)),
    ],
)
@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_dates_are_read_as_people_write_them(read, cells, first, delimiter):
    table = read(csv_file(f"d{delimiter}x\n" + "".join(f"{cell}{delimiter}{n}\n" for n, cell in enumerate(cells))))
    assert table.types["d"] == ("datetime" if isinstance(first, datetime) else "date")
    assert table["d"][0] == first


@pytest.mark.parametrize("cells", [["01/02/2020", "03/04/2020"], ["01/02/20", "03/04/20"], ["01-02-20", "03-04-20"]])
def test_two_orders_are_asked_about(read, cells):
    table = read(csv_file("d,x\n" + "".join(f"{cell},1\n" for cell in cells)))
    assert table.types["d"] == "category"
    assert "both %" in table.notes


@pytest.mark.parametrize("cell", ["May is a month", "room 12 on Jan street", "1-2-3", "12.5.1", "2020-13-45", "monday"])
def test_text_is_not_taken_for_dates(read, cell):
    assert read(csv_file(f"d;x\n{cell};1\n{cell} ;2\n")).types["d"] == "category"


def test_a_column_that_is_nearly_dates_says_so(read):
    cells = [f"2023-01-{number % 28 + 1:02}" for number in range(100)]
    cells[40] = "soon"
    table = read(csv_file("d,x\n" + "".join(f"{cell},1\n" for cell in cells)))
    assert "all but 1 of its 100 values are dates: 'soon' (row 41)" in table.notes
    settings = {"d": {"type": "date", "format": "%Y-%m-%d", "missing": ["soon"]}}
    assert read(csv_file("d,x\n" + "".join(f"{c},1\n" for c in cells)), settings).frame["d"].null_count() == 1
