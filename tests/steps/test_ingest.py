"""ingest: what reaches the table, and what a person is told when it cannot."""

# ruff: noqa: DTZ001 - naive times are among what is read

import gzip
import json
import zipfile
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from steps.errors import InputError
from steps.ingest import IngestConfig, ingest
from steps.journal import Journal, read_events
from steps.tables import fast, query, staging
from steps.tables.digest import table_digest
from steps.tables.readers import Source
from steps.tables.schema import read_schema

DATA = Path(__file__).parents[3] / "shared/data"


class Table:
    """What ingest made."""

    def __init__(self, directory: Path, journal: Path):
        self.directory = directory
        self.frame = pl.read_parquet(directory / "data.parquet", glob=False)
        self.schema = read_schema(directory)
        self.types = {column.name: column.type for column in self.schema.columns}
        self.report = json.loads((directory / "ingest.json").read_text())
        self.events = list(read_events(journal))
        self.notes = "\n".join(event["text"] for event in self.events if event["kind"] == "note")

    def __getitem__(self, column):
        return self.frame[column].to_list()


@pytest.fixture
def read(tmp_path):
    """``read({"file.csv": content}, ...)``: ingest of one source ``data`` with these files."""
    count = 0

    def read(files, columns=None, query=None, sources=None, sample_rows=None, **source):
        nonlocal count
        count += 1
        place = tmp_path / f"{count} [a] b*"
        (place / "table").mkdir(parents=True)
        for name, each in (sources or {"data": files}).items():
            folder = place / "raw" / name
            folder.mkdir(parents=True)
            for number, (file, content) in enumerate(each.items(), 1):
                data = content.encode() if isinstance(content, str) else content
                (folder / f"{number:02}-{file}").write_bytes(data)
        given = {name: {"path": "x", **source} for name in (sources or {"data": files})}
        config = IngestConfig.model_validate(
            {"sources": given, "columns": columns or {}, "query": query, "sample_rows": sample_rows}
        )
        with Journal(place / "journal.jsonl") as log:
            ingest(place / "raw", place / "table", config, log)
        assert sorted(path.name for path in (place / "table").iterdir()) == [
            "data.parquet",
            "ingest.json",
            "schema.json",
        ]
        return Table(place / "table", place / "journal.jsonl")

    return read


def csv(text, name="data.csv"):
    return {name: text}


# What is read


def test_types_are_inferred_from_the_values(read):
    table = read(
        csv("i,f,b,c,d,t\n1,1.5,true,x,2020-01-31,2020-01-31 10:00:00\n-2,2,False,y,2021-02-28,2020-01-31 11:30:00\n")
    )
    assert table.types == {"i": "integer", "f": "float", "b": "boolean", "c": "category", "d": "date", "t": "datetime"}
    assert table["i"] == [1, -2]
    assert table["b"] == [True, False]
    assert table["d"] == [date(2020, 1, 31), date(2021, 2, 28)]
    assert table["_row"] == [1, 2]
    assert table.schema.rows == 2


def test_a_type_is_inferred_from_the_whole_column_not_from_its_start(read):
    body = "\n".join(map(str, range(12_000)))
    assert read(csv(f"a,b\n{body.replace(chr(10), ',1' + chr(10))},1\n12.5,1\n")).types["a"] == "float"
    assert read(csv(f"a,b\n{body.replace(chr(10), ',1' + chr(10))},1\nseven,1\n")).types["a"] in ("category", "text")


def test_missing_markers_and_blanks_are_missing_in_every_type(read):
    table = read(csv("i,f,c,d,k\n1, ?,x,2020-01-01,k\nNA,2.5, ? ,,k\n  ,nan,NULL,N/A,k\n3,1,z,2020-01-03,k\n"))
    assert table["i"] == [1, None, None, 3]
    assert table["f"] == [None, 2.5, None, 1]
    assert table["c"] == ["x", None, None, "z"]
    assert table["d"] == [date(2020, 1, 1), None, None, date(2020, 1, 3)]
    assert [column.missing for column in table.schema.columns] == [2, 2, 2, 2, 0]


def test_missing_markers_can_be_declared(read):
    table = read(csv("a,b\n1,x\n-999,?\n"), missing=["-999"])
    assert table["a"] == [1, None]
    assert table["b"] == ["x", "?"]


