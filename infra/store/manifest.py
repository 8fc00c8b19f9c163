"""The manifest of a published execution: what its files are, read back and verified."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra.files import sha256_of
from infra.runs.records import checked_fields
from steps.errors import FourscoreError

MANIFEST = "manifest.json"
JOURNAL = "journal.jsonl"


class CorruptExecution(FourscoreError):
    """Files of a published execution differ from its manifest: a disk that rots, or a hand that edits."""


@dataclass(frozen=True)
class Manifest:
    """A published execution. Only the journal and the three times depend on where and when it ran."""

    key: str
    step: str
    ingredients: dict[str, Any]
    verdict: str = "pass"
    """pass | rejected (goes on, never a candidate) | refused (a gate stopped the run)"""
    reasons: list[str] = field(default_factory=list)
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Path within the execution -> {"size": bytes, "sha256": hex}; not the journal, which holds times."""
    journal: dict[str, Any] = field(default_factory=dict)
    """The journal's {"size", "sha256"}, apart from the files since it differs between equal executions as times do."""
    started: str = ""
    finished: str = ""
    seconds: float = 0.0
    directories: list[str] = field(default_factory=list)
    """Directories without files, which S3 would lose."""

    @property
    def published(self) -> dict[str, dict[str, Any]]:
        """Every file with its size and digest, the journal too."""
        return self.files | ({JOURNAL: self.journal} if self.journal else {})

    def is_like(self, other: Manifest) -> bool:
        """Return whether both executions have the same result; times and journals do not count."""
        return (self.files, self.directories, self.verdict) == (other.files, other.directories, other.verdict)


def manifest_of(data: bytes, key: str, where: str) -> Manifest:
    """Return the manifest in the content of a file; fields that a later version added are left out.

    Raises:
        CorruptExecution: it is not a manifest, is another execution's, or names files outside its own directory.
    """
    try:
        manifest = Manifest(**checked_fields(Manifest, json.loads(data)))
        _check_contents(manifest)
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise CorruptExecution(f"{where} is not a manifest ({error})") from None
    if manifest.key != key:
        raise CorruptExecution(f"{where} is the manifest of another execution ({manifest.key[:12]})")
    return manifest


def _check_contents(manifest: Manifest) -> None:
    for name in ("reasons", "directories"):
        if wrong := [item for item in getattr(manifest, name) if not isinstance(item, str)]:
            raise TypeError(f"{name} has {wrong[0]!r:.100}")
    for name, entry in manifest.published.items():
        if not (isinstance(entry, dict) and type(entry.get("size")) is int and isinstance(entry.get("sha256"), str)):
            raise TypeError(f'{name} is {entry!r:.100}; wanted {{"size": bytes, "sha256": hex}}')
    for name in (*manifest.files, *manifest.directories):
        if name.startswith("/") or ".." in name.split("/"):
            raise ValueError(f"it names {name!r:.100}, which is outside")


def is_intact(path: Path, entry: Mapping[str, Any]) -> bool:
    """Return whether the file has the size and the digest of a manifest's entry."""
    return path.is_file() and path.stat().st_size == entry["size"] and sha256_of(path) == entry["sha256"]
