"""The optimistic and the strict parser give the same table."""

# ruff: noqa: DTZ001 - naive times are among what is read

from dataclasses import asdict
from datetime import date, datetime
from functools import partial

import polars as pl
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from steps.errors import InputError
from steps.journal import Journal
from steps.tables.optimistic import parse_optimistic
from steps.tables.parsing import Parse
from steps.tables.source import Source
from steps.tables.staging import stage

PARSERS = {"optimistic": parse_optimistic, "strict": None}


@pytest.fixture
def staged(tmp_path):
    """``staged(text, declared, first=..., **source)``: a CSV file as a staged source, and its frame."""
    count = 0

    def staged(text, declared=None, first=parse_optimistic, **source):
        nonlocal count
        count += 1
        raw, scratch = tmp_path / f"{count}/raw", tmp_path / f"{count}/scratch"
        raw.mkdir(parents=True)
        scratch.mkdir()
        (raw / "01-data.csv").write_text(text)
        parses = {name: Parse(kind, declared=True) for name, kind in (declared or {}).items()}
        with Journal(tmp_path / f"{count}/journal.jsonl") as log:
            table = stage(
                raw, "data", Source.model_validate({"path": "x", **source}), parses, scratch, log, first=first
            )
        return table, pl.read_parquet(table.path, glob=False)

    return staged


both_parsers = pytest.mark.parametrize("first", PARSERS.values(), ids=PARSERS)