@pytest.mark.parametrize("way", ["fast", "exact"])
@pytest.mark.parametrize(
    ("cells", "missing", "wanted"),
    [
        ([" -999", " 5", "-999"], "-999", [None, 5, None]),
        (["-999 ", "5", "-999"], "-999", [None, 5, None]),
        ([" -999.5", "5.5", "-999.5"], "-999.5", [None, 5.5, None]),
        ([" -999.0", "5.5", "-999"], "-999", [-999, 5.5, None]),
        ([" 6", "5", "6"], " 6", [None, 5, None]),
        ([" 1900-01-01", "2020-01-31", "1900-01-01"], "1900-01-01", [None, date(2020, 1, 31), None]),
        (
            [" 1900-01-01 00:00:00", "2020-01-31 10:00:00", "1900-01-01 00:00:00"],
            "1900-01-01 00:00:00",
            [None, datetime(2020, 1, 31, 10), None],
        ),
        ([" none", "x", "none"], "none ", [None, "x", None]),
    ],
)
def test_blanks_around_a_missing_marker_change_nothing(read, monkeypatch, way, cells, missing, wanted):
    if way == "exact":
        monkeypatch.setattr(staging, "fast", lambda *_: None)
    table = read(csv("a,b\n" + "".join(f"{cell},x{number}\n" for number, cell in enumerate(cells))), missing=[missing])
    assert table["a"] == wanted


def test_blanks_around_cells_are_not_part_of_them(read):
    table = read(csv("a, b\n 1, x\n2 , y \n"))
    assert table["a"] == [1, 2]
    assert table["b"] == ["x", "y"]


@pytest.mark.parametrize("blank", ["\n", "\r\n", "\n\n"])
def test_blank_lines_below_the_header_are_left_out(read, blank):
    table = read(csv(f"a,b\n{blank}1,2\n2,3\n"))
    assert (table["a"], table["b"]) == ([1, 2], [2, 3])
    refused(read, csv("a,b\n7\n1,2\n2,3\n"), match="line 2")


@pytest.mark.parametrize(
    ("written", "delimiter"),
    [("a,b\n1,x\n2,y\n", ","), ("a;b\n1;x\n2;y\n", ";"), ("a\tb\n1\tx\n2\ty\n", "\t"), ("a|b\n1|x\n2|y\n", "|")],
)
def test_the_delimiter_is_detected_and_reported(read, written, delimiter):
    table = read(csv(written))
    assert table["b"] == ["x", "y"]
    assert table.report["sources"]["data"]["files"][0]["delimiter"] == delimiter


def test_decimal_commas_are_detected(read):
    table = read(csv("a;b\n1,5;x\n-2,25;y\n"))
    assert table["a"] == [1.5, -2.25]
    assert table.report["sources"]["data"]["decimal"] == ","


@pytest.mark.parametrize("way", ["fast", "exact"])
@pytest.mark.parametrize(
    "cells", ["1.234 2.500 999", "1.234 2.500 3.750", "1.5 2.5 999", "1.234,5 2,5 3", "1.234.567 .5 0"]
)
def test_a_point_in_a_number_beside_decimal_commas_is_not_guessed_about(read, monkeypatch, way, cells):
    """It may part thousands: the column stays text, with a note, whatever the other columns hold."""
    if way == "exact":
        monkeypatch.setattr(staging, "fast", lambda *_: None)
    rows = zip(
        cells.split(), ["1,5", "2,5", "2,25"], ["01.02.2020", "13.02.2020", "14.02.2020"], [1, 2, 3], strict=True
    )
    text = "a;b;c;d\n" + "".join(";".join(map(str, row)) + "\n" for row in rows)
    table = read(csv(text))
    assert table.types == {"a": "category", "b": "float", "c": "date", "d": "integer"}
    assert table["a"] == cells.split()
    assert table["b"] == [1.5, 2.5, 2.25]
    assert "'a' holds numbers with points in a source whose decimal mark is a comma" in "\n".join(
        str(event.get("text")) for event in table.events
    )
    for kind in ("float", "integer"):
        with pytest.raises(InputError, match=r"column 'a'.*write numbers without points.*data\.decimal: '\.'"):
            read(csv(text), {"a": {"type": kind}})


