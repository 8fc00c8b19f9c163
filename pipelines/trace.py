"""Where a model comes from, and where data went: deployment -> model -> run -> stages -> data, and back from a digest or a row."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from infra.approvals import log, standing, statement
from infra.approvals.statement import Decision
from infra.deployments import state
from infra.places import store_of
from infra.runs import records
from infra.runs.records import RunRecord
from infra.sources import champion as champions
from infra.store.manifest import Manifest
from infra.store.store import Store
from pipelines.training import TRAINING
from steps import documents
from steps.cards.document import Registration
from steps.errors import FourscoreError, InputError
from steps.evaluation.document import Evaluation
from steps.tables.names import ROW

SHORTEST = 6
"""Hexadecimal digits of a digest that are enough to look for it."""


def trace(workspace: Path, subject: str) -> list[dict[str, Any]]:
    """Return what is known of a deployment, a run, or a digest or key that a run has something to do with.

    Args:
        subject: the name of a deployment or a run, or the beginning of a digest: of a file, a row set, a model, a key.

    Raises:
        InputError: nothing of this name or digest is known here.
    """
    if subject in state.names(workspace):
        target = state.desired(state.directory_of(workspace, subject))
        versions = [target.stable, target.trial, target.previous] if target else []
        return [of_run(workspace, records.load(workspace, version.run)) for version in versions if version]
    if record := records.NAME.fullmatch(subject) and records.find(workspace, subject):
        return [of_run(workspace, record)]
    if len(subject) < SHORTEST or not all(letter in "0123456789abcdef" for letter in subject):
        raise InputError(
            f"no run, deployment or digest {subject!r}; 'fourscore runs' and 'fourscore deployments' list names"
        )
    results = []
    for record in records.every(workspace):
        with contextlib.suppress(FourscoreError):  # a run whose results were deleted has no lineage
            if places := list(_places(store_of(workspace, record), record, subject)):
                results.append(of_run(workspace, record) | {"where": places})
    if not results:
        raise InputError(f"no run of {workspace} has anything with a digest that begins with {subject}")
    return results


def of_run(workspace: Path, record: RunRecord) -> dict[str, Any]:
    """Return the way of one run as JSON: data, stages, model, decisions, champion and deployments."""
    store = store_of(workspace, record)
    registering, training = record.producer("registration"), record.producer("model")
    manifests = _manifests(store, record)
    evaluation = _document(Evaluation, store, record)
    request = _document(Registration, store, record)
    name = request.name if request else None
    champion = champions.read(store, name) if name else None
    return {
        "run": record.run,
        "status": record.status,
        "started": record.started,
        "author": record.provenance.get("Run by"),
        "code": record.provenance.get("Fourscore's commit"),
        "data": {
            "raw": {key: value for manifest in manifests for key, value in _sources(manifest).items()},
            **(evaluation.data.model_dump() if evaluation else {}),
        },
        "stages": [{"stage": manifest.step, "key": manifest.key, "verdict": manifest.verdict} for manifest in manifests],
        "model": {"name": name, "key": training.key if training else None,
                  "digest": request.tags.get("model_digest") if request else None},
        "decisions": _decisions(store, registering.key) if registering else [],
        "champion": bool(champion and champion.run == record.run),
        "deployments": list(_deployments(workspace, training.key)) if training else [],
    }  # fmt: skip


def of_row(workspace: Path, run: str, row: str) -> dict[str, Any]:
    """Return in which part of a run's data a row is; rows have the numbers, or keys, that the ingest stage gave them.

    Raises:
        InputError: the run has no such row, or has not divided its rows.
    """
    import polars as pl

    record = records.load(workspace, run)
    store = store_of(workspace, record)
    splitting = record.producer("test_set")
    if splitting is None or splitting.status not in ("ran", "cached"):
        raise InputError(f"run {run} has not divided its rows")
    for part in ("train_set", "test_set"):
        frame = pl.scan_parquet(store.open(splitting.key, part) / "data.parquet")
        if ROW in frame.collect_schema():
            matches = frame.filter(pl.col(ROW).cast(pl.String) == row).select(ROW).collect()
            if matches.height:
                return {"row": row, "part": part, **of_run(workspace, record)}
    raise InputError(f"run {run} has no row {row}: it was left out, or the data has fewer rows")


def _manifests(store: Store, record: RunRecord) -> list[Manifest]:
    published = (store.look(stage.key) for stage in record.stages if stage.status in ("ran", "cached", "refused"))
    return [manifest for manifest in published if manifest]


def _sources(manifest: Manifest) -> dict[str, str]:
    names = (name.removeprefix("input ") for name in manifest.ingredients if name.startswith("input "))
    return {name: manifest.ingredients[f"input {name}"] for name in names if name in TRAINING.sources}


def _document(kind: type[documents.D], store: Store, record: RunRecord) -> documents.D | None:
    stage = record.producer(kind.artifact)
    if stage is None or stage.status not in ("ran", "cached"):
        return None
    try:
        return documents.read(kind, store.open(stage.key, kind.artifact))
    except (FourscoreError, OSError):
        return None


def _decisions(store: Store, registration: str) -> list[dict[str, Any]]:
    revoked = standing.revocations(current := log.read(store))
    decisions = (entry for entry in current.entries if isinstance(entry.content, Decision))
    return [
        standing.summary(entry) | {"revoked": entry.digest in revoked}
        for entry in decisions
        if isinstance(entry.content, Decision) and entry.content.registration == registration
    ]


def _deployments(workspace: Path, training: str) -> Iterator[dict[str, str]]:
    for name in state.names(workspace):
        target = state.desired(state.directory_of(workspace, name))
        for role in ("stable", "trial", "previous"):
            version = getattr(target, role)
            if version and version.training == training:
                yield {"name": name, "role": role, "since": version.since}


def _places(store: Store, record: RunRecord, digest: str) -> Iterator[str]:
    """Yield what of a run has a digest that begins so."""
    for manifest in _manifests(store, record):
        if manifest.key.startswith(digest):
            yield f"stage {manifest.step}"
        yield from (f"source {name}" for name, value in _sources(manifest).items() if value.startswith(digest))
        for subject in statement.subjects({manifest.key: manifest}):
            if subject.digest.sha256.startswith(digest):
                yield subject.name.replace(f"{manifest.key}/", "").replace(manifest.key, "manifest")
    if (evaluation := _document(Evaluation, store, record)) is not None:
        rows = {"training rows": evaluation.data.train_digest, "test rows": evaluation.data.test_digest}
        yield from (name for name, value in rows.items() if value.startswith(digest))
    if (request := _document(Registration, store, record)) is not None:
        yield from (name.replace("_", " ") for name, value in request.tags.items() if value.startswith(digest))
