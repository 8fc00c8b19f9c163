"""A Great Expectations suite over a table, with proof that every expectation was really evaluated."""

from __future__ import annotations

import logging
import math
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl

from steps import wording
from steps.errors import InputError
from steps.expectations.plain import Outcome, Request
from steps.tables.frames import pandas_frame
from steps.tables.names import ROW
from steps.tables.schema import Column, TableSchema

_EVALUATION = ("batch_id", "catch_exceptions", "meta", "result_format", "windows")
"""Arguments that control the evaluation itself, such as whether an exception ends up in the result."""
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
_INSTEAD = (
    "leave the rows out before, with a WHERE in data.query, or write the condition as data: "
    '{"type": "comparison", "column": {"name": "age"}, "operator": ">", "parameter": 18}'
)

LISTED = 20
"""How many failing rows are listed."""
HEAD = 50_000
"""Where more rows than this fail, the listed ones are taken from this many first rows."""
_COLUMN_ARGUMENTS = {"column", "column_A", "column_B", "column_list", "column_set"}
_NEEDS_ALL_ROWS = ("unique", "z_scores", "outliers")

_WHOLE_TABLE = ("expect_table_column", "unexpected_rows", "expect_query")
_SHOWS_NO_VALUES = (
    "expect_table_column",
    "expect_column_values_to_be_of_type",
    "expect_column_values_to_be_in_type_list",
    "expect_column_quantile",
)
_NEEDS_NO_VALUES = (
    "expect_column_values_to_be_null",
    "expect_column_values_to_not_be_null",
    "expect_column_to_exist",
    "expect_column_proportion_of_non_null",
)
_REACH_OUTSIDE = (
    "unexpected_rows_expectation",
    "expect_query_results_to_match_comparison",
    "expect_table_row_count_to_equal_other_table",
)


def run_suite(table: Path, suite: Mapping[int, Request], schema: TableSchema) -> dict[int, Outcome]:
    """Return the outcome of each expectation by its position.

    Raises:
        InputError: an expectation does not exist, has invalid arguments or names a column that the table does not have;
            one line for each, with what would work.
    """
    aliases = {column.name: f"c{position}" for position, column in enumerate(schema.columns)}
    with _quiet():
        built = _build_all(suite, schema, aliases)
        frame = _pandas(table, [*suite.values()], schema).rename(columns=aliases)
        results = _evaluate(frame, [*built.values()], "BASIC")
        _add_rows(frame, built, results)
    return {position: _outcome(request, results.get(position), schema, aliases) for position, request in suite.items()}


def _build_all(suite: Mapping[int, Request], schema: TableSchema, aliases: Mapping[str, str]) -> dict[int, Any]:
    """Return the expectations of Great Expectations by position."""
    from great_expectations.expectations.registry import list_registered_expectation_implementations

    kinds = sorted(set(list_registered_expectation_implementations()) - set(_REACH_OUTSIDE))
    types = {column.name: column for column in schema.columns}
    built, faults = {}, []
    for position, request in suite.items():
        fault = _fault(request, kinds, [*types])
        if fault is None:
            try:
                built[position] = _build(position, request, types, aliases)
            except Exception as error:  # noqa: BLE001 - pydantic 1 inside Great Expectations, and whatever a custom check raises
                fault = _first_line(error)
        if fault is not None:
            faults.append(f"expectation {position} ({request[0]}): {fault}")
    if faults:
        raise InputError("\n".join(faults))
    return built


def _fault(request: Request, kinds: Sequence[str], names: Sequence[str]) -> str | None:
    """Return why an expectation must not be evaluated; None if it may."""
    kind, kwargs = request
    if kind not in kinds:
        return f"no such expectation{wording.near(kind, kinds)}; Great Expectations has {len(kinds)}, such as {', '.join(kinds[:3])}"
    if code := next(_code(kwargs), None):
        return code
    used = [] if kind == "expect_column_to_exist" else _columns(kwargs)
    for name in [*used, *_condition_columns(kwargs)]:
        if name not in names:
            return wording.absent(name, names)
    return None