@pytest.mark.parametrize("way", ["fast", "exact"])
def test_numbers_with_decimal_commas_are_read_in_every_column(read, monkeypatch, way):
    if way == "exact":
        monkeypatch.setattr(staging, "fast", lambda *_: None)
    table = read(csv("a;b;c;d\n1,5;1; 2,5;1,0\n-,5;-2;?;2\n1e3;3;1,5e-1 ;3,00\n"), {"d": {"type": "integer"}})
    assert table.types == {"a": "float", "b": "integer", "c": "float", "d": "integer"}
    assert table.frame.rows() == [(1, 1.5, 1, 2.5, 1), (2, -0.5, -2, None, 2), (3, 1000, 3, 0.15, 3)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
def test_the_encoding_is_detected(read, encoding):
    table = read(csv("näme,wert\nGrün,1\nÄpfel €,2\n".encode(encoding)))
    assert table["näme"] == ["Grün", "Äpfel €"]


def test_an_encoding_beyond_the_sample_is_found_in_the_end(read):
    body = b"".join(b"%d,abcdefghijklmnopqrst\n" % number for number in range(60_000))
    table = read(csv(b"n,t\n" + body + b"60000,caf\xe9\n"))
    assert table["t"][-1] == "café"
    assert "cp1252" in table.notes


def test_latin_1_is_taken_where_cp1252_has_no_character(read):
    assert read(csv(b"a,b\n\x81x,1\ny,2\n"), encoding="latin-1")["a"][0] == "\x81x"
    assert read(csv(b"a,b\n\x81x,1\ny,2\n")).report["sources"]["data"]["files"][0]["encoding"] == "latin-1"


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_every_kind_of_line_end_is_read(read, ends):
    table = read(csv(ends.join(["a,b", "1,x", "2,y", ""])))
    assert table["a"] == [1, 2]
    assert table["b"] == ["x", "y"]


def test_quoted_cells_may_hold_delimiters_quotes_and_line_ends(read):
    table = read(csv('a,b\n1,"x, ""y"" and\nz"\n2,w\n'))
    assert table["b"] == ['x, "y" and\nz', "w"]
    assert table["_row"] == [1, 2]


@pytest.mark.parametrize(
    ("text", "header", "columns", "first"),
    [
        ('x,"a\rb",c\n1,2,3\n4,5,6\n7,8,9\n', None, ["x", "a\rb", "c"], [1, 4, 7]),
        ('"x\ry"\n1\n2\n3\n', None, ["x\ry"], [1, 2, 3]),
        ("x,a\rb\n1,2\n4,5\n", None, ["x", "a\rb"], [1, 4]),
        ('"u\rv",2\nk,4\n', False, ["column_1", "column_2"], ["u\rv", "k"]),
        ('"u\rv\nw",2\nk,4', False, ["column_1", "column_2"], ["u\rv\nw", "k"]),
    ],
)
@pytest.mark.parametrize("way", ["fast", "exact"])
def test_a_carriage_return_within_a_cell_of_the_first_record_costs_no_row(
    read, monkeypatch, way, text, header, columns, first
):
    if way == "exact":
        monkeypatch.setattr(staging, "fast", lambda *_: None)
    table = read(csv(text), header=header)
    assert [column.name for column in table.schema.columns] == columns
    assert table[columns[0]] == first


def test_quotes_that_enclose_nothing_are_ordinary_characters(read):
    table = read({"sms.tsv": 'ham\tHe said "no\nspam\t"WIN" now!\nham\tok "\n'})
    assert table["column_2"] == ['He said "no', '"WIN" now!', 'ok "']


def test_single_quotes_can_enclose_cells(read):
    assert read(csv("1.5,'-1'\n2.5,'1'\n3.5,'-1'\n"))["column_2"] == [-1, 1, -1]


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
    assert list(read(csv(text)).types) == columns


def test_header_and_names_can_be_given(read):
    assert list(read(csv("1,2\n3,4\n"), header=True).types) == ["1", "2"]
    table = read(csv("ham,hello\nspam,win\n"), header=False, names=["kind", "text"])
    assert list(table.types) == ["kind", "text"]
    assert table.schema.rows == 2


def test_blank_column_names_are_numbered_and_reported(read):
    table = read(csv("a,,c\n1,2,3\n"))
    assert list(table.types) == ["a", "column_2", "c"]
    assert "column_2" in table.notes


def test_blank_lines_are_no_rows_and_keep_their_numbers(read):
    table = read(csv("a,b\n1,x\n\n2,\n\n\n,y\n\n"))
    assert table["a"] == [1, 2, None]
    assert table["_row"] == [1, 3, 6]


def test_gzip_and_zip_members_are_read(read, tmp_path):
    assert read({"d.csv.gz": gzip.compress(b"a,b\n1,x\n2,y\n")})["a"] == [1, 2]
    path = tmp_path / "d.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("folder/metadata.json", "{}")
        archive.writestr("folder/d.csv", "a,b\n1,x\n2,y\n")
    assert read({"d.zip": path.read_bytes()})["a"] == [1, 2]


def test_several_files_are_one_table_whatever_the_order_of_their_columns(read):
    table = read({"1.csv": "a,b\n1,x\n2,y\n", "2.csv": "b,a\nz,3.5\n"})
    assert table["a"] == [1, 2, 3.5]
    assert table["b"] == ["x", "y", "z"]
    assert table["_row"] == [1, 2, 3]


def test_ndjson_json_and_parquet_are_read_with_their_types(read, tmp_path):
    rows = [
        {"a": 1, "b": "x", "when": "2020-01-01", "ok": True},
        {"a": None, "b": "?", "when": "2020-01-02", "ok": False},
    ]
    lines = "\n".join(map(json.dumps, rows))
    expected = {"a": "integer", "b": "category", "when": "date", "ok": "boolean"}
    for name, content in (("d.ndjson", lines), ("d.json", json.dumps(rows)), ("d.json", lines)):
        table = read({name: content})
        assert table.types == expected
        assert table["b"] == ["x", None]
    path = tmp_path / "p.parquet"
    pl.DataFrame(
        {"a": [1, 2], "f": [1.5, float("nan")], "c": ["x", None], "t": [datetime(2020, 1, 1, tzinfo=UTC)] * 2}
    ).with_columns(pl.col("a").cast(pl.UInt8), pl.col("c").cast(pl.Categorical)).write_parquet(path)
    table = read({"p.parquet": path.read_bytes()})
    assert table.types == {"a": "integer", "f": "float", "c": "category", "t": "datetime"}
    assert table["f"] == [1.5, None]
    assert table.frame["a"].dtype == pl.Int64


def test_workbooks_are_read_formulas_by_their_value(read):
    table = read({"book.xlsx": workbook([["a", "b"], [1, "x"], [2.5, "y"], [("=A2*4", 4), "z"]])})
    assert table["a"] == [1, 2.5, 4]
    assert table["b"] == ["x", "y", "z"]


def workbook(rows):
    """The smallest workbook that spreadsheet programs open; a tuple is a formula and its value."""
    import io

    def cell(value):
        if isinstance(value, tuple):
            return f"<c><f>{value[0][1:]}</f><v>{value[1]}</v></c>"
        return (
            f"<c><v>{value}</v></c>"
            if isinstance(value, int | float)
            else f'<c t="inlineStr"><is><t>{value}</t></is></c>'
        )

    sheet = "".join(f"<row>{''.join(map(cell, row))}</row>" for row in rows)
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    relations = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    files = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/><Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/><Override PartName="/xl/s.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" Type="{relations}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{relations}"><sheets><sheet name="S" sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" Type="{relations}/worksheet" Target="s.xml"/></Relationships>',
        "xl/s.xml": f'<worksheet xmlns="{main}"><sheetData>{sheet}</sheetData></worksheet>',
    }
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return target.getvalue()


