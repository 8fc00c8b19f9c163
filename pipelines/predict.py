"""Batch prediction: a file in, a file out; the values are read as training read them, and what is unlike training is said."""

from __future__ import annotations

import os
import re
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import polars as pl

from infra.places import store_of
from infra.runs import records
from infra.runs.records import RunRecord
from infra.store.manifest import is_published
from model_code import serving
from model_code.serving import Predictor
from pipelines.terminal import plain
from steps.errors import GateRefused, InputError, near

if TYPE_CHECKING:
    from model_code.families import Readout
    from steps.tables.source import Source

WRITERS = {".csv": "write_csv", ".parquet": "write_parquet", ".ndjson": "write_ndjson", ".jsonl": "write_ndjson"}
STANDARD_OUTPUT = Path("-")
_SETTING = re.compile(r"\b(encoding|names|format|quote|delimiter|sheet|member): ")
"""What is said of settings in messages of the readers."""
ENOUGH_WORDS = 3
"""The words that a reason has at least."""
_LISTED = 20
"""How many row numbers a message lists."""


def predict_file(
    model: str,
    source: Path,
    target: Path,
    workspace: Path,
    tracking_uri: str | None,
    *,
    keep: Sequence[str] = (),
    skip_bad: bool = False,
    strict: bool = False,
    settings: Mapping[str, str] | None = None,
    rejected: bool = False,
    trust: str | None = None,
) -> dict[str, Any]:
    """Predict every row of ``source`` into ``target`` (CSV, Parquet or NDJSON by its suffix), atomically.

    The predictions keep the order of the rows; their first column is the row number. Records without any value get no
    prediction; their number is returned as ``blank_records`` and printed, as are the ways in which values are unlike training.

    Args:
        target: the file, or ``-`` for CSV on standard output.
        keep: columns of the input that are copied beside the predictions.
        skip_bad: leave out rows with values that cannot be read.
        strict: refuse inputs that are unlike training.
        settings: how the file is written where detection fails, as ``input.skip`` and other fields of ``Source``.
        rejected: use the model of a run that was rejected, too.
        trust: why a model may be used that is not of a run of the workspace, in a sentence.

    Raises:
        GateRefused: the run was rejected, and nobody said ``rejected``.
        InputError: there is no such model or file, a required column is missing, a value cannot be read, or the suffix is
            unknown.
    """
    _check_target(source, target)
    if trust is not None and len(trust.split()) < ENOUGH_WORDS:
        raise InputError(f"--trust {trust!r}: wanted a sentence that says why, such as 'our own export of 3 May'")
    directory = _model_directory(model, workspace, tracking_uri, rejected=rejected, trust=trust)
    try:
        predictor = serving.load(directory)
    except ValueError as error:
        raise InputError(f"model {model} cannot be read: {error}") from None
    frame, rows, blank = _open(source, predictor.schema["inputs"], settings or {})
    readout = _read(predictor, source, frame, rows, skip_bad=skip_bad)
    unlike = [remark.text for remark in readout.remarks]
    if strict and unlike:
        raise InputError("\n".join([f"{source} is unlike the training data, which --strict refuses:", *unlike]))
    if readout.faults:
        frame = frame.filter(rows.is_in(readout.rows.to_list()))
    answers = _with_columns(predictor.answers(readout.frame), source, frame, readout, keep)
    _write(answers, target)
    summary: dict[str, Any] = {
        "model": str(directory),
        "rows": answers.height,
        "columns": answers.columns,
        "output": str(target),
        "unlike_training": [asdict(remark) for remark in readout.remarks],
    }
    if trust is not None:
        summary["trusted"] = trust
    if blank:
        summary["blank_records"] = blank
        _say(f"{source}: {blank:,} {'record' if blank == 1 else 'records'} without any value skipped")
    if skip_bad:
        bad = sorted({row for fault in readout.faults for row in fault.rows})
        summary["skipped"] = {"rows": bad, "columns": [asdict(fault) for fault in readout.faults]}
        if bad:
            listed = ", ".join(map(str, bad[:_LISTED])) + (", ..." if len(bad) > _LISTED else "")
            _say(f"{source}: {len(bad):,} of {len(rows):,} rows left out ({listed})", *(f.text for f in readout.faults))
    if unlike:
        _say(f"{source}: unlike the training data", *unlike)
    return summary


