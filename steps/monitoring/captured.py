"""Captured requests as tables: lines of the server's capture and log, and of SageMaker's data capture.

One line is one JSON object. ``fourscore serve --capture`` writes ``time``, ``request_id``, ``inputs`` and ``answers`` (lists of
objects), its log ``time``, ``event: answer``, ``request_id``, ``status`` and ``milliseconds``. SageMaker's data capture has a
request and its answer as text below ``captureData`` ("Monitor data and model quality", Amazon SageMaker AI developer guide).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import polars as pl

from model_code import families

BATCH = 20_000
"""Rows that are read at once."""
_WHOLE = 2**63
_LONGEST = 1e6
"""Seconds of a request; more is no measurement."""
_FIRST, _LAST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
"""Requests are from between."""
TIME, REQUEST, ROW, ANSWER, EXTRA = "_time", "_request", "_row", "_answer.", "_extra."
"""Names and prefixes of columns beside the model's inputs."""


Records = Sequence[Mapping[str, Any]]


@dataclass
class Exchange:
    """One request with its answer, or one line of the log about it."""

    time: datetime
    request: str
    inputs: Records = ()
    answers: Records = ()
    status: int | None = None
    seconds: float | None = None
    model: str | None = None
    """Digest of the model that answered."""


@dataclass
class Batch:
    """The rows of some requests as the model's typed columns, and what could not be read."""

    rows: pl.DataFrame
    requests: pl.DataFrame
    faults: Mapping[str, int] = field(default_factory=dict)
    """Column -> its values that cannot be read."""


def exchange_of(line: bytes, names: Sequence[str]) -> Exchange | None:
    """Return what a line says; None where it is about something else.

    Args:
        names: the model's inputs in order, for rows without names.

    Raises:
        ValueError, TypeError, KeyError: it is not such a line.
    """
    content = orjson.loads(line)
    if not isinstance(content, dict):
        raise TypeError("not an object")
    if "captureData" in content:
        return _of_sagemaker(content, names)
    request, inputs = content.get("request_id") or content.get("request"), content.get("inputs", content.get("rows"))
    if not isinstance(inputs, list) and (content.get("event") != "answer" or "status" not in content):
        return None
    seconds = content["milliseconds"] / 1000 if "milliseconds" in content else content.get("seconds")
    status = content.get("status")
    return Exchange(
        _time(content["time"]),
        str(request),
        _records(inputs) if isinstance(inputs, list) else (),
        _records(content.get("answers") or []),
        status if isinstance(status, int) and 100 <= status < 600 else None,
        float(seconds) if isinstance(seconds, int | float) and 0 <= seconds < _LONGEST else None,
        content.get("model"),
    )


def _of_sagemaker(content: Mapping[str, Any], names: Sequence[str]) -> Exchange:
    data, about = content["captureData"], content["eventMetadata"]
    parts = list[Records]()
    for side in ("endpointInput", "endpointOutput"):
        part = data.get(side) or {}
        text = part.get("data") or ""
        body = base64.b64decode(text, validate=True) if part.get("encoding") == "BASE64" else text.encode()
        parts.append(_rows_of(body, part.get("observedContentType", ""), names if side == "endpointInput" else ()))
    request = str(about.get("inferenceId") or about["eventId"])
    return Exchange(_time(about["inferenceTime"]), request, inputs=parts[0], answers=parts[1])


def _rows_of(body: bytes, media: str, names: Sequence[str]) -> Records:
    """Return the rows of a body in one of the forms that the server speaks: JSON, JSON lines or CSV."""
    if not body.strip():
        return ()
    if "csv" in media:
        headless = pl.read_csv(body, has_header=False, infer_schema=False)
        has_names = not names or set(names) <= set(headless.row(0))
        columns = headless.row(0) if has_names else names
        return [dict(zip(columns, row, strict=True)) for row in headless.rows()[has_names:]]
    if "lines" in media or "ndjson" in media:
        return _records([orjson.loads(line) for line in body.splitlines() if line.strip()])
    content = orjson.loads(body)
    if isinstance(content, dict):
        if split := content.get("dataframe_split"):
            return [dict(zip(split["columns"], row, strict=True)) for row in split["data"]]
        content = next(
            (content[key] for key in ("dataframe_records", "instances", "predictions") if key in content), [content]
        )
    return _records(content)


def _records(rows: Any) -> Records:
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise TypeError("rows are not a list of objects")
    return rows


