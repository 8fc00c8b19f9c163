"""Encoding, delimiter, quotes, header and decimal mark are detected from a file's bytes."""

import csv
import io

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ingested import csv_file, refused

from steps.tables.dialect import Overrides, detect, encoding_of

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


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
def test_the_encoding_is_detected(read, encoding):
    table = read(csv_file("näme,wert\nGrün,1\nÄpfel €,2\n".encode(encoding)))
    assert table["näme"] == ["Grün", "Äpfel €"]


def test_an_encoding_beyond_the_sample_is_found_in_the_end(read):
    body = b"".join(b"%d,abcdefghijklmnopqrst\n" % number for number in range(60_000))
    table = read(csv_file(b"n,t\n" + body + b"60000,caf\xe9\n"))
    assert table["t"][-1] == "café"
    assert "cp1252" in table.notes


def test_latin_1_is_taken_where_cp1252_has_no_character(read):
    assert read(csv_file(b"a,b\n\x81x,1\ny,2\n"), encoding="latin-1")["a"][0] == "\x81x"
    assert read(csv_file(b"a,b\n\x81x,1\ny,2\n")).report["sources"]["data"]["files"][0]["encoding"] == "latin-1"


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


def test_an_unknown_encoding_and_a_wrong_one_are_refused(read):
    refused(read, csv_file("a,b\n1,2\n"), match="encoding", encoding="klingon")
    refused(read, csv_file(b"a,b\n\xff\xfe\xff,2\n"), match="cannot be read as ascii|UTF-8|utf", encoding="utf-8")


@pytest.mark.parametrize("name", ["hex", "rot13", "zlib", "undefined", "a\0b", "locale"])
def test_what_is_no_encoding_of_text_is_refused_with_some_that_are(read, name):
    refused(read, csv_file("a,b\n1,2\n"), match="encoding.*; use one of utf-8, ", encoding=name)


@pytest.mark.parametrize("encoding", ["shift_jis", "euc_jp", "iso2022_jp", "cp037", "utf-16", "utf-32"])
def test_every_encoding_of_text_can_be_named(read, encoding):
    table = read(
        csv_file("number,a\n1,カタ\n2,x\n".replace("カタ", "é" if encoding == "cp037" else "カタ").encode(encoding)),
        encoding=encoding,
    )
    assert table["a"][0] in ("カタ", "é")
    assert table["number"] == [1, 2]


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


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (b"plain", "utf-8"),
        ("grün".encode(), "utf-8"),
        ("grün".encode("cp1252"), "cp1252"),
        (b"\x81\xff", "latin-1"),
        ("a,b\n1,2\n".encode("utf-16"), "utf-16"),
        ("a,b\n1,2\n".encode("utf-16-le"), "utf-16-le"),
        ("a,b\n1,2\n".encode("utf-8-sig"), "utf-8-sig"),
        (b"", "utf-8"),
    ],
)
def test_encodings_are_told_apart(file, content, encoding):
    assert encoding_of(file(content), "d.csv") == encoding


def test_a_character_cut_by_a_chunk_is_no_damage(file, monkeypatch):
    monkeypatch.setattr("steps.tables.dialect._CHUNK", 3)
    assert encoding_of(file("aaü€𝄞" * 5), "d.csv") == "utf-8"
    assert encoding_of(file("aaü".encode() + b"\xc3"), "d.csv") != "utf-8"
