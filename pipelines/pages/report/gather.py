"""What the files of one run say, read once; a file that is not there is simply not among the facts.

A published file is a fact only while it is what was published: each one that is read here is compared with its manifest,
and what differs is among ``Facts.rotten`` instead.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.runs import records
from infra.store.ledger import SEALED, divisions, readings
from infra.store.local import JOURNAL, CorruptExecution, LocalStore, store_of
from steps.journal import read_events

if TYPE_CHECKING:
    from infra.runs.records import RunRecord, StageRecord

Document = Mapping[str, Any]
PUBLISHED = ("ran", "cached", "refused")
"""Statuses of stages whose execution is in the store and belongs to the run."""

DOCUMENTS = {
    "card": "card/problem.json",
    "table": "table/schema.json",
    "ingest": "table/ingest.json",
    "validation": "validation/results.json",
    "labeled": "labeled/schema.json",
    "labels": "labeled/labels.json",
    "train_set": "train_set/schema.json",
    "test_set": "test_set/schema.json",
    "split": "division/split.json",
    "training": "model/training.json",
    "model": "model/schema.json",
    "evaluation": "evaluation/evaluation.json",
    "registration": "registration/registration.json",
}


@dataclass(frozen=True)
class Stage:
    """One stage of the run with what its execution left in the store (or what a failed attempt said)."""

    record: StageRecord
    manifest: Document
    events: Sequence[Mapping[str, Any]]
    directory: Path

    @property
    def seconds(self) -> float:
        """How long the work took when it was done; the record of a cached stage says 0."""
        return float(self.record.seconds or self.manifest.get("seconds") or 0.0)

    @property
    def metrics(self) -> dict[str, float]:
        """Each metric's last value."""
        return {event["name"]: event["value"] for event in self.events if event.get("kind") == "metric"}

    @property
    def parameters(self) -> dict[str, str]:
        return {event["name"]: event["value"] for event in self.events if event.get("kind") == "parameter"}

    @property
    def warnings(self) -> list[str]:
        return [
            event["text"] for event in self.events if event.get("kind") == "note" and event.get("level") == "warning"
        ]


@dataclass(frozen=True)
class Change:
    """One field of the problem that differs from the previous run of the same problem."""

    path: str
    old: Any
    new: Any


@dataclass(frozen=True)
class Facts:
    """Everything that a report or a summary of one run says, read only from files."""

    workspace: Path
    record: RunRecord
    stages: Sequence[Stage]
    documents: Mapping[str, Document] = field(default_factory=dict)
    rotten: Sequence[str] = ()
    """What was changed after it was published, as sentences; none of it is among the documents and events."""
    tracking: Document = field(default_factory=dict)
    previous: RunRecord | None = None
    changes: Sequence[Change] = ()
    readings: Sequence[Document] = ()
    """Each time that a step was given the sealed test set of this split, by any run."""
    divisions: int = 0
    """How many divisions of the same table have had their test set opened."""

    @property
    def run(self) -> str:
        return self.record.run

    @property
    def problem(self) -> Document:
        return self.record.problem

    def document(self, name: str) -> Document:
        """The named artifact's content, empty where the run has none."""
        return self.documents.get(name, {})

    def stage(self, name: str) -> Stage | None:
        return next((stage for stage in self.stages if stage.record.name == name), None)

    def producer(self, artifact: str) -> Stage | None:
        """Return the stage whose published execution holds the artifact, or None."""
        return _producer(self.stages, f"{artifact}/")

    @cached_property
    def metrics(self) -> dict[str, float]:
        return {name: value for stage in self.stages for name, value in stage.metrics.items()}

    @property
    def report_path(self) -> Path:
        return self.workspace / "reports" / f"{self.run}.html"

    @property
    def is_champion(self) -> bool:
        """Whether this is the run that later ones are compared with."""
        return any(read_document(path).get("run") == self.run for path in (self.workspace / "champions").glob("*.json"))

    @property
    def is_incomplete(self) -> bool:
        """Whether an execution of the run is no longer in the store."""
        return any(stage.record.status in PUBLISHED and not stage.manifest for stage in self.stages)

    @property
    def stopped_at(self) -> Stage | None:
        """The stage that ended the run early: its gate refused, or it failed."""
        return next((stage for stage in self.stages if stage.record.status in ("refused", "failed")), None)


def gather(workspace: Path, run: str, *, history: bool = True) -> Facts:
    """Read the facts of a run.

    Args:
        history: also look at earlier runs of the problem and at the ledgers of the sealed test set.

    Raises:
        InputError: there is no such run.
    """
    record = records.load(workspace, run)
    store = store_of(workspace, record)
    rotten: list[str] = []
    stages = tuple(_stage(store, stage, rotten) for stage in record.stages)
    documents = {
        name: content
        for name, path in DOCUMENTS.items()
        if (stage := _producer(stages, path)) and (content := _published(store, path, stage.manifest, rotten))
    }
    sealing = _producer(stages, f"{SEALED}/")
    division = sealing.record.key if sealing else None
    if rotten:  # said wherever the run's own message is
        record = replace(record, message="\n".join(filter(None, [*rotten, record.message])))
    previous = _previous(workspace, record) if history else None
    return Facts(
        workspace=workspace,
        record=record,
        stages=stages,
        documents=documents,
        rotten=tuple(rotten),
        tracking=read_document(workspace / "runs" / f"{run}.tracking.json"),
        previous=previous,
        changes=tuple(changes(previous.problem, record.problem)) if previous else (),
        readings=tuple(_readings(store, division)) if history and division else (),
        divisions=divisions(workspace, division) if history and division else 0,
    )