# Types


def test_instants_are_kept_whatever_their_offset(read):
    text = "t,x\n2020-06-01T12:00:00Z,1\n2020-06-01T14:00:00+02:00,2\n"
    table = read(csv(text))
    assert table.schema.columns[0].timezone == "UTC"
    assert table["t"] == [datetime(2020, 6, 1, 12, tzinfo=UTC)] * 2
    table = read(csv(text), {"t": {"timezone": "America/New_York"}})
    assert table.schema.columns[0].timezone == "America/New_York"
    assert table["t"] == [datetime(2020, 6, 1, 8, tzinfo=ZoneInfo("America/New_York"))] * 2


def test_naive_times_are_local_where_a_timezone_is_declared(read):
    table = read(
        csv("t,x\n2020-06-01 12:00:00,1\n2020-12-01 12:00:00,2\n"),
        {"t": {"type": "datetime", "timezone": "Europe/Berlin"}},
    )
    assert [each.astimezone(UTC).hour for each in table["t"]] == [10, 11]


def test_a_local_time_that_clocks_skip_is_reported(read):
    with pytest.raises(InputError, match=r"'t': 1 value is not a date with a time.*rows 2.*2020-03-29 02:30:00"):
        read(
            csv("t,x\n2020-06-01 12:00:00,1\n2020-03-29 02:30:00,2\n"),
            {"t": {"type": "datetime", "timezone": "Europe/Berlin"}},
        )


@pytest.mark.parametrize(
    ("values", "kind", "first"),
    [
        (["31.12.2020", "01.02.2020"], "date", date(2020, 12, 31)),
        (["31/12/2020", "01/02/2020"], "date", date(2020, 12, 31)),
        (["12/31/2020", "01/02/2020"], "date", date(2020, 12, 31)),
        (["2020/12/31", "2020/02/01"], "date", date(2020, 12, 31)),
        (["2020-12-31 10:30", "2020-12-31 11:30"], "datetime", datetime(2020, 12, 31, 10, 30)),
        (["2020-12-31T10:30:00.250", "2020-12-31T10:30:00"], "datetime", datetime(2020, 12, 31, 10, 30, 0, 250_000)),
        (["1839, 38-54", "1840"], "category", "1839, 38-54"),
        (["2011-13-45", "2011-01-01"], "category", "2011-13-45"),
    ],
)
def test_dates_are_recognised_in_the_ways_in_which_people_write_them(read, values, kind, first):
    table = read(csv("d|x\n" + "".join(f"{value}|1\n" for value in values)))
    assert table.types["d"] == kind
    assert table["d"][0] == first


def test_dates_that_may_be_day_or_month_first_stay_text_and_are_asked_about(read):
    table = read(csv("d,x\n01/02/2020,1\n03/04/2020,2\n"))
    assert table.types["d"] == "category"
    assert "%d/%m/%Y" in table.notes
    table = read(csv("d,x\n01/02/2020,1\n03/04/2020,2\n"), {"d": {"type": "date", "format": "%d/%m/%Y"}})
    assert table["d"][0] == date(2020, 2, 1)


