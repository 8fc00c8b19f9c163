"""Validation folds: equal rows, groups and times are never on both sides."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steps.errors import InputError
from steps.splitting.folds import fold_count, folds


def table(frame, by, column=None, count=3, classes=None, seed=0):
    return folds(frame, frame.columns, classes, by=by, column=column, count=count, seed=seed)


@given(st.lists(st.integers(0, 20), min_size=4, max_size=60), st.integers(1, 5))
def test_equal_rows_stay_on_one_side_and_every_row_is_validated_once(values, count):
    frame = pl.DataFrame({"x": values})
    if len(set(values)) < 2:
        with pytest.raises(InputError, match="too few distinct rows"):
            table(frame, "row", count=count)
        return
    try:
        pairs = table(frame, "row", count=count)
    except InputError:
        assert count == 1  # the one held-out part may be empty
        return
    for training, validation in pairs:
        assert not {values[i] for i in training} & {values[i] for i in validation}
        assert sorted([*training, *validation]) == list(range(len(values)))
    if count > 1:
        assert sorted(np.concatenate([v for _, v in pairs])) == list(range(len(values)))


@given(st.permutations(list(range(30))))
def test_the_order_of_rows_does_not_move_them(order):
    frame = pl.DataFrame({"x": list(range(30))})
    plain = [set(validation.tolist()) for _, validation in table(frame, "row")]
    moved = [{order[i] for i in validation} for _, validation in table(frame[order], "row")]
    assert plain == moved


def test_rare_classes_are_spread_over_the_folds():
    classes = np.array([0] * 94 + [1] * 6)
    pairs = table(pl.DataFrame({"x": range(100)}), "row", classes=classes)
    assert [int(classes[validation].sum()) for _, validation in pairs] == [2, 2, 2]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 2)), min_size=4, max_size=60))
def test_equal_rows_of_several_classes_stay_on_one_side(rows):
    values, classes = zip(*rows, strict=True)
    frame = pl.DataFrame({"x": values})
    if len(set(values)) < 2:
        with pytest.raises(InputError, match="all of them equal in x"):
            table(frame, "row", classes=np.array(classes))
        return
    pairs = table(frame, "row", classes=np.array(classes))
    for training, validation in pairs:
        assert not {values[i] for i in training} & {values[i] for i in validation}
    assert sorted(np.concatenate([v for _, v in pairs])) == list(range(len(values)))


def test_equal_rows_of_several_classes_spread_the_rarest():
    """Ten rows of each value; one of ten rows of a few values is of the rare class."""
    values = np.repeat(np.arange(60), 10)
    classes = ((values % 10 == 0) & (np.arange(600) % 10 == 0)).astype(int)
    pairs = table(pl.DataFrame({"x": values}), "row", classes=classes)
    assert [int(classes[validation].sum()) for _, validation in pairs] == [2, 2, 2]
    assert [len(validation) for _, validation in pairs] == [200, 200, 200]


def test_groups_are_whole_and_folds_about_equal():
    frame = pl.DataFrame({"g": [f"g{i % 17}" for i in range(170)]})
    for training, validation in table(frame, "group", "g"):
        assert not set(frame["g"][training]) & set(frame["g"][validation])
        assert 50 <= len(validation) <= 60
    with pytest.raises(InputError, match="column 'g' has one group"):
        table(frame.with_columns(g=pl.lit("a")), "group", "g")


@given(st.lists(st.one_of(st.none(), st.integers(0, 15)), min_size=8, max_size=60), st.integers(1, 4))
def test_validation_is_always_later_than_training(times, count):
    frame = pl.DataFrame({"t": pl.Series(times, dtype=pl.Int64)})
    try:
        pairs = table(frame, "time", "t", count=count)
    except InputError:
        return
    for training, validation in pairs:
        dated = [times[i] for i in training if times[i] is not None]
        assert all(times[i] is not None and (not dated or times[i] > max(dated)) for i in validation)


def test_one_instant_only_is_refused():
    with pytest.raises(InputError, match="too few different times"):
        table(pl.DataFrame({"t": [1] * 20}), "time", "t")


def test_few_rows_get_more_folds_and_many_rows_of_one_stretch_of_time_are_not_enough():
    assert [fold_count(n, "row") for n in (100, 5_000, 100_000)] == [5, 3, 1]
    assert [fold_count(n, "time") for n in (100, 5_000, 100_000)] == [5, 3, 2]
    assert [fold_count(n, "group") for n in (100, 5_000, 100_000)] == [5, 3, 3]