@both_parsers
@pytest.mark.parametrize(
    ("cells", "missing", "values"),
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
def test_blanks_around_a_missing_marker_change_nothing(staged, first, cells, missing, values):
    text = "a,b\n" + "".join(f"{cell},x{number}\n" for number, cell in enumerate(cells))
    _, frame = staged(text, first=first, missing=[missing])
    assert frame["a"].to_list() == values


@both_parsers
@pytest.mark.parametrize(
    ("cells", "values"),
    [
        ("1.234 2.500 999", [1234, 2500, 999]),
        ("1.234 2.500 3.750", [1234, 2500, 3750]),
        ("1.5 2.5 999", [1.5, 2.5, 999]),
        ("1.234,5 2,5 3", [1234.5, 2.5, 3]),
        ("1.234.567 .5 0", ["1.234.567", ".5", "0"]),
    ],
)
def test_a_point_in_a_number_beside_decimal_commas_is_what_the_column_makes_likely(staged, first, cells, values):
    rows = zip(
        cells.split(), ["1,5", "2,5", "2,25"], ["01.02.2020", "13.02.2020", "14.02.2020"], [1, 2, 3], strict=True
    )
    text = "a;b;c;d\n" + "".join(";".join(map(str, row)) + "\n" for row in rows)
    table, frame = staged(text, first=first)
    kind = {str: "category", int: "integer", float: "float"}[type(values[0])]
    types = {name: parse.type for name, parse in table.parses.items()}
    assert types == {"a": kind, "b": "float", "c": "date", "d": "integer"}
    assert frame["a"].to_list() == values
    assert frame["b"].to_list() == [1.5, 2.5, 2.25]
    if kind != "category":
        assert cells.split()[0] in table.parses["a"].note
        assert table.parses["a"].sure
        assert staged(text, {"a": "float"}, first=first)[1]["a"].to_list() == values


@both_parsers
def test_numbers_with_decimal_commas_are_read_in_every_column(staged, first):
    text = "a;b;c;d\n1,5;1; 2,5;1,0\n-,5;-2;?;2\n1e3;3;1,5e-1 ;3,00\n"
    table, frame = staged(text, {"d": "integer"}, first=first)
    assert [parse.type for parse in table.parses.values()] == ["float", "integer", "float", "integer"]
    assert frame.rows() == [(1, 1.5, 1, 2.5, 1), (2, -0.5, -2, None, 2), (3, 1000, 3, 0.15, 3)]


@pytest.mark.parametrize(
    ("text", "header", "columns", "values"),
    [
        ('x,"a\rb",c\n1,2,3\n4,5,6\n7,8,9\n', None, ["x", "a\rb", "c"], [1, 4, 7]),
        ('"x\ry"\n1\n2\n3\n', None, ["x\ry"], [1, 2, 3]),
        ("x,a\rb\n1,2\n4,5\n", None, ["x", "a\rb"], [1, 4]),
        ('"u\rv",2\nk,4\n', False, ["column_1", "column_2"], ["u\rv", "k"]),
        ('"u\rv\nw",2\nk,4', False, ["column_1", "column_2"], ["u\rv\nw", "k"]),
    ],
)
@both_parsers
def test_a_carriage_return_within_a_cell_of_the_first_record_costs_no_row(staged, first, text, header, columns, values):
    _, frame = staged(text, first=first, header=header)
    assert frame.columns == ["_row", *columns]
    assert frame[columns[0]].to_list() == values


def test_a_column_of_nothing_but_infinities_is_text_and_one_number_among_them_makes_it_numbers(staged):
    table, frame = staged("a,b\ninf,1\n-inf,2\n")
    assert frame["a"].to_list() == ["inf", "-inf"]
    assert "nothing but infinities" in table.parses["a"].note
    with pytest.raises(InputError, match=r"'a': 1 value cannot be read as a number .*, rows 2\): 'inf'"):
        staged("a,b\n,1\ninf,2\n0,3\n", first=partial(parse_optimistic, sample=2))


@both_parsers
def test_a_delimiter_at_the_end_of_a_file_begins_a_cell(staged, first):
    assert staged("a,b\n1,2\n3,", first=first)[1]["b"].to_list() == [2, None]
    with pytest.raises(InputError, match="the file has 2 columns, but line 3 has 3"):
        staged("a,b\n1,2\n3,4,", first=first)


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


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
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
    kinds=st.lists(
        st.sampled_from([None, None, "integer", "float", "boolean", "category", "date", "datetime"]),
        min_size=4,
        max_size=4,
    ),
)
@example(columns=[["0", "0", "0", "0"], ["0999-01-01", "", "0", "0"]], kinds=[None] * 4)
def test_the_optimistic_and_the_strict_parser_agree(staged, columns, kinds):
    """Same table or same refusal, whatever the cells hold and whatever is declared."""
    header = ",".join(f"name {number}" for number in range(len(columns)))
    text = header + "\n" + "\n".join(",".join(row) for row in zip(*columns, strict=True)) + "\n"
    declared = {f"name {number}": kind for number, kind in enumerate(kinds[: len(columns)]) if kind}

    def outcome(first):
        try:
            table, frame = staged(text, declared, first, header=True, delimiter=",")
        except InputError as error:
            return str(error)
        contents = {name: asdict(content) for name, content in table.examination.columns.items()}
        return frame.rows(), table.examination.digest, contents, table.parses, table.readings, table.report

    def values(result):
        """Leave out what is said of a column of text, for which the optimistic parser looks at its sample only."""
        if isinstance(result, str):
            return result
        rows, digest, contents, parses, *_ = result
        return rows, digest, contents, {name: (parse.type, parse.format) for name, parse in parses.items()}

    strict = outcome(None)
    assert outcome(parse_optimistic) == strict
    assert values(outcome(partial(parse_optimistic, sample=2))) == values(strict)


@pytest.mark.parametrize(
    ("below", "value"),
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
def test_values_that_the_first_rows_do_not_show_are_read_all_the_same(staged, below, value):
    first = "2024-01-01 00:00:00" if isinstance(value, datetime) else "1"
    text = "a,b\n" + f"{first},x\n" * 6 + f"{below},y\n"
    _, frame = staged(text, first=partial(parse_optimistic, sample=4), missing=["", "NA", "NaN", "-999"])
    assert frame["a"][-1] == value
    assert frame["a"].null_count() == (value is None)


@pytest.mark.parametrize("parser", [None, partial(parse_optimistic, sample=4)], ids=["strict", "optimistic"])
@pytest.mark.parametrize(
    ("first", "below", "value"),
    [
        ("2020-01-31", "+2020-02-01", date(2020, 2, 1)),
        ("2020-01-31", "2020- 2- 1", date(2020, 2, 1)),
        ("31.01.2020", "1. 2. 2020", date(2020, 2, 1)),
        ("2020-01-31 10:00:00", "2020- 2-01 11:00:00", datetime(2020, 2, 1, 11)),
    ],
)
def test_how_a_date_is_padded_does_not_depend_on_the_parser(staged, parser, first, below, value):
    _, frame = staged("a,b\n" + f"{first},x\n" * 6 + f"{below},y\n", first=parser)
    assert frame["a"][-1] == value
