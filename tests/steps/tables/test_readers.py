"""Files of every format become frames with named columns."""

import io
import json
import zipfile
from datetime import UTC, datetime

import polars as pl
import pytest
from ingested import csv_file, refused

from steps.errors import InputError
from steps.tables.readers import read_parts
from steps.tables.source import Source


def test_blank_column_names_are_numbered_and_reported(read):
    table = read(csv_file("a,,c\n1,2,3\n"))
    assert list(table.types) == ["a", "column_2", "c"]
    assert "column_2" in table.notes


@pytest.mark.parametrize(
    ("header", "names"),
    [("a,b,a", ["a", "b", "a_2"]), ("a,a,a", ["a", "a_2", "a_3"]), ("a,a_2,a", ["a", "a_2", "a_3"])],
)
def test_repeated_names_get_a_number_and_are_reported(read, header, names):
    table = read(csv_file(f"{header}\n1,2,3\n"))
    assert list(table.types) == names
    assert names[-1] in table.notes
    refused(read, csv_file(f"{header}\n1,2,3\n"), match="names hold 'x' 2 times", names=["x", "y", "x"])


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


@pytest.mark.parametrize("titles", [[["Customer report 2023"]], [["Customer report 2023"], ["May", "June"], []]])
def test_titles_above_the_table_of_a_workbook_are_left_out(read, titles):
    rows = [["age", "city", "ok"], [26, "Lyon", "yes"], [46, "Graz", "no"], [68, "Graz", "yes"]]
    table = read({"book.xlsx": workbook([*titles, *rows])})
    assert table["age"] == [26, 46, 68]
    assert "'Customer report 2023'" in table.notes
    with_totals = workbook([*titles, *rows, ["Total", "", 3]])
    assert read({"book.xlsx": with_totals}, skip=len(titles), skip_footer=1)["age"] == [26, 46, 68]


def test_a_column_of_a_workbook_may_have_no_name(read):
    table = read({"book.xlsx": workbook([["age", "", "ok"], [26, "Lyon", "yes"], [46, "Graz", "no"]])})
    assert list(table.types) == ["age", "column_2", "ok"]


def workbook(rows):
    """The smallest workbook that spreadsheet programs open; a tuple is a formula and its value."""

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


def test_the_plan_of_a_wide_file_grows_with_its_columns_and_not_with_their_square(tmp_path):
    sizes = []
    for count in (100, 200):
        source, scratch = tmp_path / f"{count}", tmp_path / f"{count} scratch"
        source.mkdir()
        scratch.mkdir()
        lines = [",".join(f"c{number}" for number in range(count)), ",".join("1" * count)]
        (source / "01-a.csv").write_text("\n".join(lines))
        [part] = read_parts(source, "source", Source(path="a.csv"), scratch)
        sizes.append(len(part.text().explain(optimized=False)))
    assert sizes[1] < 3 * sizes[0]


def test_a_workbook_whose_last_cell_is_far_away_is_refused_before_memory_is_reserved(read):
    far = workbook([["a", "y"], [1, 2]])
    assert read({"a.xlsx": far}) is not None
    content = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(far)) as good, zipfile.ZipFile(content, "w") as bad:
        for entry in good.namelist():
            cell = b"</sheetData>"
            end = b'<row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData>'
            bad.writestr(entry, good.read(entry).replace(cell, end))
    refused(read, {"a.xlsx": content.getvalue()}, match=r"a\.xlsx: a sheet ends in row 1,048,576 and column 16,384")


def test_files_of_a_source_must_agree_on_their_columns(read):
    refused(
        read, {"1.csv": "a,b\n1,2\n", "2.csv": "a,c\n1,2\n"}, match=r"1.csv and 2.csv have different columns.*'b'.*'c'"
    )


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("d.parquet", b"PAR1 not really", "d.parquet: cannot be read as parquet"),
        ("d.json", '{"a": {\n"b": 1}}', "a table is a list of objects"),
        ("d.ndjson", '{"a": 1}\n{"a": [1, 2]}\n', "d.ndjson"),
        ("d.ndjson", '{"a": 1}\n{"a": \n', "d.ndjson"),
        ("d.csv.gz", b"no gzip", "cannot be unpacked"),
        ("d.zip", b"no zip", "cannot be unpacked"),
        ("d.xlsx", b"no workbook", "cannot be read as excel"),
        ("d.sav", b"x", "no format is known by the suffix"),
    ],
)
def test_other_formats_that_are_damaged_are_refused(read, name, content, match):
    refused(read, {name: content}, match=match)


def test_the_sheet_of_a_workbook_needs_the_extra(tmp_path, monkeypatch):
    import sys

    (tmp_path / "raw").mkdir()
    (tmp_path / "raw/01-b.xlsx").write_bytes(b"x")
    monkeypatch.setitem(sys.modules, "fastexcel", None)
    with pytest.raises(InputError, match=r"needs fastexcel; install the extra excel, .*: pip install -e '\.\[excel\]'"):
        read_parts(tmp_path / "raw", "s", Source(path="x"), tmp_path / "scratch")


@pytest.mark.parametrize("form", ["ndjson", "json", "parquet"])
def test_text_of_a_format_with_types_stays_text_and_is_asked_about(read, tmp_path, form):
    rows = [
        {"zip": "01234", "n": "12", "when": "2020-01-02", "x": 1},
        {"zip": "60601", "n": "7", "when": "2020-01-03", "x": 2},
    ]
    path = tmp_path / f"d.{form}"
    frame = pl.DataFrame(rows)
    {"ndjson": frame.write_ndjson, "json": frame.write_json, "parquet": frame.write_parquet}[form](path)
    table = read({path.name: path.read_bytes()})
    assert (table["zip"], table["n"]) == (["01234", "60601"], ["12", "7"])
    assert "column 'n' is text in the file, and all of its values are numbers" in table.notes
    assert "'zip'" not in table.notes
    assert table.types["when"] == ("category" if form == "parquet" else "date")
    assert read({path.name: path.read_bytes()}, {"n": {"type": "integer"}})["n"] == [12, 7]


def test_the_fields_of_objects_become_columns(read, tmp_path):
    rows = [
        {"home": {"city": "Graz", "at": {"lat": 1.5}}, "home.city": "x", "y": 1},
        {"home": {"city": "Lyon", "at": {"lat": 2.5}}, "home.city": "z", "y": 2},
    ]
    for name, text in (("d.json", json.dumps(rows)), ("d.ndjson", "\n".join(map(json.dumps, rows)))):
        table = read({name: text})
        assert table["home.city"] == ["Graz", "Lyon"]
        assert table["home.at.lat"] == [1.5, 2.5]
        assert table["home.city_2"] == ["x", "z"]
    path = tmp_path / "d.parquet"
    pl.DataFrame(rows).write_parquet(path)
    assert read({"d.parquet": path.read_bytes()})["home.at.lat"] == [1.5, 2.5]
