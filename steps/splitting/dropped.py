"""Columns that were left out as free text although the numbers in them predict the target."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from model_code.tabular.values import with_usual_signs
from steps.splitting.document import Finding
from steps.splitting.proxies import Strength, fold_of_rows, strength
from steps.tables.schema import Column, TableSchema
from steps.tables.truth import truth_array

CHECK = "dropped"
_SAMPLE = 20_000
_FEWEST = 100
"""Rows below which a strong column may be chance."""
_AUC, _SKILL, _R2 = 0.8, 0.3, 0.3
"""The scores of two classes, of more and of a number from which the loss of a column is worth a warning."""


def find_dropped(train: Path, schema: TableSchema) -> Iterator[Finding]:
    """Yield a warning for each column of free text whose first numbers predict the target by themselves."""
    target = schema.target
    assert target is not None
    columns = [
        column
        for column in schema.columns
        if column.type == "text" and column.role in ("feature", "ignore") and column.available == "at-prediction"
        if column.name != target.name
    ]
    rows = schema.rows
    if not columns or rows < _FEWEST:
        return
    every = max(1, -(-rows // _SAMPLE))
    sample = pl.scan_parquet(train / "data.parquet", glob=False).gather_every(every)
    frame = sample.select(target.name, *(column.name for column in columns)).collect(engine="streaming")
    truth = truth_array(frame[target.name], target)
    fold = fold_of_rows(len(truth))
    for column in columns:
        numbers = frame.select(_number(pl.col(column.name)))[column.name]
        if numbers.null_count() > numbers.len() / 2 or numbers.n_unique() < 3:
            continue
        result = strength(numbers, Column(name=column.name, type="float"), truth, len(target.classes), fold)
        if _strong(result, len(target.classes)):
            yield Finding(
                check=CHECK,
                level="warning",
                columns=(column.name,),
                text=(
                    f"{column.name!r} is left out as free text, yet the numbers in it predict {target.name!r} by themselves "
                    f"({result.measure} {result.score:.2f}); if they are numbers or dates, declare the type in data.columns"
                ),
                numbers={"score": result.score},
            )


def _number(text: pl.Expr) -> pl.Expr:
    """Return the first number in text; signs between groups of three digits are left out."""
    first = with_usual_signs(text).str.extract(r"([+-]?\d[\d,.']*)", 1)
    return (
        first.str.replace_all(r"[,'](\d{3})\b", "$1").str.replace(",", ".", literal=True).cast(pl.Float64, strict=False)
    )


def _strong(result: Strength, classes: int) -> bool:
    if not np.isfinite(result.score):
        return False
    if classes == 2:
        return result.score >= _AUC
    return result.skill >= _SKILL if classes else result.score >= _R2
