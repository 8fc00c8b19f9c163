"""What a file holds by its first bytes, so that a wrong suffix is named instead of read as nonsense."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from steps.errors import InputError

_SIGNATURES = {
    rb"PAR1[\x00-\x1f]": "a Parquet file; give format: parquet",
    rb"PK\x03\x04": "a workbook or zip archive; name it .zip, or give format: excel",
    rb"\xd0\xcf\x11\xe0": "an old Excel workbook; give format: excel",
    rb"\x1f\x8b\x08": "gzip data; name it .gz",
    rb"BZh\d1AY": "bzip2 data; name it .bz2",
    rb"\xfd7zXZ\x00": "xz data; name it .xz",
    rb"\x28\xb5\x2f\xfd": "Zstandard data; name it .zst",
    rb"%PDF-": "a PDF document",
    rb"SQLite format 3\x00": "an SQLite database",
    rb"\x89HDF": "an HDF5 file",
    rb"ARROW1\x00": "an Arrow file; write it as Parquet",
    rb"Obj\x01": "an Avro file; write it as Parquet",
    rb"\x80[\x02-\x05]": "a Python pickle, which would run code; write it as Parquet",
    rb"\x89PNG|\xff\xd8\xff": "a picture",
    rb"(?i:<!doctype html|<html)": "a web page, perhaps the error of a download",
    rb"<\?xml": "XML",
    rb"version https://git-lfs": "a pointer of Git LFS; 'git lfs pull' fetches the file",
}
_SAMPLE = 65_536
_CONTROL = bytes(set(range(32)) - set(b"\t\n\v\f\r\x1a\x1b")) + b"\x7f"
_MOST_CONTROL = 0.01
"""The share of control characters above which a file is not text."""


def content_of(path: Path) -> str | None:
    """Return what the file holds and what would help, if its first bytes say that it is not text of a table."""
    with path.open("rb") as file:
        start = file.read(64).removeprefix(b"\xef\xbb\xbf")
    start = start.lstrip() if start.lstrip().startswith(b"<") else start
    return next((content for pattern, content in _SIGNATURES.items() if re.match(pattern, start)), None)


def check_text(path: Path, name: str) -> None:
    """Check that a decoded file is text.

    Raises:
        InputError: many of its characters are control characters.
    """
    with path.open("rb") as file:
        sample = file.read(_SAMPLE)
    controls = len(sample) - len(sample.translate(None, _CONTROL))
    if controls > _MOST_CONTROL * len(sample) and b"\0" not in sample:  # the line of a zero byte is named elsewhere
        raise InputError(
            f"{name}: this is not text; {controls:,} of its first {len(sample):,} bytes are control characters"
        )


def unknown_suffix(path: Path, name: str, suffix: str, suffixes: Collection[str]) -> str:
    """Return the message for a file whose suffix stands for no format."""
    if content := content_of(path):
        return f"{name}: this is {content}"
    return (
        f"{name}: no format is known by the suffix {suffix!r}; if it is delimited text, give format: csv; known suffixes "
        f"are {', '.join(suffixes)}"
    )
