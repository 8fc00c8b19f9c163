"""One run as a machine reads it: the output of ``run --json`` and ``show --json``. Nothing heavy is imported."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from steps.evaluation.document import Estimate, ThresholdResult

if TYPE_CHECKING:
    from pipelines.pages.report.gather import Facts, Stage


def summary(facts: Facts) -> dict[str, Any]:
    """Return the run as one JSON-able document.

    Returns:
        run, verdict (pass | rejected | error; running while it runs; rehearsal: a smoke run has none), grade (pass | rejected |
        reserved: a pass, but something else does as well; None without a verdict), reservations (what that is, in words),
        status, message, smoke, reused (True if the run had finished before it was asked for again, so that no stage ran now),
        stages,
        metrics (flat, ``layer/name``), thresholds, yardsticks (name -> metric -> value, on the same test rows),
        model, on (where it ran), store, execution, package and jobs (of a run on S3 or SageMaker: URI, ARNs, status by step),
        report (path, or None before it is written).
    """
    evaluation = facts.evaluation
    return {
        "run": facts.run,
        "verdict": "rehearsal" if facts.record.smoke and facts.verdict == "pass" else facts.verdict,
        "grade": _grade(facts),
        "reservations": facts.reservations,
        "status": facts.record.status,
        "message": facts.record.message,
        "smoke": facts.record.smoke,
        "reused": facts.is_reused,
        "stages": [_stage(stage) for stage in facts.stages],
        "metrics": facts.metrics,
        "thresholds": [_threshold(threshold) for threshold in evaluation.thresholds] if evaluation else [],
        "yardsticks": {name: _values(metrics) for name, metrics in evaluation.yardsticks.items()} if evaluation else {},
        "model": facts.model,
        "on": facts.record.on,
        "store": facts.record.store,
        "execution": facts.record.execution,
        "package": facts.record.package,
        "jobs": facts.record.jobs,
        "report": str(facts.report_path) if facts.report_path.exists() else None,
    }


def empty_summary() -> dict[str, Any]:
    """Return the document of a run that did not begin: every key, no value."""
    return {
        "run": None,
        "verdict": "error",
        "grade": None,
        "reservations": [],
        "status": "error",
        "message": "",
        "smoke": False,
        "reused": False,
        "stages": [],
        "metrics": {},
        "thresholds": [],
        "yardsticks": {},
        "model": {"path": None, "name": None, "version": None, "champion": False},
        "on": None,
        "store": None,
        "execution": None,
        "package": None,
        "jobs": {},
        "report": None,
    }


def _grade(facts: Facts) -> str | None:
    if facts.verdict not in ("pass", "rejected") or facts.record.smoke:
        return None
    return "reserved" if facts.reservations else facts.verdict


def _stage(stage: Stage) -> dict[str, Any]:
    record = stage.record
    return {
        "name": record.name,
        "status": "failed" if record.status == "refused" else record.status,
        "seconds": record.seconds,
        "key": record.key,
        "reason": record.reason,
    }


def _threshold(threshold: ThresholdResult) -> dict[str, Any]:
    return {
        **threshold.model_dump(include={"metric", "wanted", "slice", "value", "met"}),
        "interval": [threshold.low, threshold.high],
    }


def _values(metrics: Mapping[str, Estimate]) -> dict[str, float | None]:
    return {name: estimate.value for name, estimate in metrics.items()}
