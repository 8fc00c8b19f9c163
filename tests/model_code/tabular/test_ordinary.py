"""Rows of ordinary values are what reading and encoding make of them; for any other row the quick way has no answer."""

import math
import sys

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_code.tabular.encoding import encode
from model_code.tabular.from_values import series_of
from model_code.tabular.ordinary import record_encoder
from model_code.tabular.reading import read

READING = {
    "missing": ["", "NA", "-999"],
    "decimal": ".",
    "format": None,
    "thousands": None,
    "affixes": [],
    "signs": False,
}
INPUTS = [
    {"name": "count", "type": "integer", "kind": "numeric", "missing": 2, "range": [-50.0, 9e15], "reading": READING},
    {"name": "typed", "type": "float", "kind": "numeric", "missing": 0, "range": [-1e9, 1e9]},
    {"name": "comma", "type": "float", "kind": "numeric", "missing": 1, "range": [0.0, 1e6], "reading": READING | {"decimal": ","}},
    {"name": "share", "type": "float", "kind": "numeric", "missing": 1, "range": [0.0, 1.0], "reading": READING | {"affixes": ["%"]}},
    {"name": "flag", "type": "boolean", "kind": "boolean", "missing": 1, "reading": READING},
    {"name": "word", "type": "category", "kind": "category", "missing": 1, "vocabulary": ["1", "01", "NA", "a", " b", "True"], "reading": READING},
    {"name": "code", "type": "category", "kind": "category", "missing": 0, "vocabulary": ["", "7", "None", "x y"]},
    {"name": "day", "type": "date", "kind": "datetime", "missing": 1, "range": ["2020-01-01", "2024-12-31"], "reading": READING | {"format": "%Y-%m-%d"}},
]  # fmt: skip
SCHEMA = {
    "inputs": INPUTS,
    "numeric": [entry["name"] for entry in INPUTS if entry["kind"] != "category"],
    "category": ["code", "word"],
}
NUMBERS = st.one_of(
    st.integers(-100, 10**16), st.floats(allow_nan=False, allow_infinity=False), st.sampled_from([0, 1, 1.5, -0.0, -999, 2**53 + 1])
)  # fmt: skip
TEXTS = st.one_of(
    st.sampled_from(["", " ", "NA", "-999", "1", "01", "1.0", "1,5", "1.5", "-7", "+7", "1e3", "50%", "yes", "T", "off", "a", " b", "b", "x y"]),
    st.sampled_from(["2020-02-30", "2021-03-04", "04.03.2021", "2021-03-04T05:06:07Z", "True", "None", "\u0661", "١٢", "7 ", "0x1"]),
    st.integers(-100, 10**17).map(str),
    st.floats(0, 100, allow_nan=False).map(str),
    st.text(max_size=4),
)  # fmt: skip
VALUES = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS)
LIKELY = {
    "count": st.integers(-50, 1000),
    "typed": st.floats(-1e9, 1e9),
    "comma": st.integers(0, 10),
    "share": st.none(),
    "flag": st.booleans(),
    "word": st.sampled_from(["a", "01", "True"]),
    "code": st.sampled_from(["7", "x y"]),
    "day": st.sampled_from(["2021-03-04", None]),
}


@st.composite
def records(draw):
    """Rows of likely values, with any value in one cell of each, or in none."""
    rows = []
    for _ in range(draw(st.integers(1, 3))):
        row = {name: draw(likely) for name, likely in LIKELY.items()}
        if draw(st.booleans()):
            row[draw(st.sampled_from(list(row)))] = draw(VALUES)
        rows.append(row)
    return rows


def slow(rows):
    """What reading and encoding make of the rows, or None if there is anything to say about them."""
    columns = []
    for name in LIKELY:
        values = [row[name] for row in rows]
        if {type(value) for value in values if value is not None} == {int, float}:
            values = [None if value is None else float(value) for value in values]
        columns.append(series_of(name, values))
    readout = read(pl.DataFrame(columns), SCHEMA, skip=True)
    return None if readout.faults or readout.remarks else encode(readout.frame, SCHEMA)


QUICK = record_encoder(SCHEMA)
COUNTS = {"quick": 0, "left": 0}


def check(rows):
    quick, expected = QUICK(rows), slow(rows)
    COUNTS["left" if quick is None else "quick"] += 1
    if quick is not None:
        assert expected is not None, rows
        for one, other in zip(quick, expected, strict=True):
            np.testing.assert_array_equal(one, other)


@settings(max_examples=40)
@given(records())
def test_the_quick_way_says_what_reading_and_encoding_say_or_nothing(rows):
    check(rows)


@pytest.mark.slow
def test_the_quick_way_says_what_reading_and_encoding_say_or_nothing_of_many_rows(capsys):
    settings(max_examples=1_500)(given(records())(check))()
    with capsys.disabled():
        sys.stdout.write(f"\n{COUNTS}; no difference\n")
    assert min(COUNTS.values()) > 200


def test_most_rows_of_likely_values_have_the_quick_way():
    row = dict(zip(LIKELY, (5, 1.5, 3, None, True, "01", "7", "2021-03-04"), strict=True))
    numeric, category = QUICK([row])
    assert numeric[0].tolist()[:3] == [5, 1.5, 3]
    assert math.isnan(numeric[0, 3])
    assert category.tolist() == [[1, 1]]
    assert QUICK([row | {"day": "04.03.2021"}]) is not None, "of a single row, reading is asked for the value"
    assert QUICK([row, row | {"day": None}]) is None, "and of several rows for all of them"
    assert QUICK([row | {"word": "strange"}]) is None
    assert QUICK([{}]) is None


def test_columns_with_pieces_of_texts_are_left_to_reading():
    assert record_encoder(SCHEMA | {"inputs": [*INPUTS[:-1], INPUTS[-1] | {"pieces": []}]}) is None
