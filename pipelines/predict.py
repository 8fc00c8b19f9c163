"""Batch prediction: a file in, a file out; the input is checked against the model's schema first."""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from infra.places import store_of
from infra.runs import records
from steps.errors import InputError

if TYPE_CHECKING:
    import polars as pl

Style = tuple[tuple[str, ...], Literal[".", ","] | None]
"""How text is written: markers of missing values, and the decimal mark (None: detect it)."""
WRITERS = {".csv": "write_csv", ".parquet": "write_parquet", ".ndjson": "write_ndjson", ".jsonl": "write_ndjson"}


def predict_file(model: str, source: Path, target: Path, workspace: Path, tracking_uri: str | None) -> dict[str, Any]:
    """Predict every row of ``source`` into ``target`` (CSV, Parquet or NDJSON by its suffix), atomically.

    The predictions keep the order of the rows; their first column is the row number. Records without any value get no
    prediction; their number is returned as ``blank_records`` and printed.

    Raises:
        InputError: there is no such model or file, a required column is missing, or the suffix is unknown.
    """
    if target.suffix not in WRITERS:
        suffix = target.suffix or "a file without a suffix"
        raise InputError(f"{target}: cannot write {suffix}; use one of {', '.join(WRITERS)}")
    if not source.is_file():
        raise InputError(f"{source}: no such file")
    if target.exists() and target.samefile(source):
        raise InputError(f"{target}: is also the input; choose another output")
    if not target.parent.is_dir():
        raise InputError(f"{target}: no such folder: {target.parent}")
    directory = _model_directory(model, workspace, tracking_uri)
    from model_code.serving import load

    predictor = load(directory)
    inputs = predictor.schema["inputs"]
    frame = _read(source, inputs)
    try:
        answers = predictor.answers(frame)
    except ValueError as error:
        raise InputError(f"{source}: {error}") from None
    answers.insert_column(0, frame["_row"].alias("row"))
    _write(answers, target)
    summary = {"model": str(directory), "rows": answers.height, "columns": answers.columns, "output": str(target)}
    if blank := _count_records(source, inputs, frame) - frame.height:
        summary["blank_records"] = blank
        click.echo(f"{source}: {blank:,} {'record' if blank == 1 else 'records'} without any value skipped", err=True)
    return summary


def _read(source: Path, inputs: Sequence[dict[str, Any]]) -> pl.DataFrame:
    """Read the file as the ingest stage reads data, with the types that the model knows.

    Columns whose training data marked missing values or decimals differently are read in separate passes.

    Raises:
        InputError: a column is missing, or a value does not parse; the message names file, column and rows.
    """
    frame: pl.DataFrame | None = None
    for style, names in _styles(inputs).items():
        part = _read_style(source, inputs, style, names)
        if frame is None:
            frame = part
        else:
            part = part.select("_row", *names)
            frame = frame.drop(names).join(part, on="_row", how="full", coalesce=True).sort("_row")
    assert frame is not None
    return frame


def _styles(inputs: Sequence[dict[str, Any]]) -> dict[Style, list[str]]:
    """Return the input names by style; inputs that were never text join a style with the usual markers of missing values."""
    from model_code.tabular import MISSING

    usual: Style = (tuple(sorted(set(MISSING))), None)
    styles: dict[Style, list[str]] = {}
    for entry in inputs:
        reading = entry.get("reading")
        if reading:
            styles.setdefault((tuple(reading["missing"]), reading.get("decimal")), []).append(entry["name"])
    plain = [entry["name"] for entry in inputs if not entry.get("reading")]
    if plain or not styles:
        styles.setdefault(next((style for style in styles if style[0] == usual[0]), usual), []).extend(plain)
    return styles


def _read_style(source: Path, inputs: Sequence[dict[str, Any]], style: Style, names: Sequence[str]) -> pl.DataFrame:
    """Read the file with the columns ``names`` typed and all other inputs as text."""
    import polars as pl

    from steps.ingest import ColumnConfig, IngestConfig, Source, ingest
    from steps.journal import Journal

    missing, decimal = style
    columns = {entry["name"]: ColumnConfig(type="text") for entry in inputs}
    for entry in inputs:
        if entry["name"] in names:
            format_ = (entry.get("reading") or {}).get("format")
            columns[entry["name"]] = ColumnConfig(type=entry["type"], timezone=entry.get("timezone"), format=format_)
    input_source = Source(path=source.name, missing=missing, decimal=decimal)
    config = IngestConfig(sources={"input": input_source}, columns=columns)
    with tempfile.TemporaryDirectory(prefix="fourscore-") as place:
        raw, table = _lay_out(source, Path(place)), Path(place) / "table"
        table.mkdir()
        with Journal(Path(place) / "journal.jsonl") as log:
            try:
                ingest(raw, table, config, log)
            except InputError as error:
                raise InputError(f"{source} does not fit the model: {error}") from None
        return pl.read_parquet(table / "data.parquet", glob=False)


def _count_records(source: Path, inputs: Sequence[dict[str, Any]], frame: pl.DataFrame) -> int:
    """Return the number of records in the file; for formats other than delimited text, that is the frame's height."""
    import polars as pl

    from steps.tables.readers import read_parts
    from steps.tables.source import Source

    missing, decimal = next(iter(_styles(inputs)))
    input_source = Source(path=source.name, missing=missing, decimal=decimal)
    with tempfile.TemporaryDirectory(prefix="fourscore-") as place:
        [part] = read_parts(_lay_out(source, Path(place)) / "input", "input", input_source, Path(place))
        if part.dialect is None:
            return frame.height
        count: int = part.text().select(pl.len()).collect(engine="streaming").item()
        return count


def _lay_out(source: Path, place: Path) -> Path:
    """Lay the file out as a raw artifact in ``place``, where every file name begins with a number."""
    raw = place / "raw"
    (raw / "input").mkdir(parents=True)
    (raw / "input" / f"01-{source.name}").symlink_to(source.resolve())
    return raw


def _write(answers: pl.DataFrame, target: Path) -> None:
    """Write to a unique name beside the target, then rename, so that two calls at once leave one complete file."""
    part = target.with_name(f".{os.getpid()}-{uuid.uuid4().hex}.part")
    try:
        getattr(answers, WRITERS[target.suffix])(part)
        part.replace(target)
    except OSError as error:
        raise InputError(f"{target}: cannot be written: {error.strerror or error}") from None
    finally:
        part.unlink(missing_ok=True)


def _model_directory(model: str, workspace: Path, tracking_uri: str | None) -> Path:
    """Return the model directory of a run, a directory or a registered model."""
    if (Path(model) / "model.pt2").is_file():
        return Path(model)
    if records.NAME.fullmatch(model) and records.path_of(workspace, model).is_file():
        record = records.load(workspace, model)
        record.check_outputs()
        train = record.producer("model")
        store = store_of(workspace, record)
        if train is None or store.find(train.key) is None:
            lost = train is not None and train.status in ("ran", "cached")
            why = "it is no longer in the store; run the problem again" if lost else record.message or record.status
            raise InputError(f"run {model} has no model: {why}")
        return store.open(train.key, "model")
    from infra.tracking import follower

    return follower.load_registered(workspace, tracking_uri, model)
