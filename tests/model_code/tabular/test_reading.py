"""Foreign values become model inputs as training read its own text, or are refused by a sentence that says why."""

import datetime as dt
import json
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest

from model_code.tabular.encoding import describe, encode
from model_code.tabular.from_pandas import from_pandas
from model_code.tabular.reading import read

moment = dt.datetime.fromisoformat


def reading(**more):
    return {"missing": ["", "?", "NA"], "decimal": ".", "format": None, **more}


USUAL = reading()


def learned(values, kind, timezone=None, text=USUAL):
    """A model schema of one column ``x`` with these values in training."""
    column = {"name": "x", "type": kind, "timezone": timezone, "reading": text}
    return json.loads(json.dumps(describe(pl.DataFrame({"x": values}), [column])))


AGES = learned([18, 80, 30], "integer")
AMOUNTS = learned([1.5, 99.5], "float")
GERMAN = learned([1.5, 51572.99], "float", text=reading(decimal=","))
THOUSANDS = learned([1.0, 3846.0], "float", text=reading(thousands=","))
SHARES = learned([1.0, 99.0], "float", text=reading(affixes=["%"]))
FLAGS = learned([True, False, None], "boolean")
ZIPS = learned(["01234", "94110", "00501"], "category")
MEMBERS = learned(["Yes", "No"], "category")
MONTH_FIRST = learned([dt.date(2023, 1, 2), dt.date(2023, 12, 30)], "date", text=reading(format="%m/%d/%Y"))
DAY_FIRST = learned([dt.date(2023, 1, 2), dt.date(2023, 12, 30)], "date", text=reading(format="%d/%m/%Y"))
ISO_DAYS = learned([dt.date(2023, 1, 2), dt.date(2023, 12, 30)], "date", text=reading(format="%Y-%m-%d"))
LOGGED = [moment("2023-01-02T08:00"), moment("2025-12-30T08:00")]
MOMENTS = learned(LOGGED, "datetime", text=reading(format="%Y-%m-%d %H:%M:%S%.f"))
LOCAL = learned(
    pl.Series(LOGGED).dt.replace_time_zone("Europe/Berlin"),
    "datetime",
    "Europe/Berlin",
    reading(format="%d.%m.%Y %H:%M"),
)


def values(schema, *foreign, **options):
    frame = foreign[0] if isinstance(foreign[0], pl.DataFrame) else pl.DataFrame({"x": list(foreign)}, strict=False)
    readout = read(frame, schema, **options)
    encode(readout.frame, schema)
    return readout.frame["x"].to_list()


def refusal(schema, *foreign):
    with pytest.raises(ValueError, match=r"^column 'x': ") as error:
        values(schema, *foreign)
    return str(error.value)


def remarks(schema, *foreign):
    return [remark.text for remark in read(pl.DataFrame({"x": list(foreign)}), schema).remarks]