def _code(kwargs: Mapping[str, Any]) -> Iterator[str]:
    """Yield the reasons why arguments are refused: Great Expectations would run them as code or fetch what they refer to.

    A row condition in text goes to ``DataFrame.query``, which can reach every module of Python. A condition made of columns,
    operators and values is quoted on its way there, except for backticks, which end the quotes.
    """
    if kwargs.get("condition_parser") is not None:
        yield f"condition_parser: a parsed condition could run any code; {_INSTEAD}"
    if isinstance(kwargs.get("row_condition"), str):
        yield f"row_condition: text would run as code; {_INSTEAD}"
    for part in _parts(kwargs.get("row_condition")):
        if isinstance(part, Mapping) and ("pass_through_filter" in part or part.get("type") == "pass_through"):
            yield f"row_condition: text would run as code; {_INSTEAD}"
        if isinstance(part, str) and ("`" in part or not part.isprintable()):
            yield f"row_condition: {part!r} holds a backtick or a control character; leave such rows out in data.query"
    for name in _EVALUATION:
        if name in kwargs:
            yield f"{name}: a suite does not configure its own evaluation; leave it out"
    for part in _parts(kwargs):
        for name, value in part.items() if isinstance(part, Mapping) else ():
            if str(name).startswith("$PARAMETER"):
                yield f"{name}: expressions are not evaluated; write the value itself"
            if name in _REFERENCES and isinstance(value, str) and not value.startswith("#"):
                yield f"json_schema: {name} {value!r} would be fetched; copy it into $defs and write '#/$defs/NAME'"


def _parts(value: Any) -> Iterator[Any]:
    """Yield a JSON value and everything in it, including keys."""
    yield value
    if isinstance(value, Mapping):
        yield from value
        for item in value.values():
            yield from _parts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _parts(item)


def _condition_columns(kwargs: Mapping[str, Any]) -> list[str]:
    """Return the columns that a row condition names."""
    columns = map(_column_of, _parts(kwargs.get("row_condition")))
    return [str(column.get("name")) for column in columns if column]


def _column_of(part: Any) -> Mapping[str, Any] | None:
    """Return the column of a part of a row condition, as ``{"name": ...}``."""
    column = part.get("column") if isinstance(part, Mapping) else None
    return column if isinstance(column, Mapping) else None


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if len(lines) > 1 and "validation error" in lines[0]:
        return "; ".join(
            f"{where}: {what}".replace("__root__: ", "") for where, what in zip(lines[1::2], lines[2::2], strict=False)
        )
    return lines[0] if lines else type(error).__name__


def _columns(kwargs: Mapping[str, Any]) -> list[str]:
    """Return the columns that an expectation names."""
    single = [kwargs[key] for key in ("column", "column_A", "column_B") if isinstance(kwargs.get(key), str)]
    return [*single, *(name for name in kwargs.get("column_list") or () if isinstance(name, str))]


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
            {"column": {**column, "name": alias(column.get("name"))}} if (column := _column_of(part)) else {}
        )

    renamed = dict(kwargs)
    for key in kwargs.keys() & _COLUMN_ARGUMENTS:
        value = kwargs[key]
        renamed[key] = [*map(alias, value)] if isinstance(value, list | tuple | set) else alias(value)
    if "row_condition" in kwargs:
        renamed["row_condition"] = within(kwargs["row_condition"])
    return renamed


def _with_names(value: Any, aliases: Mapping[str, str]) -> Any:
    """Return an observation with the names of the table: a list of columns, or a row as a mapping."""
    names = {alias: name for name, alias in aliases.items()}
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
        key: _instant(value, column) if key in ("min_value", "max_value", "value_set") else value
        for key, value in _with_aliases(kwargs, aliases).items()
    }
    return get_expectation_impl(kind)(**converted, meta={"position": position})


