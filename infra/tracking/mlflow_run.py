"""Writing to one MLflow run in the amounts and lengths that MLflow takes; writing again changes nothing."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.tracking.events import allowed_name
from steps.journal import Event

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric

METRICS, PARAMETERS, TAGS = 1000, 20, 50
"""Most entries of one log_batch: MLflow allows 1,000 metrics, 100 parameters and tags, and one megabyte."""
LONGEST_PARAMETER, LONGEST_TAG, LONGEST_DIGEST = 6000, 5000, 36


def milliseconds(time: str) -> int:
    """Return an ISO time as milliseconds since 1970, as MLflow takes it."""
    return round(datetime.fromisoformat(time).timestamp() * 1000)


def cut(value: str, longest: int) -> str:
    """Return the value, cut to a number of characters."""
    return value if len(value) <= longest else value[: longest - 1] + "…"


def metric(event: Event, step: int | None = None) -> Metric:
    """Return a metric event at the journal's own time, so that it is one row however often it is written."""
    from mlflow.entities import Metric

    return Metric(allowed_name(event["name"]), event["value"], event["time"], step or 0)


def log_metrics(client: MlflowClient, run_id: str, metrics: Sequence[Metric]) -> None:
    """Log metrics."""
    for start in range(0, len(metrics), METRICS):
        client.log_batch(run_id, metrics=metrics[start : start + METRICS])


def log_parameters(client: MlflowClient, run_id: str, parameters: Mapping[str, str]) -> None:
    """Log parameters that the run does not have: MLflow refuses to change one."""
    from mlflow.entities import Param

    params = [Param(name, cut(value, LONGEST_PARAMETER)) for name, value in parameters.items()]
    for start in range(0, len(params), PARAMETERS):
        client.log_batch(run_id, params=params[start : start + PARAMETERS])


def log_tags(client: MlflowClient, run_id: str, tags: Mapping[str, str]) -> None:
    """Set tags."""
    from mlflow.entities import RunTag

    entries = [RunTag(name, cut(value, LONGEST_TAG)) for name, value in tags.items()]
    for start in range(0, len(entries), TAGS):
        client.log_batch(run_id, tags=entries[start : start + TAGS])


def log_datasets(client: MlflowClient, run_id: str, events: Iterable[Event]) -> None:
    """Log datasets by our own digest: MLflow's column holds 36 characters of it, the source all."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    inputs = [
        DatasetInput(
            Dataset(
                name=event["name"],
                digest=event["digest"][:LONGEST_DIGEST],
                source_type="fourscore",
                source=json.dumps({"sha256": event["digest"]}),
                profile=json.dumps({"num_rows": event["rows"], "num_elements": event["rows"] * event["columns"]}),
            ),
            [InputTag("mlflow.data.context", event["context"])],
        )
        for event in events
        if event["kind"] == "dataset"
    ]
    if inputs:
        client.log_inputs(run_id, inputs)


def log_files(client: MlflowClient, run_id: str, files: Mapping[str, Any]) -> None:
    """Log artifacts by name: a Path is copied, anything else becomes JSON, and what is empty or missing is skipped."""
    with tempfile.TemporaryDirectory() as place:
        for name, content in files.items():
            target = Path(place) / name
            if (content.is_file() if isinstance(content, Path) else content) and not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                if isinstance(content, Path):
                    target.write_bytes(content.read_bytes())
                else:
                    target.write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")
        if any(Path(place).iterdir()):
            client.log_artifacts(run_id, place)
