"""validate: the table is checked against the expectation suite.

Great Expectations fails open: it drops an unknown type from a suite, an empty suite succeeds, most expectations pass on zero
rows or on a column without values, and a missing column is an exception inside a result. Here every expectation is evaluated,
or counts as a critical failure. Polars evaluates the common types, and Great Expectations is imported for the others only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_args

from pydantic import Field

from steps import documents
from steps.core import Config, Input, Output
from steps.errors import GateRefused, InputError
from steps.expectations.document import ExpectationResult, Severity, ValidationResults
from steps.expectations.wording import expected_in_words
from steps.journal import Journal
from steps.tables.schema import TableSchema

if TYPE_CHECKING:
    from steps.expectations.outcomes import Outcome

ROW_COUNT = "expect_table_row_count_to_be_between"


class Expectation(Config):
    """One expectation about the table, in the words of Great Expectations."""

    type: str = Field(description="The name of the expectation: expect_column_values_to_not_be_null ...")
    kwargs: dict[str, Any] = Field(default_factory=dict, description="The arguments: column, min_value, mostly ...")
    severity: Severity = Field(
        default="critical", description="The severity of a failure; only a critical one stops the run."
    )
    notes: str | list[str] | None = Field(default=None, description="The reason for the expectation.")


class ValidateConfig(Config):
    """The expectations about the table."""

    suite: tuple[Expectation, ...] = Field(description="The expectations; an empty suite is refused.")
    show_values: bool = Field(
        default=False, description="Whether results may show values of failing rows; row numbers are always shown."
    )


def validate(table: Input, validation: Output, config: ValidateConfig, log: Journal) -> None:
    """Run the suite over the table, report every expectation, stop on a critical failure.

    Raises:
        InputError: the suite is empty or names what does not exist.
        GateRefused: a critical expectation failed or was not evaluated; the results are written first.
    """
    from steps.expectations.outcomes import outcome
    from steps.expectations.suite import run_suite

    if not config.suite:
        raise InputError("the expectation suite is empty: it would pass on any data; 'fourscore new' proposes one")
    schema = documents.read(TableSchema, table)
    suite = (
        Expectation(
            type=ROW_COUNT,
            kwargs={"min_value": 1},
            notes="Always expected: most expectations pass on a table without rows.",
        ),
        *config.suite,
    )
    requests = [(expectation.type, expectation.kwargs) for expectation in suite]
    evaluation = run_suite(table, requests, schema)
    outcomes = [
        outcome(request, result, schema.rows) for request, result in zip(requests, evaluation.results, strict=True)
    ]
    results = [_describe(expectation, one, config) for expectation, one in zip(suite, outcomes, strict=True)]
    document = _document(schema, results)
    documents.write(validation, document)
    _log(log, document)
    if note := evaluation.note():
        log.note(note)
    refused = [_reason(result) for result in results if result.stops]
    if refused:
        raise GateRefused(*refused)


def _describe(expectation: Expectation, outcome: Outcome, config: ValidateConfig) -> ExpectationResult:
    """Return one row of the results, with values of the table only if the problem file allows it."""
    return ExpectationResult(
        type=expectation.type,
        column=_columns(expectation.kwargs),
        kwargs=expectation.kwargs,
        severity=expectation.severity,
        notes=expectation.notes,
        evaluated=outcome.error is None,
        success=outcome.success,
        wanted=expected_in_words(expectation.type, expectation.kwargs),
        observed=outcome.error or (outcome.observed_values if config.show_values else outcome.observed),
        failing=outcome.failing,
        rows=outcome.rows,
        values=outcome.values if config.show_values else None,
    )


def _columns(kwargs: Mapping[str, Any]) -> str | None:
    if "column" in kwargs:
        return str(kwargs["column"])
    if "column_A" in kwargs:
        return f"{kwargs['column_A']}, {kwargs.get('column_B')}"
    return ", ".join(map(str, kwargs["column_list"])) if "column_list" in kwargs else None


def _document(schema: TableSchema, results: Sequence[ExpectationResult]) -> ValidationResults:
    failed = [result for result in results if not result.success]
    return ValidationResults(
        passed=not any(result.stops for result in results),
        rows=schema.rows,
        expectations=len(results),
        failed={level: sum(result.severity == level for result in failed) for level in get_args(Severity)},
        results=results,
    )


def _log(log: Journal, document: ValidationResults) -> None:
    results, failed = document.results, [result for result in document.results if not result.success]
    log.metric("data/expectations", len(results))
    log.metric("data/expectations_failed", len(failed))
    for level, count in document.failed.items():
        log.metric(f"data/expectations_failed_{level}", count)
    columns = {"type", "column", "severity", "success", "wanted", "observed", "failing"}
    log.table("expectations", [result.model_dump(include=columns) for result in results])
    for result in failed:
        if not result.stops:
            (log.note if result.severity == "info" else log.warning)(f"{result.severity}: {_reason(result)}")
    log.note(f"{len(results) - len(failed)} of {len(results)} expectations met on {document.rows:,} rows")


def _reason(result: ExpectationResult) -> str:
    """Return a failed expectation as a sentence."""
    where = f"column {result.column!r}" if result.column else "the table"
    listed = f"; rows {', '.join(map(str, result.rows))}" if result.rows else ""
    listed += " ..." if result.rows and result.failing > len(result.rows) else ""
    verb = "observed" if result.evaluated else "could not be evaluated"
    return f"{where}: expected: {result.wanted}; {verb}: {result.observed}{listed} [{result.type}]"
