"""What an expectation asks for: its type and arguments, and why some arguments are refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from steps import wording

Request = tuple[str, Mapping[str, Any]]
"""An expectation to evaluate: its type and its arguments."""
_EVALUATION = ("batch_id", "catch_exceptions", "meta", "result_format", "windows")
"""Arguments that control the evaluation itself, such as whether an exception ends up in the result."""
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
_INSTEAD = (
    "leave the rows out before, with a WHERE in data.query, or write the condition as data: "
    '{"type": "comparison", "column": {"name": "age"}, "operator": ">", "parameter": 18}'
)


def refusal(request: Request, names: Sequence[str]) -> str | None:
    """Return why the arguments of an expectation are refused on a table with columns of these names; None if they are not."""
    kind, kwargs = request
    if code := next(_code(kwargs), None):
        return code
    used = [] if kind == "expect_column_to_exist" else columns_of(kwargs)
    for name in [*used, *_condition_columns(kwargs)]:
        if name not in names:
            return wording.absent(name, names)
    return None


def columns_of(kwargs: Mapping[str, Any]) -> list[str]:
    """Return the columns that an expectation names."""
    single = [kwargs[key] for key in ("column", "column_A", "column_B") if isinstance(kwargs.get(key), str)]
    return [*single, *(name for name in kwargs.get("column_list") or () if isinstance(name, str))]


def column_of(part: Any) -> Mapping[str, Any] | None:
    """Return the column of a part of a row condition, as ``{"name": ...}``."""
    column = part.get("column") if isinstance(part, Mapping) else None
    return column if isinstance(column, Mapping) else None


def _condition_columns(kwargs: Mapping[str, Any]) -> list[str]:
    """Return the columns that a row condition names."""
    columns = map(column_of, _parts(kwargs.get("row_condition")))
    return [str(column.get("name")) for column in columns if column]


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
