"""Facts -> one HTML file: jinja2 escapes everything, in text and in attributes; nothing is loaded, nothing runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.files import write_atomically
from pipelines.pages.report import decision, evidence, numbers, words
from pipelines.pages.report.gather import Facts, gather
from steps.evaluation.document import Calibration

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

CONFUSION_CLASSES = 30
CURVE_POINTS = 200
MISTAKES = 6
SECTIONS = {
    "promises": "Promises",
    "numbers": "Numbers",
    "slices": "Worst slices",
    "limits": "Limits",
    "question": "What was asked",
    "data": "Data",
    "validation": "Checks",
    "labels": "Labels",
    "split": "Split and leaks",
    "training": "Training",
    "errors": "Errors",
    "time": "Time",
    "changes": "Changes",
    "lineage": "Lineage",
}
ARTIFACTS = {"data": "table", "validation": "validation", "labels": "labels", "split": "split", "training": "training"}
"""Sections that are left out where the run did not come so far."""


def write_report(workspace: Path, run: str) -> Path:
    """Write ``workspace/reports/<run>.html``, whole or not at all.

    One that is of the run's end stays where no other can be written, or only one that knows less.

    Raises:
        InputError: there is no such run.
        OSError: it cannot be written, and there is none yet.
    """
    facts = gather(workspace, run)
    path = facts.report_path
    there = _is_of_the_end(facts)
    if there and facts.is_incomplete:
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, render(facts))
    except OSError:
        if not there:
            raise
    return path


def _is_of_the_end(facts: Facts) -> bool:
    """Whether there is a report that was written when the run had ended."""
    if not facts.report_path.is_file() or not facts.record.finished:
        return False
    written = datetime.fromtimestamp(facts.report_path.stat().st_mtime, UTC)
    return written.isoformat(timespec="seconds") >= facts.record.finished


def render(facts: Facts) -> str:
    """The page of a run, however far it came."""
    page = _environment().get_template("page.html").render(_context(facts))
    return page.encode("utf-8", "replace").decode("utf-8")


def _environment() -> Environment:
    from jinja2 import ChainableUndefined, Environment, FileSystemLoader

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=ChainableUndefined,
        finalize=_visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in ("data", "cut", "prose", "show", "exact", "percent", "text"):
        environment.filters[name] = getattr(numbers, name)
    environment.filters["metric_name"] = words.metric_name
    return environment


def _visible(value: object) -> object:
    """Plain text loses what cannot be seen; what is markup already was made so by one of our filters."""
    return numbers.clean(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


def _context(facts: Facts) -> dict[str, Any]:
    columns, more_columns = evidence.columns(facts)
    context: dict[str, Any] = {
        "facts": facts,
        "problem": facts.problem,
        "evaluation": facts.document("evaluation"),
        "table": facts.document("labeled") or facts.document("table"),
        "verdict": words.verdict(facts),
        "loosened": [change for change in facts.changes if words.is_loosened(change)],
        "glance": decision.glance(facts),
        "promises": decision.promises(facts),
        "headline": decision.headline(facts),
        "comparisons": words.comparisons(facts),
        "metric_table": decision.metric_table(facts),
        "slices": decision.slices(facts),
        "limits": list(words.limits(facts)),
        "lesson": words.row_split_lesson(facts),
        "columns": columns,
        "sources": evidence.sources(facts),
        "query": facts.document("ingest").get("query"),
        "more_columns": more_columns,
        "used": sum(column.role == "feature" for column in columns),
        "class_shares": evidence.class_balance(facts),
        "labels": list(evidence.labels(facts)),
        "label_notes": facts.document("labels").get("notes") or (),
        "division": list(evidence.division(facts)),
        "division_notes": facts.document("split").get("notes") or (),
        "balance": evidence.balance(facts),
        "findings": evidence.findings(facts),
        "expectations": evidence.expectations(facts),
        "confusion": _confusion(facts),
        "mistakes": _mistakes(facts),
        "plots": list(_plots(facts)),
        "candidates": evidence.candidates(facts),
        "use": list(evidence.use(facts)),
        "curves": list(_curves(facts)),
        "stages": evidence.stages(facts),
        "total_seconds": evidence.total_seconds(facts),
        "warnings": [(stage.record.name, text) for stage in facts.stages for text in stage.warnings[:20]],
        "lineage": list(evidence.lineage(facts)),
    }
    context["ingest"] = evidence.plain(facts.document("ingest"), without=("format", "sources", "query"))
    context["training"] = facts.document("training")
    context["training_rest"] = evidence.plain(
        context["training"], without=("format", "chosen", "why", "metric", "candidates", "final", "folds")
    )
    absent = {"promises", "slices", "limits"} - {name for name in context if context[name]}
    absent |= {name for name, artifact in ARTIFACTS.items() if not facts.document(artifact)}
    context["unreached"] = [SECTIONS[name] for name in ARTIFACTS if name in absent]
    absent |= {"numbers"} if not context["headline"] else set()
    absent |= {"errors"} if not (context["plots"] or context["confusion"]) else set()
    context["absent"] = absent
    context["contents"] = [(name, title) for name, title in SECTIONS.items() if name not in absent]
    return context


@dataclass(frozen=True)
class Figure:
    """A plot with what is said under it."""

    title: str
    caption: str
    svg: Markup


def _plots(facts: Facts) -> Iterator[Figure]:
    from pipelines.pages.report import figures

    evaluation = facts.document("evaluation")
    if bins := (evaluation.get("calibration") or {}).get("bins"):
        error = evaluation["calibration"].get("expected_calibration_error")
        chance = numbers.is_number(error) and error <= Calibration(bins=bins).error_by_chance()
        off = f"{numbers.percent(error)} on average{', which may be chance' if chance else ''}"
        whose = "" if len(evaluation.get("classes") or ()) == 2 else " Here: of the answer that it holds most probable."
        caption = f"On the dashed diagonal chances are honest; larger dots hold more rows. Off by {off}.{whose}"
        yield Figure("Can its probabilities be believed?", caption, figures.calibration(bins))
    residuals = evaluation.get("residuals") or {}
    if histogram := residuals.get("histogram"):
        caption = f"How far answers are from the truth; a good model is narrow and sits on zero.{_spread(residuals)}"
        yield Figure(
            "How large are its errors?",
            caption,
            figures.histogram("Errors", histogram["edges"], histogram["counts"], "actual minus predicted"),
        )
    if grid := residuals.get("predicted_vs_actual"):
        svg = figures.density("Predicted and actual", grid["edges_predicted"], grid["edges_actual"], grid["counts"])
        yield Figure(
            "Predicted against actual",
            "Darker cells hold more rows; a perfect model has them all on the dashed line.",
            svg,
        )


def _spread(residuals: Mapping[str, Any]) -> str:
    """Where half and nine in ten of the errors lie."""
    found = residuals.get("quantiles") or {}
    ends = [found.get(name) for name in ("0.25", "0.75", "0.05", "0.95")]
    if not all(map(numbers.is_number, ends)):
        return ""
    half_low, half_high, most_low, most_high = map(numbers.show, ends)
    return (
        f" Half of the errors lie between {half_low} and {half_high}, nine in ten between {most_low} and {most_high}."
    )


def _curves(facts: Facts) -> Iterator[Figure]:
    """Loss by epoch of each candidate on its first validation fold."""
    from pipelines.pages.report import figures

    for candidate in facts.document("training").get("candidates") or ():
        fold: Mapping[str, Any] = next(iter(candidate.get("folds") or ()), {})
        lines = [
            (name, fold[field])
            for name, field in (("training rows", "train_loss"), ("validation rows", "validation_loss"))
            if fold.get(field)
        ]
        if not lines or max(len(values) for _, values in lines) < 2:
            continue
        series = [(name, *_thin(values)) for name, values in lines]
        kept = f"kept after epoch {fold.get('epochs')} (dotted line)"
        caption = f"Loss on the first validation fold; {kept}. Stopped: {fold.get('stopped')}."
        yield Figure(
            str(candidate.get("name")),
            caption,
            figures.curves("Training curves", series, "epoch", "loss", fold.get("epochs")),
        )


def _thin(values: Sequence[float]) -> tuple[list[int], list[float]]:
    """Epochs from 1 and values, not more than a figure can show."""
    every = -(-len(values) // CURVE_POINTS)
    return list(range(1, len(values) + 1))[::every], list(values)[::every]


@dataclass(frozen=True)
class ConfusionRow:
    """What the model answered where the truth was ``name``: (count, shade 0..1, whether white ink is needed)."""

    name: str
    cells: list[tuple[str, str, bool]]


def _confusion(facts: Facts) -> Mapping[str, Any] | None:
    evaluation = facts.document("evaluation")
    matrix, classes = evaluation.get("confusion"), evaluation.get("classes") or ()
    if not matrix or len(classes) > CONFUSION_CLASSES:
        return None
    return {
        "classes": classes,
        "rows": [ConfusionRow(name, _shaded(row)) for name, row in zip(classes, matrix, strict=False)],
    }


def _shaded(row: list[float]) -> list[tuple[str, str, bool]]:
    total = sum(row) or 1
    return [
        (numbers.number(int(value)) if value else "", f"{0.85 * value / total:.2f}", value / total > 0.7)
        for value in row
    ]


def _mistakes(facts: Facts) -> list[Mapping[str, Any]]:
    """The largest cells off the diagonal, for more classes than two."""
    evaluation = facts.document("evaluation")
    matrix, classes = evaluation.get("confusion") or [], evaluation.get("classes") or ()
    if len(classes) < 3:
        return []
    cells = [
        (value, truth, answer)
        for truth, row in zip(classes, matrix, strict=False)
        for answer, value in zip(classes, row, strict=False)
        if truth != answer and value
    ]
    ordered = sorted(cells, key=lambda cell: -cell[0])[:MISTAKES]
    return [{"rows": int(value), "truth": truth, "answer": answer} for value, truth, answer in ordered]
