"""The runs of a workspace as a table: verdict, promised metric with its interval, how long it took, how old it is."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from infra.runs import records
from infra.runs.records import RunRecord
from infra.store.local import LocalStore
from infra.tracking.descriptions import Outcome
from pipelines.terminal import duration, plain, table
from pipelines.terminal import outcome as smoke_outcome
from steps import documents
from steps.errors import FourscoreError
from steps.evaluation import sentences
from steps.evaluation.document import Evaluation, ThresholdResult

HEADER = ("run", "verdict", "promised", "result", "took", "age")


@dataclass(frozen=True)
class Entry:
    """One run of the list."""

    outcome: Outcome
    now: datetime

    @property
    def record(self) -> RunRecord:
        return self.outcome.record

    @property
    def verdict(self) -> str:
        """Return the verdict as people read it; what a run was rejected for is a part of it."""
        label = self.outcome.label()
        return smoke_outcome(self.record.status, smoke=True) if self.record.smoke and not self.record.fault() else label

    @property
    def promise(self) -> ThresholdResult | None:
        """Return the first promise with its result."""
        evaluation = self.outcome.evaluation
        return next(iter(evaluation.thresholds), None) if evaluation else None

    @property
    def seconds(self) -> float:
        """Return how long the run took, or has taken so far."""
        end = datetime.fromisoformat(self.record.finished) if self.record.finished else self.now
        return max((end - datetime.fromisoformat(self.record.started)).total_seconds(), 0.0)

    @property
    def age(self) -> float:
        """Return the seconds since the run began."""
        return max((self.now - datetime.fromisoformat(self.record.started)).total_seconds(), 0.0)

    def rank(self) -> tuple[str, bool, float]:
        """Return the place among results of the same metric, the best first, and those without a number last."""
        promise, evaluation = self.promise, self.outcome.evaluation
        if promise is None or evaluation is None or promise.value is None:
            return promise.metric if promise else "\N{REPLACEMENT CHARACTER}", True, 0.0
        sign = -1 if evaluation.higher_is_better(promise.metric) else 1
        return promise.metric, False, sign * promise.value

    def cells(self) -> tuple[str, ...]:
        """Return what the table shows of the run."""
        promise = self.promise
        where = f" on {promise.slice}" if promise and promise.slice else ""
        promised = f"{sentences.metric_name(promise.metric)}{where}" if promise else ""
        result = sentences.with_interval(promise) if promise else ""
        return tuple(
            map(plain, (self.record.run, self.verdict, promised, result, duration(self.seconds), duration(self.age)))
        )

    def document(self) -> dict[str, Any]:
        """Return the run for a machine."""
        record, promise = self.record, self.promise
        return {
            "run": record.run,
            "problem": record.problem_name,
            "status": record.status,
            "rejected_by": record.fault() or None,
            "reservations": self.outcome.against(),
            "smoke": record.smoke,
            "promised": promise.model_dump(include={"metric", "slice", "wanted", "value", "low", "high", "met"})
            if promise
            else None,
            "started": record.started,
            "finished": record.finished,
            "seconds": self.seconds,
        }


ORDERS: dict[str, Callable[[Entry], Any]] = {
    "age": lambda entry: entry.age,
    "name": lambda entry: entry.record.run,
    "verdict": lambda entry: entry.verdict,
    "result": Entry.rank,
    "took": lambda entry: -entry.seconds,
}
"""How the list can be sorted; runs that are alike stay in the order in which they were started, the newest first."""


def entries(workspace: Path, order: str | None = None, now: datetime | None = None) -> list[Entry]:
    """Return all runs of a workspace, the newest first unless an order is named."""
    moment = now or datetime.now(UTC)
    listed = [Entry(Outcome(record, _evaluation(workspace, record)), moment) for record in records.every(workspace)]
    return sorted(listed, key=ORDERS[order]) if order else listed


def _evaluation(workspace: Path, record: RunRecord) -> Evaluation | None:
    """Return the evaluation of a run if this machine has it; nothing is fetched for a list."""
    stage = record.producer(Evaluation.artifact)
    if stage is None or stage.status not in ("ran", "cached"):
        return None
    with contextlib.suppress(OSError, FourscoreError):
        return documents.read(Evaluation, LocalStore(workspace).directory(stage.key) / Evaluation.artifact)
    return None


def as_table(listed: Sequence[Entry], width: int | None) -> str:
    """Return the list as a table with a heading; where it is too wide, the age goes first, then other columns.

    Args:
        width: of the terminal; None where nothing limits it.
    """
    if not listed:
        return ""
    rows = [HEADER, *(entry.cells() for entry in listed)]
    left_out: list[str] = []
    for name in ("", "age", "promised", "took"):
        left_out += [name]
        cells = [tuple(cell for head, cell in zip(HEADER, row, strict=True) if head not in left_out) for row in rows]
        text = table(cells)
        if width is None or max(map(len, text.splitlines())) <= width:
            break
    return text


def usual_seconds(workspace: Path, problem: str, stages: Sequence[str]) -> dict[str, float | None]:
    """Return how long each of these stages took in the latest run of a problem that ran it; None if it never ran."""
    latest: dict[str, float] = {}
    for record in records.every(workspace):
        if record.problem_name == problem and not record.smoke:
            latest = {stage.name: stage.seconds for stage in record.stages if stage.status == "ran"} | latest
    return {stage: latest.get(stage) for stage in stages}