def test_whole_numbers_beyond_64_bits_stay_exact_as_text(read):
    table = read(csv("a,b\n123456789012345678901234567890,1\n1,2\n"))
    assert table.types["a"] == "category"
    assert table["a"] == ["123456789012345678901234567890", "1"]
    assert "beyond 64 bits" in table.notes


def test_a_column_of_nothing_but_infinities_is_text_and_one_number_among_them_makes_it_numbers(read, monkeypatch):
    table = read(csv("a,b\ninf,1\n-inf,2\n"))
    assert table["a"] == ["inf", "-inf"]
    assert "nothing but infinities" in table.notes
    monkeypatch.setattr(fast, "SAMPLE", 2)  # the first rows alone do not tell
    refused(read, csv("a,b\n,1\ninf,2\n0,3\n"), match="'a': 1 value is not a number .*, rows 2, such as 'inf'")


def test_wide_integers_of_typed_formats_are_read_as_in_a_csv_file(read, tmp_path):
    def parquet(values, kind):
        pl.DataFrame({"a": pl.Series(values, dtype=kind), "b": [1, 2]}).write_parquet(tmp_path / "p.parquet")
        return {"p.parquet": (tmp_path / "p.parquet").read_bytes()}

    huge = 2**63
    for files in (parquet([1, huge], pl.UInt64), {"d.ndjson": f'{{"a": 1, "b": 1}}\n{{"a": {huge}, "b": 2}}\n'}):
        table = read(files)
        assert table["a"] == ["1", str(huge)]
        assert "beyond 64 bits" in table.notes
        assert read(files, {"a": {"type": "float"}})["a"] == [1.0, float(huge)]
        match = rf"'a': 1 value is not a whole number .*, rows 2, such as '{huge}'.*data.columns.a.type: category"
        refused(read, files, {"a": {"type": "integer"}}, match=match)
    for kind in (pl.UInt64, pl.Int128):
        table = read(parquet([1, huge - 1], kind))
        assert (table.types["a"], table["a"]) == ("integer", [1, huge - 1])


def test_declared_types_are_kept(read):
    table = read(
        csv("a,b,c\n1,yes,1.0\n0,N,2\n"),
        {"a": {"type": "category"}, "b": {"type": "boolean"}, "c": {"type": "integer"}},
    )
    assert table.types == {"a": "category", "b": "boolean", "c": "integer"}
    assert table["a"] == ["1", "0"]
    assert table["b"] == [True, False]
    assert table["c"] == [1, 2]


def test_many_different_strings_are_text_few_are_categories(read):
    body = "".join(f"{number % 5},person {number}\n" for number in range(100))
    table = read(csv("a,b\n" + body.replace(",", "x,")))
    assert table.types == {"a": "category", "b": "text"}
    assert "text, which is not a feature" in table.notes


def test_a_column_without_values_is_kept_and_said(read):
    table = read(csv("a,b\n1,\n2,\n"))
    assert table["b"] == [None, None]
    assert "no values at all" in table.notes


# What is refused


def refused(read, *arguments, match, **options):
    with pytest.raises(InputError, match=match) as caught:
        read(*arguments, **options)
    assert "Traceback" not in str(caught.value)
    assert len(str(caught.value)) < 1500
    return str(caught.value)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("", "data.csv: the file is empty"),
        ("\n\n  \n", "data.csv: the file is empty"),
        ("a,b\n", "data.csv: there are no rows below the header"),
        ("a,b\n1,2\n3\n4,5\n", r"data.csv, 2 columns are wanted, but line 3 has 1"),
        ("a,b\n1,2\n3,4,5\n", r"data.csv, 2 columns are wanted, but line 3 has 3"),
        ("a,b\n1\n", r"line 2 has 1"),
        ("a,b,a\n1,2,3\n", r"line 1: the column name 'a' is used 2 times \(columns 1, 3\)"),
        ("_row,b\n1,2\n", r"'_row' is reserved"),
        (b"a,b\n1,x\0y\n2,z\n", "line 2: a zero byte"),
        (b"a,b\n1,2\0\n2,3\n", "line 2: a zero byte"),
        ('a,b,c\n1,"x, y",2\n3,"open,4\n5,6,7\n', r"quote opened by line 3 is never closed"),
        ("a,b\n1.5,x\ninf,y\n", r"column 'a': 1 value is not a number between .*; data.csv, rows 2, such as 'inf'"),
        ("a,b\n1.5,x\n1e999,y\n", r"'a'.*1e999"),
        ("a,b\n1e300,x\n-1e300,y\n", r"'a': 2 values are not a number between -3.4e38 and 3.4e38; .*'-1e300'"),
        ("größe,b\n1,x\n2,ü\n3,ö\n".encode() + b"4,\xfc\n", r"line 5: not readable as UTF-8.*encoding: cp1252"),
    ],
)
def test_a_damaged_text_file_is_refused_with_its_line(read, content, match):
    refused(read, csv(content), match=match)


