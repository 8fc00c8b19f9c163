"""Every execution of a step, addressed by what made it; published whole or not at all; verified before it is read.

<workspace>/store/<key>/manifest.json    written last: every file with size and sha256, ingredients, verdict, times
                       /journal.jsonl    what the step said
                       /<artifact>/...   one directory per output
<workspace>/working/<key>.<pid>/         an execution in progress; invisible, swept when its process is gone
<workspace>/scratch/<key>/<name>/        checkpoints; survive a killed attempt, removed when the step is published,
                                         or when nobody came back for them in two weeks
<workspace>/locks/<key>                  held while a step executes, so that two runs do the work once
<workspace>/quarantine/                  executions whose files no longer match their manifest
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from infra.files import fsync_directory, locked, sha256_of, write_json
from steps.errors import FourscoreError

if TYPE_CHECKING:
    from infra.runs.records import RunRecord

MANIFEST = "manifest.json"
JOURNAL = "journal.jsonl"
ABANDONED = 14 * 24 * 3600.0
"""Seconds after which the checkpoints of an attempt that nobody went on with are removed."""


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


class Store(Protocol):
    """What a place that keeps executions can do; the same on a disk and on S3."""

    def find(self, key: str) -> Manifest | None:
        """The manifest, or None when nothing is published under the key."""

    def open(self, key: str, artifact: str) -> Path:
        """A local directory with the artifact, verified against the manifest."""

    def file(self, key: str, name: str) -> Path:
        """A local file with one of the execution's files; whoever reads it compares it with the manifest."""

    def publish(self, directory: Path, manifest: Manifest) -> Manifest:
        """Make the directory's files the execution of ``manifest.key``; a second publication changes nothing.

        Returns:
            The execution that counts from now on, which is the first one's.
        """

    def push(self, key: str) -> Manifest:
        """Bring an execution that is only on this machine to where the store's other users find it."""

    def lock(self, key: str) -> AbstractContextManager[object]:
        """Held by the one who executes the step."""


