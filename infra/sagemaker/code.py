"""Our modules as files below ``code/<digest>/``, on the import path of jobs: an image changes with its packages only."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

PACKAGES = ("infra", "steps", "model_code")
"""The packages that a job imports; the command line is not among them."""
COMPLETE = "COMPLETE"
"""The object that is written last: without it, an upload was cut short."""


@cache
def modules() -> Mapping[str, Path]:
    """Return name below ``code/<digest>/`` -> file, in order."""
    folders = [Path(__file__).parents[2] / package for package in PACKAGES]
    paths = [path for folder in folders for path in sorted(folder.rglob("*"))]
    return {
        path.relative_to(folders[0].parent).as_posix(): path
        for path in paths
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
    }


@cache
def digest() -> str:
    """Return the digest of all names and contents."""
    total = hashlib.sha256()
    for name, path in modules().items():
        total.update(f"{name}\n{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()