@pytest.mark.parametrize("way", ["fast", "exact"])
def test_a_delimiter_at_the_end_of_a_file_begins_a_cell(read, monkeypatch, way):
    if way == "exact":
        monkeypatch.setattr(staging, "fast", lambda *_: None)
    assert read(csv("a,b\n1,2\n3,"))["b"] == [2, None]
    with pytest.raises(InputError, match="2 columns are wanted, but line 3 has 3"):
        read(csv("a,b\n1,2\n3,4,"))


def test_a_value_that_does_not_parse_is_named_with_column_rows_and_examples(read):
    text = "a,b\n" + "".join(f"{'many' if number in (3, 7, 9) else number},1\n" for number in range(1, 12))
    message = refused(read, csv(text), {"a": {"type": "integer"}}, match=r"column 'a': 3 values are not a whole number")
    assert "data.csv, rows 3, 7, 9" in message
    assert "'many'" in message
    assert "data.sources.data.missing" in message


@pytest.mark.parametrize(
    ("values", "kind", "advice"),
    [
        (["1,5", "2,5"], "float", "decimal: ','"),
        (["1.5", "2.5"], "integer", "type: float"),
        (["99999999999999999999", "1"], "integer", "64 bits"),
        (["soon", "2020-01-01"], "date", "format"),
        (["maybe", "yes"], "boolean", "missing"),
    ],
)
def test_the_message_says_what_would_work(read, values, kind, advice):
    refused(
        read,
        csv("a|b\n" + "".join(f"{value}|1\n" for value in values)),
        {"a": {"type": kind}},
        match=advice,
        decimal=".",
    )


def test_several_wrong_columns_are_told_at_once_and_long_values_are_cut(read):
    message = refused(
        read, csv(f"a,b\n{'x' * 5000},y\n1,2\n"), {"a": {"type": "integer"}, "b": {"type": "float"}}, match="'a'"
    )
    assert "column 'b'" in message


def test_a_declared_column_that_is_not_there_is_named(read):
    refused(
        read,
        csv("age,b\n1,2\n"),
        {"agee": {"type": "integer"}},
        match=r"agee: there is no such column; did you mean 'age'",
    )


def test_files_of_a_source_must_agree_on_their_columns(read):
    refused(
        read, {"1.csv": "a,b\n1,2\n", "2.csv": "a,c\n1,2\n"}, match=r"1.csv and 2.csv have different columns.*'b'.*'c'"
    )


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("d.parquet", b"PAR1 not really", "d.parquet: cannot be read as parquet"),
        ("d.json", '{"a": {\n"b": 1}}', "wanted a list of objects"),
        ("d.ndjson", '{"a": 1}\n{"a": [1, 2]}\n', "d.ndjson"),
        ("d.ndjson", '{"a": 1}\n{"a": \n', "d.ndjson"),
        ("d.csv.gz", b"no gzip", "cannot be unpacked"),
        ("d.zip", b"no zip", "cannot be unpacked"),
        ("d.xlsx", b"no workbook", "cannot be read as excel"),
        ("d.sav", b"x", "names no format"),
    ],
)
def test_other_formats_that_are_damaged_are_refused(read, name, content, match):
    refused(read, {name: content}, match=match)


def test_an_ambiguous_archive_asks_which_member(read, tmp_path):
    path = tmp_path / "d.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", "a,b\n1,x\n")
        archive.writestr("b.csv", "a,b\n2,y\n")
    refused(read, {"d.zip": path.read_bytes()}, match=r"Give member: one of a.csv, b.csv")
    assert read({"d.zip": path.read_bytes()}, member="b.csv")["a"] == [2]


@pytest.mark.parametrize("huge", [float("inf"), -1e300, 3.5e38])
def test_an_infinite_or_huge_value_in_a_typed_format_is_refused(read, tmp_path, huge):
    path = tmp_path / "p.parquet"
    pl.DataFrame({"a": [3.4e38, None, huge]}).write_parquet(path)
    for declared in ({}, {"a": {"type": "float"}}):
        refused(read, {"p.parquet": path.read_bytes()}, declared, match="'a' holds infinite values, or larger ones")
    pl.DataFrame({"a": [3.4e38, float("nan"), -3.4e38]}).write_parquet(path)
    assert read({"p.parquet": path.read_bytes()})["a"] == [3.4e38, None, -3.4e38]


def test_an_unknown_encoding_and_a_wrong_one_are_refused(read):
    refused(read, csv("a,b\n1,2\n"), match="encoding", encoding="klingon")
    refused(read, csv(b"a,b\n\xff\xfe\xff,2\n"), match="cannot be read as ascii|UTF-8|utf", encoding="utf-8")


