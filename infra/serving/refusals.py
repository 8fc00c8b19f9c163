"""What a client is told when its request gets no answer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from model_code.families import Fault

MOST_ROWS = 1_000
"""How many bad rows a refusal lists."""


class Refusal(Exception):
    """A request that gets no answer: the status and a sentence for the client.

    The sentence may quote values of the request; it goes back to the client and into no log.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        faults: Sequence[Fault] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.faults, self.headers = status, message, faults, dict(headers or {})

    def document(self, request_id: str) -> dict[str, Any]:
        """Return the body of the reply; ``error_code`` and ``message`` are where MLflow's clients look for them."""
        document: dict[str, Any] = {
            "error_code": HTTPStatus(self.status).phrase.upper().replace(" ", "_"),
            "message": self.message,
            "request_id": request_id,
        }
        if self.faults:
            document["bad_rows"] = _bad_rows(self.faults)
        return document


def _bad_rows(faults: Sequence[Fault]) -> list[dict[str, Any]]:
    """Return the numbers of the rows that cannot be read, counted from 1, each with its columns."""
    columns: dict[int, list[str]] = defaultdict(list)
    for fault in faults:
        for row in fault.rows:
            columns[row].append(fault.column)
    return [{"row": row, "columns": columns[row]} for row in sorted(columns)[:MOST_ROWS]]


def unreadable(message: str) -> Refusal:
    """Return the refusal of a body that is not what its content type says."""
    return Refusal(400, message)
