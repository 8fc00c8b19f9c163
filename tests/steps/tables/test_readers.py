"""Reading files: what a text file looks like, whether its shape holds, and how values are parsed."""

import csv
import gzip
import io
import shutil
import zipfile
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from steps.errors import InputError
from steps.tables import readers, structure
from steps.tables.dialect import Dialect, Overrides, detect, encoding_of
from steps.tables.parsing import Parse, cleaned, converted, infer
from steps.tables.readers import MISSING, Source, parts

CELL = st.text(st.sampled_from('ab1 ,;"\né|'), max_size=6)


@pytest.fixture
def file(tmp_path):
    def write(content):
        path = tmp_path / "d.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.lists(CELL, min_size=1, max_size=4), min_size=1, max_size=12),
    chunk=st.sampled_from([1, 3, 7, 1 << 20]),
)
def test_the_shape_of_a_file_is_what_the_csv_module_says(file, monkeypatch, rows, chunk):
    """For any rows that were written with proper quotes, whatever the size of the chunks they are read in."""
    monkeypatch.setattr(structure, "_CHUNK", chunk)
    target = io.StringIO()
    csv.writer(target, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(rows)
    path = file(target.getvalue())
    found = structure.faults(path, Dialect(",", '"', ".", None, 2, 0))
    expected, line = [], 1
    for row in rows:
        if len(row) != 2:
            expected.append((line, len(row)))
        line += 1 + sum(cell.count("\n") for cell in row)
    assert found.records == len(rows)
    assert found.ragged == expected[:5]
    assert found.ragged_count == len(expected)
    assert found.open_quote is None


@pytest.mark.parametrize("chunk", [*range(1, 12), 1 << 20])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_blank_line_is_no_record_wherever_the_chunks_part_it(file, monkeypatch, chunk, end):
    monkeypatch.setattr(structure, "_CHUNK", chunk)
    path = file(end.join(["a,b", "", "1,2", "", "", "3,4", ""]))
    found = structure.faults(path, Dialect(",", '"', ".", None, 2, 0))
    assert (found.records, found.ragged) == (3, [])
    assert structure.faults(file(f"a,b{end}1{end}"), Dialect(",", '"', ".", None, 2, 0)).ragged == [(2, 1)]


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
    found = detect(file(target.getvalue()), "d.csv", Overrides())
    assert (found.delimiter, found.quote, found.header, found.width) == (delimiter, '"', ("number", "text"), 2)


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


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("integer", "007", 7),
        ("integer", "-0", 0),
        ("integer", "5.0", 5),
        ("integer", "5.5", None),
        ("integer", "9223372036854775807", 9223372036854775807),
        ("integer", "9223372036854775808", None),
        ("float", "1e-3", 0.001),
        ("float", ".5", 0.5),
        ("float", "inf", None),
        ("float", "1,5", None),
        ("boolean", "YES", True),
        ("boolean", "off", False),
        ("boolean", "2", None),
    ],
)
def test_each_type_has_one_meaning(kind, text, value):
    frame = pl.DataFrame({"a": [text]}).select(converted(cleaned(pl.col("a"), MISSING), Parse(kind)))
    assert frame.item() == value


@given(st.lists(st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)), min_size=1))
def test_whole_numbers_come_back_as_they_were(values):
    frame = pl.DataFrame({"a": [None if value is None else str(value) for value in values]}, schema={"a": pl.String})
    parse = infer(frame.lazy(), ["a"], ".")["a"]
    if parse is None:
        assert set(values) == {None}
    else:
        assert parse.type == "integer"
        assert frame.select(converted(pl.col("a"), parse))["a"].to_list() == values


@given(st.lists(st.floats(-3.4e38, 3.4e38), min_size=1))
def test_floats_come_back_to_the_last_bit(values):
    frame = pl.DataFrame({"a": list(map(repr, values))})
    assert frame.select(converted(pl.col("a"), Parse("float")))["a"].to_list() == values


def test_the_sheet_of_a_workbook_needs_the_extra(tmp_path, monkeypatch):
    import sys

    (tmp_path / "raw").mkdir()
    (tmp_path / "raw/01-b.xlsx").write_bytes(b"x")
    monkeypatch.setitem(sys.modules, "fastexcel", None)
    with pytest.raises(InputError, match=r"needs fastexcel; install the extra excel, .*: pip install -e '\.\[excel\]'"):
        parts(tmp_path / "raw", "s", Source(path="x"), tmp_path / "scratch")


def test_importing_the_step_is_light():
    import subprocess
    import sys

    program = "import sys, steps.ingest; print(*sorted({'polars', 'numpy', 'pandas', 'pyarrow', 'fastexcel'} & set(sys.modules)))"
    root = Path(structure.__file__).parents[1]
    said = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == ""


def pack(path, content):
    """``content`` as a gzip file and as the one member of a zip file below ``path``."""
    path.mkdir()
    with zipfile.ZipFile(path / "02-d.csv.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("d.csv", content)
    (path / "01-d.csv.gz").write_bytes(gzip.compress(content, mtime=0))
    return {each.suffix: each for each in path.iterdir()}


def unpacked(file, place):
    folder = place / file.suffix[1:]
    (folder / "raw").mkdir(parents=True)
    shutil.copy(file, folder / "raw")
    return parts(folder / "raw", "s", Source(path="x"), folder / "scratch")


@pytest.mark.parametrize("suffix", [".gz", ".zip"])
def test_a_file_that_unpacks_to_fill_the_disk_is_refused_and_one_that_packs_well_is_not(tmp_path, monkeypatch, suffix):
    monkeypatch.setattr(readers, "FREELY", 1 << 10)
    rows = "".join(f"{i % 97},a long value that comes again and again\n" for i in range(20_000))
    good = pack(tmp_path / "good", f"a,b\n{rows}".encode())[suffix]
    assert len(rows) > 20 * good.stat().st_size
    (part,) = unpacked(good, tmp_path / "1")
    assert part.columns == ("a", "b")
    bomb = pack(tmp_path / "bomb", b"a,b\n" + b"1,2\n" * 2_000_000)[suffix]
    with pytest.raises(InputError, match=r"d.csv.*: [\d,]+ bytes unpack to more than 200 times.*unpack it yourself"):
        unpacked(bomb, tmp_path / "2")
    assert not list((tmp_path / "2").rglob("unpacked"))


@pytest.mark.parametrize("suffix", [".gz", ".zip"])
def test_a_file_that_unpacks_to_more_than_the_disk_holds_is_refused_before_it_is_full(tmp_path, monkeypatch, suffix):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1_000))
    file = pack(tmp_path / "packed", b"a,b\n" + b"1,2\n" * 1_000)[suffix]
    with pytest.raises(InputError, match=r"d.csv.*: unpacks to more than 500 bytes, half of what is free.*--workspace"):
        unpacked(file, tmp_path / "1")
    assert not list((tmp_path / "1").rglob("unpacked"))