def _producer(stages: Sequence[Stage], place: str) -> Stage | None:
    """Return the stage whose published files start with the place, or None."""
    for stage in stages:
        if any(name.startswith(place) for name in stage.manifest.get("files") or ()):
            return stage
    return None


def _stage(store: LocalStore, record: StageRecord, rotten: list[str]) -> Stage:
    manifest: Document = {}
    if record.status in PUBLISHED:
        manifest = _manifest(store, record.key, rotten)
        events = _journal(store, record.key, manifest, rotten)
    else:
        events = _events(store.workspace / record.journal) if record.journal and record.status != "skipped" else ()
    return Stage(record=record, manifest=manifest, events=events, directory=store.directory(record.key))


def _manifest(store: LocalStore, key: str, rotten: list[str]) -> Document:
    """The manifest of a published execution, empty where it is broken or gone."""
    try:
        found = store.look(key)
    except CorruptExecution as rot:
        rotten.append(str(rot))
        return {}
    if found is None:
        rotten.append(f"{store.directory(key)} is no longer in the store")
        return {}
    return vars(found)


def _journal(store: LocalStore, key: str, manifest: Document, rotten: list[str]) -> tuple[Mapping[str, Any], ...]:
    """The events of a published journal; a manifest of before journals were digested vouches for none and asks none."""
    entry = manifest.get("journal")
    if entry and _bytes(store, key, JOURNAL, entry, rotten) is None:
        return ()
    return _events(store.directory(key) / JOURNAL)


def _events(path: Path) -> tuple[Mapping[str, Any], ...]:
    try:
        return tuple(read_events(path))
    except (OSError, ValueError):
        return ()


def _published(store: LocalStore, path: str, manifest: Document, rotten: list[str]) -> Document:
    """A JSON object that a stage published, as its manifest says; empty where there is none, or another."""
    entry = (manifest.get("files") or {}).get(path)
    data = _bytes(store, manifest["key"], path, entry, rotten) if entry else None
    return _object(data) if data is not None else {}


def _bytes(store: LocalStore, key: str, name: str, entry: Mapping[str, Any], rotten: list[str]) -> bytes | None:
    """The content of a file, when it has the size and the digest of its entry."""
    try:
        path = store.file(key, name)
    except CorruptExecution as rot:
        rotten.append(str(rot))
        return None
    try:
        data = path.read_bytes()
    except OSError:
        rotten.append(f"{path} is missing")
        return None
    if len(data) != entry.get("size") or hashlib.sha256(data).hexdigest() != entry.get("sha256"):
        rotten.append(f"{path} was changed after it was published")
        return None
    return data


def read_document(path: Path) -> Document:
    """A JSON object from a file that nothing vouches for; an absent, unreadable or different thing is an empty one."""
    try:
        return _object(path.read_bytes())
    except OSError:
        return {}


def _object(data: bytes) -> Document:
    try:
        content = json.loads(data)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _previous(workspace: Path, record: RunRecord) -> RunRecord | None:
    """The newest earlier run of the same problem file; a rehearsal is compared with a rehearsal."""
    for other in records.every(workspace):
        earlier = (other.started, other.run) < (record.started, record.run) and other.smoke == record.smoke
        if earlier and other.problem_path == record.problem_path and other.problem_name == record.problem_name:
            return other
    return None


def _readings(store: LocalStore, own: str) -> Iterator[Document]:
    """Every reading of these test rows, also through other splits that sealed the very same rows."""
    digest = _test_digest(store, own)
    for ledger in sorted((store.workspace / "seals").glob("*.jsonl")):
        if ledger.stem == own or (digest and _test_digest(store, ledger.stem) == digest):
            yield from readings(store.workspace, ledger.stem)


def _test_digest(store: LocalStore, split_key: str) -> object:
    ignored: list[str] = []  # the run's own are among its documents; of other runs only the same rows are wanted
    manifest = _manifest(store, split_key, ignored)
    return _published(store, "test_set/schema.json", manifest, ignored).get("digest")


def changes(old: Document, new: Document) -> Iterator[Change]:
    """Every field that differs, in the order of the new problem; thresholds are matched by metric, bound and slice.

    Fields that only repeat what is written elsewhere in the problem are left out.
    """
    from pipelines.problem.definition import SHARED

    repeated = {(section, name) for section, names in SHARED.items() for name in names}
    before, after = (dict(_flat(_without(problem, repeated))) for problem in (old, new))
    for path in [*after, *(path for path in before if path not in after)]:
        if before.get(path) != after.get(path):
            yield Change(path, before.get(path), after.get(path))


def _without(problem: Document, repeated: set[tuple[str, str]]) -> Document:
    return {
        section: {name: field for name, field in content.items() if (section, name) not in repeated}
        if isinstance(content, Mapping)
        else content
        for section, content in problem.items()
    }


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Leaves of a problem as (dotted path, value); None is the same as absent."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _flat(item, f"{path}.{name}" if path else str(name))
    elif path == "success" and isinstance(value, Sequence):
        for item in value:
            yield from _flat_threshold(item)
    elif value is not None and value not in ([], ()):
        yield path, value


def _flat_threshold(threshold: Any) -> Iterator[tuple[str, Any]]:
    if not isinstance(threshold, Mapping):
        return
    where = f" on {threshold['slice']}" if threshold.get("slice") else ""
    for bound in ("at_least", "at_most"):
        if threshold.get(bound) is not None:
            yield f"success: {threshold.get('metric')} {bound}{where}", threshold[bound]
            yield f"success: {threshold.get('metric')} {bound}{where} judged on", threshold.get("on", "interval")
