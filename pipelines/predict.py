"""Batch prediction: a file in, a file out, the input checked against the model's schema first."""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from infra.runs import records
from infra.store.local import store_of
from steps.errors import InputError

if TYPE_CHECKING:
    import polars as pl

Written = tuple[tuple[str, ...], Literal[".", ","] | None]
"""Markers of missing values, and the decimal mark (detected where it is None)."""
WRITERS = {".csv": "write_csv", ".parquet": "write_parquet", ".ndjson": "write_ndjson", ".jsonl": "write_ndjson"}


def predict_file(model: str, source: Path, target: Path, workspace: Path, tracking_uri: str | None) -> dict[str, Any]:
    """Predict every row of ``source`` into ``target`` (CSV, Parquet or NDJSON by its suffix), atomically.

    The answers keep the order of the rows; their first column is the number of the row. Records without any value have
    none: how many there were is said, as ``blank_records`` and to whoever watches.

    Raises:
        InputError: no such model or file, a column that the model needs is missing, an unknown suffix.
    """
    if target.suffix not in WRITERS:
        found = target.suffix or "a file without a suffix"
        raise InputError(f"{target}: cannot write {found}; wanted one of {', '.join(WRITERS)}")
    if not source.is_file():
        raise InputError(f"no input file {source}")
    if target.exists() and target.samefile(source):
        raise InputError(f"{target}: is the input itself and is not overwritten; name another output")
    if not target.parent.is_dir():
        raise InputError(f"{target}: there is no folder {target.parent}")
    directory = _directory(model, workspace, tracking_uri)
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
    done = {"model": str(directory), "rows": answers.height, "columns": answers.columns, "output": str(target)}
    if blank := _records(source, inputs, frame) - frame.height:
        done["blank_records"] = blank
        click.echo(f"{source}: {blank:,} {'record' if blank == 1 else 'records'} without any value left out", err=True)
    return done


def _read(source: Path, inputs: Sequence[dict[str, Any]]) -> pl.DataFrame:
    """The file as the ingest stage reads data, with the types that the model knows.

    Inputs whose training data marked missing values or decimals in different ways are read one way after the other.

    Raises:
        InputError: a column is missing, or a value does not parse; with file, column and row numbers.
    """
    frame: pl.DataFrame | None = None
    for written, names in _ways(inputs).items():
        part = _read_written(source, inputs, written, names)
        if frame is None:
            frame = part
        else:
            part = part.select("_row", *names)
            frame = frame.drop(names).join(part, on="_row", how="full", coalesce=True).sort("_row")
    assert frame is not None
    return frame


def _ways(inputs: Sequence[dict[str, Any]]) -> dict[Written, list[str]]:
    """The names of the inputs by how their text is written; those that never were text join any that mark as usual."""
    from steps.tables.source import MISSING

    usual: Written = (tuple(sorted(set(MISSING))), None)
    ways: dict[Written, list[str]] = {}
    for each in inputs:
        reading = each.get("reading")
        if reading:
            ways.setdefault((tuple(reading["missing"]), reading.get("decimal")), []).append(each["name"])
    plain = [each["name"] for each in inputs if not each.get("reading")]
    if plain or not ways:
        ways.setdefault(next((way for way in ways if way[0] == usual[0]), usual), []).extend(plain)
    return ways


def _read_written(
    source: Path, inputs: Sequence[dict[str, Any]], written: Written, names: Sequence[str]
) -> pl.DataFrame:
    """The file with the columns ``names`` typed, and other inputs left as text."""
    import polars as pl

    from steps.ingest import ColumnConfig, IngestConfig, Source, ingest
    from steps.journal import Journal

    missing, decimal = written
    columns = {each["name"]: ColumnConfig(type="text") for each in inputs}
    for each in inputs:
        if each["name"] in names:
            format_ = (each.get("reading") or {}).get("format")
            columns[each["name"]] = ColumnConfig(type=each["type"], timezone=each.get("timezone"), format=format_)
    given = Source(path=source.name, missing=missing, decimal=decimal)
    config = IngestConfig(sources={"input": given}, columns=columns)
    with tempfile.TemporaryDirectory(prefix="fourscore-") as place:
        raw, table = _raw(source, Path(place)), Path(place) / "table"
        table.mkdir()
        with Journal(Path(place) / "journal.jsonl") as log:
            try:
                ingest(raw, table, config, log)
            except InputError as error:
                raise InputError(f"{source} does not fit the model: {error}") from None
        return pl.read_parquet(table / "data.parquet", glob=False)


def _records(source: Path, inputs: Sequence[dict[str, Any]], frame: pl.DataFrame) -> int:
    """How many records the file has; of formats other than delimited text every one is in the frame."""
    import polars as pl

    from steps.tables.readers import read_parts
    from steps.tables.source import Source

    missing, decimal = next(iter(_ways(inputs)))
    given = Source(path=source.name, missing=missing, decimal=decimal)
    with tempfile.TemporaryDirectory(prefix="fourscore-") as place:
        [part] = read_parts(_raw(source, Path(place)) / "input", "input", given, Path(place))
        if part.dialect is None:
            return frame.height
        found: int = part.text().select(pl.len()).collect(engine="streaming").item()
        return found


def _raw(source: Path, place: Path) -> Path:
    """The file as a raw artifact in ``place``; files there have a number before their name, whatever that is."""
    raw = place / "raw"
    (raw / "input").mkdir(parents=True)
    (raw / "input" / f"01-{source.name}").symlink_to(source.resolve())
    return raw


def _write(answers: pl.DataFrame, target: Path) -> None:
    """Write beside the target under a name of this call's own, and rename: of two at once one is whole there."""
    part = target.with_name(f".{os.getpid()}-{uuid.uuid4().hex}.part")
    try:
        getattr(answers, WRITERS[target.suffix])(part)
        part.replace(target)
    except OSError as error:
        raise InputError(f"{target}: cannot be written: {error.strerror or error}") from None
    finally:
        part.unlink(missing_ok=True)


def _directory(model: str, workspace: Path, tracking_uri: str | None) -> Path:
    """The model directory of a run, of a directory, or of what the registry calls by that name."""
    if (Path(model) / "model.pt2").is_file():
        return Path(model)
    if records.NAME.fullmatch(model) and records.path_of(workspace, model).is_file():
        record = records.load(workspace, model)
        train = record.producer("model")
        store = store_of(workspace, record)
        if train is None or store.find(train.key) is None:
            lost = train is not None and train.status in ("ran", "cached")
            why = "it is no longer in the store; run the problem again" if lost else record.message or record.status
            raise InputError(f"run {model} has no model: {why}")
        return store.open(train.key, "model")
    from infra.tracking import follower

    return follower.load_registered(workspace, tracking_uri, model)