@pytest.mark.parametrize(
    ("schema", "foreign", "expected"),
    [
        (AGES, ["30", " 31 ", "+32", "33.0", "3.4e1", "?", "", None], [30, 31, 32, 33, 34, None, None, None]),
        (AGES, [30.0, float("nan")], [30, None]),
        (AGES, [Decimal(30)], [30]),
        (AMOUNTS, ["1.5", "NA", "2"], [1.5, None, 2]),
        (GERMAN, ["51572,99", "7", " "], [51572.99, 7, None]),
        (GERMAN, ["1.5", "2.25"], [1.5, 2.25]),
        (GERMAN, [1.234, None], [1.234, None]),
        (AMOUNTS, ["0,5", "1,234"], [0.5, 1.234]),
        (AMOUNTS, ["38,085.03", "1,234", "5"], [38085.03, 1234, 5]),
        (AMOUNTS, ["38.085,03", "1.234", "5"], [38085.03, 1234, 5]),
        (AMOUNTS, ["1,234,567"], [1234567]),
        (AMOUNTS, ["51 572.99", "1 000"], [51572.99, 1000]),
        (AMOUNTS, ["1'000.50"], [1000.5]),
        (AMOUNTS, ["$5.00", "-$3", "(2.50)", "\N{MINUS SIGN}0.52"], [5, -3, -2.5, -0.52]),
        (GERMAN, ["51.572,99", "1.234"], [51572.99, 1234]),
        (GERMAN, ["1.234,50"], [1234.5]),
        (GERMAN, ["51,572.99 €"], [51572.99]),
        (THOUSANDS, ["3,846", "207", "1,234.5"], [3846, 207, 1234.5]),
        (THOUSANDS, [3846, 207], [3846, 207]),
        (SHARES, ["51.6%", "7 %"], [51.6, 7]),
        (FLAGS, ["True", "true", " Yes ", "1", "t", "ON", "1.0"], [True] * 7),
        (FLAGS, ["no", "F", "0", "0.0", "off", "?", "NA"], [False] * 5 + [None] * 2),
        (FLAGS, [1, 0], [True, False]),
        (FLAGS, [1.0, None, 0.0], [True, None, False]),
        (FLAGS, [True, None], [True, None]),
        (ZIPS, [1234, 94110, 501], ["01234", "94110", "00501"]),
        (ZIPS, [1234.0, None], ["01234", None]),
        (ZIPS, [Decimal(1234)], ["01234"]),
        (ZIPS, ["1234", "01234 ", "1234.0"], ["01234"] * 3),
        (learned(["030", "0711", "40"], "category"), [30, 711, 40], ["030", "0711", "40"]),
        (learned(["1E5", "2E3", "7"], "category"), [100000.0, 2000.0, 7.0], ["1E5", "2E3", "7"]),
        (learned(["1.10", "2.30"], "category"), [1.1, 2.3], ["1.10", "2.30"]),
        (learned(["-1", "-02"], "category"), [-1, -2], ["-1", "-02"]),
        (learned(["123456789012345678", "7"], "category"), [123456789012345678.0], ["123456789012345678"]),
        (learned(["123456789012345678", "7"], "category"), [1.23456789012346e17], ["123456789012345678"]),
        (learned(["123456789012345678", "7"], "category"), ["123456789012345111"], ["123456789012345111"]),
        (
            learned(["123456789012345678", "123456789012345677"], "category"),
            [123456789012345677],
            ["123456789012345677"],
        ),
        (learned(["True", "False", "x"], "category"), [True, False], ["True", "False"]),
        (learned(["TRUE", "FALSE"], "category"), [True, False], ["TRUE", "FALSE"]),
        (learned(["true", "false", "x"], "category"), ["True", "FALSE"], ["true", "false"]),
        (learned(["2023-01-02"], "category"), [dt.date(2023, 1, 2)], ["2023-01-02"]),
        (MONTH_FIRST, ["01/11/2023", "11/01/2023"], [dt.date(2023, 1, 11), dt.date(2023, 11, 1)]),
        (MONTH_FIRST, ["01/25/2023", "11/01/2023"], [dt.date(2023, 1, 25), dt.date(2023, 11, 1)]),
        (DAY_FIRST, ["01/11/2023", "11/01/2023"], [dt.date(2023, 11, 1), dt.date(2023, 1, 11)]),
        (MONTH_FIRST, ["2023-11-01", "2023/11/02", ""], [dt.date(2023, 11, 1), dt.date(2023, 11, 2), None]),
        (MONTH_FIRST, ["5 January 2023"], [dt.date(2023, 1, 5)]),
        (MONTH_FIRST, ["Jan 6, 2023"], [dt.date(2023, 1, 6)]),
        (MONTH_FIRST, [dt.date(2023, 11, 1)], [dt.date(2023, 11, 1)]),
        (MONTH_FIRST, [moment("2023-11-01T08:00")], [dt.date(2023, 11, 1)]),
        (ISO_DAYS, ["2023-11-01T08:16:00Z", "2023-11-01 08:16"], [dt.date(2023, 11, 1)] * 2),
        (ISO_DAYS, ["25/04/2020", "08/11/2022"], [dt.date(2020, 4, 25), dt.date(2022, 11, 8)]),
        (ISO_DAYS, ["04/25/2020", "08/11/2022"], [dt.date(2020, 4, 25), dt.date(2022, 8, 11)]),
        (ISO_DAYS, ["05.06.2023"], [dt.date(2023, 6, 5)]),
        (
            MOMENTS,
            [
                *("2024-02-03 08:16:00", "2024-02-03T08:16:00", "2024-02-03T08:16", "2024-02-03T08:16:00Z"),
                *("2024-02-03T09:16:00+01:00", "2024-02-03 03:16:00-0500", "2024-02-03T08:16:00.000000000"),
            ],
            [moment("2024-02-03T08:16")] * 7,
        ),
        (MOMENTS, ["2024-02-03", dt.date(2024, 2, 3).isoformat()], [moment("2024-02-03T00:00")] * 2),
        (MOMENTS, [dt.date(2024, 2, 3)], [moment("2024-02-03T00:00")]),
        (MOMENTS, [dt.datetime(2024, 2, 3, 9, 16, tzinfo=dt.UTC)], [moment("2024-02-03T09:16")]),
        (learned([20230115, 20230116], "integer"), ["20230117"], [20230117]),
        (learned([dt.date(2023, 1, 2)], "date", text=reading(format="%Y%m%d")), [20231101], [dt.date(2023, 11, 1)]),
    ],
)
def test_a_value_is_what_training_would_have_read(schema, foreign, expected):
    assert values(schema, *foreign) == expected


