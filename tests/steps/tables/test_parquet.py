"""Tables are written whole or not at all, and sampled evenly."""

import polars as pl
import pytest

from steps.tables.parquet import sample, write


def test_a_table_that_failed_to_be_written_leaves_nothing_in_the_one_that_is_written_next(tmp_path):
    """Polars goes on writing for a while after a sink has failed; in a file of the same name every third table broke."""
    source, target = tmp_path / "a.csv", tmp_path / "a.parquet"
    source.write_text("a,b,c\n" + "".join(f"{i},{i / 7},v{i % 13}\n" for i in range(60_000)) + "x,1,2\n")
    text = pl.scan_csv(source, infer_schema=False)
    for rows in [1, 10, 1000, 30_000] * 10:
        expected = text.select("c").head(rows).collect()
        with pytest.raises(pl.exceptions.PolarsError):
            write(pl.scan_csv(source, schema_overrides={"a": pl.Int64}), target, row_group=8192)
        write(text.select("c").head(rows), target, row_group=8192)  # as many parts as a large table
        assert pl.read_parquet(target).equals(expected)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "a.parquet"]


def test_a_sample_is_taken_of_any_table_whatever_its_columns_are_called(tmp_path):
    path = tmp_path / "t.parquet"
    pl.DataFrame({"_row": range(1, 1001), "_position": ["x"] * 1000}).write_parquet(path)
    sample(path, 0.5)
    sampled = pl.read_parquet(path)
    assert sampled.columns == ["_row", "_position"]
    assert 480 <= len(sampled) <= 520
