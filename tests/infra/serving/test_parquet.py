"""A Parquet file is measured before it is unpacked, and a broken one is refused."""

import io
import random

import polars as pl
import pyarrow as pa
import pyarrow.parquet
import pytest

from infra.serving.parquet import check_size


def parquet(frame, **options):
    file = io.BytesIO()
    frame.write_parquet(file, **options)
    return file.getvalue()


FRAME = pl.DataFrame(
    {
        "age": [1, None, 3],
        "name": ["a", "b", None],
        "flag": [True, False, None],
        "when": pl.Series([1, 2, 3]).cast(pl.Datetime),
    }
)


@pytest.mark.parametrize("compression", ["zstd", "snappy", "gzip", "uncompressed"])
def test_ordinary_files_pass(compression):
    check_size(parquet(FRAME, compression=compression), 3, 10_000)
    check_size(parquet(pl.concat([FRAME] * 2_000), compression=compression, row_group_size=500), 6_000, 1 << 20)


@pytest.mark.parametrize("options", [{}, {"data_page_version": "2.0"}, {"use_dictionary": False}, {"version": "1.0"}])
def test_files_of_arrow_pass(options):
    file = io.BytesIO()
    pyarrow.parquet.write_table(pa.table({"age": [1, 2, 3], "name": ["a", "b", "c"]}), file, **options)
    check_size(file.getvalue(), 3, 10_000)


def test_a_small_file_with_a_very_long_value_is_refused():
    small = parquet(pl.DataFrame({"x": ["a" * 3_000_000]}), compression="zstd")
    assert len(small) < 2_000
    with pytest.raises(ValueError, match="it unpacks to 3,000,"):
        check_size(small, 1, 1 << 20)


def test_more_values_than_rows_are_refused():
    lists = pl.DataFrame({"x": [[None] * 5_000]})
    with pytest.raises(ValueError, match="a column has 5,000 values"):
        check_size(parquet(lists), 1_000, 1 << 20)


def test_values_that_repeat_the_one_before_are_refused():
    file = io.BytesIO()
    table = pa.table({"x": ["a" * 1_000 + str(i) for i in range(100)]})
    pyarrow.parquet.write_table(table, file, use_dictionary=False, column_encoding={"x": "DELTA_BYTE_ARRAY"})
    with pytest.raises(ValueError, match="encoding that is not read here"):
        check_size(file.getvalue(), 100, 1 << 20)


def test_broken_files_are_refused_and_nothing_else_is_raised():
    whole, chance = parquet(FRAME), random.Random(0)  # noqa: S311
    refusals = 0
    for _ in range(3_000):
        broken = bytearray(whole)
        for _ in range(chance.randrange(1, 6)):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        try:
            check_size(
                bytes(broken[: chance.randrange(len(broken)) + 1]) if chance.random() < 0.2 else bytes(broken),
                3,
                10_000,
            )
        except ValueError:
            refusals += 1
    assert refusals > 500