def _instant(value: Any, column: Column | None) -> Any:
    """Return dates, which JSON holds as text, as instants for the comparison with a date column."""
    if column is None or column.type not in ("date", "datetime"):
        return value
    if isinstance(value, list):
        return [_instant(item, column) for item in value]
    if not isinstance(value, str):
        return value
    try:
        instant = pd.Timestamp(value)
    except ValueError:
        raise InputError(
            f"{value!r} is not a date, and column {column.name!r} holds {column.type}s; write dates as 2013-01-31"
        ) from None
    return instant.tz_localize(column.timezone) if column.timezone and instant.tzinfo is None else instant


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


def _outcome(request: Request, result: Any, schema: TableSchema, aliases: Mapping[str, str]) -> Outcome:
    kind, kwargs = request
    if result is None:
        return Outcome(error="Great Expectations dropped it silently")
    if error := _raised(result.exception_info or {}):
        return Outcome(error=error)
    detail: Mapping[str, Any] = result.result
    success = bool(result.success)
    count = detail.get("unexpected_count")
    value = detail.get("observed_value")
    if kind.startswith("expect_table_column"):
        value = _with_names(value, aliases)
    elements, missing = detail.get("element_count"), detail.get("missing_count")
    if success and elements == 0 and schema.rows and kwargs.get("row_condition") is not None:
        success = False
        observed = "no row to check: none meets the row_condition"
    elif success and elements and missing == elements and not kind.startswith(_NEEDS_NO_VALUES):
        success = False
        observed = f"no value to check: all {elements:,} rows are missing"
    elif count is not None and "distinct_values" not in kind:
        checked = elements or schema.rows
        observed = f"{count:,} of {checked:,} rows fail ({_percent(count, checked)})" + (
            f", {missing:,} missing" if missing else ""
        )
    elif count is not None:
        observed = f"{wording.count(count, 'distinct value')} outside"
        count = 0
    elif kind == "expect_column_to_exist":
        observed = "the column exists" if success else "no such column"
    elif kind.startswith(_SHOWS_NO_VALUES):
        observed = str(value)
    else:
        observed = _plain(value)
    listed = detail.get("partial_unexpected_index_list") or ()
    rows = sorted({int(row[ROW] if isinstance(row, Mapping) else row) for row in listed})
    return Outcome(
        success=success,
        observed=observed,
        observed_values=observed if count is not None else str(value),
        failing=int(count or 0),
        rows=tuple(rows[:LISTED]),
        values=tuple(
            str(_with_names(item, aliases) if isinstance(item, Mapping) else item)
            for item in (detail.get("partial_unexpected_list") or ())[:LISTED]
        ),
    )


def _percent(count: int, total: int) -> str:
    share = 100 * count / total if total else 0.0
    return f"{share:.1f} %" if share >= 0.1 or not count else "under 0.1 %"


def _raised(information: Mapping[str, Any]) -> str | None:
    """Return the exception inside a result, which has two shapes: flat, or one for each metric."""
    nested = [entry for entry in information.values() if isinstance(entry, Mapping)]
    for entry in (information, *nested):
        if entry.get("raised_exception"):
            message = str(entry.get("exception_message") or "").strip() or "it raised an exception"
            return re.sub(r"'[^']*'|\"[^\"]*\"", "(not shown)", message.splitlines()[0])[
                :300
            ]  # the message may quote a value
    return None


def _plain(value: Any) -> Any:
    """Return an observation without values of rows: a number stays, text and lists become their count."""
    if value is None or isinstance(value, bool | int):
        return value
    if hasattr(value, "isoformat"):
        return value.isoformat()
    try:
        number = float(value)
    except (TypeError, ValueError):
        many = len(value) if isinstance(value, Sequence | set | Mapping) and not isinstance(value, str) else 1
        return f"{wording.count(many, 'value')} (not shown)"
    return (
        int(number) if number.is_integer() and abs(number) < 2**53 else number if math.isfinite(number) else str(number)
    )


def _pandas(table: Path, suite: Sequence[Request], schema: TableSchema) -> pd.DataFrame:
    """Return the columns that the suite names, indexed by row number; all columns if it is about the whole table."""
    names = {name for _, kwargs in suite for name in _columns(kwargs)}
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
