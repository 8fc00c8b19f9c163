"""Tables on disk for the tests of the stages, and one call that runs a stage and reads what it wrote."""

import json
from pathlib import Path
from typing import Any

import polars as pl

from steps import documents
from steps.core import execute, step
from steps.journal import Journal, read_events
from steps.tables.digest import table_digest, with_missing
from steps.tables.names import LABEL_SOURCE, ROW
from steps.tables.schema import Column, TableSchema, Target

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


def kind_of(dtype: pl.DataType) -> str:
    if dtype.is_integer():
        return "integer"
    if dtype.is_float():
        return "float"
    return {pl.Boolean: "boolean", pl.Date: "date", pl.Datetime: "datetime"}.get(dtype.base_type(), "category")


def write_table(directory: Path, frame: pl.DataFrame, target: Target | None = None, **columns: dict[str, Any]) -> Path:
    """A table directory; ``columns`` gives role, available ... of single columns by name."""
    directory.mkdir(parents=True, exist_ok=True)
    if ROW not in frame.columns:
        frame = frame.select(pl.int_range(1, pl.len() + 1, dtype=pl.Int64).alias(ROW), pl.all())
    data = directory / "data.parquet"
    frame.write_parquet(data)
    listed = tuple(
        Column(
            **{
                "name": name,
                "type": kind_of(dtype),
                "timezone": getattr(dtype, "time_zone", None),
                **columns.get(name, {}),
            }
        )
        for name, dtype in frame.schema.items()
        if name not in (ROW, LABEL_SOURCE)
    )
    schema = TableSchema(
        rows=frame.height, digest=table_digest(data), columns=with_missing(data, listed), target=target
    )
    documents.write(directory, schema)
    return directory


def run_stage(function, place: Path, config, **inputs: Path) -> dict[str, Path]:
    """Execute a stage with fresh output directories below ``place``; returns where they are, and the journal under ``journal``."""
    stage = step(function)
    directories = {name: place / name for name in stage.outputs}
    for directory in directories.values():
        directory.mkdir(parents=True)
    with Journal(place / "journal.jsonl") as log:
        execute(stage, {**inputs, **directories}, config, log)
    return {**directories, "journal": place / "journal.jsonl"}


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def metrics(journal: Path) -> dict[str, float]:
    return {event["name"]: event["value"] for event in read_events(journal) if event["kind"] == "metric"}
