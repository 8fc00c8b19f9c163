"""Footers are left out of the copies that are read."""

import pytest
from ingested import csv_file, refused


@pytest.mark.parametrize("end", ["", "\n", "\n\n  \n"])
def test_the_last_lines_can_be_left_out(read, end):
    text = f"a,b\n1,x\n2,y\n\nTotal: 3\nPage 1 of 1{end}"
    assert read(csv_file(text), skip_footer=2)["a"] == [1, 2]
    refused(read, csv_file(text), match="skip_footer: 9, and the file has fewer lines", skip_footer=9)


def test_every_file_of_a_source_may_end_with_totals(read):
    table = read({"1.csv": "a,b\n1,x\nsum,1\n", "2.csv": "a,b\n2,y\nsum,2"}, skip_footer=1)
    assert table["a"] == [1, 2]


@pytest.mark.parametrize("name", ["d.csv", "d.ndjson"])
def test_single_records_can_be_left_out(read, name):
    texts = {
        "d.csv": "a,b\n1,x\n2,y\n\n3,z\n4,w\n",
        "d.ndjson": '{"a": 1}\n{"a": 2}\n{"a": null}\n{"a": 3}\n{"a": 4}\n',
    }
    table = read({name: texts[name]}, drop_rows=[1, 4])
    assert [value for value in table["a"] if value] == [2, 4]
    assert read(csv_file("a,b\nm,s\n1,x\n2,y\n"), drop_rows=[1])["a"] == [1, 2]
