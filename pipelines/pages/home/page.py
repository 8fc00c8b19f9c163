"""The home page of a workspace as one self-contained HTML file, with links to the reports beside it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.files import write_atomically
from infra.runs import records
from infra.runs.records import RunRecord
from infra.store.local import LocalStore
from pipelines import deployment, listing
from pipelines.approval import standing_of
from pipelines.listing import Entry
from pipelines.monitor import name_of
from pipelines.pages.report.page import environment
from pipelines.terminal import duration
from pipelines.training import TRAINING
from steps import documents
from steps.errors import FourscoreError
from steps.evaluation import sentences
from steps.monitoring.document import Judgement, Performance, Proposal

RECENT = 25
"""Runs that the page lists."""


@dataclass(frozen=True)
class InUse:
    """A deployment, and what the last look at its requests said."""

    deployment: Mapping[str, Any]
    report: str | None
    promised: tuple[str, ...] = ()
    measured: tuple[str, ...] = ()
    watch: str = "not watched yet"


def write_page(workspace: Path) -> Path:
    """Write ``workspace/home.html``, whole or not at all."""
    path = workspace / "home.html"
    write_atomically(path, render(workspace))
    return path


def render(workspace: Path) -> str:
    """Return the page of a workspace."""
    runs = [entry for entry in listing.entries(workspace) if entry.record.pipeline == TRAINING.name]
    template = environment(Path(__file__).parent).get_template("home.html")
    home = {
        "in_use": [_in_use(workspace, document, runs) for document in deployment.every(workspace)],
        "waiting": list(_waiting(workspace, runs)),
        "recent": [_row(workspace, entry) for entry in runs[:RECENT]],
        "count": len(runs),
    }
    return template.render(home=home).encode("utf-8", "replace").decode("utf-8")


def _in_use(workspace: Path, document: Mapping[str, Any], runs: list[Entry]) -> InUse:
    stable = document["stable"] or {}
    entry = next((entry for entry in runs if entry.record.run == stable.get("run")), None)
    report = _report(workspace, str(stable.get("run", "")))
    if entry is None or entry.outcome.evaluation is None:
        return InUse(document, report)
    promised = tuple(
        f"{promise.wanted}: {sentences.with_interval(promise)}" for promise in entry.outcome.evaluation.thresholds
    )
    watched = _last_monitoring(workspace, entry.record)
    if watched is None:
        return InUse(document, report, promised)
    judgement = _document(workspace, watched, Judgement)
    performance, proposal = _document(workspace, watched, Performance), _document(workspace, watched, Proposal)
    latest = performance.blocks[-1] if performance and performance.blocks else None
    promises = latest.promises if latest else ()
    measured = tuple(f"{use.promised.wanted}: {sentences.with_interval(use.result)}, {use.outcome}" for use in promises)
    state = judgement.state if judgement else watched.status
    advice = "; to train again is proposed" if proposal and proposal.retrain else ""
    return InUse(document, report, promised, measured, f"{state} on {watched.started[:10]}{advice}")


def _waiting(workspace: Path, runs: list[Entry]) -> Iterator[dict[str, Any]]:
    """Yield candidates about which nobody has decided, or too few have; the newest of each problem."""
    problems: set[str] = set()
    for entry in runs:
        record = entry.record
        if record.status != "pass" or record.smoke or record.problem_name in problems:
            continue
        problems.add(record.problem_name)
        with contextlib.suppress(FourscoreError):
            _, current = standing_of(LocalStore(workspace), record)
            if not current.approved and not current.rejected:
                yield {"row": _row(workspace, entry), "reasons": current.reasons}


def _row(workspace: Path, entry: Entry) -> dict[str, Any]:
    promise = entry.promise
    return {
        "run": entry.record.run,
        "report": _report(workspace, entry.record.run),
        "verdict": entry.verdict,
        "promise": promise.wanted if promise else "",
        "result": sentences.with_interval(promise) if promise else "",
        "date": entry.record.started[:10],
        "took": duration(entry.seconds),
    }


def _report(workspace: Path, run: str) -> str | None:
    return f"reports/{run}.html" if (workspace / "reports" / f"{run}.html").is_file() else None


def _last_monitoring(workspace: Path, trained: RunRecord) -> RunRecord | None:
    name = name_of(trained)
    return next((record for record in records.every(workspace) if record.problem_name == name), None)


def _document(workspace: Path, record: RunRecord, kind: type[documents.D]) -> documents.D | None:
    stage = record.producer(kind.artifact)
    with contextlib.suppress(OSError, FourscoreError):
        return documents.read(kind, LocalStore(workspace).directory(stage.key) / kind.artifact) if stage else None
    return None
