"""An expectation suite over a table: Polars evaluates what it covers, Great Expectations the rest."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from steps.errors import InputError
from steps.expectations.checks import Check
from steps.expectations.evaluation import COVERED, check, evaluate
from steps.expectations.outcomes import Result
from steps.expectations.requests import Request, refusal
from steps.tables.schema import TableSchema


@dataclass(frozen=True)
class Evaluation:
    """The results of a suite, and what it took."""

    results: tuple[Result, ...]
    """One for each expectation."""
    left: tuple[str, ...] = ()
    """The types of those that were left to Great Expectations."""
    seconds: float = 0.0
    """How long these took, with the import of Great Expectations."""

    def note(self) -> str | None:
        """Return which expectations Great Expectations evaluated, and what that cost; None if there are none."""
        if not self.left:
            return None
        kinds = ", ".join(
            kind if count == 1 else f"{kind} ({count} times)" for kind, count in Counter(self.left).items()
        )
        return (
            f"{len(self.left)} of {len(self.results)} expectations were left to Great Expectations, which took "
            f"{self.seconds:.1f} s: {kinds}"
        )


def run_suite(table: Path, suite: Sequence[Request], schema: TableSchema) -> Evaluation:
    """Return the result of every expectation.

    Raises:
        InputError: an expectation does not exist, has invalid arguments or names a column that the table does not have;
            one line for each, with what would work.
    """
    data = pl.scan_parquet(table / "data.parquet", glob=False)
    checks, rest, faults = _plan(suite, schema, data)
    began = time.perf_counter()
    built: dict[int, Any] = {}
    if rest:
        from steps.expectations import fallback  # imports Great Expectations, which takes seconds

        built, more = fallback.build(rest, schema)
        faults |= more
    if faults:
        lines = (f"expectation {position} ({suite[position][0]}): {faults[position]}" for position in sorted(faults))
        raise InputError("\n".join(lines))
    results = fallback.run(table, rest, built, schema) if rest else {}
    seconds = time.perf_counter() - began
    results |= evaluate(data, checks)
    left = tuple(kind for kind, _ in rest.values())
    return Evaluation(tuple(results[position] for position in range(len(suite))), left, seconds)


def _plan(
    suite: Sequence[Request], schema: TableSchema, data: pl.LazyFrame
) -> tuple[dict[int, Check], dict[int, Request], dict[int, str]]:
    """Return by position what Polars evaluates, what is left to Great Expectations, and what must not be evaluated."""
    checks: dict[int, Check] = {}
    rest: dict[int, Request] = {}
    faults: dict[int, str] = {}
    names, types = [column.name for column in schema.columns], data.collect_schema()
    for position, request in enumerate(suite):
        if request[0] not in COVERED:
            rest[position] = request
        elif fault := refusal(request, names):
            faults[position] = fault
        else:
            try:
                one = check(request, schema, types)
            except InputError as error:
                faults[position] = str(error)
            else:
                if one is None:
                    rest[position] = request
                else:
                    checks[position] = one
    return checks, rest, faults
