"""Names and descriptions in MLflow: the verdict first, then promises with their results, the data, and where the report is.

They are Markdown, which MLflow's page turns into HTML: whatever people or data supplied is escaped. The lists of runs,
experiments and versions show the first characters as they are, so each text begins with a plain sentence.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infra.runs.records import RunRecord
from steps.cards.document import ANSWERS, Registration, unwritten
from steps.cards.markdown import bullets, escape, paragraph
from steps.evaluation import remarks, sentences
from steps.evaluation.document import Evaluation, ThresholdResult
from steps.wording import count

REHEARSAL = "rehearsal"
"""The verdict of a smoke run that went through: nobody judges its numbers."""
VERDICTS = {"running": "pending", "interrupted": "error", "killed": "error"}
"""The verdict of a run by its status, where the status is none itself."""
UNJUDGED = {
    "running": "Running: this says what is finished so far.",
    "error": "No verdict: the run failed.",
    "interrupted": "No verdict: the run was interrupted.",
    "killed": "No verdict: the run was killed.",
}
REPORT = "report.html"
SIGNATURE = "fourscore.description"
"""Tag with the digest of a description as it was written here."""


@dataclass(frozen=True)
class Outcome:
    """What a run has come to so far."""

    record: RunRecord
    evaluation: Evaluation | None
    """None as long as there is none, or where none can be read."""

    @property
    def verdict(self) -> str:
        """Return pass, rejected, error, pending, or rehearsal for a smoke run that went through."""
        verdict = VERDICTS.get(self.record.status, self.record.status)
        return REHEARSAL if self.record.smoke and verdict == "pass" else verdict

    def against(self) -> list[str]:
        """Return what speaks against using a model that passed."""
        if self.verdict != "pass" or self.evaluation is None:
            return []
        unanswered = ["nobody answers for it yet"] if unwritten(self.record.problem) else []
        return [*unanswered, *sentences.reservations(self.evaluation)]

    def label(self) -> str:
        """Return the verdict in a few words, with what a run was rejected for."""
        if fault := self.record.fault():
            return f"rejected ({fault})"
        if self.against():
            return "pass with reservations"
        return self.verdict if self.verdict not in ("error", "pending") else self.record.status

    def title(self) -> str:
        """Return the verdict in a sentence."""
        record, evaluation = self.record, self.evaluation
        if self.verdict == REHEARSAL:
            return "Rehearsal on a small sample: these numbers cannot support a decision."
        if record.status in UNJUDGED:
            return UNJUDGED[record.status]
        if (fault := record.fault()) not in ("", "promise"):
            return f"Rejected by a gate ({fault}): no model was trained on this data."
        if evaluation is None:
            return "Rejected." if fault else "No verdict yet: the run ended before its model was judged, as requested."
        return sentences.rejected(evaluation) if fault else sentences.passed(evaluation, self.against())


def run_name(outcome: Outcome) -> str:
    """Return the name of a run in MLflow: the verdict, as soon as there is one, and the run."""
    record = outcome.record
    if record.status == "running":
        return record.run
    return f"{outcome.label()}: {record.run}"


def of_run(outcome: Outcome, report: str) -> str:
    """Return the description of a run.

    Args:
        report: the address of the report in MLflow's page.
    """
    record = outcome.record
    parts = [f"{_headline(outcome)} The whole story: [{REPORT}]({report})"]
    if outcome.verdict != REHEARSAL:
        parts.append(bullets(_reasons(outcome)))
    parts += [_question(record.problem), *_results(outcome)]
    return "\n\n".join(part.strip("\n") for part in parts if part)


def of_version(outcome: Outcome, request: Registration, report: str) -> str:
    """Return the description of a model version; its aliases, which move, MLflow shows beside it."""
    parts = [_headline(outcome), _question(outcome.record.problem), *_results(outcome)]
    digests = ", ".join(f"{name.removesuffix('_digest')} `{value[:12]}`" for name, value in _digests(request.tags))
    parts.append(f"**Made from:** run {escape(outcome.record.run)}, {digests}. Its report: [{REPORT}]({report}).")
    if outcome.evaluation is None:
        parts.insert(1, escape(request.description))
    return "\n\n".join(part.strip("\n") for part in parts if part)


def of_problem(problem: Mapping[str, Any], holds: str) -> str:
    """Return the description of an experiment or a registered model: the question, and what its answers are for.

    Args:
        holds: what it holds, in a sentence.
    """
    answers = [paragraph(title, problem[name]) for name, title in list(ANSWERS.items())[1:] if problem.get(name)]
    return "\n".join(
        [escape(problem.get("question") or problem.get("name", "")) + "\n", holds + "\n", *answers]
    ).strip()


def tags_of_problem(problem: Mapping[str, Any]) -> dict[str, str]:
    """Return tags of an experiment or a registered model, by which MLflow's lists can be searched."""
    promised = [str(threshold.get("metric")) for threshold in problem.get("success") or ()]
    tags = {name: str(problem.get(name) or "") for name in ("task", "target", "owner")}
    return {name: value for name, value in (tags | {"promised": ", ".join(dict.fromkeys(promised))}).items() if value}


