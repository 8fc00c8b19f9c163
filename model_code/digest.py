"""The digest of a model's directory, by which a registry, a champion and a server name it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path


def directory_digest(directory: Path) -> str:
    """Return the sha256 over the files' names and contents, in the order of their names."""
    whole = hashlib.sha256()
    for path in sorted(path for path in directory.rglob("*") if path.is_file()):
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        whole.update(json.dumps([path.relative_to(directory).as_posix(), content]).encode())
    return whole.hexdigest()
