"""Great Expectations itself, for what Polars does not evaluate, and its own result objects."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import polars as pl

from steps import wording
from steps.expectations.outcomes import LISTED, Result
from steps.expectations.questions import instant
from steps.expectations.requests import Request, column_of, columns_of, refusal
from steps.tables.frames import pandas_frame
from steps.tables.names import ROW
from steps.tables.schema import Column, TableSchema

if TYPE_CHECKING:
    from great_expectations.core import ExpectationSuiteValidationResult

HEAD = 50_000
"""Where more rows than this fail, the listed ones are taken from this many first rows."""
_COLUMN_ARGUMENTS = {"column", "column_A", "column_B", "column_list", "column_set"}
_NEEDS_ALL_ROWS = ("unique", "z_scores", "outliers")
_WHOLE_TABLE = ("expect_table_column", "unexpected_rows", "expect_query")
_REACH_OUTSIDE = (
    "unexpected_rows_expectation",
    "expect_query_results_to_match_comparison",
    "expect_table_row_count_to_equal_other_table",
)


def build(suite: Mapping[int, Request], schema: TableSchema) -> tuple[dict[int, Any], dict[int, str]]:
    """Return the expectations of Great Expectations by position, and why others cannot be evaluated."""
    with _quiet():
        from great_expectations.expectations.registry import list_registered_expectation_implementations

        kinds = sorted(set(list_registered_expectation_implementations()) - set(_REACH_OUTSIDE))
        types = {column.name: column for column in schema.columns}
        built, faults = {}, {}
        for position, request in suite.items():
            fault = _unknown(request[0], kinds) or refusal(request, [*types])
            if fault is None:
                try:
                    built[position] = _build(position, request, types, _aliases(schema))
                except Exception as error:  # noqa: BLE001 - pydantic 1 inside Great Expectations, and whatever a custom check raises
                    fault = _first_line(error)
            if fault is not None:
                faults[position] = fault
    return built, faults


def run(table: Path, suite: Mapping[int, Request], built: Mapping[int, Any], schema: TableSchema) -> dict[int, Result]:
    """Return the results of expectations that were built."""
    aliases = _aliases(schema)
    with _quiet():
        frame = _pandas(table, [*suite.values()], schema).rename(columns=aliases)
        results = _evaluate(frame, [*built.values()], "BASIC")
        _add_rows(frame, built, results)
    return {position: _result(results.get(position), aliases) for position in suite}


def validation_result(
    suite: Sequence[Request], results: Sequence[Result], name: str = "suite"
) -> ExpectationSuiteValidationResult:
    """Return results as the objects of Great Expectations, for its documents and its other tools."""
    with _quiet():
        from great_expectations.core import ExpectationSuiteValidationResult, ExpectationValidationResult
        from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

        objects = [
            ExpectationValidationResult(
                success=result.success,
                expectation_config=ExpectationConfiguration(type=kind, kwargs={**kwargs}),
                result={**result.result},
                exception_info={
                    "raised_exception": result.error is not None,
                    "exception_message": result.error,
                    "exception_traceback": None,
                },
            )
            for (kind, kwargs), result in zip(suite, results, strict=True)
        ]
        met = sum(result.success for result in results)
        return ExpectationSuiteValidationResult(
            success=met == len(objects),
            results=objects,
            suite_name=name,
            statistics={
                "evaluated_expectations": len(objects),
                "successful_expectations": met,
                "unsuccessful_expectations": len(objects) - met,
                "success_percent": met / len(objects) * 100 if objects else None,
            },
        )


def _unknown(kind: str, kinds: Sequence[str]) -> str | None:
    if kind in kinds:
        return None
    return f"no such expectation{wording.near(kind, kinds)}; Great Expectations has {len(kinds)}, such as {', '.join(kinds[:3])}"


def _aliases(schema: TableSchema) -> dict[str, str]:
    """Return neutral names for the columns, since Great Expectations takes `amount` and `AMOUNT` for one column."""
    return {column.name: f"c{position}" for position, column in enumerate(schema.columns)}


def _result(evaluated: Any, aliases: Mapping[str, str]) -> Result:
    """Return a result with the names of the table: of its columns, of a row as a mapping, and of its rows."""
    if evaluated is None:
        return Result(error="Great Expectations dropped it silently")
    if error := _raised(evaluated.exception_info or {}):
        return Result(error=error)
    names = {alias: name for name, alias in aliases.items()}
    detail = {**evaluated.result}
    if evaluated.expectation_config.type.startswith("expect_table_column"):
        detail["observed_value"] = _with_names(detail.get("observed_value"), names)
    if (listed := detail.get("partial_unexpected_list")) is not None:
        detail["partial_unexpected_list"] = [
            _with_names(item, names) if isinstance(item, Mapping) else item for item in listed
        ]
    if (listed := detail.get("partial_unexpected_index_list")) is not None:
        detail["partial_unexpected_index_list"] = [int(row[ROW] if isinstance(row, Mapping) else row) for row in listed]
    return Result(bool(evaluated.success), detail)


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if len(lines) > 1 and "validation error" in lines[0]:
        return "; ".join(
            f"{where}: {what}".replace("__root__: ", "") for where, what in zip(lines[1::2], lines[2::2], strict=False)
        )
    return lines[0] if lines else type(error).__name__


def _with_aliases(kwargs: Mapping[str, Any], aliases: Mapping[str, str]) -> dict[str, Any]:
    """Return arguments with neutral column names, since Great Expectations takes `amount` and `AMOUNT` for one column.

    The neutral name of a column which the table does not have is no column's.
    """

    def alias(name: Any) -> Any:
        return aliases.get(name, f"absent {name}") if isinstance(name, str) else name

    def within(part: Any) -> Any:
        if isinstance(part, list | tuple):
            return [within(item) for item in part]
        if not isinstance(part, Mapping):
            return part
        inner = {key: within(value) for key, value in part.items()}
        return inner | (
            {"column": {**column, "name": alias(column.get("name"))}} if (column := column_of(part)) else {}
        )

    renamed = dict(kwargs)
    for key in kwargs.keys() & _COLUMN_ARGUMENTS:
        value = kwargs[key]
        renamed[key] = [*map(alias, value)] if isinstance(value, list | tuple | set) else alias(value)
    if "row_condition" in kwargs:
        renamed["row_condition"] = within(kwargs["row_condition"])
    return renamed


def _with_names(value: Any, names: Mapping[str, str]) -> Any:
    """Return an observation with the names of the table: a list of columns, or a row as a mapping."""
    if isinstance(value, Mapping):
        return {names.get(key, key): item for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [names.get(item, item) if isinstance(item, str) else item for item in value]
    return value


def _build(position: int, request: Request, types: Mapping[str, Column], aliases: Mapping[str, str]) -> Any:
    from great_expectations.expectations.registry import get_expectation_impl

    kind, kwargs = request
    column = types.get(str(kwargs.get("column")))
    converted = {
        key: instant(value, column) if key in ("min_value", "max_value", "value_set") else value
        for key, value in _with_aliases(kwargs, aliases).items()
    }
    return get_expectation_impl(kind)(**converted, meta={"position": position})


def _add_rows(frame: pd.DataFrame, built: Mapping[int, Any], results: Mapping[int, Any]) -> None:
    """Evaluate failed expectations once more, with the failing rows; each row costs ten microseconds, so not at first."""
    failed = {
        p: result.result
        for p, result in results.items()
        if not result.success and result.result.get("unexpected_count")
    }
    for position, result in failed.items():
        many = result["unexpected_count"] > HEAD and not any(
            word in built[position].expectation_type for word in _NEEDS_ALL_ROWS
        )
        part = _evaluate(frame.head(HEAD) if many else frame, [built[position]], "SUMMARY").get(position)
        if part is not None:
            rows = {key: part.result.get(key) for key in ("partial_unexpected_index_list", "partial_unexpected_list")}
            results[position].result.update(rows)


def _evaluate(frame: pd.DataFrame, expectations: Sequence[Any], result_format: str) -> dict[int, Any]:
    """Return the results of Great Expectations by position; expectations that it drops have none."""
    import great_expectations as gx
    from great_expectations.data_context.types.base import (
        DataContextConfig,
        InMemoryStoreBackendDefaults,
        ProgressBarsConfig,
    )

    config = DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
        analytics_enabled=False,
        progress_bars=ProgressBarsConfig(globally=False, metric_calculations=False),
    )
    context = gx.get_context(mode="ephemeral", project_config=config)
    source = context.data_sources.add_pandas("table").add_dataframe_asset("table")
    batch = source.add_batch_definition_whole_dataframe("table").get_batch(batch_parameters={"dataframe": frame})
    suite = gx.ExpectationSuite(name="suite", expectations=list(expectations))
    validation = batch.validate(
        suite, result_format={"result_format": result_format, "partial_unexpected_count": LISTED}
    )
    return {result.expectation_config.meta["position"]: result for result in validation.results}


def _raised(information: Mapping[str, Any]) -> str | None:
    """Return the exception inside a result, which has two shapes: flat, or one for each metric."""
    nested = [entry for entry in information.values() if isinstance(entry, Mapping)]
    for entry in (information, *nested):
        if entry.get("raised_exception"):
            return str(entry.get("exception_message") or "").strip() or "it raised an exception"
    return None


def _pandas(table: Path, suite: Sequence[Request], schema: TableSchema) -> pd.DataFrame:
    """Return the columns that the suite names, indexed by row number; all columns if it is about the whole table."""
    names = {name for _, kwargs in suite for name in columns_of(kwargs)}
    whole = any(
        kind.startswith(_WHOLE_TABLE) or kwargs.get("row_condition") or kwargs.get("column_index") is not None
        for kind, kwargs in suite
    )
    columns = [column for column in schema.columns if whole or column.name in names]
    frame = pl.read_parquet(table / "data.parquet", columns=[ROW, *(column.name for column in columns)], glob=False)
    return pandas_frame(frame)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence Great Expectations, which warns about its own imports and logs what the results hold anyway."""
    logger = logging.getLogger("great_expectations")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
