"""What the files of one run say, read once; a file that is absent is simply not among the facts.

A published file is a fact only while it is what was published: each one that is read here is compared with its manifest,
and what differs is among ``Facts.rotten`` instead. Which stage published a document follows from the manifests, so that
any pipeline can be shown.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar, cast

from infra.places import store_of
from infra.runs import records
from infra.runs.records import RunRecord, StageRecord
from infra.store.ledger import SEALED, divisions, ledgers
from infra.store.manifest import JOURNAL, CorruptExecution, Manifest
from infra.store.store import Store
from pipelines.pages.report import history as earlier
from pipelines.pages.report.history import History
from steps.cards.document import ProblemCard, Registration, unwritten
from steps.documents import Document, parse
from steps.errors import FourscoreError
from steps.evaluation import sentences
from steps.evaluation.document import Evaluation
from steps.expectations.document import ValidationResults
from steps.journal import read_events
from steps.labeling.document import LabelReport
from steps.splitting.document import ColumnProfiles, SplitReport
from steps.tables.document import IngestReport
from steps.tables.schema import TableSchema
from steps.training.document import ModelSchema, TrainingRecord

D = TypeVar("D", bound=Document)
Event = Mapping[str, Any]
PUBLISHED = ("ran", "cached", "refused")
"""Statuses of stages whose execution is in the store and belongs to the run."""
TYPES: tuple[type[Document], ...] = (
    ProblemCard,
    IngestReport,
    ValidationResults,
    LabelReport,
    SplitReport,
    ColumnProfiles,
    TrainingRecord,
    ModelSchema,
    Evaluation,
    Registration,
)
TABLE, DATA = "schema.json", "data.parquet"


@dataclass(frozen=True)
class Stage:
    """One stage of the run with what its execution left in the store (or what a failed attempt said)."""

    record: StageRecord
    manifest: Manifest | None
    events: Sequence[Event]
    directory: Path
    documents: Mapping[type[Document], Document] = field(default_factory=dict)
    tables: Mapping[str, TableSchema] = field(default_factory=dict)
    """The schema of each table by the name of its artifact."""
    other_documents: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """JSON documents that this page has never seen, by path."""

    @property
    def seconds(self) -> float:
        """Return how long the work took when it ran; the record of a cached stage says 0."""
        return float(self.record.seconds or (self.manifest.seconds if self.manifest else 0.0))

    @property
    def metrics(self) -> dict[str, float]:
        """Each metric's last value."""
        return {event["name"]: event["value"] for event in self.events if event.get("kind") == "metric"}

    def notes(self, *levels: str) -> list[str]:
        """Return what the stage noted in its journal at these levels."""
        return [event["text"] for event in self.events if event.get("kind") == "note" and event.get("level") in levels]


