"""The row hash decides the division for ever: its values are pinned, and nothing but the content counts."""

import datetime as dt

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from steps.splitting.rowhash import hash_frame, row_hashes, salted

GOLDEN = pl.DataFrame(
    {
        "whole": [0, 1, -5, None, 2**53 + 2],
        "real": [0.0, -1.5, float("nan"), 1e300, None],
        "yes": [True, False, None, True, False],
        "text": ["", "a 0", "ünï", None, "<b>'\"</b>"],
        "day": [dt.date(1970, 1, 1), dt.date(2013, 6, 30), None, dt.date(1900, 1, 1), dt.date(2100, 1, 1)],
        "at": [
            dt.datetime(2013, 1, 1, 5, tzinfo=dt.UTC),
            None,
            dt.datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=dt.UTC),
            dt.datetime(2000, 2, 29, tzinfo=dt.UTC),
            None,
        ],
    }
)
PINNED = [
    7618793544802932178,
    18024677248390688191,
    9455009095373441585,
    5822378760876619969,
    18334971773150153922,
]


def test_hashes_are_the_ones_that_were_pinned():
    assert [int(value) for value in salted(hash_frame(GOLDEN, GOLDEN.columns), 0)] == PINNED


def test_column_order_does_not_count_and_column_names_do():
    forth = hash_frame(GOLDEN, GOLDEN.columns)
    assert (forth == hash_frame(GOLDEN, GOLDEN.columns[::-1])).all()
    assert (
        forth != hash_frame(GOLDEN.rename({"text": "other"}), [*GOLDEN.columns[:3], "other", *GOLDEN.columns[4:]])
    ).all()


def test_equal_values_of_different_types_hash_alike():
    whole = pl.DataFrame({"a": [0, 3, -7, None, 2**60]})
    for other in (
        pl.DataFrame({"a": [0.0, 3.0, -7.0, None, 2.0**60]}),
        pl.DataFrame({"a": [-0.0, 3.0, -7.0, float("nan"), 2.0**60]}),
        pl.DataFrame({"a": [0, 3, -7, None, 2**60]}, schema={"a": pl.Int128}).cast(pl.Int64),
    ):
        assert (hash_frame(whole, ["a"]) == hash_frame(other, ["a"])).all()
    days = pl.DataFrame({"a": [dt.date(2013, 1, 1)]})
    assert (hash_frame(days, ["a"]) == hash_frame(days.cast(pl.Datetime("ms")), ["a"])).all()


def test_an_instant_hashes_alike_in_every_timezone():
    utc = pl.DataFrame({"a": [dt.datetime(2013, 1, 1, 12, tzinfo=dt.UTC)]}).cast(pl.Datetime("us", "UTC"))
    local = utc.with_columns(pl.col("a").dt.convert_time_zone("America/New_York"))
    assert (hash_frame(utc, ["a"]) == hash_frame(local, ["a"])).all()


def test_a_category_hashes_as_its_text():
    text = pl.DataFrame({"a": ["x", "y", None, "x"]})
    assert (hash_frame(text, ["a"]) == hash_frame(text.cast(pl.Categorical), ["a"])).all()


def test_the_file_is_hashed_in_batches_as_it_is_in_one_piece(tmp_path):
    random = np.random.default_rng(0)
    frame = pl.DataFrame({"n": random.normal(size=700_000), "s": random.choice(["a", "b", "c"], 700_000)})
    frame.write_parquet(tmp_path / "t.parquet", row_group_size=99_991)
    assert (row_hashes(tmp_path / "t.parquet", ["s", "n"], seed=5) == salted(hash_frame(frame, ["n", "s"]), 5)).all()


def test_seeds_give_unrelated_divisions():
    hashes = hash_frame(pl.DataFrame({"a": range(100_000)}), ["a"])
    halves = [salted(hashes, seed) < np.uint64(2**63) for seed in range(4)]
    for i in range(4):
        for j in range(i):
            assert abs((halves[i] == halves[j]).mean() - 0.5) < 0.01


def test_fractions_are_within_binomial_error_on_structured_rows():
    frames = {
        "sequential": pl.DataFrame({"a": range(200_000)}),
        "grid": pl.DataFrame({"a": [i % 400 for i in range(200_000)], "b": [i // 400 for i in range(200_000)]}),
        "binary digits": pl.DataFrame({f"b{k}": [(i >> k) & 1 for i in range(1 << 17)] for k in range(17)}),
        "text": pl.DataFrame({"a": [f"customer-{i:06d}" for i in range(200_000)]}),
    }
    for frame in frames.values():
        hashes = hash_frame(frame, frame.columns)
        assert len(np.unique(hashes)) == frame.height
        for seed in range(5):
            share = (salted(hashes, seed) < np.uint64(int(0.2 * 2**64))).mean()
            assert abs(share - 0.2) < 5 * (0.16 / frame.height) ** 0.5


cells = st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1), st.integers(-3, 3))


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(cells, st.one_of(st.none(), st.text(max_size=5)), st.one_of(st.none(), st.floats())),
        min_size=1,
        max_size=30,
    ),
    st.randoms(),
)
def test_a_row_hashes_the_same_wherever_it_stands(rows, random):
    """Property: shuffling rows shuffles their hashes; equal rows have equal hashes."""
    schema = {"a": pl.Int64, "b": pl.String, "c": pl.Float64}
    shuffled = rows[:]
    random.shuffle(shuffled)
    first = hash_frame(pl.DataFrame(rows, schema=schema, orient="row"), list(schema))
    second = hash_frame(pl.DataFrame(shuffled, schema=schema, orient="row"), list(schema))
    assert sorted(first.tolist()) == sorted(second.tolist())
    by_row: dict[str, set[int]] = {}
    for row, value in zip(rows + shuffled, [*first.tolist(), *second.tolist()], strict=True):
        by_row.setdefault(repr(row), set()).add(value)
    assert all(len(values) == 1 for values in by_row.values())