@pytest.mark.parametrize(
    "text", ["03.02.2024 09:16", "2024-02-03 09:16:00", "2024-02-03T08:16:00Z", "2024-02-03T09:16+01:00"]
)
def test_local_times_and_instants_are_one_time_of_the_column_s_zone(text):
    assert values(LOCAL, text)[0].isoformat() == "2024-02-03T09:16:00+01:00"


def test_a_date_without_its_time_is_midnight_in_the_order_that_training_had():
    assert values(LOCAL, "03.02.2024")[0].isoformat() == "2024-02-03T00:00:00+01:00"


@pytest.mark.parametrize(
    ("schema", "foreign", "sentence"),
    [
        (
            AGES,
            ["30", "unknown", "-"],
            "2 values cannot be read as a whole number (rows 2, 3): 'unknown', '-'; training had whole numbers from 18",
        ),
        (AGES, [28.5], "1 value cannot be read as a whole number (row 1): '28.5'"),
        (AGES, [True], "1 value cannot be read as a whole number (row 1): 'True'"),
        (
            AMOUNTS,
            [float("inf"), 1.0],
            "1 value cannot be read as a number (row 1): 'inf'; training had numbers from 1.5 to 99.5",
        ),
        (AMOUNTS, ["-inf"], "1 value cannot be read as a number (row 1): '-inf'"),
        (AMOUNTS, ["1e400"], "1 value cannot be read as a number"),
        (AMOUNTS, [1e300], "1 value cannot be read as a number"),
        (AMOUNTS, ["1,234"], "1 value cannot be read as a number (row 1): '1,234'"),
        (
            GERMAN,
            ["1.234"],
            "'1.234' may be 1.234 or 1234: write it as training did, or send a number instead of text; training had",
        ),
        (AMOUNTS, ["51.6%"], "1 value cannot be read as a number (row 1): '51.6%'"),
        (AMOUNTS, ["1,234", "5"], "1 value cannot be read as a number (row 1): '1,234'"),
        (THOUSANDS, ["12x"], "training had numbers with ',' between thousands from 1 to 3846"),
        (SHARES, ["51.6", "7%"], "1 value cannot be read as a number (row 1): '51.6'"),
        (SHARES, [51.6], "send text with %, since 0.5 may be 50 %"),
        (FLAGS, [2], "1 value cannot be read as true or false (row 1): '2'"),
        (FLAGS, ["maybe", "0.5"], "2 values cannot be read as true or false (rows 1, 2): 'maybe', '0.5'"),
        (
            MONTH_FIRST,
            ["01/11/2023", "25/12/2023"],
            "a date (row 2): '25/12/2023'; training had dates from 2023-01-02 to 2023-12-30, written as %m/%d/%Y",
        ),
        (MONTH_FIRST, ["25/12/2023"], "written as %m/%d/%Y"),
        (MONTH_FIRST, ["25.12.2023"], "written as %m/%d/%Y"),
        (DAY_FIRST, ["12/25/2023"], "written as %d/%m/%Y"),
        (ISO_DAYS, ["05/06/2023"], "1 value cannot be read as a date"),
        (ISO_DAYS, [20231101], "1 value cannot be read as a date"),
        (MOMENTS, ["2024-02-30"], "1 value cannot be read as a date with a time"),
        (MOMENTS, ["0024-02-03"], "1 value cannot be read as a date with a time"),
        (
            LOCAL,
            ["2024-10-27 02:30:00"],
            "clocks in Europe/Berlin show this time twice or never; write it with its offset",
        ),
        (LOCAL, [moment("2024-03-31T02:30")], "clocks in Europe/Berlin show this time twice or never"),
        (learned(["7", "007"], "category"), [7], "several words of training stand for this value; send text"),
        (AMOUNTS, [[1.5], [2.5]], "the column holds List(Float64)"),
    ],
)
def test_what_cannot_be_read_is_refused_with_rows_values_and_what_training_had(schema, foreign, sentence):
    assert sentence in refusal(schema, *foreign)