def _reasons(outcome: Outcome) -> list[str]:
    """Return the lines of the run's message without those about promises, which have a list of their own."""
    promises = outcome.evaluation.thresholds if outcome.evaluation else ()
    repeated = tuple(f"{promise.wanted}: " for promise in promises)
    return [line for line in outcome.record.message.splitlines() if line.strip() and not line.startswith(repeated)]


def digest(text: str) -> str:
    """Return what ``SIGNATURE`` says of a description."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def may_replace(text: str | None, tags: Mapping[str, str]) -> bool:
    """Return whether a description is still the one that was written here; a person's own stays."""
    return not text or tags.get(SIGNATURE) == digest(text)


def report_address(experiment: str, run: str) -> str:
    """Return the address of a run's report within MLflow's page."""
    return f"#/experiments/{experiment}/runs/{run}/artifacts/{REPORT}?workflowType=machine_learning"


def _headline(outcome: Outcome) -> str:
    """Return the verdict with the number that was promised first, or else the headline metric."""
    evaluation = outcome.evaluation
    if evaluation is None:
        return escape(outcome.title())
    promise = next(iter(evaluation.thresholds), None)
    metric = _metric_of(promise) if promise else sentences.metric_name(evaluation.headline)
    estimate = sentences.with_interval(promise or evaluation.metrics[evaluation.headline])
    return escape(f"{outcome.title()} {metric}: {estimate}, {count(evaluation.rows, 'test row')}.")


def _question(problem: Mapping[str, Any]) -> str:
    return paragraph("Question", problem["question"]) if problem.get("question") else ""


def _results(outcome: Outcome) -> list[str]:
    evaluation = outcome.evaluation
    if evaluation is None:
        return []
    data = evaluation.data
    steps = remarks.next_steps(evaluation) if outcome.verdict != REHEARSAL else []
    rows = f"{count(data.train_rows, 'training row')} and {count(data.test_rows, 'test row')}"
    sections = [section for section in outcome.record.problem.values() if isinstance(section, Mapping)]
    divided = next((section for section in sections if {"by", "column"} <= section.keys()), {})
    division = " ".join(map(str, filter(None, (divided.get("by"), divided.get("column")))))
    return [
        "**Promises:**" if evaluation.thresholds else "",
        bullets(_result(promise, judged=outcome.verdict != REHEARSAL) for promise in evaluation.thresholds),
        "**What to do next:**" if steps else "",
        bullets(steps),
        f"**Data:** {rows}{f', divided by {escape(division)}' if division else ''}",
        bullets(sentences.comparisons(evaluation).values()),
    ]


def _metric_of(promise: ThresholdResult) -> str:
    return sentences.metric_name(promise.metric) + (f" on {promise.slice}" if promise.slice else "")


def _result(promise: ThresholdResult, *, judged: bool) -> str:
    result = "not judged" if not judged else "kept" if promise.met else "NOT kept"
    required = f"{sentences.requirement(promise)}, {sentences.judged_on(promise)}"
    return f"{result}: {_metric_of(promise)} {required}: {sentences.with_interval(promise)}"


def _digests(tags: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in tags.items() if name.endswith("_digest")]
