"""Records of the wrong width, open quotes and blank lines are seen wherever chunks are cut."""

import csv
import io

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ingested import csv_file, refused

from steps.tables.dialect import Dialect
from steps.tables.structure import faults

CELL = st.text(st.sampled_from('ab1 ,;"\né|'), max_size=6)

DIALECT = Dialect(",", '"', ".", None, 2, 0)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.lists(CELL, min_size=1, max_size=4), min_size=1, max_size=12),
    chunk=st.sampled_from([1, 3, 7, 1 << 20]),
)
def test_the_shape_of_a_file_is_what_the_csv_module_says(file, rows, chunk):
    """For any rows that were written with proper quotes, whatever the size of the chunks they are read in."""
    target = io.StringIO()
    csv.writer(target, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(rows)
    path = file(target.getvalue())
    result = faults(path, DIALECT, chunk_size=chunk)
    expected, line = [], 1
    for row in rows:
        if len(row) != 2:
            expected.append((line, len(row)))
        line += 1 + sum(cell.count("\n") for cell in row)
    assert result.records == len(rows)
    assert [ragged[:2] for ragged in result.ragged] == expected[:5]
    assert result.ragged_count == len(expected)
    assert result.open_quote is None


@pytest.mark.parametrize("chunk", [*range(1, 12), 1 << 20])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_blank_line_is_no_record_wherever_the_chunks_part_it(file, chunk, end):
    path = file(end.join(["a,b", "", "1,2", "", "", "3,4", ""]))
    result = faults(path, DIALECT, chunk_size=chunk)
    assert (result.records, result.ragged) == (3, [])
    assert faults(file(f"a,b{end}1{end}"), DIALECT, chunk_size=chunk).ragged == [(2, 1, 2)]


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("", "data.csv: the file is empty"),
        ("\n\n  \n", "data.csv: the file is empty"),
        ("a,b\n", "data.csv: there are no rows below the header"),
        ("a,b\n1,2\n3\n4,5\n", r"data.csv, the file has 2 columns, but line 3 has 1"),
        ("a,b\n1,2\n3,4,5\n", r"data.csv, the file has 2 columns, but line 3 has 3"),
        ("a,b\n1\n", r"line 2 has 1"),
        ("_row,b\n1,2\n", r"'_row' is reserved"),
        (b"a,b\n1,x\0y\n2,z\n", "line 2: a zero byte"),
        (b"a,b\n1,2\0\n2,3\n", "line 2: a zero byte"),
        ('a,b,c\n1,"x, y",2\n3,"open,4\n5,6,7\n', r"quote opened on line 3 is never closed"),
        (
            "a,b\n1.5,x\ninf,y\n",
            r"column 'a': 1 value cannot be read as a number between .* \(data.csv, rows 2\): 'inf'",
        ),
        ("a,b\n1.5,x\n1e999,y\n", r"'a'.*1e999"),
        ("a,b\n1e300,x\n-1e300,y\n", r"'a': 2 values cannot be read as a number between -3.4e38 and 3.4e38 .*'-1e300'"),
        ("größe,b\n1,x\n2,ü\n3,ö\n".encode() + b"4,\xfc\n", r"line 5: not readable as UTF-8.*encoding: cp1252"),
    ],
)
def test_a_damaged_text_file_is_refused_with_its_line(read, content, match):
    refused(read, csv_file(content), match=match)


@pytest.mark.parametrize("blank", ["\n", "\r\n", "\n\n"])
def test_blank_lines_below_the_header_are_left_out(read, blank):
    table = read(csv_file(f"a,b\n{blank}1,2\n2,3\n"))
    assert (table["a"], table["b"]) == ([1, 2], [2, 3])
    refused(read, csv_file("a,b\n7\n1,2\n2,3\n"), match="line 2")


def test_blank_lines_are_no_rows_and_keep_their_numbers(read):
    table = read(csv_file("a,b\n1,x\n\n2,\n\n\n,y\n\n"))
    assert table["a"] == [1, 2, None]
    assert table["_row"] == [1, 3, 6]


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("a,b\n1,x\n2,y\nTotal: 3\nPage 1 of 1\n", "set data.sources.data.skip_footer: 2"),
        ("a,b\n1,x\n2,y\n3,z\r4,w\n5,v,1\n", "Line 4 holds a carriage return alone"),
        ("a;b\n1;x\n2;y;z\n3;w\n4;v\n", "cell that holds the delimiter needs quotes"),
        ('a,b\n1,"x y"\n2,"y\n3,z,4\n', "set data.sources.data.quote: ''"),
        ("a,b\n1,2,x\n1,2,y\n3,4,z\n", "one more than the header"),
        ("a,b\n1\n2,3\n4,5,6\n7,8\n", "Fix these lines, or set data.sources.data.delimiter"),
    ],
)
def test_the_advice_follows_the_pattern_of_the_lines(read, text, advice):
    refused(read, csv_file(text), match=advice)
