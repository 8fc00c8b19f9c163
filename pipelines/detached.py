"""Runs whose executions go on without this process: attach to one, retry it, stop it, bring its record up to date."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from infra import places
from infra.backends.backend import Detached
from infra.files import locked
from infra.runs import records
from infra.runs.plan import Reporter
from infra.runs.records import RunRecord
from infra.tracking import follower
from pipelines import watch
from steps.errors import FourscoreError


def attach(workspace: Path, run: str, reporter: Reporter) -> RunRecord:
    """Follow a run's execution to its end; return the record of one that is over.

    Raises:
        FourscoreError: whatever ended it; the record on disk says the same.
    """
    record = records.load(workspace, run)
    backend = _backend_of(workspace, record)
    if record.status in records.FINAL:
        return record
    return _follow(workspace, record, backend, backend.attach, reporter)


def retry(workspace: Path, run: str, reporter: Reporter) -> RunRecord:
    """Continue an execution that failed or was stopped, and follow it.

    Raises:
        FourscoreError: whatever ended it; the record on disk says the same.
    """
    record = records.load(workspace, run)
    backend = _backend_of(workspace, record)
    return _follow(workspace, record, backend, backend.retry, reporter)


def _follow(
    workspace: Path,
    record: RunRecord,
    backend: Detached,
    go_on: Callable[[RunRecord, Reporter], RunRecord],
    reporter: Reporter,
) -> RunRecord:
    uri = follower.place_of(workspace, record)
    watch.note_if_busy(workspace, record.run, "watched", reporter)
    with locked(records.lock_of(workspace, record.run)), watch.watch(workspace, record, uri, reporter):
        return go_on(record, reporter)


def stop(workspace: Path, run: str) -> None:
    """Ask a run's execution to stop.

    Raises:
        InputError: it started no execution, or is over.
    """
    record = records.load(workspace, run)
    _backend_of(workspace, record).stop(record)


def refresh(workspace: Path) -> list[str]:
    """Bring the records of executions that nobody follows up to date; return the runs that are over.

    Executions that cannot be reached stay as they are.
    """
    ended = []
    for record in list(records.every(workspace)):
        if record.status != "running" or record.execution is None:
            continue
        with (
            locked(records.lock_of(workspace, record.run), blocking=False) as is_free,
            contextlib.suppress(FourscoreError),
        ):
            if is_free and _backend_of(workspace, record).refresh(record):
                watch.report(workspace, record.run, lambda *_: None)
                ended.append(record.run)
    return ended


def _backend_of(workspace: Path, record: RunRecord) -> Detached:
    backend = places.place_of(workspace, record).detached
    assert backend is not None
    return backend