def _time(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if not _FIRST <= moment < _LAST:
        raise ValueError("a time of no request")
    return moment.astimezone(UTC)


@dataclass
class Skipped:
    """Lines that do not count."""

    broken: list[str] = field(default_factory=list)
    """``file:line: why`` of those that cannot be read."""
    of_others: int = 0
    """Requests that another model answered."""


def batches(
    paths: Sequence[Path], schema: Mapping[str, Any], skipped: Skipped, digest: str | None = None
) -> Iterator[Batch]:
    """Yield the requests in files, some thousand rows at once.

    Args:
        digest: of the model; requests that say that another one answered are skipped.
    """
    names, waiting, rows = [entry["name"] for entry in schema["inputs"]], list[Exchange](), 0
    for path in paths:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    exchange = exchange_of(line, names)
                except (
                    ValueError,
                    KeyError,
                    TypeError,
                    AttributeError,
                    binascii.Error,
                    pl.exceptions.PolarsError,
                ) as error:
                    skipped.broken.append(f"{path.name}:{number}: {type(error).__name__}")
                    continue
                if exchange is not None and digest and exchange.model not in (None, digest):
                    skipped.of_others += 1
                elif exchange is not None:
                    waiting.append(exchange)
                    rows += len(exchange.inputs)
                    if rows >= BATCH:
                        yield _batch(waiting, schema)
                        waiting, rows = [], 0
    if waiting:
        yield _batch(waiting, schema)


def _batch(exchanges: Sequence[Exchange], schema: Mapping[str, Any]) -> Batch:
    frame, faults, right = _typed([row for exchange in exchanges for row in exchange.inputs], schema)
    places = [
        (exchange.time, exchange.request, row) for exchange in exchanges for row in range(1, len(exchange.inputs) + 1)
    ]
    about = pl.DataFrame(
        places, {TIME: pl.Datetime("us", "UTC"), REQUEST: pl.String, ROW: pl.Int64}, orient="row", nan_to_null=True
    )
    answers = [
        dict(exchange.answers[row]) if row < len(exchange.answers) else {}
        for exchange in exchanges
        for row in range(len(exchange.inputs))
    ]
    bad = (
        pl.DataFrame({REQUEST: about[REQUEST], "unreadable": ~right}).group_by(REQUEST).agg(pl.col("unreadable").sum())
    )
    requests = pl.DataFrame(
        [(e.time, e.request, len(e.inputs), e.status, e.seconds) for e in exchanges],
        {
            TIME: pl.Datetime("us", "UTC"),
            REQUEST: pl.String,
            "rows": pl.Int64,
            "status": pl.Int64,
            "seconds": pl.Float64,
        },
        orient="row",
    ).join(bad, on=REQUEST, how="left", maintain_order="left")
    whole = pl.concat([about.filter(right), frame, _answers(answers, schema).filter(right)], how="horizontal")
    return Batch(whole, requests.with_columns(pl.col("unreadable").fill_null(0).cast(pl.Int64)), faults)


def _typed(rows: Records, schema: Mapping[str, Any]) -> tuple[pl.DataFrame, dict[str, int], pl.Series]:
    """Return the rows that can be read as the model's typed columns, the values that cannot by column, and which rows can.

    Other columns of the rows come along as text, for labels that are joined by them.
    """
    inputs = [dict(entry) for entry in schema["inputs"]]
    names = [entry["name"] for entry in inputs]
    columns = dict.fromkeys([*names, *(name for row in rows for name in row)])
    raw = pl.DataFrame({name: _series([row.get(name) for row in rows]) for name in columns})
    for entry in inputs:
        if raw[entry["name"]].dtype.is_numeric():
            entry["reading"] = None  # the server read it: a number is that number, whatever text would mean
    numbers = pl.int_range(1, raw.height + 1, eager=True).alias("row")
    described = {**schema, "inputs": inputs}
    readout = families.of_model(schema).read(raw, described, rows=numbers, skip=True, blanks_hide_words=False)
    right = numbers.is_in(readout.rows.implode())
    extra = [
        pl.col(name).cast(pl.String).alias(f"{EXTRA}{name}")
        for name, kind in raw.schema.items()
        if name not in names and not kind.is_nested()
    ]
    frame = pl.concat([readout.frame, raw.filter(right).select(extra)], how="horizontal")
    return frame, {fault.column: fault.count for fault in readout.faults}, right


def answer_names(schema: Mapping[str, Any]) -> dict[str, pl.DataType]:
    """Return the columns of an answer and their types."""
    if not schema["classes"]:
        return {"prediction": pl.Float64()}
    return {"prediction": pl.String(), **{f"probability_{name}": pl.Float64() for name in schema["classes"]}}


def _answers(answers: Records, schema: Mapping[str, Any]) -> pl.DataFrame:
    kinds = answer_names(schema)
    return pl.DataFrame(
        {
            f"{ANSWER}{name}": _series([answer.get(name) for answer in answers]).cast(kind, strict=False)
            for name, kind in kinds.items()
        }
    )


def _series(values: Sequence[Any]) -> pl.Series:
    """Return JSON values as a column of numbers or truth values, or where they are of several kinds as text."""
    kinds = {type(value) for value in values if value is not None}
    if kinds == {bool}:
        return pl.Series(values, dtype=pl.Boolean)
    if kinds == {int} and all(value is None or abs(value) < _WHOLE for value in values):
        return pl.Series(values, dtype=pl.Int64)
    if kinds and kinds <= {int, float}:
        return pl.Series([None if value is None else float(value) for value in values], dtype=pl.Float64)
    return pl.Series(
        [value if value is None or isinstance(value, str) else _text(value) for value in values], dtype=pl.String
    )


def _text(value: object) -> str:
    return orjson.dumps(value).decode()
