"""Numbers are read as people write them, by evidence and with a note; what may be read in two ways is asked."""

# ruff: noqa: RUF001 - signs that look alike are what is read

import pytest
from ingested import csv_file

ENGLISH = ["51,572.99", "207", "1,234,567.5", "-3,846.00"]
PEOPLE = {
    "51,572.99 207 1,234.5": [51572.99, 207, 1234.5],
    "51.572,99 207 1.234,5": [51572.99, 207, 1234.5],
    "51'572.99 207 1'234.5": [51572.99, 207, 1234.5],
    "51’572,99 207 1’234,5": [51572.99, 207, 1234.5],
    "51\u00a0572,99 207 1\u00a0234,5": [51572.99, 207, 1234.5],
    "51\u202f572.99 207 1\u202f234.5": [51572.99, 207, 1234.5],
    "51\u2009572 207 1\u2009234": [51572, 207, 1234],
    "1,234,567 207 3,846": [1234567, 207, 3846],
    "1.234.567 207 3.846": [1234567, 207, 3846],
    "$51,572.99 $207 -$1,234.5": [51572.99, 207, -1234.5],
    "51.572,99€ 207€ -1.234,5€": [51572.99, 207, -1234.5],
    "CHF\u00a051’572 CHF\u00a0207 CHF\u00a01’234": [51572, 207, 1234],
    "£3 £207.50 (£1.25)": [3, 207.5, -1.25],
    "51.6% 4% -3.25%": [51.6, 4, -3.25],
    "51,6\u00a0% 4\u00a0% 3,25\u00a0%": [51.6, 4, 3.25],
    "(1,840.93) 868.66 1,646.16": [-1840.93, 868.66, 1646.16],
    "(3) 868 16": [-3, 868, 16],
    "1,840.93- 868.66 12": [-1840.93, 868.66, 12],
    "−0.52 0.87 −12": [-0.52, 0.87, -12],
    "–0,52 0,87 –12": [-0.52, 0.87, -12],
    "1,5 0,25 7": [1.5, 0.25, 7],
    "0,125 12,500 3,846": [0.125, 12.5, 3.846],
    "0.125 12.500 3.846": [0.125, 12.5, 3.846],
    "12,34,567.00 1,23,456.50 999": [1234567, 123456.5, 999],
    "₹12,34,567 ₹999": [1234567, 999],
    "EUR\u00a01.234,50 EUR\u00a07,00": [1234.5, 7],
    "1.234,50\u00a0CHF 7,00\u00a0chf": [1234.5, 7],
    "Rs.\u00a01,234.5 Rs.\u00a07": [1234.5, 7],
    "1\u00a0234,50\u00a0kr 7,00\u00a0kr": [1234.5, 7],
    "$1,234.50\u00a0USD $7\u00a0USD": [1234.5, 7],
    "$(1,234.50) $7": [-1234.5, 7],
    "(5%) 7%": [-5, 7],
    "5‰ 7‰": [5, 7],
    "123- 45": [-123, 45],
    "5,00-€ 1.000,00€": [-5.0, 1000.0],
    "-\u00a05 7": [-5, 7],
    "\u200e-5 7": [-5, 7],
    "CHF\u00a01'234.50 CHF\u00a07.-": [1234.5, 7],
    "12,- 7,50": [12, 7.5],
    "1.2k 3M 850": [1200.0, 3000000.0, 850.0],
    "$1.5M $300K": [1.5e6, 3e5],
    "1,5\u00a0Mio.\u00a0€ 3\u00a0Mio.\u00a0€": [1.5e6, 3e6],
    "１２３ ４５": [123, 45],
    "١٢٣ ٤٥": [123, 45],
}


def table_of(read, cells, delimiter, **source):
    quote = '"' if delimiter == "," else ""
    rows = "".join(f"{quote}{cell}{quote}{delimiter}{number}\n" for number, cell in enumerate(cells))
    return read(csv_file(f"a{delimiter}b\n{rows}"), **source)


@pytest.mark.parametrize("delimiter", [",", ";"])
@pytest.mark.parametrize("cells", PEOPLE)
def test_numbers_are_read_as_people_write_them(read, cells, delimiter):
    table = table_of(read, cells.split(" "), delimiter)
    assert table["a"] == PEOPLE[cells]
    assert table.types["a"] == ("float" if any(isinstance(value, float) for value in PEOPLE[cells]) else "integer")
    plain = set(cells) <= set("0123456789. ") or (delimiter != "," and set(cells) <= set("0123456789, "))
    assert plain or "column 'a' holds" in table.notes


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_a_comma_before_exactly_three_digits_stands_between_thousands_and_is_asked_about(read, delimiter):
    table = table_of(read, ["3,846", "207", "51,572", "85"], delimiter)
    assert table["a"] == [3846, 207, 51572, 85]
    assert "set decimal: ','" in table.notes
    assert table_of(read, ["3,846", "207"], delimiter, decimal=",")["a"] == [3.846, 207]
    assert table_of(read, ["3,846", "207"], delimiter, thousands=",")["a"] == [3846, 207]


