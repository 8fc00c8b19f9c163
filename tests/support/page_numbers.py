"""Every number of a report beside the part of a document that it comes from, row by row and sentence by sentence."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from html.parser import HTMLParser
from typing import Any

from pipelines.pages.report.decision import segments
from pipelines.pages.report.gather import Facts
from steps.documents import Document
from steps.evaluation.document import Evaluation
from steps.expectations.document import ValidationResults
from steps.labeling.document import LabelReport
from steps.splitting.document import ColumnProfiles, SplitReport
from steps.tables.document import IngestReport
from steps.training.document import TrainingRecord

NUMBER = re.compile(
    r"(?<![\w.,/:-])([+\N{MINUS SIGN}-]?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?)(?= ?(%|percentage points|points|MB|kB|min)?)(?![\w/-]|[.:,]\d)"
)
UNDRAWN = ("key", "ends", "eyebrow")
"""Classes whose text is no result: digests, ends of axes, the line with the run's name."""
SOURCES: dict[str, tuple[type[Document], ...]] = {
    "top": (Evaluation,),
    "promises": (Evaluation,),
    "numbers": (Evaluation,),
    "segments": (Evaluation,),
    "errors": (Evaluation,),
    "importance": (Evaluation,),
    "behaviour": (Evaluation,),
    "limits": (Evaluation, SplitReport, TrainingRecord, ColumnProfiles),
    "data": (IngestReport, LabelReport, ColumnProfiles),
    "validation": (ValidationResults,),
    "labels": (LabelReport,),
    "split": (SplitReport,),
    "training": (TrainingRecord,),
    "time": (),
}
PROSE = {0.0, 0.5, 1.0, 19.0, 20.0, 95.0, 98.0, 99.0, 100.0, 1000.0}
"""Numbers of our own sentences: what guessing and perfection score, the level of the intervals, the rows that costs are for,
how often drift by chance stays below the figure beside it, which share of the values the middle ones are, and of which
share of the calls a time is promised."""


LISTED = 4
"""How many segments a sentence names before it says how many more there are."""
BLOCKS = ("tr", "li", "p", "dd", "figcaption", "h2", "summary")
LARGEST = 40
"""Numbers in a part of a document that a row or a sentence is compared with; among more, many would fit by chance."""


