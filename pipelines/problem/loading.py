"""The way from a problem file and ``--set`` to a checked problem."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from pipelines.problem.cases import with_cases
from pipelines.problem.checks import contradictions
from pipelines.problem.definition import SHARED, SMOKE, Loaded, Problem
from pipelines.problem.suite import read_suite
from pipelines.problem.yaml_lines import Document, complain, read


def load(path: Path, settings: Mapping[str, str] | None = None, *, smoke: bool = False) -> Loaded:
    """Read a problem file, apply ``--set`` overrides, check everything that can be checked without data.

    Raises:
        InputError: something is wrong; one line per fault, with file, line and the valid choices.
    """
    document = read(path).override({**(SMOKE if smoke else {}), **(settings or {})})
    problem = with_cases(problem_of(document), document)
    suite = read_suite(path.parent / problem.expectations, document.place(("expectations",)))
    return Loaded(problem, suite, document, smoke)


def problem_of(document: Document) -> Problem:
    """Return the problem that a document defines.

    Raises:
        InputError: something is wrong; one line per fault, with file, line and the valid choices.
    """
    try:
        problem = Problem.model_validate(document.content)
    except ValidationError as error:
        raise complain(document, error, Problem, SHARED) from None
    document.refuse(contradictions(problem))
    return problem