def test_ambiguous_codes_are_taken_as_text():
    assert values(learned(["7", "007"], "category"), "7", "007") == ["7", "007"]


@pytest.mark.parametrize(
    ("schema", "foreign", "text"),
    [
        (MEMBERS, ["yes", "no"], "column 'x': 2 of 2 values never seen in training (no, yes; training had No, Yes)"),
        (MEMBERS, ["Yes", "maybe"], "column 'x': 1 of 2 values never seen in training (maybe; training had No, Yes)"),
        (ZIPS, [99], "column 'x': 1 of 1 value never seen in training (99; training had 00501, 01234, 94110)"),
        (ZIPS, [1234, 94110], "column 'x': 1 of 2 values spelled otherwise than in training; read 1234 as 01234"),
        (AGES, [900, 30, 17], "column 'x': 2 of 3 values outside of what training had, 18 to 80 (17, 900)"),
        (AGES, [30, None], "column 'x': 1 of 2 values missing; training had none missing"),
        (
            ISO_DAYS,
            ["2031-01-01"],
            "column 'x': 1 of 1 value outside of what training had, 2023-01-02 to 2023-12-30 (2031-01-01)",
        ),
    ],
)
def test_what_is_unlike_training_is_counted(schema, foreign, text):
    assert remarks(schema, *foreign) == [text]


@pytest.mark.parametrize(
    ("schema", "foreign"), [(MEMBERS, ["Yes"]), (AGES, [18, 80]), (FLAGS, [None]), (MOMENTS, LOGGED)]
)
def test_nothing_is_said_of_what_training_had(schema, foreign):
    assert remarks(schema, *foreign) == []


def test_numbers_that_mean_missing_are_missing_however_they_are_sent():
    schema = learned([1, 2], "integer", text=reading(missing=["-999"]))
    assert values(schema, "-999", "5") == [None, 5]
    assert values(schema, -999, 5) == [None, 5]
    assert values(schema, -999.0, 5.5 - 0.5) == [None, 5]
    codes = learned(["1", "2"], "category", text=reading(missing=["9"]))
    assert values(codes, 9, 1) == [None, "1"]


def test_a_marker_of_text_means_nothing_for_a_column_that_never_was_text():
    assert values(learned([-999, 2], "integer", text=None), -999, 2) == [-999, 2]


def test_truth_values_are_numbers_where_training_never_read_text():
    schema = learned([0.0, 1.0], "float", text=None)
    assert values(schema, True, False) == values(schema, "True", "false") == [1, 0]


def test_rows_that_cannot_be_read_are_left_out_on_request_and_named():
    schema = json.loads(
        json.dumps(
            describe(
                pl.DataFrame({"a": [1, 2], "b": ["x", "y"]}),
                [
                    {"name": "a", "type": "integer", "reading": reading()},
                    {"name": "b", "type": "category", "reading": reading()},
                ],
            )
        )
    )
    frame = pl.DataFrame({"a": ["1", "x", "2", "?"], "b": ["x", "y", "z", "y"]})
    readout = read(frame, schema, rows=pl.Series([10, 20, 30, 40]), skip=True)
    assert readout.rows.to_list() == [10, 30, 40]
    assert readout.frame.rows() == [(1, "x"), (2, "z"), (None, "y")]
    (fault,) = readout.faults
    assert (fault.column, fault.count, fault.rows) == ("a", 1, (20,))
    assert [remark.kind for remark in readout.remarks] == ["missing", "unseen"]


def test_missing_columns_are_named_with_what_the_model_needs_and_what_is_there():
    with pytest.raises(ValueError, match=r"column 'x' is missing; the model needs a whole number there \(there is 'X'"):
        read(pl.DataFrame({"X": [1], "y": [2]}), AGES)


def test_blanks_around_a_name_do_not_matter():
    assert read(pl.DataFrame({" x ": ["30"]}), AGES).frame["x"].to_list() == [30]


