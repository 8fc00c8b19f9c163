"""The content digest of a table is pinned."""

# ruff: noqa: DTZ001 - naive times are among what is read

from datetime import date, datetime

import polars as pl

from steps.tables.digest import table_digest


def test_the_content_digest_is_pinned_and_knows_nothing_of_how_the_file_was_written(tmp_path):
    frame = pl.DataFrame(
        {
            "_row": [1, 2, 3],
            "n": [1, None, -3],
            "x": [0.5, None, 2.0],
            "s": ["a", "", None],
            "b": [True, None, False],
            "d": [date(2020, 1, 1), None, date(1969, 12, 31)],
            "t": [datetime(2020, 1, 1, 12), None, datetime(1960, 1, 1)],
        }
    )
    frame.write_parquet(tmp_path / "a.parquet")
    pl.concat([frame[:1], frame[1:]], rechunk=False).write_parquet(
        tmp_path / "b.parquet", compression="snappy", row_group_size=1
    )
    digest = table_digest(tmp_path / "a.parquet")
    assert digest == "12240f4e665c649e38337bf6abf94da8db3ae3a1126dabe6fa3701f4fa0a70d7"
    assert table_digest(tmp_path / "b.parquet") == digest
    for other in (
        frame.reverse(),
        frame.rename({"n": "m"}),
        frame.with_columns(pl.col("n").cast(pl.Float64)),
        frame.with_columns(s=pl.Series(["", "a", None])),
    ):
        other.write_parquet(tmp_path / "c.parquet")
        assert table_digest(tmp_path / "c.parquet") != digest
