"""Batch prediction: a file in, a file out; the values are read as training read them, and what is unlike training is said."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import polars as pl

from infra.places import store_of
from infra.runs import records
from infra.runs.records import RunRecord
from infra.store.manifest import is_published
from model_code import serving
from pipelines.rows import Rows, read_rows
from pipelines.terminal import plain
from steps.errors import GateRefused, InputError
from steps.wording import near

WRITERS = {".csv": "write_csv", ".parquet": "write_parquet", ".ndjson": "write_ndjson", ".jsonl": "write_ndjson"}
STANDARD_OUTPUT = Path("-")
_FORMULA = r"^[=+@\t\r-]"
_SIGNED_NUMBER = r"^[+-][\d.,' ]*\d(?:[eE][+-]?\d+)?\s?%?$"
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
    neutralize: bool = False,
    level: float | None = None,
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
        neutralize: write text that a spreadsheet would run as a formula behind an apostrophe.
        level: of prediction intervals; None for none.
        settings: how the file is written where detection fails, as ``input.skip`` and other fields of ``Source``.
        rejected: use the model of a run that was rejected, too.
        trust: why a model may be used that is not of a run of the workspace, in a sentence.

    Raises:
        GateRefused: the run was rejected, and nobody said ``rejected``.
        InputError: there is no such model or file, a required column is missing, a value cannot be read, the model has no
            intervals of this level, or the suffix is unknown.
    """
    _check_target(source, target)
    if trust is not None and len(trust.split()) < ENOUGH_WORDS:
        raise InputError(f"--trust {trust!r}: wanted a sentence that says why, such as 'our own export of 3 May'")
    directory = model_directory(model, workspace, tracking_uri, rejected=rejected, trust=trust)
    try:
        predictor = serving.load(directory, verified=trust is None)
    except ValueError as error:
        raise InputError(f"model {model} cannot be read: {error}") from None
    rows = read_rows(predictor, source, settings)
    _check_rows(rows, skip_bad=skip_bad, strict=strict)
    try:
        answers = predictor.answers(rows.readout.frame, level)
    except ValueError as error:
        raise InputError(f"model {model} does not answer these rows: {error}") from None
    answers = _with_columns(answers, rows, keep)
    _write(without_formulas(answers) if neutralize else answers, target)
    summary: dict[str, Any] = {
        "model": str(directory),
        "rows": answers.height,
        "columns": answers.columns,
        "output": str(target),
        "unlike_training": [asdict(remark) for remark in rows.readout.remarks],
    }
    if trust is not None:
        summary["trusted"] = trust
    if rows.blank:
        summary["blank_records"] = rows.blank
    if skip_bad:
        summary["skipped"] = {"rows": rows.bad(), "columns": [asdict(fault) for fault in rows.readout.faults]}
    if rows.settings and not settings:
        summary["settings"] = dict(rows.settings)
    _say_what_is_unusual(rows, as_trained=not settings)
    return summary


def _check_rows(rows: Rows, *, skip_bad: bool, strict: bool) -> None:
    """Check that the rows may be predicted.

    Raises:
        InputError: values cannot be read and are not to be skipped, no row is left, or ``strict`` refuses them.
    """
    readout = rows.readout
    if readout.faults and (not skip_bad or readout.frame.is_empty()):
        advice = "No row can be read." if skip_bad else "Correct these cells, or leave out their rows with --skip-bad."
        raise InputError("\n".join([*(f"{rows.source}: {fault.text}" for fault in readout.faults), advice]))
    if strict and readout.remarks:
        refusal = f"{rows.source} is unlike the training data, which --strict refuses:"
        raise InputError("\n".join([refusal, *(remark.text for remark in readout.remarks)]))


def _say_what_is_unusual(rows: Rows, *, as_trained: bool) -> None:
    if rows.settings and as_trained:
        listed = "; ".join(f"{name}: {value}" for name, value in rows.settings.items())
        _say(f"{rows.source}: read as the file of training was written ({listed})")
    if rows.blank:
        _say(f"{rows.source}: {rows.blank:,} {'record' if rows.blank == 1 else 'records'} without any value skipped")
    if bad := rows.bad():
        listed = ", ".join(map(str, bad[:_LISTED])) + (", ..." if len(bad) > _LISTED else "")
        faults = (fault.text for fault in rows.readout.faults)
        _say(f"{rows.source}: {len(bad):,} of {rows.count:,} rows left out ({listed})", *faults)
    if rows.readout.remarks:
        _say(f"{rows.source}: unlike the training data", *(remark.text for remark in rows.readout.remarks))


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


