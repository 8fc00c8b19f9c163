"""The one writer of MLflow runs, in the amounts and lengths that MLflow takes."""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from steps.errors import FourscoreError
from steps.journal import Event
from steps.wording import clean

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric

T = TypeVar("T")

LONGEST_NAME = 240
"""MLflow takes 250 characters, of letters, digits, and ``_-. :/``, that do not read as another path."""
LOAD = re.compile(r"^framework/((?:cpu_utilization|cpu_energy|system_memory|gpu_\d+)_.*)$")
"""Metrics of the machine's load, which MLflow's page shows apart from others if they begin with ``system/``."""
TYPES = {"integer": "long", "float": "double", "boolean": "boolean", "date": "datetime", "datetime": "datetime"}
"""MLflow's names of our types; every other type is text."""
TEXTS = 20
"""Parameters or tags in one request: as many of the longest stay below MLflow's limit of one megabyte."""
NOTE = "mlflow.note.content"
"""The tag that MLflow's page shows as a description, turned from Markdown into HTML."""
SOURCE_TAGS = {"mlflow.source.name": "fourscore", "mlflow.source.type": "PROJECT"}


class Trashed(FourscoreError):
    """A person deleted the run in MLflow; it stays as it is."""


@dataclass
class MlflowRun:
    """A run in MLflow; writing the same again changes nothing."""

    client: MlflowClient
    id: str
    start: int
    """Start in milliseconds since 1970."""
    parameters: set[str]
    """Names of the parameters that the run has; MLflow refuses to change one."""

    @classmethod
    def open(
        cls,
        client: MlflowClient,
        experiment: str,
        name: str,
        identity: dict[str, str],
        tags: dict[str, str],
        start: int,
    ) -> Self:
        """Return the run with the tags of its identity, or a new one.

        Raises:
            Trashed: the run was deleted in MLflow.
        """
        from mlflow.entities import ViewType

        query = " and ".join(f"tags.`{tag}` = '{value}'" for tag, value in identity.items())
        order = ["attributes.start_time ASC"]
        runs = client.search_runs([experiment], query, ViewType.ALL, max_results=1, order_by=order)
        run = runs[0] if runs else client.create_run(experiment, start, identity | tags | SOURCE_TAGS, name)
        if run.info.lifecycle_stage == "deleted":
            trashed = f"the MLflow run {run.info.run_id} of {name} is in the trash and stays as it is"
            raise Trashed(f"{trashed}; restore it there to project again")
        return cls(client, run.info.run_id, run.info.start_time, set(run.data.params))

    def log(
        self,
        metrics: Sequence[Metric] = (),
        parameters: Mapping[str, str] = MappingProxyType({}),
        tags: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Log metrics, tags, and the parameters that the run does not have yet; texts are cut to MLflow's lengths."""
        from mlflow.entities import Param, RunTag
        from mlflow.utils import validation

        params = [
            Param(name, _cut(_visible(value), validation.MAX_PARAM_VAL_LENGTH))
            for name, value in parameters.items()
            if name not in self.parameters
        ]
        run_tags = [RunTag(name, _cut(_visible(value), validation.MAX_TAG_VAL_LENGTH)) for name, value in tags.items()]
        for batch in _batches(metrics, validation.MAX_METRICS_PER_BATCH):
            self.client.log_batch(self.id, metrics=batch)
        for some_params in _batches(params, TEXTS):
            self.client.log_batch(self.id, params=some_params)
        for some_tags in _batches(run_tags, TEXTS):
            self.client.log_batch(self.id, tags=some_tags)
        self.parameters |= parameters.keys()

    def log_datasets(self, events: Iterable[Event]) -> None:
        """Log datasets by our own digest: MLflow's column holds 36 characters of it, the source all."""
        from mlflow.entities import Dataset, DatasetInput, InputTag
        from mlflow.utils.validation import MAX_DATASET_DIGEST_SIZE

        inputs = [
            DatasetInput(
                Dataset(
                    name=event["name"],
                    digest=event["digest"][:MAX_DATASET_DIGEST_SIZE],
                    source_type="fourscore",
                    source=json.dumps({"sha256": event["digest"]}),
                    schema=_schema(event.get("schema", ())),
                    profile=json.dumps({"num_rows": event["rows"], "num_elements": event["rows"] * event["columns"]}),
                ),
                [InputTag("mlflow.data.context", event["context"])],
            )
            for event in events
            if event["kind"] == "dataset"
        ]
        if inputs:
            self.client.log_inputs(self.id, inputs)

    def log_files(self, files: Mapping[str, Any]) -> None:
        """Log artifacts by name: a Path is copied, anything else becomes JSON, and what is empty or missing is skipped."""
        with tempfile.TemporaryDirectory() as place:
            for name, content in files.items():
                if content.is_file() if isinstance(content, Path) else content:
                    target = Path(place) / name
                    target.parent.mkdir(parents=True, exist_ok=True)
                    if isinstance(content, Path):
                        target.write_bytes(content.read_bytes())
                    else:
                        target.write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")
            if any(Path(place).iterdir()):
                self.client.log_artifacts(self.id, place)


def metric(event: Event) -> Metric:
    """Return a metric event at the journal's own time, so that it is one row however often it is written."""
    from mlflow.entities import Metric

    name = LOAD.sub(r"system/\1", allowed_name(event["name"]))
    return Metric(name, event["value"], event["time"], event["step"] or 0)


def _schema(columns: Sequence[Mapping[str, str]]) -> str | None:
    """Return columns with types as MLflow describes them; None where there are none, or more than MLflow takes."""
    from mlflow.utils.validation import MAX_DATASET_SCHEMA_SIZE

    described = [
        {"type": TYPES.get(column["type"], "string"), "name": _visible(column["name"]), "required": True}
        for column in columns
    ]
    text = json.dumps({"mlflow_colspec": described}, ensure_ascii=False)
    return text if described and len(text) <= MAX_DATASET_SCHEMA_SIZE else None


def milliseconds(time: str) -> int:
    """Return an ISO time as milliseconds since 1970, as MLflow takes it."""
    return round(datetime.fromisoformat(time).timestamp() * 1000)


def allowed_name(name: str) -> str:
    """Return the name if MLflow takes it, else a similar one that no other name is changed to."""
    allowed = re.sub(r"[^\w.\- :/]", "_", name)
    allowed = "/".join("_" if part in ("", ".", "..") else part for part in allowed.split("/"))
    if allowed == name and len(name) <= LONGEST_NAME:
        return name
    return f"{allowed[:LONGEST_NAME]}-{hashlib.sha256(name.encode()).hexdigest()[:6]}"


def _batches(entries: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (entries[start : start + size] for start in range(0, len(entries), size))


def _visible(value: str) -> str:
    """Return text of one or more lines; characters that cannot be seen or turn it around are shown by their code."""
    return "\n".join(clean(line) for line in value.split("\n"))


def _cut(value: str, longest: int) -> str:
    return value if len(value) <= longest else value[: longest - 1] + "…"
