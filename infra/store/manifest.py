"""The manifest of a published execution: what its files are, read back and verified.

A manifest has the number of its format and a digest of all its other fields, so that a disk that rots never turns one
verdict into another.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, Self

from infra import typed_json
from infra.files import digest_of, is_intact
from steps.errors import FourscoreError

MANIFEST = "manifest.json"
JOURNAL = "journal.jsonl"
FORMAT = 2


class CorruptExecution(FourscoreError):
    """Files of a published execution differ from its manifest: a disk that rots, or a hand that edits."""


@dataclass(frozen=True)
class Manifest:
    """A published execution. Only the journal and the three times depend on where and when it ran."""

    key: str
    step: str
    ingredients: dict[str, Any]
    verdict: Literal["pass", "rejected", "refused"]
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

    def is_like(self, other: Self) -> bool:
        """Return whether both executions have the same result; times and journals do not count."""
        return (self.files, self.directories, self.verdict) == (other.files, other.directories, other.verdict)


def manifest_bytes(manifest: Manifest) -> bytes:
    """Return the content of the manifest's file."""
    content = {"format": FORMAT, **asdict(manifest)}
    return (json.dumps({**content, "digest": digest_of(content)}, indent=1, ensure_ascii=False) + "\n").encode()


def manifest_of(data: bytes, key: str, where: str) -> Manifest:
    """Return the manifest in the content of a file; fields that a later format added are left out.

    Raises:
        CorruptExecution: it is not a manifest, was changed, is another execution's, or names files outside its own directory.
    """
    try:
        content = json.loads(data)
        manifest = typed_json.of_object(Manifest, content)
        _check_contents(manifest)
        _check_format(content)
    except (ValueError, TypeError, RecursionError) as error:
        raise CorruptExecution(f"{where} is not a manifest ({error})") from None
    if manifest.key != key:
        raise CorruptExecution(f"{where} is the manifest of another execution ({manifest.key[:12]})")
    return manifest


def _check_format(content: Mapping[str, Any]) -> None:
    """Check that all fields are there, that none is unknown unless a later format has it, and that none was changed."""
    version = content.get("format")
    if type(version) is not int or version < FORMAT:
        raise ValueError(f"its format is {version!r:.40}, not {FORMAT} or later")
    if missing := {"files", "journal"} - content.keys():
        raise ValueError(f"it has no field {min(missing)!r}")
    names = {entry.name for entry in fields(Manifest)} | {"format", "digest"}
    if version == FORMAT and (unknown := content.keys() - names):
        raise ValueError(f"format {version} has no field {min(unknown)!r:.40}")
    if content.get("digest") != digest_of(content):
        raise ValueError("its digest is that of other fields, so it was changed")


def _check_contents(manifest: Manifest) -> None:
    for name, entry in manifest.published.items():
        if not (isinstance(entry, dict) and type(entry.get("size")) is int and isinstance(entry.get("sha256"), str)):
            raise TypeError(f'{name} is {entry!r:.100}; expected {{"size": bytes, "sha256": hex}}')
    for name in (*manifest.files, *manifest.directories):
        if name.startswith("/") or ".." in name.split("/"):
            raise ValueError(f"it names {name!r:.100}, which is outside")


def is_published(workspace: Path, directory: Path) -> bool:
    """Return whether a directory in the workspace is a whole artifact of an execution, as it was published."""
    place = directory.resolve()
    path = place.parent / MANIFEST
    if not place.is_relative_to(workspace.resolve()):
        return False
    try:
        manifest = manifest_of(path.read_bytes(), place.parent.name, str(path))
    except (OSError, CorruptExecution):
        return False
    entries = {name: entry for name, entry in manifest.files.items() if name.startswith(f"{place.name}/")}
    present = {file.relative_to(place.parent).as_posix() for file in place.rglob("*") if file.is_file()}
    return present == entries.keys() and all(is_intact(place.parent / name, entry) for name, entry in entries.items())
