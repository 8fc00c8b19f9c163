"""The manifest of a published execution: what its files are, read back and verified."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from infra.files import sha256_of
from steps.errors import FourscoreError

MANIFEST = "manifest.json"
JOURNAL = "journal.jsonl"


class CorruptExecution(FourscoreError):
    """Files of a published execution differ from its manifest: a disk that rots, or a hand that edits."""


@dataclass(frozen=True)
class Manifest:
    """What a published execution is. All but the journal and the three times is the same wherever and whenever it ran."""

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
    """Those without files, which a place that knows files only (S3) would lose."""

    @property
    def published(self) -> dict[str, dict[str, Any]]:
        """Every file with its size and digest, the journal too."""
        return self.files | ({JOURNAL: self.journal} if self.journal else {})

    def is_like(self, other: Manifest) -> bool:
        """Whether the two executions came to the same: times and journals aside."""
        return (self.files, self.directories, self.verdict) == (other.files, other.directories, other.verdict)


def manifest_of(data: bytes, key: str, where: str) -> Manifest:
    """The manifest that was read from a file; fields of a later version are left out.

    Raises:
        CorruptExecution: it is none, it is another execution's, or it names files outside its own directory.
    """
    field_names = {entry.name for entry in fields(Manifest)}
    try:
        manifest = Manifest(**{name: value for name, value in json.loads(data).items() if name in field_names})
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise CorruptExecution(f"{where} is no manifest ({error})") from None
    if wrong := next(_wrong_fields(manifest), None):
        raise CorruptExecution(f"{where} is no manifest ({wrong})")
    outside = [name for name in [*manifest.files, *manifest.directories] if not _is_inside(name)]
    if manifest.key != key:
        raise CorruptExecution(f"{where} is the manifest of another execution ({manifest.key[:12]})")
    if outside:
        raise CorruptExecution(f"{where} is no manifest (it names {outside[0]!r:.100}, which is outside)")
    return manifest


def _wrong_fields(manifest: Manifest) -> Iterator[str]:
    """What is of another type than a manifest's fields are; nothing of it was checked when it was read."""
    for kind, names in (
        (str, ("key", "step", "verdict", "started", "finished")),
        (dict, ("ingredients", "files", "journal")),
        (list, ("reasons", "directories")),
        ((int, float), ("seconds",)),
    ):
        for name in names:
            if not isinstance(value := getattr(manifest, name), kind):
                yield f"its {name} is {value!r:.100}"
    for name in ("reasons", "directories"):
        yield from (f"its {name} have {item!r:.100}" for item in getattr(manifest, name) if not isinstance(item, str))
    for name, entry in manifest.published.items():
        if not _is_entry(entry):
            yield f'{name} is {entry!r:.100}; wanted {{"size": bytes, "sha256": hex}}'


def _is_entry(entry: object) -> bool:
    return isinstance(entry, dict) and type(entry.get("size")) is int and isinstance(entry.get("sha256"), str)


def is_intact(path: Path, entry: Mapping[str, Any]) -> bool:
    """Whether the file has the size and the digest that a manifest's entry says."""
    return path.is_file() and path.stat().st_size == entry["size"] and sha256_of(path) == entry["sha256"]


def _is_inside(name: str) -> bool:
    return not name.startswith("/") and ".." not in name.split("/")