@dataclass(frozen=True)
class Facts:
    """Everything that a report or a summary of one run says, read only from files."""

    workspace: Path
    record: RunRecord
    stages: Sequence[Stage]
    rotten: Sequence[str] = ()
    """What was changed after it was published, as sentences; none of it is among the documents and events."""
    tracking: Mapping[str, Any] = field(default_factory=dict)
    history: History = field(default_factory=History)
    readings: Sequence[Mapping[str, Any]] = ()
    """Each time that a step was given the test set of this split, by any run."""
    divisions: int = 0
    """How many divisions of the same table have had their test set used."""
    is_reused: bool = False
    """True if the run was asked for again and had finished before."""

    @property
    def run(self) -> str:
        return self.record.run

    @property
    def problem(self) -> Mapping[str, Any]:
        return self.record.problem

    def producer(self, kind: type[Document]) -> Stage | None:
        """Return the stage that published the document of a type."""
        return next((stage for stage in self.stages if kind in stage.documents), None)

    def get(self, kind: type[D]) -> D | None:
        """Return the document of a type, None where the run has none."""
        producer = self.producer(kind)
        return cast("D", producer.documents[kind]) if producer else None

    @property
    def tables(self) -> dict[str, TableSchema]:
        """The schema of each table by the name of its artifact, in the order of the stages."""
        return {name: schema for stage in self.stages for name, schema in stage.tables.items()}

    @property
    def table(self) -> TableSchema | None:
        """Return the labelled table, or the table while there are no labels."""
        return self.tables.get("labeled") or self.tables.get("table")

    @property
    def evaluation(self) -> Evaluation | None:
        return self.get(Evaluation)

    @cached_property
    def metrics(self) -> dict[str, float]:
        return {name: value for stage in self.stages for name, value in stage.metrics.items()}

    def reused(self) -> Facts:
        """Return the facts of a run that was asked for again and had finished before: no stage ran now."""
        for stage in self.record.stages:
            if stage.status == "ran":
                stage.status, stage.seconds, stage.reason = "cached", 0.0, "this run had finished before"
        return replace(self, is_reused=True)

    @property
    def unwritten(self) -> list[str]:
        """Return the fields of the problem that a person still has to write."""
        return unwritten(self.problem)

    @property
    def reservations(self) -> list[str]:
        """Return what speaks against the model of a run that passed."""
        passed = self.evaluation and self.verdict == "pass" and not self.record.smoke
        return sentences.reservations(self.evaluation) if self.evaluation and passed else []

    @property
    def verdict(self) -> str:
        """Pass, rejected or running; a run that ended otherwise, or whose results rotted, has none: that is an error."""
        status = self.record.status
        return status if status in ("pass", "rejected", "running") and not self.rotten else "error"

    @property
    def report_path(self) -> Path:
        return self.workspace / "reports" / f"{self.run}.html"

    @property
    def model(self) -> dict[str, Any]:
        """Return where the run's model is, its registered name and version (None: not registered), and its rank.

        The place is a directory, or a URI while the model was not fetched from the store.
        """
        train, registration = self.producer(ModelSchema), self.get(Registration)
        path: object = train.directory / "model" if train else None
        if train and self.record.store and not (train.directory / "model").is_dir():
            path = f"{self.record.store}store/{train.record.key}/model/"
        registered = self.tracking.get("model")
        registered = registered if isinstance(registered, Mapping) else {}
        return {
            "path": str(path) if path else None,
            "name": registered.get("name") or (registration.name if registration else None),
            "version": registered.get("version"),
            "champion": self.champion_since is not None,
        }

    @cached_property
    def champion_since(self) -> str | None:
        """Return when the run's model became the champion; None if it is not."""
        champions = map(read_object, (self.workspace / "champions").glob("*.json"))
        return next((str(champion.get("since", "")) for champion in champions if champion.get("run") == self.run), None)

    @property
    def is_incomplete(self) -> bool:
        """Whether an execution of the run is no longer in the store."""
        return any(stage.record.status in PUBLISHED and not stage.manifest for stage in self.stages)

    @property
    def stopped_at(self) -> Stage | None:
        """The stage that ended the run early: its gate refused, it failed, or a person stopped it."""
        return next((stage for stage in self.stages if stage.record.status in ("refused", "failed", "stopped")), None)


def gather(workspace: Path, run: str, *, history: bool = True) -> Facts:
    """Read the facts of a run.

    Args:
        history: also look at earlier runs of the problem and at the ledgers of the sealed test set.

    Raises:
        InputError: there is no such run.
    """
    record = records.load(workspace, run)
    published = _Published(store_of(workspace, record))
    stages = tuple(map(published.stage, record.stages))
    if published.rotten:  # said wherever the run's own message is
        record = replace(record, message="\n".join(filter(None, [*published.rotten, record.message])))
    sealed = f"{SEALED}/{TABLE}"
    split = next((stage for stage in stages if stage.manifest and sealed in stage.manifest.files), None)
    return Facts(
        workspace=workspace,
        record=record,
        stages=stages,
        rotten=tuple(dict.fromkeys(published.rotten)),
        tracking=read_object(workspace / "runs" / f"{run}.tracking.json"),
        history=earlier.history(record, records.every(workspace)) if history else History(),
        readings=tuple(_readings(published.store, split.record.key)) if history and split else (),
        divisions=divisions(workspace, split.record.key) if history and split else 0,
    )


