"""ingest: what reaches the table, and what a person reads when it cannot."""

from datetime import date
from pathlib import Path

import pytest
from ingested import csv_file, refused

DATA = Path(__file__).parents[3] / "shared/data"


def test_types_are_inferred_from_the_values(read):
    table = read(
        csv_file(
            "i,f,b,c,d,t\n1,1.5,true,x,2020-01-31,2020-01-31 10:00:00\n-2,2,False,y,2021-02-28,2020-01-31 11:30:00\n"
        )
    )
    assert table.types == {"i": "integer", "f": "float", "b": "boolean", "c": "category", "d": "date", "t": "datetime"}
    assert table["i"] == [1, -2]
    assert table["b"] == [True, False]
    assert table["d"] == [date(2020, 1, 31), date(2021, 2, 28)]
    assert table["_row"] == [1, 2]
    assert table.schema.rows == 2


def test_missing_markers_and_blanks_are_missing_in_every_type(read):
    table = read(csv_file("i,f,c,d,k\n1, ?,x,2020-01-01,k\nNA,2.5, ? ,,k\n  ,nan,NULL,N/A,k\n3,1,z,2020-01-03,k\n"))
    assert table["i"] == [1, None, None, 3]
    assert table["f"] == [None, 2.5, None, 1]
    assert table["c"] == ["x", None, None, "z"]
    assert table["d"] == [date(2020, 1, 1), None, None, date(2020, 1, 3)]
    assert [column.missing for column in table.schema.columns] == [2, 2, 2, 2, 0]


def test_missing_markers_can_be_declared(read):
    table = read(csv_file("a,b\n1,x\n-999,?\n"), missing=["-999"])
    assert table["a"] == [1, None]
    assert table["b"] == ["x", "?"]


def test_blanks_around_cells_are_not_part_of_them(read):
    table = read(csv_file("a, b\n 1, x\n2 , y \n"))
    assert table["a"] == [1, 2]
    assert table["b"] == ["x", "y"]


def test_several_files_are_one_table_whatever_the_order_of_their_columns(read):
    table = read({"1.csv": "a,b\n1,x\n2,y\n", "2.csv": "b,a\nz,3.5\n"})
    assert table["a"] == [1, 2, 3.5]
    assert table["b"] == ["x", "y", "z"]
    assert table["_row"] == [1, 2, 3]


def test_many_different_strings_are_text_few_are_categories(read):
    body = "".join(f"{number % 5},person {number}\n" for number in range(100))
    table = read(csv_file("a,b\n" + body.replace(",", "x,")))
    assert table.types == {"a": "category", "b": "text"}
    assert "text, which is not a feature" in table.notes


def test_a_column_without_values_is_kept_and_said(read):
    table = read(csv_file("a,b\n1,\n2,\n"))
    assert table["b"] == [None, None]
    assert "no values at all" in table.notes


def test_a_declared_column_that_is_not_there_is_named(read):
    refused(
        read,
        csv_file("age,b\n1,2\n"),
        {"agee": {"type": "integer"}},
        match=r"agee: no such column; did you mean 'age'",
    )


def test_sources_are_joined_by_sql_in_a_fixed_order(read):
    sources = {
        "flights": {"f.csv": "id,origin\n1,EWR\n2,JFK\n3,EWR\n"},
        "weather": {"w.csv": "origin,temp\nEWR,1.5\nJFK,2.5\n"},
    }
    query = (
        "SELECT f._row, f.id, w.temp, f.id > 1 AS late FROM flights AS f LEFT JOIN weather AS w ON f.origin = w.origin"
    )
    table = read({}, query=query, sources=sources, columns={"late": {"type": "boolean"}})
    assert table.types == {"id": "integer", "temp": "float", "late": "boolean"}
    assert table["_row"] == [1, 2, 3]
    assert table["temp"] == [1.5, 2.5, 1.5]
    numbered = read({}, query=query.replace("f._row, ", ""), sources=sources)
    assert numbered["_row"] == [1, 2, 3]


def test_several_sources_need_a_query(read):
    refused(
        read, {}, match="data.query is missing", sources={"a": {"a.csv": "x,y\n1,2\n"}, "b": {"b.csv": "x,y\n1,2\n"}}
    )


def test_a_sample_is_even_and_always_the_same(read):
    text = "a,b\n" + "".join(f"{number},{number % 24}\n" for number in range(24_000))
    table = read(csv_file(text), sample_rows=2000)
    assert 1900 <= table.schema.rows <= 2100
    assert table.frame["b"].n_unique() == 24
    assert table.frame.equals(read(csv_file(text), sample_rows=2000).frame)


def test_the_same_files_give_the_same_bytes(read):
    text = "a,b,c\n" + "".join(f"{number},{number / 7},v{number % 11}\n" for number in range(200_000))
    first, second = read(csv_file(text)), read(csv_file(text))
    for name in ("data.parquet", "schema.json", "ingest.json"):
        assert (first.directory / name).read_bytes() == (second.directory / name).read_bytes()


@pytest.mark.skipif(not DATA.is_dir(), reason="the shared data sets are not here")
@pytest.mark.parametrize(
    ("file", "rows", "columns", "missing"),
    [
        ("adult/adult-train.csv", 32_561, 15, {"column_2": 1836, "column_7": 1843, "column_14": 583}),
        ("adult/adult-test.csv", 16_281, 15, {"column_2": 963, "column_7": 966, "column_14": 274}),
        ("telco_churn/Telco-Customer-Churn.csv", 7_043, 21, {"TotalCharges": 11}),
        ("california_housing/housing.csv", 20_640, 10, {"total_bedrooms": 207}),
        ("california_housing/california_housing.zip", 20_640, 9, {}),
        ("abalone/abalone.csv", 4_177, 9, {}),
        ("mammography/mammography.csv", 11_183, 7, {}),
        ("german_credit/german.csv", 1_000, 21, {}),
        ("letter/LetterRecognition.csv", 20_000, 17, {}),
        ("sms_spam/sms.tsv", 5_574, 2, {}),
        ("bike_sharing/hour.csv", 17_379, 17, {}),
    ],
)
def test_real_files_are_read_without_being_told_how(read, file, rows, columns, missing):
    path = DATA / file
    table = read({path.name: path.read_bytes()})
    assert table.schema.rows == rows
    assert len(table.schema.columns) == columns
    assert {column.name: column.missing for column in table.schema.columns if column.missing} == missing


def test_importing_the_step_is_light():
    import subprocess
    import sys

    program = "import sys, steps.ingest; print(*sorted({'polars', 'numpy', 'pandas', 'pyarrow', 'fastexcel'} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""


@pytest.mark.parametrize(
    ("query", "match"),
    [
        ("SELECT nothing FROM data", "data.query does not run.*nothing"),
        ("SELEC a FROM data", "data.query does not run"),
        ("SELECT a FROM elsewhere", "data.query does not run.*elsewhere"),
        ("SELECT a FROM data WHERE a > 100", "gives no rows"),
    ],
)
def test_a_query_that_fails_is_explained(read, query, match):
    refused(read, csv_file("a,b\n1,x\n2,y\n"), match=match, query=query)
