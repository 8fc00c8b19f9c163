"""Slices are named as people write values, cover every row once, and are cut where the training rows say."""

import datetime as dt

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steps.evaluation.slices import MISSING, OTHER, parts, select


def cut(values, reference=None, name="c"):
    column = pl.Series(name, values)
    return parts(column, column if reference is None else pl.Series(name, reference))


@given(st.lists(st.one_of(st.none(), st.text(max_size=2)), min_size=1, max_size=60))
@settings(max_examples=60, deadline=None)
def test_every_row_is_in_exactly_one_part_of_a_category(values):
    listed = cut(pl.Series(values, dtype=pl.String))
    assert sorted(np.concatenate([part.rows for part in listed])) == list(range(len(values)))
    assert len({part.value for part in listed}) == len(listed)


@given(
    st.lists(st.one_of(st.none(), st.floats(-1e9, 1e9)), min_size=1, max_size=80),
    st.lists(st.floats(-5, 5), max_size=9),
)
@settings(max_examples=60, deadline=None)
def test_every_row_is_in_exactly_one_part_of_a_number(values, reference):
    listed = cut(pl.Series(values, dtype=pl.Float64), pl.Series(reference, dtype=pl.Float64))
    assert sorted(np.concatenate([part.rows for part in listed])) == list(range(len(values)))


def test_many_numbers_are_cut_at_the_quarters_of_the_training_rows():
    listed = cut([0, 26, 50, 51, 100, 1000, None], range(1, 101))
    assert [(part.value, part.rows.tolist()) for part in listed] == [
        ("up to 26", [0, 1]),
        ("26 to 51", [2, 3]),
        ("above 76", [4, 5]),
        (MISSING, [6]),
    ]


def test_few_numbers_and_booleans_are_taken_as_they_are():
    assert [part.value for part in cut([2.0, 2.0, 1.5])] == ["2", "1.5"]
    assert [part.value for part in cut([True, False, True])] == ["true", "false"]
    assert [part.value for part in cut([1 + 1e-12, 1.0])] == ["1.0", "1.000000000001"]


def test_times_are_cut_into_quarters_too():
    days = [dt.date(2020, 1, 1) + dt.timedelta(days=day) for day in range(100)]
    assert [part.value for part in cut(days)] == [
        "up to 2020-01-26",
        "2020-01-26 to 2020-02-20",
        "2020-02-20 to 2020-03-16",
        "above 2020-03-16",
    ]


def test_the_rarest_of_many_values_are_pooled():
    values = [f"v{index:02}" for index in range(30) for _ in range(31 - index)]
    listed = cut(values)
    assert len(listed) == 20
    assert listed[0].value == "v00"
    assert listed[-1].value == OTHER
    assert len(listed[-1].rows) == sum(31 - index for index in range(19, 30))


def test_one_slice_is_found_by_how_it_is_written():
    table = pl.DataFrame({"a=b": ["c", "d=e"], "n": [1.0, 2.0]})
    assert select(table, {}, "a=b=d=e").rows.tolist() == [1]
    assert select(table, {}, "n=2").rows.tolist() == [1]
    assert "there are: 1, 2" in select(table, {}, "n=3")
    assert "no column" in select(table, {}, "z=1")
    rare = cut([f"v{index}" for index in range(40)], name="c")
    assert select(pl.DataFrame({"c": [f"v{index}" for index in range(40)]}), {"c": rare}, "c=v39").rows.tolist() == [39]


@pytest.mark.parametrize(
    ("texts", "missing"), [([MISSING, "b"], "(missing)*"), ([MISSING, "(missing)*"], "(missing)**")]
)
def test_a_value_that_is_written_like_a_missing_one_stays_apart_from_it(texts, missing):
    listed = cut([*texts, None, None, None])
    assert {part.value: part.rows.tolist() for part in listed} == {texts[0]: [0], texts[1]: [1], missing: [2, 3, 4]}
    table = pl.DataFrame({"c": [*texts, None]})
    assert select(table, {}, f"c={MISSING}").rows.tolist() == [0]
    assert select(table, {"c": listed}, f"c={missing}").rows.tolist() == [2, 3, 4]


@pytest.mark.parametrize("times", [1, 40])
def test_a_value_that_is_written_like_the_pool_of_rare_ones_stays_apart_from_it(times):
    """Whether it is common, and has a part of its own, or rare, and is in the pool itself."""
    values = [f"v{index:02}" for index in range(30) for _ in range(2)] + [OTHER] * times
    listed, table = cut(values), pl.DataFrame({"c": values})
    assert sorted(np.concatenate([part.rows for part in listed])) == list(range(len(values)))
    assert listed[-1].value == "(other)*"
    assert select(table, {"c": listed}, f"c={OTHER}").rows.tolist() == list(range(60, 60 + times))
    assert "no test row has '(other)*' in column 'c'; there are: " in select(table, {"c": listed}, "c=(other)*")
