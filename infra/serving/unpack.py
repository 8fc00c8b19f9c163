"""Parquet files are read by a process of their own: a broken one can end it, since Rust aborts where memory cannot be had.

``python -m infra.serving.unpack`` takes a line of JSON and the file on standard input; it writes the table as an Arrow stream, or a
refusal as JSON and exits with 3.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import orjson
import polars as pl

from infra.serving.refusals import Refusal, unreadable

SECONDS = 30
"""How long a file may take."""
_REFUSED = 3
_UNREADABLE = "the body is no Parquet file that can be read"


def unpack(content: bytes, names: Sequence[str], most_rows: int) -> pl.DataFrame:
    """Return the columns of a Parquet file that may be inputs.

    Raises:
        Refusal: 400, it cannot be read, or unpacks to too much; 413, it has too many rows.
    """
    question = orjson.dumps({"names": list(names), "most_rows": most_rows}) + b"\n" + content
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "POLARS_MAX_THREADS": "1"}
    try:
        child = subprocess.run(
            [sys.executable, "-P", "-m", "infra.serving.unpack"],
            input=question,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=SECONDS,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise unreadable(f"{_UNREADABLE} within {SECONDS} seconds") from None
    if child.returncode == _REFUSED:
        raise Refusal(**orjson.loads(child.stdout))
    if child.returncode:
        raise unreadable(_UNREADABLE)
    return pl.read_ipc_stream(io.BytesIO(child.stdout))


def main() -> int:
    """Read standard input, write standard output, and return the exit code."""
    from infra.serving.bodies import parquet_table

    head, _, content = sys.stdin.buffer.read().partition(b"\n")
    question = orjson.loads(head)
    try:
        parquet_table(content, question["names"], question["most_rows"]).write_ipc_stream(sys.stdout.buffer)
    except Refusal as refusal:
        sys.stdout.buffer.write(orjson.dumps({"status": refusal.status, "message": refusal.message}))
        return _REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main())