def _say(*lines: str) -> None:
    click.echo(plain("\n  ".join(lines)), err=True)


def _check_target(source: Path, target: Path) -> None:
    """Check that the input is there and the output can be written.

    Raises:
        InputError: it is not.
    """
    if target != STANDARD_OUTPUT and target.suffix not in WRITERS:
        suffix = target.suffix or "a file without a suffix"
        raise InputError(f"{target}: cannot write {suffix}; use one of {', '.join(WRITERS)}, or - for standard output")
    if not source.is_file():
        raise InputError(f"{source}: no such file")
    if target == STANDARD_OUTPUT:
        return
    if target.exists() and target.samefile(source):
        raise InputError(f"{target}: is also the input; choose another output")
    if not target.parent.is_dir():
        raise InputError(f"{target}: no such folder: {target.parent}")


def _settings(source: Path, settings: Mapping[str, str]) -> Source:
    """Return how the file is written, as far as anyone says so.

    Raises:
        InputError: a file has no such setting, or it is wrong.
    """
    from pydantic import ValidationError

    from steps.tables.source import Source

    names = [name for name in Source.model_fields if name not in ("path", "decimal", "thousands", "missing")]
    fields: dict[str, Any] = {"path": source.name}
    for key, text in settings.items():
        from pipelines.problem.yaml_lines import parse

        name = key.removeprefix("input.")
        if name not in names:
            raise InputError(f"--set {key}: use one of {', '.join(f'input.{name}' for name in names)}")
        fields[name], _ = parse(f"--set {key}", text)
    try:
        return Source.model_validate(fields)
    except ValidationError as error:
        fault = error.errors()[0]
        raise InputError(f"--set input.{'.'.join(map(str, fault['loc']))}: {fault['msg']}") from None


def _open(
    source: Path, inputs: Sequence[dict[str, Any]], settings: Mapping[str, str]
) -> tuple[pl.DataFrame, pl.Series, int]:
    """Return the cells of a file as text (or as the types of its format), the number of each row, and the blank records.

    Raises:
        InputError: the file cannot be read; the message says why.
    """
    from steps.errors import refuse_full_disk
    from steps.tables.readers import read_parts

    advice = "settings of the file are given as --set input.FIELD=VALUE"
    with tempfile.TemporaryDirectory(prefix="fourscore-") as place:
        raw = _lay_out(source, Path(place))
        try:
            [part] = read_parts(raw / "input", "input", _settings(source, settings), Path(place))
        except InputError as error:
            raise InputError(f"{error}\n({advice})" if _SETTING.search(str(error)) else str(error)) from None
        if part.dialect is not None and (fault := part.fault("input")):
            raise InputError(f"{source}, {fault}\n({advice})")
        try:
            frame = part.text().collect(engine="streaming")
        except pl.exceptions.PolarsError as error:
            refuse_full_disk(error)
            raise InputError(f"{source}: cannot be read: {str(error).splitlines()[0]}") from None
    if frame.is_empty():
        raise InputError(f"{source}: there are no rows below the header; at least one is needed")
    rows = pl.Series("row", range(1, frame.height + 1), dtype=pl.Int64)
    if part.dialect is None:
        return frame, rows, 0
    some_value = _has_value(frame, inputs)
    return frame.filter(some_value), rows.filter(some_value), frame.height - int(some_value.sum())


def _has_value(frame: pl.DataFrame, inputs: Sequence[dict[str, Any]]) -> pl.Series:
    """Return for each record of a text file whether any of its cells holds a value."""
    from model_code.tabular import MISSING
    from model_code.tabular.values import cleaned

    markers = {entry["name"]: entry["reading"]["missing"] for entry in inputs if entry.get("reading")}
    present = [cleaned(pl.col(name), markers.get(name, MISSING)).is_not_null() for name in frame.columns]
    return frame.select(pl.any_horizontal(present)).to_series()


