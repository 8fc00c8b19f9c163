"""The cases of rules of behaviour, read from the CSV files that a problem names."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipelines.problem.definition import Problem
from pipelines.problem.yaml_lines import Document
from steps.errors import InputError
from steps.evaluation.behaviour import MOST_CASES, Case


def with_cases(problem: Problem, document: Document) -> Problem:
    """Return the problem with the rows of its cases in place of their files.

    Raises:
        InputError: a file cannot be read, or a case has no right answer.
    """
    rules = []
    for position, rule in enumerate(problem.evaluate.behaviour):
        place = f"{document.place(('evaluate', 'behaviour', position, 'cases'))}: evaluate.behaviour.{position}.cases"
        cases = rule.cases
        if isinstance(cases, str):
            cases = _read(document.path.parent / cases, place)
        if cases is not None:
            _check(cases, problem.target, place)
        rules.append(rule.model_copy(update={"cases": cases}))
    evaluate = problem.evaluate.model_copy(update={"behaviour": tuple(rules)})
    return problem.model_copy(update={"evaluate": evaluate}) if rules else problem


def _check(cases: Sequence[Case], target: str, place: str) -> None:
    if not 0 < len(cases) <= MOST_CASES:
        raise InputError(f"{place}: {len(cases):,} cases; write 1 to {MOST_CASES:,}")
    for number, case in enumerate(cases, 1):
        if case.get(target) in (None, ""):
            raise InputError(f"{place}: case {number} has no {target!r}, which is its right answer")


def _read(path: Path, place: str) -> tuple[Case, ...]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return tuple(_rows(csv.DictReader(file, strict=True), path))
    except FileNotFoundError:
        raise InputError(f"{place}: no file {path}") from None
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as CSV: {error}") from None


def _rows(reader: csv.DictReader[str], path: Path) -> Iterator[Case]:
    for row in reader:
        if None in row or None in row.values():
            raise InputError(f"{path}:{reader.line_num}: another number of cells than the header has")
        yield {name: value or None for name, value in row.items()}
