"""Delimiter, quotes, header, decimal mark and what stands around a table are detected from a file's start."""

import csv
import io

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ingested import csv_file, refused

from steps.tables.dialect import Overrides, detect

CELL = st.text(st.sampled_from('ab1 ,;"\né|'), max_size=6)


@pytest.mark.parametrize(
    ("text", "delimiter"),
    [("a,b\n1,x\n2,y\n", ","), ("a;b\n1;x\n2;y\n", ";"), ("a\tb\n1\tx\n2\ty\n", "\t"), ("a|b\n1|x\n2|y\n", "|")],
)
def test_the_delimiter_is_detected_and_reported(read, text, delimiter):
    table = read(csv_file(text))
    assert table["b"] == ["x", "y"]
    assert table.report["sources"]["data"]["files"][0]["delimiter"] == delimiter


def test_decimal_commas_are_detected(read):
    table = read(csv_file("a;b\n1,5;x\n-2,25;y\n"))
    assert table["a"] == [1.5, -2.25]
    assert table.report["sources"]["data"]["decimal"] == ","


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_every_kind_of_line_end_is_read(read, ends):
    table = read(csv_file(ends.join(["a,b", "1,x", "2,y", ""])))
    assert table["a"] == [1, 2]
    assert table["b"] == ["x", "y"]


def test_quoted_cells_may_hold_delimiters_quotes_and_line_ends(read):
    table = read(csv_file('a,b\n1,"x, ""y"" and\nz"\n2,w\n'))
    assert table["b"] == ['x, "y" and\nz', "w"]
    assert table["_row"] == [1, 2]


def test_quotes_that_enclose_nothing_are_ordinary_characters(read):
    table = read({"sms.tsv": 'ham\tHe said "no\nspam\t"WIN" now!\nham\tok "\n'})
    assert table["column_2"] == ['He said "no', '"WIN" now!', 'ok "']


def test_single_quotes_can_enclose_cells(read):
    assert read(csv_file("1.5,'-1'\n2.5,'1'\n3.5,'-1'\n"))["column_2"] == [-1, 1, -1]


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("M,0.4,15\nF,0.3,7\n", ["column_1", "column_2", "column_3"]),
        ("1,2\n3,4\n", ["column_1", "column_2"]),
        ("ham,hello\nspam,win\nham,ok\n", ["column_1", "column_2"]),
        ("x,y\n1,2\n", ["x", "y"]),
        ("name,city\nAda,London\nBob,Paris\n", ["name", "city"]),
        (",a\n0,1\n1,2\n", ["column_1", "a"]),
        ("age,income,1\n20,3.5,7\n30,4.5,8\n", ["age", "income", "1"]),
        ("unknown,3.5,7\n20,4.5,8\n30,5.5,9\n", ["column_1", "column_2", "column_3"]),
    ],
)
def test_whether_there_is_a_header_is_detected(read, text, columns):
    assert list(read(csv_file(text)).types) == columns