def _read(predictor: Predictor, source: Path, frame: pl.DataFrame, rows: pl.Series, *, skip_bad: bool) -> Readout:
    """Read the values for the model.

    Raises:
        InputError: a column is missing; values cannot be read and are not to be skipped; no row is left.
    """
    try:
        readout = predictor.read(frame, rows=rows, skip=True)
    except ValueError as error:
        nameless = all(re.fullmatch(r"column_\d+", name) for name in frame.columns)
        hint = "\nThe file has no header: name all its columns with --set 'input.names=[a, b]'" if nameless else ""
        raise InputError(f"{source}: {error}{hint}") from None
    if readout.faults and (not skip_bad or readout.frame.is_empty()):
        advice = "No row can be read." if skip_bad else "Correct these cells, or leave out their rows with --skip-bad."
        raise InputError("\n".join([f"{source}: {fault.text}" for fault in readout.faults] + [advice]))
    return readout


def _with_columns(
    answers: pl.DataFrame, source: Path, frame: pl.DataFrame, readout: Readout, keep: Sequence[str]
) -> pl.DataFrame:
    """Return the answers behind the row number and the columns that are copied from the input.

    Raises:
        InputError: the input has no such column, or the answers have one of that name.
    """
    columns = [readout.rows.alias("row")]
    for name in dict.fromkeys(keep):
        if name not in frame.columns:
            raise InputError(
                f"--keep {name}: {source} has no such column{near(name, frame.columns)}; its columns are: "
                f"{', '.join(frame.columns)}"
            )
        if name in ("row", *answers.columns):
            raise InputError(f"--keep {name}: the output has a column of that name already; rename it in {source}")
        columns.append(frame[name])
    return pl.DataFrame([*columns, *answers])


def _lay_out(source: Path, place: Path) -> Path:
    """Lay the file out as a raw artifact in ``place``, where every file name begins with a number."""
    raw = place / "raw"
    (raw / "input").mkdir(parents=True)
    (raw / "input" / f"01-{source.name}").symlink_to(source.resolve())
    return raw


def _write(answers: pl.DataFrame, target: Path) -> None:
    """Write to a unique name beside the target, then rename, so that two calls at once leave one complete file."""
    if target == STANDARD_OUTPUT:
        click.echo(answers.write_csv(), nl=False)
        return
    part = target.with_name(f".{os.getpid()}-{uuid.uuid4().hex}.part")
    try:
        getattr(answers, WRITERS[target.suffix])(part)
        part.replace(target)
    except OSError as error:
        raise InputError(f"{target}: cannot be written: {error.strerror or error}") from None
    finally:
        part.unlink(missing_ok=True)


def _model_directory(
    model: str, workspace: Path, tracking_uri: str | None, *, rejected: bool, trust: str | None = None
) -> Path:
    """Return the model directory of a run, a directory or a registered model."""
    if (Path(model) / "model.pt2").is_file():
        if not trust and not is_published(workspace, Path(model)):
            raise InputError(
                f"{model}: is not the model of a run of {workspace} as it was published, and a model is a program of "
                "whoever wrote it; name a run, or say --trust 'why you trust it'"
            )
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
        _warn_of(record, rejected=rejected)
        return store.open(train.key, "model")
    from infra.tracking import follower

    return follower.load_registered(workspace, tracking_uri, model, store_of, trust=trust is not None)


def _warn_of(record: RunRecord, *, rejected: bool) -> None:
    """Say of a model that may not be used why; one that was rejected is only used by those who ask for it.

    Raises:
        GateRefused: the run was rejected, and nobody asked for a rejected model.
    """
    if record.status == "rejected" and not record.smoke:
        why = f"run {record.run} was rejected, so its model must not be used for the decision:\n{record.message}"
        if not rejected:
            raise GateRefused(f"{why}\nto look at its answers all the same, say --rejected")
        _say(*why.splitlines())
    elif record.smoke:
        _say(f"run {record.run} is a rehearsal on a small sample: its model cannot support a decision")
