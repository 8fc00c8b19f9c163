"""Encoding: strings to vocabulary positions, everything else to float64, the same for training and serving."""

import datetime as dt

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_code.tabular.encoding import MANY_VALUES, describe, encode


def described(frame, **types):
    columns = [{"name": name, "type": kind, "timezone": None} for name, kind in types.items()]
    return describe(frame, columns)


def test_missing_and_unknown_categories_are_minus_one_and_the_vocabulary_is_alphabetical():
    schema = described(pl.DataFrame({"c": ["b", "a", None, "ü \"'"]}), c="category")
    _, category = encode(pl.DataFrame({"c": ["ü \"'", "a", "new", None, "b"]}), schema)
    assert schema["inputs"][0]["vocabulary"] == ["a", "b", "ü \"'"]
    assert category[:, 0].tolist() == [2, 0, -1, -1, 1]


def test_numbers_are_float64_with_nan_for_missing_and_booleans_are_zero_and_one():
    frame = pl.DataFrame({"i": [2**53 - 1, None], "f": [0.1, None], "b": [True, None]})
    numeric, category = encode(frame, described(frame, i="integer", f="float", b="boolean"))
    assert numeric.dtype == np.float64
    assert category.shape == (2, 0)
    assert numeric[0].tolist() == [2**53 - 1, 0.1, 1.0]
    assert np.isnan(numeric[1]).all()


def test_instants_are_seconds_on_the_clock_of_the_columns_time_zone():
    instant = dt.datetime(2013, 7, 1, 4, 30, tzinfo=dt.UTC)  # half past midnight in New York
    frame = pl.DataFrame({"t": [instant, None], "d": [dt.date(1970, 1, 2), None]})
    schema = described(frame, t="datetime", d="date")
    schema["inputs"][0]["timezone"] = "America/New_York"
    numeric, _ = encode(frame, schema)
    assert numeric[0, 0] % 86_400 == 1800
    assert numeric[0, 1] == 86_400
    assert np.isnan(numeric[1]).all()


def test_missing_and_mistyped_columns_are_all_named_with_what_is_wanted():
    schema = described(pl.DataFrame({"age": [1], "city": ["x"]}), age="integer", city="category")
    with pytest.raises(
        ValueError, match=r"column 'age' holds String; wanted numbers.*column 'city' is missing; wanted text"
    ):
        encode(pl.DataFrame({"age": ["old"]}), schema)


def test_an_all_null_column_is_taken_whatever_its_type_should_be():
    frame = pl.DataFrame({"n": [1.0], "c": ["x"], "t": [dt.date(2020, 1, 1)]})
    numeric, category = encode(
        pl.DataFrame({"n": [None], "c": [None], "t": [None]}), described(frame, n="float", c="category", t="date")
    )
    assert np.isnan(numeric).all()
    assert (category == -1).all()


def test_of_very_many_categories_the_most_frequent_are_kept():
    once, twice = ([f"{word}{i:06d}" for i in range(MANY_VALUES + 10)] for word in ("once", "twice"))
    [entry] = described(pl.DataFrame({"c": once}), c="category")["inputs"]
    assert (len(entry["vocabulary"]), entry["rarer"]) == (MANY_VALUES, 10)
    [entry] = described(pl.DataFrame({"c": [*once, *twice, *twice]}), c="category")["inputs"]
    assert (entry["vocabulary"], entry["rarer"]) == (twice, len(once))


def test_columns_may_have_any_name():
    frame = pl.DataFrame({"count": ["a", "b"], "a 0'\"%": [1, 2], "": [True, False]})
    numeric, category = encode(frame, described(frame, **{"count": "category", "a 0'\"%": "integer", "": "boolean"}))
    assert numeric.tolist() == [[1.0, 1.0], [2.0, 0.0]]
    assert category.tolist() == [[0], [1]]


@given(st.lists(st.one_of(st.none(), st.text(max_size=3)), min_size=1, max_size=30))
def test_every_training_value_comes_back_from_its_position(values):
    frame = pl.DataFrame({"c": pl.Series(values, dtype=pl.String)})
    schema = described(frame, c="category")
    _, category = encode(frame, schema)
    back = [None if i < 0 else schema["inputs"][0]["vocabulary"][i] for i in category[:, 0]]
    assert back == values


def test_how_an_input_was_read_is_kept_in_the_schema_where_it_is_known():
    columns = [
        {"name": "a", "type": "float", "reading": {"missing": ("-999",), "decimal": ",", "format": None}},
        {"name": "b", "type": "float", "reading": None},
    ]
    schema = describe(pl.DataFrame({"a": [1.0], "b": [2.0]}), columns)
    assert schema["inputs"][0]["reading"] == {"missing": ["-999"], "decimal": ",", "format": None}
    assert "reading" not in schema["inputs"][1]