def test_header_and_names_can_be_given(read):
    assert list(read(csv_file("1,2\n3,4\n"), header=True).types) == ["1", "2"]
    table = read(csv_file("ham,hello\nspam,win\n"), header=False, names=["kind", "text"])
    assert list(table.types) == ["kind", "text"]
    assert table.schema.rows == 2


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(
        st.tuples(st.integers(), st.text(st.sampled_from("abcé ,;\t\"'"), min_size=1, max_size=8)),
        min_size=3,
        max_size=20,
    ),
    delimiter=st.sampled_from(",;\t|"),
)
def test_the_dialect_of_what_the_csv_module_writes_is_found(file, rows, delimiter):
    target = io.StringIO()
    writer = csv.writer(target, delimiter=delimiter, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writerows([("number", "text"), *rows])
    dialect = detect(file(target.getvalue()), "d.csv", Overrides())
    assert (dialect.delimiter, dialect.quote, dialect.header, dialect.width) == (delimiter, '"', ("number", "text"), 2)


ROWS = "age,income,city\n26,51572.99,Lyon\n46,42924.28,Graz\n68,19527.97,Graz\n"


@pytest.mark.parametrize(
    ("above", "delimiter"),
    [
        ("# export of 2024-03-01\n# unit: EUR, per month\n", ","),
        ("# one, two, three\n", ","),
        ("// exported by hand\n\n", ";"),
        ("Customer report 2023\n\n", ","),
        ("Customer report 2023,,\n,,\n", ","),
        ("Report, March 2024\n", ","),
        ("Report\tMarch\nprinted on Monday\n", "\t"),
        ("\n\n%comment\n", "|"),
    ],
)
def test_comments_and_titles_above_a_table_are_left_out_with_a_note(read, above, delimiter):
    table = read(csv_file(above + ROWS.replace(",", delimiter)))
    assert table.types == {"age": "integer", "income": "float", "city": "category"}
    assert "above the table" in table.notes
    assert "data.sources.data.skip" in table.notes
    assert table["age"] == [26, 46, 68]


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("#id,name\n1,x\n2,y\n", ["#id", "name"]),
        ("#hashtag,count\n#a,1\n#b,2\n#a,3\n", ["#hashtag", "count"]),
        (",a\n0,1\n1,2\n", ["column_1", "a"]),
        ("id,,\n1,2,3\n4,5,6\n", ["id", "column_2", "column_3"]),
        ("one\n1\n2\n", ["one"]),
    ],
)
def test_a_header_is_not_taken_for_a_title(read, text, columns):
    table = read(csv_file(text))
    assert list(table.types) == columns
    assert "above the table" not in table.notes


def test_skip_is_believed_where_it_is_given(read):
    table = read(csv_file("# a,b\n1,2\n3,4\n"), skip=0, header=True)
    assert list(table.types) == ["# a", "b"]
    assert list(read(csv_file("x\n# a,b\n1,2\n"), skip=1, header=True).types) == ["# a", "b"]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("more", ["", ",,"])
@pytest.mark.parametrize("header", ["age,income,city\n", "age,income,city,\n"])
def test_delimiters_at_the_end_of_every_line_make_no_columns(read, delimiter, header, more):
    rows = "".join(f"{line},{more}\n" for line in ROWS.splitlines()[1:])
    table = read(csv_file((header + rows).replace(",", delimiter)))
    assert list(table.types) == ["age", "income", "city"]
    assert table["city"] == ["Lyon", "Graz", "Graz"]
    assert "ends with a delimiter" in table.notes


def test_a_value_behind_the_last_delimiter_is_not_lost(read):
    rows = "".join(f"{number},x,\n" for number in range(600)) + "600,x,here\n"
    refused(
        read,
        csv_file(f"a,b\n{rows}"),
        match=r"row 601: the last cell holds 'here'.*set data.sources.data.names for all 3",
    )
    assert read(csv_file(f"a,b,c\n{rows}"))["c"][-1] == "here"
    assert read(csv_file(f"a,b,c\n{rows}"), names=["a", "b", "d"])["d"][-1] == "here"


def test_the_names_of_rows_need_no_name(read):
    table = read(csv_file("age,city\n1,26,Lyon\n2,46,Graz\n3,68,Graz\n"))
    assert table.types == {"column_1": "integer", "age": "integer", "city": "category"}


@pytest.mark.parametrize("blanks", [" ", "  "])
@pytest.mark.parametrize("delimiter", [",", ";"])
def test_blanks_before_quotes_are_skipped(read, delimiter, blanks):
    text = 'age,income,"city"\n26,1.5,"Lyon, EU; x"\n46,2.5,"a ""b"""\n'
    spaced = text.replace(',"', f'{delimiter}{blanks}"').replace("6,", f"6{delimiter}").replace("e,", f"e{delimiter}")
    table = read(csv_file(spaced))
    assert table["city"] == ["Lyon, EU; x", 'a "b"']
    assert table["age"] == [26, 46]


def test_a_lone_carriage_return_ends_a_line_where_the_lines_are_even_then(read):
    table = read(csv_file("a,b\r\n1,x\n2,y\r3,z\r\n4,w\n"))
    assert table["a"] == [1, 2, 3, 4]
    assert "carriage return alone" in table.notes
    assert read(csv_file('a,b\n1,"x\ry"\n2,z\n'))["b"] == ["x\ry", "z"]