def _with_columns(answers: pl.DataFrame, rows: Rows, keep: Sequence[str]) -> pl.DataFrame:
    """Return the answers behind the row number and the columns that are copied from the input.

    Raises:
        InputError: the input has no such column, or the answers have one of that name.
    """
    columns = [rows.readout.rows.alias("row")]
    names = rows.cells.columns
    for name in dict.fromkeys(keep):
        if name not in names:
            listed = ", ".join(names)
            raise InputError(
                f"--keep {name}: {rows.source} has no such column{near(name, names)}; its columns are: {listed}"
            )
        if name in ("row", *answers.columns):
            raise InputError(f"--keep {name}: the output has a column of that name already; rename it in {rows.source}")
        columns.append(rows.cells[name])
    return pl.DataFrame([*columns, *answers])


def without_formulas(table: pl.DataFrame) -> pl.DataFrame:
    """Return a table in whose text and names an apostrophe stands before what a spreadsheet would run as a formula."""
    for name in table.select(pl.selectors.string(include_categorical=True)).columns:
        text = pl.col(name).cast(pl.String)
        is_formula = text.str.contains(_FORMULA) & ~text.str.contains(_SIGNED_NUMBER)
        table = table.with_columns(pl.when(is_formula).then("'" + text).otherwise(text).alias(name))
    return table.rename(lambda name: f"'{name}" if re.match(_FORMULA, name) else name)


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


def model_directory(
    model: str, workspace: Path, tracking_uri: str | None, *, rejected: bool, trust: str | None = None
) -> Path:
    """Return the model directory of a run, a directory or a registered model.

    Raises:
        GateRefused: the model was rejected, and nobody said ``rejected``.
        InputError: there is no such model, or nothing shows that it may be trusted.
    """
    if (Path(model) / "model.pt2").is_file():
        if not trust and not is_published(workspace, Path(model)):
            raise InputError(
                f"{model}: is not the model of a run of {workspace} as it was published, and a model is a program of "
                "whoever wrote it; name a run, or say --trust 'why you trust it'"
            )
        if judges := _runs_with(workspace, Path(model)):
            passed = (record for record in judges if record.status == "pass" and not record.smoke)
            _warn_of(next(passed, judges[0]), rejected=rejected)
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
    from infra.tracking import registry

    def check(tags: Mapping[str, str]) -> None:
        verdict = "rehearsal" if tags.get("smoke") == "true" else tags.get("verdict", "")
        _check_verdict(f"model {model}", verdict, "", rejected=rejected)

    return registry.load(workspace, tracking_uri, model, store_of, check, trust=trust is not None)


def _runs_with(workspace: Path, directory: Path) -> list[RunRecord]:
    """Return the finished runs whose model is in this directory of the store, the newest first."""
    key = directory.resolve().parent.name
    return [
        record
        for record in records.every(workspace)
        if record.status in ("pass", "rejected") and (train := record.producer("model")) and train.key == key
    ]


def _warn_of(record: RunRecord, *, rejected: bool) -> None:
    """Say of the model of a run that may not be used why.

    Raises:
        GateRefused: the run was rejected, and nobody asked for a rejected model.
    """
    verdict = "rehearsal" if record.smoke else record.status
    _check_verdict(f"run {record.run}", verdict, record.message, rejected=rejected)


def _check_verdict(what: str, verdict: str, message: str, *, rejected: bool) -> None:
    """Say of a model that may not be used why; one that was rejected is only used by those who ask for it.

    Raises:
        GateRefused: it was rejected, and nobody asked for a rejected model.
    """
    if verdict == "rejected":
        why = f"{what} was rejected, so its model must not be used for the decision"
        why += f":\n{message}" if message else ""
        if not rejected:
            raise GateRefused(f"{why}\nto look at its answers all the same, say --rejected")
        _say(*why.splitlines())
    elif verdict == "rehearsal":
        _say(f"{what} is a rehearsal on a small sample: its model cannot support a decision")
