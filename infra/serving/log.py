"""The log: one JSON object for each line on standard output, with no value of any request."""

from __future__ import annotations

import logging
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import orjson


def write(event: str, **fields: Any) -> None:
    """Write one line; a log that nobody reads any more stops nothing."""
    line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event, **fields}
    try:
        sys.stdout.buffer.write(orjson.dumps(line) + b"\n")
        sys.stdout.buffer.flush()
    except OSError:
        pass


def failure(error: BaseException) -> dict[str, Any]:
    """Return the type of an error and where it was raised; its message may quote values and stays out."""
    return {"error": type(error).__name__, "at": _places(error.__traceback__)}


def _places(trace: TracebackType | None) -> list[str]:
    return [f"{Path(frame.filename).name}:{frame.lineno}" for frame in traceback.extract_tb(trace)][-8:]


class UvicornHandler(logging.Handler):
    """Writes what uvicorn says of broken connections in the same form."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        write("server", level=record.levelname.lower(), message=str(record.msg), **(failure(error) if error else {}))


def connect_uvicorn() -> None:
    """Send the warnings and errors of uvicorn here."""
    logger = logging.getLogger("uvicorn")
    logger.handlers, logger.propagate = [UvicornHandler()], False
    logger.setLevel(logging.WARNING)
