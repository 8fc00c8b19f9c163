"""What the test set of a run will be able to show, as far as that is known before the run."""

from __future__ import annotations

import sys
from typing import TypeVar

from model_code import tasks
from pipelines.request import Prepared, raw_files
from steps import documents
from steps.errors import InputError
from steps.evaluation import power
from steps.labeling.classes import choose_positive
from steps.labeling.document import LabelReport
from steps.splitting.document import SplitReport

D = TypeVar("D", bound=documents.Document)


def tight_promises(prepared: Prepared) -> list[str]:
    """Return a sentence for each promise that the test rows leave little room for, counted or estimated before the division."""
    problem, count = prepared.loaded.problem, _test_rows(prepared)
    return [
        *(power.uncounted(problem.success, count) if isinstance(count, str) else power.tight(problem.success, count))
    ]


def _test_rows(prepared: Prepared) -> power.Rows | str:
    """Return the test rows as divided, or as the labels or the files let expect them; else why nothing is known of them."""
    problem, two = prepared.loaded.problem, tasks.get(prepared.loaded.problem.task).has_positive
    if report := _published(prepared, SplitReport):
        rows = report.rows["test"].rows
        return power.Rows(rows, round(report.balance[1].test * rows) if two else 0)
    if labels := _published(prepared, LabelReport):
        counts = {share.name: share.rows for share in labels.classes} or {"": labels.rows_labeled}
        positive = labels.positive.name if labels.positive else None
    else:
        if problem.label.rule or "raw" not in prepared.plan.sources:
            return "rows are counted when label.rule has labelled them"
        from pipelines.header import count_values

        with raw_files(prepared) as (raw, scratch):
            values = count_values(problem.table(), raw, scratch, problem.target)
        if isinstance(values, str):
            return values
        counts = {name: rows for name, rows in values.items() if name not in problem.label.leave_out}
        if two and len(counts) != 2:
            return "the classes are counted when the rows are labelled"
        ordered = dict(sorted(counts.items()))
        try:
            positive = choose_positive(ordered, problem.label.positive)[0] if two else None
        except InputError:
            return "the classes are counted when the rows are labelled"
    share = problem.split.test_fraction * min(
        (problem.data.sample_rows or sys.maxsize) / max(sum(counts.values()), 1), 1
    )
    positives = round(share * counts[positive]) if positive is not None else 0
    return power.Rows(round(share * sum(counts.values())), positives, estimated=True)


def _published(prepared: Prepared, kind: type[D]) -> D | None:
    """Return the document of a stage that is cached."""
    planned = prepared.plan.producer(kind.artifact)
    if planned is None or not planned.cached:
        return None
    return documents.read(kind, prepared.store.file(planned.key, f"{kind.artifact}/{kind.file}").parent)
