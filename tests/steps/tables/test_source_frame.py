"""The types in which columns arrive."""

from decimal import Decimal

import polars as pl
from ingested import refused

from steps.tables.readers import read_parts
from steps.tables.source import Source
from steps.tables.source_frame import SourceFrame


def test_wide_integers_of_typed_formats_are_read_as_in_a_csv_file(read, tmp_path):
    def parquet(values, kind):
        pl.DataFrame({"a": pl.Series(values, dtype=kind), "b": [1, 2]}).write_parquet(tmp_path / "p.parquet")
        return {"p.parquet": (tmp_path / "p.parquet").read_bytes()}

    huge = 2**63
    for files in (parquet([1, huge], pl.UInt64), {"d.ndjson": f'{{"a": 1, "b": 1}}\n{{"a": {huge}, "b": 2}}\n'}):
        table = read(files)
        assert table["a"] == ["1", str(huge)]
        assert "beyond 64 bits" in table.notes
        assert read(files, {"a": {"type": "float"}})["a"] == [1.0, float(huge)]
        match = rf"'a': 1 value cannot be read as an integer .*, rows 2\): '{huge}'.*data.columns.a.type: category"
        refused(read, files, {"a": {"type": "integer"}}, match=match)
    for kind in (pl.UInt64, pl.Int128):
        table = read(parquet([1, huge - 1], kind))
        assert (table.types["a"], table["a"]) == ("integer", [1, huge - 1])


def test_long_keys_that_arrive_as_decimals_stay_apart(tmp_path):
    (tmp_path / "raw").mkdir()
    keys = [Decimal(9007199254740992), Decimal(9007199254740993)]
    frame = pl.DataFrame({"key": pl.Series(keys, dtype=pl.Decimal(38, 0))})
    frame.write_parquet(tmp_path / "raw/p.parquet")
    source = Source(path="p.parquet")
    frame = SourceFrame.of("data", source, read_parts(tmp_path / "raw", "data", source, tmp_path), {})
    assert frame.text().collect()["key"].to_list() == ["9007199254740992", "9007199254740993"]