@dataclass(frozen=True)
class _Published:
    """The published files of a store as far as they are what their manifests say, and what is not."""

    store: Store
    rotten: list[str] = field(default_factory=list)

    def stage(self, record: StageRecord) -> Stage:
        """Return a stage with its manifest and journal; early manifests hold no digest of the journal."""
        manifest = self.manifest(record.key) if record.status in PUBLISHED else None
        journal = None
        if record.status in PUBLISHED:
            intact = not (manifest and manifest.journal) or self.content(manifest, JOURNAL) is not None
            journal = self.store.directory(record.key) / JOURNAL if intact else None
        elif record.journal and record.status != "skipped":
            journal = self.store.workspace / record.journal
        events = _events(journal) if journal else ()
        if manifest is None:
            return Stage(record, None, events, self.store.directory(record.key))
        documents = {kind: content for kind in TYPES if (content := self.document(kind, kind.path(), manifest))}
        tables: dict[str, TableSchema] = {}
        unknown: dict[str, Mapping[str, Any]] = {}
        for path in manifest.files:
            artifact, _, name = path.partition("/")
            if name == TABLE and f"{artifact}/{DATA}" in manifest.files:
                if schema := self.document(TableSchema, path, manifest):
                    tables[artifact] = schema
            elif not documents and name.endswith(".json") and "/" not in name:
                unknown[path] = _object(self.content(manifest, path) or b"")
        return Stage(record, manifest, events, self.store.directory(record.key), documents, tables, unknown)

    def manifest(self, key: str) -> Manifest | None:
        """Return the manifest of a published execution, None where it is broken or gone."""
        try:
            manifest = self.store.look(key)
        except CorruptExecution as rot:
            self.rotten.append(str(rot))
            return None
        if manifest is None:
            self.rotten.append(f"{self.store.directory(key)} is no longer in the store")
        return manifest

    def document(self, kind: type[D], path: str, manifest: Manifest) -> D | None:
        """Return a document that a stage published, as its manifest says; None where there is none, or another."""
        if (data := self.content(manifest, path)) is None:
            return None
        try:
            return parse(kind, data, str(self.store.directory(manifest.key) / path))
        except FourscoreError as error:
            self.rotten.append(str(error))
            return None

    def content(self, manifest: Manifest | None, name: str) -> bytes | None:
        """Return the content of a file, if it has the size and the digest that the manifest says."""
        if manifest is None or (entry := manifest.published.get(name)) is None:
            return None
        try:
            path = self.store.file(manifest.key, name)
        except CorruptExecution as rot:
            self.rotten.append(str(rot))
            return None
        try:
            data = path.read_bytes()
        except OSError:
            self.rotten.append(f"{path} is missing")
            return None
        if len(data) != entry["size"] or hashlib.sha256(data).hexdigest() != entry["sha256"]:
            self.rotten.append(f"{path} was changed after it was published")
            return None
        return data


def _events(path: Path) -> tuple[Event, ...]:
    try:
        return tuple(read_events(path))
    except (OSError, ValueError):
        return ()


def read_object(path: Path) -> Mapping[str, Any]:
    """Return a JSON object from a file that nothing vouches for; empty where it is absent or something else."""
    try:
        return _object(path.read_bytes())
    except OSError:
        return {}


def _object(data: bytes) -> Mapping[str, Any]:
    try:
        content = json.loads(data)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _readings(store: Store, split: str) -> Iterator[Mapping[str, Any]]:
    """Yield every use of these test rows, also through other splits that held out the very same rows."""
    digest = _test_digest(store, split)
    for other, rows in ledgers(store.workspace).items():
        if other == split or (digest and _test_digest(store, other) == digest):
            yield from rows


def _test_digest(store: Store, split: str) -> str | None:
    published = _Published(store)  # the run's own faults are listed already; of other runs only the same rows matter
    digest = _object(published.content(published.manifest(split), f"{SEALED}/{TABLE}") or b"").get("digest")
    return digest if isinstance(digest, str) else None
