"""pandas frames as polars frames, column by column, whatever pandas made of the values.

A column of codes with a missing value is float in pandas, a column of mixed values an object, categories hide their type.
Here nothing is interpreted: ``model_code.tabular.reading`` does that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import polars as pl

from model_code.tabular.from_values import series_of


def from_pandas(frame: pd.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """Return the columns with these names, blanks around them aside, and objects whose parts have them.

    Raises:
        ValueError: two columns have one of the names.
    """
    useful = {name.strip() for name in names} | {name.partition(".")[0].strip() for name in names}
    labels = [str(label) for label in frame.columns]
    chosen = [number for number, label in enumerate(labels) if label.strip() in useful]
    for number in chosen:
        if labels.count(labels[number]) > 1:
            raise ValueError(f"two columns are named {labels[number]!r}; send each column once")
    return pl.DataFrame([_series(labels[number], frame.iloc[:, number]) for number in chosen])


def _series(name: str, values: pd.Series[Any]) -> pl.Series:
    if isinstance(values.dtype, pd.CategoricalDtype | pd.SparseDtype | pd.PeriodDtype | pd.IntervalDtype):
        values = values.astype(object)
    if isinstance(values.dtype, pd.DatetimeTZDtype):  # as text, which keeps any offset
        return pl.Series(name, [None if value is pd.NaT else value.isoformat() for value in values], dtype=pl.String)
    if values.dtype != object:
        return pl.Series(name, values, nan_to_null=True)
    return series_of(name, [_plain(value) for value in values])


def _plain(value: Any) -> Any:
    """Return a value of Python's own types; missing values become None."""
    if value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, pd.Timestamp):
        return value.to_pydatetime(warn=False)
    if isinstance(value, str):
        return str(value)
    return value.item() if isinstance(value, np.generic) else value