def test_no_rows_are_no_rows():
    for schema in (AGES, FLAGS, ZIPS, MOMENTS, LOCAL, MONTH_FIRST):
        for dtype in (pl.String, pl.Int64, pl.Null):
            assert read(pl.DataFrame({"x": pl.Series([], dtype=dtype)}), schema).frame.height == 0


def test_a_model_from_before_ranges_were_recorded_still_reads():
    for schema, foreign in ((AGES, ["900"]), (MEMBERS, ["yes"]), (MOMENTS, ["2040-01-01"]), (FLAGS, ["yes"])):
        entry = {
            name: value for name, value in schema["inputs"][0].items() if name not in ("range", "missing", "reading")
        }
        readout = read(pl.DataFrame({"x": foreign}), {**schema, "inputs": [entry]})
        assert [remark.kind for remark in readout.remarks] == (["unseen"] if schema is MEMBERS else [])


@pytest.mark.parametrize(
    ("schema", "series", "expected"),
    [
        (ZIPS, pd.Series([1234, None], dtype="Int64"), ["01234", None]),
        (ZIPS, pd.Series([1234, 94110], dtype="category"), ["01234", "94110"]),
        (ZIPS, pd.Series(["01234", None], dtype="category"), ["01234", None]),
        (ZIPS, pd.Series(["01234", 94110, None, np.nan], dtype=object), ["01234", "94110", None, None]),
        (ZIPS, pd.Series([1234], dtype="int32[pyarrow]"), ["01234"]),
        (FLAGS, pd.Series([True, None], dtype="boolean"), [True, None]),
        (FLAGS, pd.Series([True, False, None], dtype=object), [True, False, None]),
        (FLAGS, pd.Series(["Yes", True, 0, pd.NA], dtype=object), [True, True, False, None]),
        (AMOUNTS, pd.Series([Decimal("1.50"), None], dtype=object), [1.5, None]),
        (AMOUNTS, pd.Series(["1.5", 2, 2.5, np.float32(0.5)], dtype=object), [1.5, 2, 2.5, 0.5]),
        (AMOUNTS, pd.Series([1, 2], dtype="Float32"), [1, 2]),
        (ISO_DAYS, pd.Series([dt.date(2023, 5, 1), None], dtype=object), [dt.date(2023, 5, 1), None]),
        (MOMENTS, pd.Series(pd.to_datetime(["2024-02-03 08:16", None])), [moment("2024-02-03T08:16"), None]),
        (MOMENTS, pd.Series(pd.to_datetime(["2024-02-03 08:16"], utc=True)), [moment("2024-02-03T08:16")]),
        (
            MOMENTS,
            pd.Series([pd.Timestamp("2024-02-03 08:16"), pd.NaT], dtype=object),
            [moment("2024-02-03T08:16"), None],
        ),
        (AGES, pd.arrays.SparseArray([30, 31]), [30, 31]),
    ],
)
def test_pandas_may_hold_values_in_any_type(schema, series, expected):
    assert values(schema, from_pandas(pd.DataFrame({"x": series}), ["x"])) == expected


def test_a_word_that_pandas_takes_for_missing_is_the_word_where_training_missed_nothing():
    schema = learned(["NA", "DE"], "category", text=reading(missing=[]))
    frame = from_pandas(pd.DataFrame({"x": ["DE", np.nan]}), ["x"])
    assert values(schema, frame, blanks_hide_words=True) == ["DE", "NA"]
    assert values(schema, frame) == ["DE", None]


def test_two_columns_of_one_name_are_refused():
    with pytest.raises(ValueError, match="two columns are named 'x'"):
        from_pandas(pd.DataFrame([[1, 2]], columns=["x", "x"]), ["x"])


def test_objects_are_read_by_their_parts():
    columns = [
        {"name": "home.city", "type": "category", "reading": None},
        {"name": "home.size.m2", "type": "integer", "reading": None},
    ]
    schema = describe(pl.DataFrame({"home.city": ["Graz", "Oslo"], "home.size.m2": [50, 70]}), columns)
    homes = [{"city": "Oslo", "size": {"m2": "60"}}, {"city": None, "size": {"m2": None}}]
    for frame in (
        pl.DataFrame({"home": homes}),
        from_pandas(pd.DataFrame({"home": homes}), ["home.city", "home.size.m2"]),
    ):
        assert read(frame, schema).frame.rows() == [("Oslo", 60), (None, None)]