@pytest.mark.parametrize("name", ["hex", "rot13", "zlib", "undefined", "a\0b", "locale"])
def test_what_is_no_encoding_of_text_is_refused_with_some_that_are(read, name):
    refused(read, csv("a,b\n1,2\n"), match="encoding.*wanted one of utf-8, ", encoding=name)


@pytest.mark.parametrize("encoding", ["shift_jis", "euc_jp", "iso2022_jp", "cp037", "utf-16", "utf-32"])
def test_every_encoding_of_text_can_be_named(read, encoding):
    table = read(
        csv("number,a\n1,カタ\n2,x\n".replace("カタ", "é" if encoding == "cp037" else "カタ").encode(encoding)),
        encoding=encoding,
    )
    assert table["a"][0] in ("カタ", "é")
    assert table["number"] == [1, 2]


@pytest.mark.parametrize("mark", ["¦", "‖", "“", "\n", "\r", "\0"])
@pytest.mark.parametrize("what", ["delimiter", "quote"])
def test_a_delimiter_or_quote_that_no_file_can_be_read_by_is_refused(what, mark):
    with pytest.raises(ValueError, match="wanted one ASCII character"):
        Source.model_validate({"path": "x", what: mark})


@pytest.mark.parametrize("marks", [{"delimiter": '"'}, {"delimiter": "'", "quote": "'"}])
def test_a_delimiter_that_is_the_quote_too_is_refused(marks):
    with pytest.raises(ValueError, match="is the quote around cells too"):
        Source.model_validate({"path": "x", **marks})


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_damaged_member_is_refused_however_it_is_packed(read, tmp_path, method):
    with zipfile.ZipFile(tmp_path / "d.zip", "w", method) as archive:
        archive.writestr("d.csv", "a,b\n" + "".join(f"{number},{number**3}\n" for number in range(500)))
    content = bytearray((tmp_path / "d.zip").read_bytes())
    content[60:100] = bytes(40)
    refused(read, {"d.csv.zip": bytes(content)}, match="d.csv.zip: cannot be unpacked")


# Several sources


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
    again = read({}, query=query.replace("f._row, ", ""), sources=sources)
    assert again["_row"] == [1, 2, 3]


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
    refused(read, csv("a,b\n1,x\n2,y\n"), match=match, query=query)


def test_several_sources_need_a_query(read):
    refused(
        read, {}, match="data.query is missing", sources={"a": {"a.csv": "x,y\n1,2\n"}, "b": {"b.csv": "x,y\n1,2\n"}}
    )


# Properties


def test_a_sample_is_even_and_always_the_same(read):
    text = "a,b\n" + "".join(f"{number},{number % 24}\n" for number in range(24_000))
    table = read(csv(text), sample_rows=2000)
    assert 1900 <= table.schema.rows <= 2100
    assert table.frame["b"].n_unique() == 24
    assert table.frame.equals(read(csv(text), sample_rows=2000).frame)


def test_the_same_files_give_the_same_bytes(read):
    text = "a,b,c\n" + "".join(f"{number},{number / 7},v{number % 11}\n" for number in range(200_000))
    first, second = read(csv(text)), read(csv(text))
    for name in ("data.parquet", "schema.json", "ingest.json"):
        assert (first.directory / name).read_bytes() == (second.directory / name).read_bytes()


def test_the_content_digest_is_pinned_and_knows_nothing_of_how_the_file_was_written(tmp_path):
    frame = pl.DataFrame(
        {
            "_row": [1, 2, 3],
            "n": [1, None, -3],
            "x": [0.5, None, 2.0],
            "s": ["a", "", None],
            "b": [True, None, False],
            "d": [date(2020, 1, 1), None, date(1969, 12, 31)],
            "t": [datetime(2020, 1, 1, 12), None, datetime(1960, 1, 1)],
        }
    )
    frame.write_parquet(tmp_path / "a.parquet")
    pl.concat([frame[:1], frame[1:]], rechunk=False).write_parquet(
        tmp_path / "b.parquet", compression="snappy", row_group_size=1
    )
    digest = table_digest(tmp_path / "a.parquet")
    assert digest == "12240f4e665c649e38337bf6abf94da8db3ae3a1126dabe6fa3701f4fa0a70d7"
    assert table_digest(tmp_path / "b.parquet") == digest
    for other in (
        frame.reverse(),
        frame.rename({"n": "m"}),
        frame.with_columns(pl.col("n").cast(pl.Float64)),
        frame.with_columns(s=pl.Series(["", "a", None])),
    ):
        other.write_parquet(tmp_path / "c.parquet")
        assert table_digest(tmp_path / "c.parquet") != digest


