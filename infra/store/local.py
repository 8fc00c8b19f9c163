"""The store on disk: executions by key, published whole or not at all, verified before they are read.

<workspace>/store/<key>/manifest.json    written last: every file with size and sha256, ingredients, verdict, times
                       /journal.jsonl    events of the step
                       /<artifact>/...   one directory per output
<workspace>/working/<key>.<pid>/         an execution in progress; invisible, swept when its process is gone
<workspace>/scratch/<key>/<name>/        checkpoints; survive a killed attempt, removed when the step is published, unless
                                         a step of another key may use them, or after two weeks
<workspace>/locks/<key>                  held while a step executes, so that two runs do the work once
<workspace>/quarantine/                  executions whose files no longer match their manifest
"""

import contextlib
import os
import shutil
import time
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from infra.files import fsync_directory, is_intact, locked, sha256_of, write_atomically
from infra.store.manifest import JOURNAL, MANIFEST, CorruptExecution, Manifest, manifest_bytes, manifest_of

ABANDONED = 14 * 24 * 3600.0
"""Seconds after which the checkpoints of an abandoned attempt are removed."""
HALF_WRITTEN = 600.0
"""Seconds after which a temporary file is that of a process that was killed."""
LARGE = 64 << 20
"""Bytes of a file that only its reader verifies, so that a cached run starts soon."""


class LocalStore:
    """A store on this machine's disk, inside a workspace."""

    uri: str | None = None

    def __init__(self, workspace: Path) -> None:
        self.workspace = workspace
        self.root = workspace / "store"
        self._verified: set[tuple[str, str]] = set()

    def directory(self, key: str) -> Path:
        return self.root / key

    def find(self, key: str) -> Manifest | None:
        try:
            return self.look(key)
        except CorruptExecution:
            self.quarantine(key)
            return None

    def look(self, key: str) -> Manifest | None:
        path = self.directory(key) / MANIFEST
        try:
            return manifest_of(path.read_bytes(), key, str(path))
        except FileNotFoundError:
            return None

    def manifests(self) -> Iterator[Manifest]:
        """Yield the manifest of every execution; a broken one is left out."""
        for path in sorted(self.root.glob("*")):
            with contextlib.suppress(CorruptExecution):
                if manifest := self.look(path.name):
                    yield manifest

    def lock(self, key: str) -> AbstractContextManager[bool]:
        return locked(self.workspace / "locks" / key)

    def open(self, key: str, artifact: str) -> Path:
        manifest = self.push(key)
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

    def get(self, name: str) -> bytes | None:
        path = self.workspace / name
        return path.read_bytes() if path.is_file() else None

    def put(self, name: str, data: bytes) -> None:
        path = self.workspace / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, data)
        fsync_directory(path.parent)

    def swap(self, name: str, before: bytes | None, data: bytes) -> bool:
        with locked(self.workspace / "locks" / name.replace("/", "-")):
            if self.get(name) != before:
                return False
            self.put(name, data)
        return True

    def exchange_readings(self) -> None:
        """Do nothing: the ledger of the workspace has all readings."""

    def verify(self, manifest: Manifest, prefix: str = "", names: Collection[str] | None = None) -> None:
        for name, entry in manifest.published.items():
            path = self.directory(manifest.key) / name
            if name.startswith(prefix) and (names is None or name in names) and not is_intact(path, entry):
                fault = "is missing" if not path.is_file() else "differs from its manifest"
                raise CorruptExecution(f"{path} {fault} (stage {manifest.step}); it is not used")

    def check(self, key: str) -> None:
        manifest = self.push(key)
        self.verify(manifest, names=[name for name, entry in manifest.published.items() if entry["size"] <= LARGE])

    def quarantine(self, key: str) -> None:
        target = self.workspace / "quarantine" / f"{key}.{os.getpid()}"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(target, ignore_errors=True)
        with contextlib.suppress(FileNotFoundError):
            self.directory(key).rename(target)
        self._verified = {entry for entry in self._verified if entry[0] != key}

    @contextlib.contextmanager
    def working(self, key: str) -> Iterator[Path]:
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
        write_atomically(directory / MANIFEST, manifest_bytes(manifest))
        fsync_directory(directory)
        self.root.mkdir(parents=True, exist_ok=True)
        target = self.root / manifest.key
        try:
            directory.rename(target)
        except OSError:
            if (first := self.find(manifest.key)) is not None:
                return first
            self.quarantine(manifest.key)  # the directory lost its manifest, so it is not an execution
            directory.rename(target)
        fsync_directory(self.root)
        shutil.rmtree(self.workspace / "scratch" / manifest.key, ignore_errors=True)
        return manifest

    def sweep(self) -> None:
        """Remove working directories whose process is gone, abandoned checkpoints, and files that were half written."""
        for path in self.workspace.glob("*/.*.tmp"):
            if _touched(path) < time.time() - HALF_WRITTEN:
                path.unlink(missing_ok=True)
        for directory in self.workspace.glob("working/*"):
            self._remove_if_free(directory, directory.name.partition(".")[0])
        for directory in self.workspace.glob("scratch/*"):
            if _touched(directory) < time.time() - ABANDONED:
                self._remove_if_free(directory, directory.name)

    def _remove_if_free(self, directory: Path, key: str) -> None:
        with locked(self.workspace / "locks" / key, blocking=False) as free:
            if free:
                shutil.rmtree(directory, ignore_errors=True)


def _touched(directory: Path) -> float:
    """Return when anything in it was last written; now if it is just being removed."""
    try:
        return max(path.lstat().st_mtime for path in (directory, *directory.rglob("*")))
    except FileNotFoundError:
        return time.time()