class _Blocks(HTMLParser):
    """The text of each row, item and paragraph by section; what is drawn or is a digest is left out."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.blocks: list[tuple[str, str]] = [("top", "")]
        self.section, self.depths = "top", [0]
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = dict(attributes)
        if name := values.get("id"):  # of the fold's title, or of what is in it
            self.section = str(name).removesuffix("-title")
        classes = (values.get("class") or "").split()
        if tag in ("meta", "link", "br", "img"):
            return
        if tag in BLOCKS or "card" in classes:
            self.blocks.append((self.section, ""))
        leaves_out = tag in ("style", "svg", "title") or any(name in UNDRAWN for name in classes)
        self.depths.append(self.depths[-1] + (1 if leaves_out or self.depths[-1] else 0))

    def handle_endtag(self, tag: str) -> None:
        self.depths.pop()

    def handle_data(self, data: str) -> None:
        if not self.depths[-1]:
            section, text = self.blocks[-1]
            self.blocks[-1] = (section, f"{text} {data}")


def unsourced(html: str, facts: Facts) -> tuple[int, list[str]]:
    """Return how many numbers a page shows, and the rows and sentences that no part of their documents explains."""
    count, strangers = 0, []
    totals = {float(total) for total in _totals(facts)}
    parts = {section: [*_parts(_sources(section, kinds, facts))] for section, kinds in SOURCES.items()}
    for section, text in _Blocks(html).blocks:
        tokens = [(match[1], match[2]) for match in NUMBER.finditer(" ".join(text.split()))]
        if section not in SOURCES or not tokens:
            continue
        count += len(tokens)
        if not any(all(_is_sourced(*token, part | PROSE, totals) for token in tokens) for part in parts[section]):
            strangers.append(f"{section}: {' '.join(text.split())}")
    return count, strangers


def _sources(section: str, kinds: Iterable[type[Document]], facts: Facts) -> list[Any]:
    return [*_documents(facts, kinds), *_derived(section, facts)]


def _parts(value: Any) -> Iterator[set[float]]:
    """Yield the numbers of every part of a document that is small enough."""
    numbers = set(_numbers(value))
    if len(numbers) <= LARGEST:
        yield numbers
    for item in value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ():
        yield from _parts(item)


def _is_sourced(text: str, unit: str | None, numbers: set[float], totals: set[float]) -> bool:
    plain = text.replace("\N{MINUS SIGN}", "-").replace(",", "")
    decimals = len(plain.partition(".")[2])
    value = float(plain)
    scaled = {
        "MB": [number / 1e6 for number in numbers],
        "kB": [scale * number for number in numbers for scale in (1e3, 1e-3)],
        "min": [number / 60 for number in numbers],
    }.get(unit or "", [])
    if unit in ("%", "percentage points", "points"):
        scaled = [100 * number for number in numbers]
        scaled += [100 * number / total for number in numbers for total in totals if unit == "%" and total]
    return any(_is_rounded(number, value, decimals) for number in (*numbers, *scaled))


def _is_rounded(number: float, value: float, decimals: int) -> bool:
    return abs(number - value) <= 0.5000001 * 10.0**-decimals


def _documents(facts: Facts, kinds: Iterable[type[Document]]) -> Iterator[Any]:
    for kind in kinds:
        if document := facts.get(kind):
            yield document.model_dump()


def _totals(facts: Facts) -> Iterator[float]:
    """Yield the numbers of rows that shares are shares of."""
    yield from (table.rows for table in facts.tables.values())
    if profiles := facts.get(ColumnProfiles):
        yield from profiles.rows
    if split := facts.get(SplitReport):
        yield sum(part.rows for part in split.rows.values())
    if evaluation := facts.evaluation:
        yield evaluation.rows


def _derived(section: str, facts: Facts) -> Iterator[Any]:
    """Yield what a section shows beside its documents: counts, and what stages measured."""
    evaluation = facts.evaluation
    if evaluation:
        scored = {"model": evaluation.metrics, **evaluation.rivals()}
        for metric in evaluation.metrics:
            yield [{name: metrics[metric].model_dump() for name, metrics in scored.items()}, _in_name(metric)]
        yield [evaluation.rows, evaluation.interval.model_dump()]
        yield from ([threshold.model_dump(), _in_name(threshold.metric)] for threshold in evaluation.thresholds)
        yield [[threshold.met for threshold in evaluation.thresholds], len(evaluation.thresholds)]
        for parts in evaluation.slices.values():
            for part in parts:
                yield [part.rows, part.metrics[evaluation.headline].model_dump()]
    if evaluation and section == "errors":  # a caption says what several parts of the document do
        recalls = [part.recall.model_dump() for part in evaluation.per_class if part.recall.value is not None]
        yield sorted(recalls, key=lambda recall: recall["value"])[:LISTED]
        document, training = evaluation.model_dump(), facts.get(TrainingRecord)
        intervals = document["prediction_intervals"] or {"coverage": {}}
        percent = [100 * share for share in intervals["coverage"].values() if share is not None]
        yield [(document["residuals"] or {}).get("quantiles"), intervals, percent]
        error = (document["calibration"] or {}).get("expected_calibration_error")
        decision = document["decision"] or {}
        misses = (decision.get("positives") or 0) - (decision.get("hits") or 0)
        yield [error, decision, misses, training and training.model_dump()["calibration"]]
        yield from _drawn(evaluation)
    if evaluation and section == "importance":
        yield from _explained(evaluation, facts)
    if evaluation and section == "segments" and (listed := segments(evaluation)):
        yield [len(listed.further), len(listed.small), listed.hidden]
    if evaluation and (search := evaluation.search) and section in ("top", "segments"):
        yield [search.model_dump(exclude={"weak"}), len(search.weak)]
        yield from (segment.model_dump(include={"rows", "estimate"}) for segment in search.weak)
    if evaluation and section in ("segments", "limits"):
        for result in evaluation.fairness.values():
            yield from (group.model_dump() for group in result.groups)
            for name, gap in result.gaps.items():
                values = [group.measures[name].value for group in result.groups if name in group.measures]
                yield [gap and gap.model_dump(), values]
    if evaluation and section == "limits":
        small = sum(part.small for parts in evaluation.slices.values() for part in parts)
        yield [small, small - LISTED]
    if section in ("top", "limits"):
        yield [facts.problem, facts.model, len(facts.readings), facts.record.message]
    if section == "data" and facts.table:
        yield [facts.table.model_dump(), len(facts.table.columns) - 1, len(facts.table.features())]
    if section == "data" and (profiles := facts.get(ColumnProfiles)):
        for column in profiles.columns:
            yield column.model_dump(exclude={"train", "test"})
    if section == "limits" and (profiles := facts.get(ColumnProfiles)):
        yield [column.drift for column in profiles.columns if column.has_drifted]
    if section == "validation" and (validation := facts.get(ValidationResults)):
        yield [len(validation.results), sum(result.success for result in validation.results), validation.rows]
    if section == "training":
        yield from _trained(facts)
    if section == "time":
        spent = [stage.seconds for stage in facts.stages]
        yield [spent, sum(spent), [asdict(stage.record) for stage in facts.stages], [s.events for s in facts.stages]]


def _drawn(evaluation: Evaluation) -> Iterator[Any]:
    """Yield what captions say of curves."""
    if curves := evaluation.curves:
        areas = [[curve.area for curve in drawn] for drawn in (curves.roc, curves.precision_recall)]
        yield [areas, len(curves.roc), len(evaluation.classes)]
        yield [curves.gain and [curves.gain.x[10], curves.gain.y[10], curves.gain.y[10] / curves.gain.x[10]]]
    yield [min((stretch.rows for stretch in evaluation.over_time), default=0)]


def _explained(evaluation: Evaluation, facts: Facts) -> Iterator[Any]:
    """Yield what is said of the columns and of the time that it took to know it."""
    yield [part.rows for part in evaluation.dependence]
    if importance := evaluation.importance:
        sizes = [len(importance.columns) - 12, len(importance.columns) - 60, len(importance.left_out)]
        yield [importance.rows, importance.repeats, facts.metrics.get("framework/importance_seconds"), sizes]


def _trained(facts: Facts) -> Iterator[Any]:
    """Yield what is said of candidates and their fits."""
    yield facts.metrics
    training = facts.get(TrainingRecord)
    if training and training.final:
        yield [training.final.rows, training.final.epochs]
    for candidate in training.candidates if training else ():
        cost = [value for name, value in facts.metrics.items() if name.endswith(f".{candidate.name}")]
        yield [candidate.model_dump(exclude={"folds"}), [fold.epochs for fold in candidate.folds], cost]
        yield from ([fold.epochs, fold.stopped, training.final and training.final.epochs] for fold in candidate.folds)


def _in_name(metric: str) -> list[float]:
    """Return the numbers in a metric's name, such as that of precision_at_top_5_percent."""
    return [float(text) for text in re.findall(r"\d+(?:\.\d+)?", metric)]


def _numbers(value: Any) -> Iterator[float]:
    """Yield every number in a JSON value, those in its texts and the sizes of its lists among them."""
    if isinstance(value, str):
        for match in NUMBER.finditer(value):
            yield float(match[1].replace("\N{MINUS SIGN}", "-").replace(",", ""))
    elif isinstance(value, int | float):
        yield float(value)
        yield abs(float(value))
    elif isinstance(value, Mapping):
        yield float(len(value))
        for name, item in value.items():
            yield from _numbers(name)
            yield from _numbers(item)
    elif isinstance(value, list | tuple | set):
        yield float(len(value))
        for item in value:
            yield from _numbers(item)
