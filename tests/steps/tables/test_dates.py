"""Dates are read as people write them; where two orders of day and month fit, the column asks."""

# ruff: noqa: DTZ001 - naive times are among what is read

from datetime import UTC, date, datetime

import pytest
from ingested import csv_file

DAY, FIRST, LATER = date(2023, 1, 15), date(2023, 1, 1), datetime(2023, 1, 15, 15, 4)


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
        (["15. Januar 2023", "3. März 2024"], DAY),
        (["Sonntag, 15. Januar 2023", "Freitag, 3. Mai 2024"], DAY),
        (["15 janv. 2023", "1er août 2024"], DAY),
        (["15 de enero de 2023", "3 de mayo de 2024"], DAY),
        (["15 gennaio 2023", "3 mag 2024"], DAY),
        (["15 de janeiro de 2023", "3 fev. 2024"], DAY),
        (["15 januari 2023", "3 mei 2024"], DAY),
        (["January 15th, 2023", "May 3rd, 2024"], DAY),
        (["2023年1月15日", "2024年5月3日"], DAY),
        (["Jan 2023", "mai 2024"], FIRST),
        (["2023-01", "2024-05"], FIRST),
        (["1/2023", "12/2024"], FIRST),
        (["Q1 2023", "Q3 2024"], FIRST),
        (["2023Q1", "2024Q3"], FIRST),
        (["1T2023", "3T2024"], FIRST),
        (["2023-W02", "2024-W20"], date(2023, 1, 9)),
        (["1/15/23", "5/3/24"], DAY),
        (["01/15/2023 3:04 PM", "05/03/2024 11:00 AM"], LATER),
        (["1/15/2023, 3:04:00 PM", "5/13/2024, 11:00:00 AM"], LATER),
        (["01/15/2023 3:04pm", "05/03/2024 11:00 a.m."], LATER),
        (["15.01.2023 15.04", "03.05.2024 11.00"], LATER),
        (["2023-01-15 15:04:00,000", "2024-05-03 11:00:00,000"], LATER),
        (["2023-01-15 15:04:00 UTC", "2024-05-03 11:00:00 UTC"], LATER.replace(tzinfo=UTC)),
        (["2023-01-15T15:04Z", "2024-05-03T11:00Z"], LATER.replace(tzinfo=UTC)),
        (["15-Jan-2023 15:04", "03-May-2024 11:00"], LATER),
        (["Sun Jan 15 15:04:00 2023", "Fri May  3 11:00:00 2024"], LATER),
        (["20230115T150400", "20240503T110000"], LATER),
        (["Sun, 15 Jan 2023 15:04:00 +0000", "Fri, 03 May 2024 11:00:00 +0000"], LATER.replace(tzinfo=UTC)),
        (["15/Jan/2023:15:04:00 +0000", "03/May/2024:11:00:00 +0000"], LATER.replace(tzinfo=UTC)),
    ],
)
@pytest.mark.parametrize("delimiter", [";"])
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


@pytest.mark.parametrize(
    ("cells", "form", "first"),
    [
        (["1673795040", "1673795050"], "%s", LATER),
        (["1673795040.0", "1673795050.25"], "%s", LATER),
        (["1673795040000", "1673795050000"], "%Q", LATER),
        (["44941", "44950"], "excel", DAY),
        (["202301", "202405"], "%Y%m", FIRST),
    ],
)
def test_counts_since_an_epoch_are_dates_where_the_format_says_so(read, cells, form, first):
    kind = "datetime" if isinstance(first, datetime) else "date"
    table = read(csv_file("d;x\n" + "".join(f"{cell};1\n" for cell in cells)), {"d": {"type": kind, "format": form}})
    assert table["d"][0] == first


@pytest.mark.parametrize("cells", [["01.2023", "12.2024"], ["2023.01", "2024.12"]])
def test_months_that_look_like_numbers_are_asked_about(read, cells):
    table = read(csv_file("d;x\n" + "".join(f"{cell};1\n" for cell in cells)))
    assert table["d"] == [FIRST, date(2024, 12, 1)]
    assert "if they are numbers, declare type: float" in table.notes


@pytest.mark.parametrize("cells", [["15-Jan-23", "3-Feb-24"], ["01/15/2023", "05/03/2024"]])
def test_a_note_says_how_dates_are_written(read, cells):
    notes = read(csv_file("d;x\n" + "".join(f"{cell};1\n" for cell in cells))).notes
    assert "column 'd' holds dates written as %" in notes
    assert ("years from 1970 to 2069" in notes) == (len(cells[0]) < 10)
