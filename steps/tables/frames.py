"""Polars frames as pandas frames, for libraries that need pandas."""

from __future__ import annotations

from typing import Any

import pandas as pd
import polars as pl

from steps.tables.names import ROW


def pandas_frame(frame: pl.DataFrame) -> pd.DataFrame:
    """Return a frame with its row numbers as index, without losing a value; dates become instants.

    Integers with missing values become float64 with NaN, since comparisons of nullable integers raise inside Great
    Expectations. They stay nullable integers only where a float64 could not hold them.
    """
    columns: dict[str, Any] = {}
    for series in frame.drop(ROW):
        gaps = series.null_count() > 0
        if series.dtype.is_integer() and gaps and _beyond_float(series):
            columns[series.name] = pd.array(series.to_list(), dtype="Int64")
        elif series.dtype == pl.Boolean and gaps:
            columns[series.name] = pd.Series(series.to_list(), dtype=object)
        elif series.dtype == pl.Date:
            columns[series.name] = series.cast(pl.Datetime("us")).to_pandas()
        elif series.dtype.is_numeric() or series.dtype.is_temporal() or series.dtype == pl.Boolean:
            columns[series.name] = series.to_pandas()
        else:
            columns[series.name] = pd.Series(series.cast(pl.String).to_list(), dtype=object)
    return pd.DataFrame(
        {name: pd.Series(values).array for name, values in columns.items()},
        index=pd.Index(frame[ROW].to_numpy(), name=ROW),
    )


def _beyond_float(series: pl.Series) -> bool:
    present = series.drop_nulls().to_numpy()
    return len(present) > 0 and (int(present.max()) > 2**53 or int(present.min()) < -(2**53))
