"""Small files that would fill the memory are refused by a sentence, without filling it."""

import io
import struct
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from steps.errors import InputError
from steps.tables.guards import check_lines, check_parquet, check_workbook

ENOUGH = 1 << 20


def parquet_file(path, table, **options):
    pq.write_table(table, path, write_statistics=False, compression="zstd", **options)
    return path


def repeated(text, rows):
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), pa.array([text]))


@pytest.mark.parametrize(
    "column",
    [
        repeated("x" * 100_000, 1000),
        pa.ListArray.from_arrays(pa.array([0, 5_000_000], pa.int32()), pa.array(np.zeros(5_000_000, np.int8))),
        pa.array(np.zeros(5_000_000, np.int8)),
        pa.StructArray.from_arrays([repeated("x" * 100_000, 1000).cast(pa.string())], ["part"]),
    ],
    ids=["dictionary", "list", "rows", "object"],
)
def test_a_parquet_file_whose_values_are_far_larger_than_it_is_refused(tmp_path, column):
    path = parquet_file(tmp_path / "a.parquet", pa.table({"a": column}))
    assert path.stat().st_size < 20_000
    with pytest.raises(InputError, match=r"a\.parquet: the values of its [\d,]+ bytes take more than .* \(column 'a"):
        check_parquet(path, "a.parquet", ENOUGH)


@pytest.mark.parametrize(
    "column",
    [
        pa.array(["constant"] * 50_000),
        pa.array([f"text {number} " * (number % 20 + 1) for number in range(5000)]),
        pa.array([None] * 1000, pa.string()),
        pa.array([["x", "y"], []] * 100),
    ],
    ids=["constant", "text", "missing", "lists"],
)
def test_usual_parquet_files_pass(tmp_path, column):
    check_parquet(parquet_file(tmp_path / "a.parquet", pa.table({"a": column})), "a.parquet", ENOUGH)
    check_parquet(parquet_file(tmp_path / "b.parquet", pa.table({"a": column}), row_group_size=50), "b.parquet", ENOUGH)


def test_a_long_text_among_short_ones_is_counted_once(tmp_path):
    texts = ["x" * 50_000, *(str(number % 100) for number in range(20_000))]
    check_parquet(parquet_file(tmp_path / "a.parquet", pa.table({"a": texts})), "a.parquet", ENOUGH)


@pytest.mark.parametrize("end", [b"\n", b"\r"])
def test_text_without_line_ends_is_refused(tmp_path, end):
    path = tmp_path / "a.csv"
    path.write_bytes(b"a,b" + end + b"1," + b"x" * 4000 + end)
    with pytest.raises(InputError, match=r"a\.csv: no line ends between byte 1,000 and byte 2,000"):
        check_lines(path, "a.csv", 1000)
    check_lines(path, "a.csv", 5000)
    path.write_bytes((b"1," + b"x" * 900 + end) * 10)
    check_lines(path, "a.csv", 1000)


def workbook(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/") + ".xml", content)
    return path


def test_texts_that_cells_share_are_counted_for_each_cell(tmp_path):
    texts = f"<sst><si><t>short</t></si><si><t>{'x' * 30_000}</t></si></sst>"
    cells = '<row><c r="A1" t="s"><v>{}</v></c></row>'
    path = workbook(tmp_path / "a.xlsx", xl__sharedStrings=texts, xl__sheet=cells.format(1) * 100)
    with pytest.raises(InputError, match="repeat texts so long that they take more than 1,048,576 bytes"):
        check_workbook(path, "a.xlsx", enough=ENOUGH)
    path = workbook(tmp_path / "b.xlsx", xl__sharedStrings=texts, xl__sheet=cells.format(0) * 100 + cells.format(1))
    assert check_workbook(path, "b.xlsx", enough=ENOUGH) == 0


def test_a_workbook_of_blanks_is_refused(tmp_path):
    path = workbook(tmp_path / "a.xlsx", xl__sharedStrings="<sst>" + " " * (3 * ENOUGH) + "</sst>")
    with pytest.raises(InputError, match=r"a\.xlsx: unpacks to more than 200 times as many bytes"):
        check_workbook(path, "a.xlsx", enough=ENOUGH)


def test_repeated_cells_of_an_open_document_count_where_they_hold_something(tmp_path):
    row = '<table:table-row table:number-rows-repeated="{}"><table:table-cell table:number-columns-repeated="{}"{}/></table:table-row>'
    path = workbook(tmp_path / "a.ods", content=row.format(1000, 1000, ' office:value="1"'))
    with pytest.raises(InputError, match="a sheet repeats its cells, which makes 1,000,000 cells"):
        check_workbook(path, "a.ods", most_cells=10_000)
    check_workbook(workbook(tmp_path / "b.ods", content=row.format(1_048_000, 16_384, "")), "b.ods", most_cells=10_000)


def test_cells_with_errors_are_counted(tmp_path):
    cells = '<row><c r="A1" t="e"><v>#DIV/0!</v></c><c r="B1"><v>1</v></c></row>'
    assert check_workbook(workbook(tmp_path / "a.xlsx", xl__sheet=cells * 7), "a.xlsx") == 7


def record(kind, content):
    return bytes([kind, len(content) & 0x7F | 0x80, len(content) >> 7]) + content


def binary_workbook(path, cells, texts=()):
    """An .xlsb file with the records that matter: (row, column, kind, content) of each cell, and the shared texts."""
    sheet = b"".join(
        record(0, struct.pack("<I", row)) + record(kind, struct.pack("<II", column, 0) + content)
        for row, column, kind, content in cells
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.bin", sheet)
        archive.writestr("xl/sharedStrings.bin", b"".join(record(19, text) for text in texts))
    return path


def test_a_binary_workbook_with_one_cell_far_away_is_refused(tmp_path):
    number = struct.pack("<d", 1.0)
    path = binary_workbook(tmp_path / "a.xlsb", [(0, 0, 5, number), (999_999, 15_999, 5, number)])
    assert path.stat().st_size < 1000
    with pytest.raises(InputError, match=r"a\.xlsb: a sheet ends in row 1,000,000 and column 16,000"):
        check_workbook(path, "a.xlsb")


def test_a_binary_workbook_is_counted_like_any_other(tmp_path):
    cells = [(0, 0, 7, struct.pack("<I", 0)), (1, 0, 3, b"\x07"), (999_999, 15_999, 1, b"")]
    assert check_workbook(binary_workbook(tmp_path / "a.xlsb", cells, [b"x" * 9000]), "a.xlsb", enough=ENOUGH) == 1
    path = binary_workbook(tmp_path / "b.xlsb", cells[:1] * 200, [b"x" * 9000])
    with pytest.raises(InputError, match="repeat texts so long that they take more than 1,048,576 bytes"):
        check_workbook(path, "b.xlsb", enough=ENOUGH)


def test_what_is_damaged_is_left_to_the_reader(tmp_path):
    path = tmp_path / "a.parquet"
    path.write_bytes(b"PAR1 not really")
    check_parquet(path, "a.parquet")
    content = io.BytesIO(b"no workbook")
    path.write_bytes(content.getvalue())
    assert check_workbook(path, "a.xls") == 0