def test_a_table_that_failed_to_be_written_leaves_nothing_in_the_one_that_is_written_next(tmp_path, monkeypatch):
    """Polars goes on writing for a while after a sink has failed; in a file of the same name every third table broke."""
    monkeypatch.setattr(query, "ROW_GROUP", 8192)  # a small table in as many parts as a large one
    source, target = tmp_path / "a.csv", tmp_path / "a.parquet"
    source.write_text("a,b,c\n" + "".join(f"{i},{i / 7},v{i % 13}\n" for i in range(60_000)) + "x,1,2\n")
    text = pl.scan_csv(source, infer_schema=False)
    for rows in [1, 10, 1000, 30_000] * 10:
        wanted = text.select("c").head(rows).collect()
        with pytest.raises(pl.exceptions.PolarsError):
            query.write(pl.scan_csv(source, schema_overrides={"a": pl.Int64}), target)
        query.write(text.select("c").head(rows), target)
        assert pl.read_parquet(target).equals(wanted)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "a.parquet"]


CELLS = st.one_of(
    st.integers(-(10**20), 10**20).map(str),
    st.floats().map(repr),
    st.decimals(allow_nan=False, allow_infinity=False, places=3).map(str),
    st.dates().map(str),
    st.datetimes().map(str),
    st.sampled_from(
        [
            "",
            " ",
            "NA",
            "?",
            " 7",
            "7 ",
            "+5",
            "007",
            "5.0",
            ".5",
            "5.",
            "1e5",
            "1_0",
            "true",
            "True",
            "yes",
            "inf",
            "x",
            "é",
        ]
    ),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    columns=st.lists(
        st.one_of(
            st.lists(CELLS, min_size=4, max_size=4),
            *(
                st.lists(kind, min_size=4, max_size=4)
                for kind in [
                    st.integers().map(str),
                    st.floats(allow_nan=False, allow_infinity=False).map(repr),
                    st.dates().map(str),
                ]
            ),
        ),
        min_size=2,
        max_size=4,
    ),
    declared=st.lists(
        st.sampled_from([None, None, "integer", "float", "boolean", "category", "date", "datetime"]),
        min_size=4,
        max_size=4,
    ),
)
def test_the_fast_way_and_the_exact_way_agree(read, columns, declared, monkeypatch):
    """Same table or same refusal, whatever is in the cells and whatever is declared."""
    header = ",".join(f"name {number}" for number in range(len(columns)))
    text = header + "\n" + "\n".join(",".join(row) for row in zip(*columns, strict=True)) + "\n"
    types = {f"name {number}": {"type": kind} for number, kind in enumerate(declared[: len(columns)]) if kind}

    def outcome():
        try:
            table = read(csv(text), types, header=True, delimiter=",")
        except InputError as error:
            return str(error)
        return table.frame.rows(), table.schema, table.report["sources"]["data"]["types"]

    with monkeypatch.context() as patch:
        patch.setattr(staging, "fast", lambda *_: None)
        exact = outcome()
    with monkeypatch.context() as patch:
        patch.setattr(fast, "SAMPLE", 2)
        assert outcome() == exact
    assert outcome() == exact


@pytest.mark.parametrize(
    ("below", "wanted"),
    [
        ("NA", None),
        ("NaN", None),
        ("", None),
        ('""', None),
        ("-999", None),
        ("2024-01-01 00:00:00.25", datetime(2024, 1, 1, microsecond=250_000)),
        ("3.5", 3.5),
    ],
)
def test_what_the_first_rows_do_not_show_is_read_all_the_same(read, monkeypatch, below, wanted):
    monkeypatch.setattr(fast, "SAMPLE", 4)
    first = "2024-01-01 00:00:00" if isinstance(wanted, datetime) else "1"
    text = "a,b\n" + f"{first},x\n" * 6 + f"{below},y\n"
    table = read(csv(text), missing=["", "NA", "NaN", "-999"])
    assert table.frame["a"][-1] == wanted
    assert table.frame["a"].null_count() == (wanted is None)


@pytest.mark.parametrize(
    ("first", "below", "wanted"),
    [
        ("2020-01-31", "+2020-02-01", date(2020, 2, 1)),
        ("2020-01-31", "2020- 2- 1", date(2020, 2, 1)),
        ("31.01.2020", "1. 2. 2020", date(2020, 2, 1)),
        ("2020-01-31 10:00:00", "2020- 2-01 11:00:00", datetime(2020, 2, 1, 11)),
    ],
)
def test_how_a_date_is_padded_does_not_depend_on_the_way_it_is_read(read, monkeypatch, first, below, wanted):
    monkeypatch.setattr(fast, "SAMPLE", 4)
    text = "a,b\n" + f"{first},x\n" * 6 + f"{below},y\n"
    assert read(csv(text))["a"][-1] == wanted
    monkeypatch.setattr(staging, "fast", lambda *_: None)
    assert read(csv(text))["a"][-1] == wanted


# Real data


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