class LocalStore:
    """A store on this machine's disk, inside a workspace."""

    uri: str | None = None
    """Where the store is when it is not the workspace alone."""

    def __init__(self, workspace: Path) -> None:
        self.workspace = workspace
        self.root = workspace / "store"
        self._verified: set[tuple[str, str]] = set()

    def directory(self, key: str) -> Path:
        return self.root / key

    def find(self, key: str) -> Manifest | None:
        """The manifest; one that is none is put into quarantine and counts as not published."""
        try:
            return self.look(key)
        except CorruptExecution:
            self.quarantine(key)
            return None

    def look(self, key: str) -> Manifest | None:
        """What :meth:`find` finds, changing nothing.

        Raises:
            CorruptExecution: the manifest is broken, or another execution's.
        """
        path = self.directory(key) / MANIFEST
        try:
            return manifest_of(path.read_bytes(), key, str(path))
        except FileNotFoundError:
            return None

    def lock(self, key: str) -> AbstractContextManager[bool]:
        return locked(self.workspace / "locks" / key)

    def open(self, key: str, artifact: str) -> Path:
        manifest = self.find(key)
        if manifest is None:
            raise CorruptExecution(f"execution {key[:12]} is not in the store")
        if (key, artifact) not in self._verified:
            self.verify(manifest, f"{artifact}/")
            self._verified.add((key, artifact))
        return self.directory(key) / artifact

    def file(self, key: str, name: str) -> Path:
        return self.directory(key) / name

    def push(self, key: str) -> Manifest:
        manifest = self.find(key)
        if manifest is None:
            raise CorruptExecution(f"execution {key[:12]} is not in the store")
        return manifest

    def exchange_readings(self) -> None:
        """Count what others of the store read of its sealed test sets, and let them count what was read here."""

    def verify(self, manifest: Manifest, prefix: str = "") -> None:
        """Compare the files under ``prefix`` with the manifest; without one, everything, the journal too.

        Raises:
            CorruptExecution: one is missing, or has another size or digest.
        """
        for name, entry in manifest.published.items():
            if not name.startswith(prefix):
                continue
            path = self.directory(manifest.key) / name
            if not is_intact(path, entry):
                found = "is missing" if not path.is_file() else "differs from its manifest"
                raise CorruptExecution(f"{path} {found} (stage {manifest.step}); it is not used")

    def quarantine(self, key: str) -> None:
        """Take a broken execution out of sight, keeping it for whoever wants to know what happened."""
        target = self.workspace / "quarantine" / f"{key}.{os.getpid()}"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(target, ignore_errors=True)
        with contextlib.suppress(FileNotFoundError):
            self.directory(key).rename(target)
        self._verified = {entry for entry in self._verified if entry[0] != key}

    @contextlib.contextmanager
    def working(self, key: str) -> Iterator[Path]:
        """A directory to execute in; removed afterwards unless it was published."""
        directory = self.workspace / "working" / f"{key}.{os.getpid()}"
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        try:
            yield directory
        finally:
            shutil.rmtree(directory, ignore_errors=True)

    def scratch(self, key: str, name: str) -> Path:
        directory = self.workspace / "scratch" / key / name
        directory.mkdir(parents=True, exist_ok=True)
        return directory

    def publish(self, directory: Path, manifest: Manifest) -> Manifest:
        for path in sorted(directory.rglob("*")):
            if path.is_dir():
                fsync_directory(path)
                if not any(path.iterdir()):
                    manifest.directories.append(path.relative_to(directory).as_posix())
                continue
            with path.open("rb") as file:
                os.fsync(file.fileno())
            entry = {"size": path.stat().st_size, "sha256": sha256_of(path)}
            if path == directory / JOURNAL:
                manifest.journal.update(entry)
            else:
                manifest.files[path.relative_to(directory).as_posix()] = entry
        write_json(directory / MANIFEST, asdict(manifest))
        fsync_directory(directory)
        self.root.mkdir(parents=True, exist_ok=True)
        target = self.root / manifest.key
        try:
            directory.rename(target)
        except OSError:
            if (first := self.find(manifest.key)) is not None:
                return first
            self.quarantine(manifest.key)  # what is there lost its manifest, by a hand or a disk: it is no execution
            directory.rename(target)
        fsync_directory(self.root)
        shutil.rmtree(self.workspace / "scratch" / manifest.key, ignore_errors=True)
        return manifest

    def sweep(self) -> None:
        """Remove working directories whose process is gone, and checkpoints that nobody came back for."""
        for directory in self.workspace.glob("working/*"):
            self._remove_if_free(directory, directory.name.partition(".")[0])
        for directory in self.workspace.glob("scratch/*"):
            if _touched(directory) < time.time() - ABANDONED:
                self._remove_if_free(directory, directory.name)

    def _remove_if_free(self, directory: Path, key: str) -> None:
        with locked(self.workspace / "locks" / key, blocking=False) as free:
            if free:
                shutil.rmtree(directory, ignore_errors=True)


def open_store(workspace: Path, uri: str | None = None) -> LocalStore:
    """The store of a run: in the workspace, or at ``s3://bucket/prefix/`` with the workspace as its cache.

    Raises:
        InputError: the URI is none that a store can be at.
    """
    if uri is None:
        return LocalStore(workspace)
    from infra.store.s3 import S3Store

    return S3Store(workspace, uri)


def store_of(workspace: Path, record: RunRecord) -> LocalStore:
    """The store that has a run's results."""
    if record.on == "sagemaker-local" and record.store:
        from infra.emulator.local_stack import local_store

        return local_store(workspace, record.store)
    return open_store(workspace, record.store)


def manifest_of(data: bytes, key: str, where: str) -> Manifest:
    """The manifest that was read from a file; fields of a later version are left out.

    Raises:
        CorruptExecution: it is none, it is another execution's, or it names files outside its own directory.
    """
    known = {each.name for each in fields(Manifest)}
    try:
        manifest = Manifest(**{name: value for name, value in json.loads(data).items() if name in known})
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
    for wanted, names in (
        (str, ("key", "step", "verdict", "started", "finished")),
        (dict, ("ingredients", "files", "journal")),
        (list, ("reasons", "directories")),
        ((int, float), ("seconds",)),
    ):
        for name in names:
            if not isinstance(value := getattr(manifest, name), wanted):
                yield f"its {name} is {value!r:.100}"
    for name in ("reasons", "directories"):
        yield from (f"its {name} have {each!r:.100}" for each in getattr(manifest, name) if not isinstance(each, str))
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


def _touched(directory: Path) -> float:
    """When anything in it was last written; now, where it is just being removed."""
    try:
        return max(path.lstat().st_mtime for path in (directory, *directory.rglob("*")))
    except FileNotFoundError:
        return time.time()
