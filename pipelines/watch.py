"""What happens beside a run: its tracking, its report, and notes about other processes."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path

from infra.files import locked
from infra.processes import raise_keyboard_interrupt
from infra.runs import records
from infra.runs.plan import Reporter
from infra.runs.records import RunRecord
from infra.tracking import follower, state
from steps.errors import Interrupted

HURRY = 5.0
"""Seconds that an interrupted run waits for its projection; after that the process finishes alone."""


def note(reporter: Reporter, text: str, level: str = "info") -> None:
    reporter("", {"kind": "note", "level": level, "text": text})


def note_if_busy(workspace: Path, run: str, activity: str, reporter: Reporter) -> None:
    with locked(records.lock_of(workspace, run), blocking=False) as is_free:
        if not is_free:
            note(reporter, f"run {run} is being {activity} by another process; waiting for it")


@contextlib.contextmanager
def watch(workspace: Path, record: RunRecord, tracking_uri: str | None, reporter: Reporter) -> Iterator[None]:
    """Treat SIGTERM like Ctrl-C and track the run at the URI, if any; write its report, however it ends."""
    with raise_keyboard_interrupt([signal.SIGTERM]), track(workspace, record.run, tracking_uri, reporter):
        try:
            yield
        finally:
            report(workspace, record.run, reporter)


@contextlib.contextmanager
def track(workspace: Path, run: str, uri: str | None, reporter: Reporter) -> Iterator[None]:
    """Track the run from a process of its own, so that a slow or absent server costs the run nothing."""
    if uri is None:
        yield
        return
    process, patience = follower.follow(workspace, run, uri), follower.PATIENCE
    try:
        yield
    except Interrupted:
        patience = HURRY
        raise
    finally:
        reporter("", {"kind": "progress", "done": 0, "total": 0, "what": "telling MLflow how the run ended"})
        with contextlib.suppress(KeyboardInterrupt):  # the run is over and its outcome is known
            follower.finish(process, patience)
        _warn_of_tracking(workspace, run, reporter)


def complete_tracking(workspace: Path, finished: RunRecord, uri: str | None, reporter: Reporter) -> None:
    """Track a run that finished without tracking, or while the server was away."""
    if uri is not None and not state.is_complete(workspace, finished, uri):
        follower.finish(follower.follow(workspace, finished.run, uri))
        _warn_of_tracking(workspace, finished.run, reporter)


def _warn_of_tracking(workspace: Path, run: str, reporter: Reporter) -> None:
    if message := state.read_state(workspace, run).get("message"):
        note(reporter, f"tracking: {message}", "warning")


def report(workspace: Path, run: str, reporter: Reporter) -> None:
    """Write the report of a run, also of one that stopped early; a failure is a warning and never hides the run."""
    reporter("", {"kind": "progress", "done": 0, "total": 0, "what": "writing the report"})
    from pipelines.pages.report.page import write_report

    try:
        write_report(workspace, run)
    except Exception as error:  # noqa: BLE001  a run does not fail because its report does
        text = f"the report could not be written ({type(error).__name__}: {error}); try 'fourscore report {run}'"
        note(reporter, text, "warning")
