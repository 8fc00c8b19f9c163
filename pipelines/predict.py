"""Batch prediction: a file in, a file out, the input checked against the model's schema first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from infra import runs
from infra.store import LocalStore
from steps.errors import InputError

WRITERS = {".csv": "write_csv", ".parquet": "write_parquet", ".ndjson": "write_ndjson", ".jsonl": "write_ndjson"}


def predict_file(model: str, source: Path, target: Path, workspace: Path, tracking_uri: str | None) -> dict[str, Any]:
    """Predict every row of ``source`` into ``target`` (CSV, Parquet or NDJSON by its suffix), atomically.

    Raises:
        InputError: no such model or file, a column that the model needs is missing, an unknown suffix.
    """
    if target.suffix not in WRITERS:
        raise InputError(
            f"{target}: cannot write {target.suffix or 'a file without a suffix'}; wanted one of {', '.join(WRITERS)}"
        )
    if not source.is_file():
        raise InputError(f"no input file {source}")
    directory = _directory(model, workspace, tracking_uri)
    from steps.readers import read_for_prediction

    from model_code.serving import load

    predictor = load(directory)
    frame = read_for_prediction(source, predictor.schema["inputs"])
    try:
        answers = predictor.answers(frame)
    except ValueError as error:
        raise InputError(f"{source}: {error}") from None
    temporary = target.with_name(f".{target.name}.part")
    try:
        getattr(answers, WRITERS[target.suffix])(temporary)
        temporary.replace(target)
    except OSError as error:
        raise InputError(f"{target}: cannot be written: {error.strerror}") from None
    finally:
        temporary.unlink(missing_ok=True)
    return {"model": str(directory), "rows": answers.height, "columns": answers.columns, "output": str(target)}


def _directory(model: str, workspace: Path, tracking_uri: str | None) -> Path:
    """The model directory of a run, of a directory, or of what the registry calls by that name."""
    if (Path(model) / "model.pt2").is_file():
        return Path(model)
    if runs.path_of(workspace, model).is_file():
        record = runs.load(workspace, model)
        train = next((stage for stage in record.stages if stage.name == "train"), None)
        if train is None or LocalStore(workspace).find(train.key) is None:
            raise InputError(f"run {model} made no model: {record.message or record.status}")
        return LocalStore(workspace).open(train.key, "model")
    from infra import tracking

    return tracking.load_registered(workspace, tracking_uri, model)