@pytest.mark.parametrize(("delimiter", "first"), [(";", 3846), ("\t", 3846), ("|", 3846), (",", 3.846)])
def test_a_point_before_exactly_three_digits_beside_small_numbers_is_asked_about(read, delimiter, first):
    table = table_of(read, ["3.846", "207", "51.572", "85"], delimiter)
    assert table["a"][0] == first
    assert "thousands" in table.notes
    assert table_of(read, ["3.846", "207"], delimiter, decimal=".")["a"] == [3.846, 207]
    assert table_of(read, ["3.846", "207"], delimiter, thousands=".")["a"] == [3846, 207]


@pytest.mark.parametrize(("delimiter", "first"), [(";", 1000), ("\t", 1000), (",", 1)])
def test_amounts_with_three_digits_behind_every_point_are_asked_about(read, delimiter, first):
    table = table_of(read, ["1.000 €", "51.572 €", "12.207 €"], delimiter)
    assert table["a"][0] == first
    assert "for the source" in table.notes


@pytest.mark.parametrize(
    "cells",
    [
        "1E5 1E05 2E3",
        "1E05 7E9 3E1",
        "123\u00a0456 482\u00a0913 730\u00a0001",
        "$5 €7 £9",
        "5% 7 9",
        "12,34 5,6 1.234,5,6",
        "1,23,4 5 6",
        "0,051,572 207 3",
        "A1 A2 A17",
        "10.0.0.1 10.0.0.2 10.0.0.3",
    ],
)
def test_what_is_no_number_for_sure_stays_text(read, cells):
    table = table_of(read, cells.split(" "), ";")
    assert table.types["a"] == "category"
    assert table["a"] == cells.split(" ")


def test_declared_text_stays_text(read):
    for kind in ("text", "category"):
        table = read(csv_file('a,b\n"51,572.99",1\n"$3",2\n1E5,3\n'), {"a": {"type": kind}})
        assert table["a"] == ["51,572.99", "$3", "1E5"]


def test_a_declared_number_is_read_in_the_form_of_its_column(read):
    table = read(csv_file('a,b\n"51,572",1\n"3,846",2\n207,3\n'), {"a": {"type": "float"}})
    assert table["a"] == [51572.0, 3846.0, 207.0]
    reading = next(column.reading for column in table.schema.columns if column.name == "a")
    assert (reading.thousands, reading.decimal) == (",", ".")


@pytest.mark.parametrize("words", [["unknown", "-", "n.a."], ["#DIV/0!"], ["<5"]])
@pytest.mark.parametrize("line", ["{n}.5;x", '"{n},000.5";x', "{n};x", "${n};x"])
def test_a_column_that_is_nearly_numbers_says_so_with_the_words_and_rows(read, words, line):
    cells = [line.format(n=number + 1).split(";")[0] for number in range(100)]
    for place, word in enumerate(words):
        cells[10 * place + 3] = word
    table = read(csv_file("a,b\n" + "".join(f"{cell},{number % 7}\n" for number, cell in enumerate(cells))))
    assert table.types["a"] in ("category", "text")
    assert f"all but {len(words)} of its 100 values are" in table.notes
    assert f"{words[0]!r}" in table.notes
    almost = table.report["sources"]["data"]["types"]["a"]["almost"]
    assert almost["words"] == words
    assert almost["rows"] == [10 * place + 4 for place in range(len(words))]
    settings = {"a": {"type": almost["type"], "missing": words}}
    assert read(csv_file("a,b\n" + "".join(f"{c},1\n" for c in cells)), settings).frame["a"].null_count() == len(words)


@pytest.mark.parametrize("rows", [[2], [1, 4]])
@pytest.mark.parametrize("delimiter", [",", ";"])
def test_a_header_in_the_middle_is_left_out_and_its_rows_are_named(read, rows, delimiter):
    lines = [f"{number},x" for number in range(6)]
    for row in rows:
        lines[row] = "a,b"
    table = read(csv_file("\n".join(["a,b", *lines, ""]).replace(",", delimiter)))
    assert table["a"] == [number for number in range(6) if number not in rows]
    assert f"row{'s' if len(rows) > 1 else ''} {', '.join(str(row + 1) for row in rows)} repeat" in table.notes
    words = read(csv_file("\n".join(["p,q", *("x,y" for _ in lines), "p,q", "x,z"])))
    assert words.schema.rows == 7
