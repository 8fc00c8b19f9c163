"""validate: does the table keep the promises of the expectation suite?

Great Expectations fails open: an unknown type in a suite is dropped, an empty suite succeeds, most expectations
pass on zero rows or on a column without a value, and a missing column is an exception inside a result. Here each
expectation is accounted for: it was evaluated, or it counts as a critical failure.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from steps.core import Config, Input, Output
from steps.errors import GateRefused, InputError
from steps.expectations.suite import check_suite, run_suite, wanted_in_words
from steps.journal import Journal
from steps.tables.schema import TableSchema, read_schema

Severity = Literal["critical", "warning", "info"]

ROW_COUNT = "expect_table_row_count_to_be_between"


class Expectation(Config):
    """One promise about the table, in the words of Great Expectations."""

    type: str = Field(description="Name of the expectation: expect_column_values_to_not_be_null ...")
    kwargs: dict[str, Any] = Field(default_factory=dict, description="Its arguments: column, min_value, mostly ...")
    severity: Severity = Field(default="critical", description="Only a critical failure stops the run.")
    notes: str | list[str] | None = Field(default=None, description="Why this is expected.")


class ValidateConfig(Config):
    """What the table promises."""

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
    if not config.suite:
        raise InputError("the expectation suite is empty: it would pass on any data; 'fourscore new' proposes one")
    schema = read_schema(table)
    suite = (
        Expectation(
            type=ROW_COUNT,
            kwargs={"min_value": 1},
            notes="Always expected: most expectations pass on a table without rows.",
        ),
        *config.suite,
    )
    asked = [(each.type, each.kwargs) for each in suite]
    check_suite(asked, schema)
    results = [
        _describe(each, found, config) for each, found in zip(suite, run_suite(table, asked, schema), strict=True)
    ]
    _write(validation, schema, results)
    _say(log, schema, results)
    refused = [_reason(result) for result in results if _stops(result)]
    if refused:
        raise GateRefused(*refused)


def _stops(result: Mapping[str, Any]) -> bool:
    return not result["success"] and (result["severity"] == "critical" or not result["evaluated"])


def _describe(expectation: Expectation, found: Mapping[str, Any], config: ValidateConfig) -> dict[str, Any]:
    """One row of the results; values leave only when the problem file allows it."""
    return {
        "type": expectation.type,
        "column": _columns(expectation.kwargs),
        "kwargs": expectation.kwargs,
        "severity": expectation.severity,
        "notes": expectation.notes,
        "evaluated": found["error"] is None,
        "success": found["success"],
        "wanted": wanted_in_words(expectation.type, expectation.kwargs),
        "observed": found["error"] or (found["observed_values"] if config.show_values else found["observed"]),
        "failing": found["failing"],
        "rows": found["rows"],
        "values": found["values"] if config.show_values else None,
    }


def _columns(kwargs: Mapping[str, Any]) -> str | None:
    if "column" in kwargs:
        return str(kwargs["column"])
    if "column_A" in kwargs:
        return f"{kwargs['column_A']}, {kwargs.get('column_B')}"
    return ", ".join(map(str, kwargs["column_list"])) if "column_list" in kwargs else None


def _write(directory: Path, schema: TableSchema, results: Sequence[Mapping[str, Any]]) -> None:
    failed = [result for result in results if not result["success"]]
    document = {
        "passed": not any(map(_stops, results)),
        "rows": schema.rows,
        "expectations": len(results),
        "failed": {level: sum(r["severity"] == level for r in failed) for level in ("critical", "warning", "info")},
        "results": results,
    }
    (directory / "results.json").write_text(
        json.dumps(document, indent=1, ensure_ascii=False, default=str) + "\n", encoding="utf-8"
    )


def _say(log: Journal, schema: TableSchema, results: Sequence[Mapping[str, Any]]) -> None:
    failed = [result for result in results if not result["success"]]
    log.metric("data/expectations", len(results))
    log.metric("data/expectations_failed", len(failed))
    for level in ("critical", "warning", "info"):
        log.metric(f"data/expectations_failed_{level}", sum(result["severity"] == level for result in failed))
    shown = ("type", "column", "severity", "success", "wanted", "observed", "failing")
    log.table("expectations", [{name: result[name] for name in shown} for result in results])
    for result in failed:
        if not _stops(result):
            (log.note if result["severity"] == "info" else log.warning)(f"{result['severity']}: {_reason(result)}")
    log.note(f"{len(results) - len(failed)} of {len(results)} expectations met on {schema.rows:,} rows")


def _reason(result: Mapping[str, Any]) -> str:
    """One failed expectation as a sentence: where, wanted, observed, rows."""
    where = f"column {result['column']!r}" if result["column"] else "the table"
    rows = result["rows"]
    listed = f"; rows {', '.join(map(str, rows))}{' ...' if result['failing'] > len(rows) else ''}" if rows else ""
    verb = "observed" if result["evaluated"] else "could not be evaluated:"
    return f"{where}: wanted {result['wanted']}; {verb} {result['observed']}{listed} [{result['type']}]"
