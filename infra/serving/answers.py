"""Answers as bytes: JSON, CSV or JSON lines, one for each row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
import polars as pl

from infra.serving.media import MediaType


def encode(
    answers: pl.DataFrame | Sequence[dict[str, Any]], remarks: Sequence[str], media: MediaType, *, header: bool
) -> bytes:
    """Return the answers in the form that the client takes.

    JSON has them under ``predictions``, as MLflow's server does, and says under ``unlike_training`` what is unusual about
    the rows; the other forms have one line for each row and no place for it.

    Args:
        header: whether CSV begins with the names of the columns, where Accept does not say.
    """
    match media.form:
        case "csv":
            table = answers if isinstance(answers, pl.DataFrame) else pl.DataFrame(answers)
            return table.write_csv(include_header=header if media.header is None else media.header).encode()
        case "lines":
            return b"".join(orjson.dumps(row) + b"\n" for row in _rows(answers))
        case _:
            document = {"predictions": _rows(answers), **({"unlike_training": list(remarks)} if remarks else {})}
            return orjson.dumps(document)


def _rows(answers: pl.DataFrame | Sequence[dict[str, Any]]) -> Sequence[dict[str, Any]]:
    return answers.to_dicts() if isinstance(answers, pl.DataFrame) else answers
