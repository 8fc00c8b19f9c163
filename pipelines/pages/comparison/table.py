"""Several runs side by side: outcome, metrics with intervals, cost, and what their problems say differently."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.runs import records
from pipelines.pages.report.evidence import answer_time, size
from pipelines.pages.report.gather import Facts, gather
from pipelines.pages.report.history import leaves
from pipelines.pages.report.markup import exact, seconds
from steps.errors import InputError
from steps.evaluation.document import Estimate
from steps.evaluation.sentences import metric_name, with_interval
from steps.training.document import TrainingRecord
from steps.wording import UNKNOWN, cut, listed, number, unmarked

LONGEST = 60
"""The most characters of a cell."""
CHANGES = 60


@dataclass(frozen=True)
class Line:
    """What is compared, with the value of each run."""

    label: str
    cells: tuple[str, ...]
    best: tuple[int, ...] = ()
    """The positions of the best values; empty where none is better than another."""


@dataclass(frozen=True)
class Comparison:
    """Runs side by side."""

    runs: tuple[str, ...]
    groups: tuple[tuple[str, tuple[Line, ...]], ...]
    notes: tuple[str, ...]


def compare(workspace: Path, runs: Sequence[str]) -> Comparison:
    """Return runs of a workspace side by side, in their order here.

    Raises:
        InputError: there are fewer than two, or one of them does not exist.
    """
    names = list(dict.fromkeys(runs))
    if len(names) < 2:
        raise InputError("name two runs or more to compare; 'fourscore runs' lists them")
    records.mark_killed(workspace)
    every = [gather(workspace, run, history=False) for run in names]
    groups = (
        ("Outcome", _outcome(every)),
        ("On the held-out test rows", _metrics(every)),
        ("Model and cost", _model(every)),
        ("What the problems say differently", _changes(every)),
    )
    filled = tuple((title, tuple(lines)) for title, lines in ((title, list(lines)) for title, lines in groups) if lines)
    return Comparison(tuple(names), filled, tuple(_notes(every)))


def _line(label: str, cells: Sequence[object], best: Sequence[int] = ()) -> Line:
    texts = (UNKNOWN if cell is None or cell == "" else cut(unmarked(str(cell)), LONGEST) for cell in cells)
    return Line(cut(label, LONGEST), tuple(texts), tuple(best))


def _outcome(every: Sequence[Facts]) -> Iterator[Line]:
    yield _line("Verdict", [_verdict(facts) for facts in every])
    promises = [
        [promise.met for promise in facts.evaluation.thresholds] if facts.evaluation else None for facts in every
    ]
    yield _line("Promises kept", [None if met is None else f"{sum(met)} of {len(met)}" for met in promises])
    yield _line("Problem", [facts.record.problem_name for facts in every])
    yield _line("Started", [facts.record.started[:16].replace("T", " ") for facts in every])
    if any(facts.champion_since for facts in every):
        yield _line("Champion since", [(facts.champion_since or "")[:10] for facts in every])


def _verdict(facts: Facts) -> str:
    word = "rehearsal" if facts.record.smoke and facts.verdict == "pass" else facts.verdict
    fault = facts.record.fault()
    return f"{word} ({fault})" if fault else f"{word}, but {listed(facts.reservations)}" if facts.reservations else word


def _metrics(every: Sequence[Facts]) -> Iterator[Line]:
    """Yield each metric; a best value only where all runs were judged on the same rows."""
    judged = [facts.evaluation for facts in every if facts.evaluation]
    for metric in dict.fromkeys(metric for evaluation in judged for metric in evaluation.metrics):
        estimates = [
            facts.evaluation.metrics.get(metric, Estimate()) if facts.evaluation else Estimate() for facts in every
        ]
        cells = [None if estimate.value is None else with_interval(estimate) for estimate in estimates]
        values = [estimate.value for estimate in estimates if estimate.value is not None]
        best: list[int] = []
        if values and len(_test_sets(every)) == 1:
            top = values.index((max if judged[0].higher_is_better(metric) else min)(values))
            digits = [cell.partition(" ")[0] for cell in cells if cell]
            best = [i for i, cell in enumerate(cells) if cell and cell.partition(" ")[0] == digits[top]]
            best = best if len(set(digits)) > 1 else []
        yield _line(metric_name(metric), cells, best)


def _model(every: Sequence[Facts]) -> Iterator[Line]:
    training = [facts.get(TrainingRecord) for facts in every]
    yield _line("Chosen candidate", [record.chosen if record else None for record in training])
    data = [facts.evaluation.data if facts.evaluation else None for facts in every]
    yield _line("Training rows", [number(rows.train_rows) if rows else None for rows in data])
    yield _line("Test rows", [number(rows.test_rows) if rows else None for rows in data])
    megabytes = [facts.metrics.get("application/model_mb") for facts in every]
    yield _line("Size", [None if value is None else size(1e6 * value) for value in megabytes])
    chosen = [
        next((answer_time(facts, one) for one in record.candidates if one.name == record.chosen), None)
        if record
        else None
        for facts, record in zip(every, training, strict=True)
    ]
    yield _line("1,000 rows take", chosen)
    yield _line("Work of all stages", [seconds(sum(stage.seconds for stage in facts.stages)) for facts in every])


def _changes(every: Sequence[Facts]) -> list[Line]:
    flat = [dict(leaves(facts.problem)) for facts in every]
    paths = dict.fromkeys(path for problem in flat for path in problem)
    changed = [path for path in paths if any(problem.get(path) != flat[0].get(path) for problem in flat)]
    lines = [_line(path, [exact(problem[path]) if path in problem else None for problem in flat]) for path in changed]
    more = len(lines) - CHANGES
    return [*lines[:CHANGES], *([_line(f"and {more} more", [None] * len(every))] if more > 0 else [])]


def _test_sets(every: Sequence[Facts]) -> set[str]:
    return {facts.evaluation.data.test_digest for facts in every if facts.evaluation}


def _notes(every: Sequence[Facts]) -> Iterator[str]:
    if len({facts.record.problem_name for facts in every}) > 1:
        yield "These are runs of different problems."
    if len(_test_sets(every)) > 1:
        yield "The runs were judged on different test rows, so a difference between their metrics may come from the rows."
    if any(facts.record.smoke for facts in every):
        yield "The numbers of a rehearsal say nothing about the question."
    for facts in every:
        if facts.rotten:
            yield f"Files of run {facts.run} are not what it published: {facts.rotten[0]}"
    yield (
        "Intervals are those of single runs; two that overlap decide nothing. To compare two models pair by pair, promote "
        "one of them and run the other's problem again: the champion is judged on the same rows."
    )
