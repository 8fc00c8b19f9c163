"""Objects as files of a folder on this machine: what runs on the local cloud have in place of S3."""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from infra.files import locked, sha256_of
from infra.s3.objects import WRITE_ONCE, Absent, Conflict, Entry, Listed, Objects
from steps.errors import FourscoreError


class FolderObjects(Objects):
    """The objects of one bucket, for every process that has the folder; a file is whole before it has its name.

    Args:
        folder: has a folder for each bucket.
    """

    def __init__(self, root: str, folder: Path) -> None:
        super().__init__(root)
        self.parts, self.folder = folder / ".parts", folder / self.bucket

    def path(self, name: str) -> Path:
        """Return where the object lies, whether or not it exists."""
        return self.folder / self.prefix / name

    def get(self, name: str) -> bytes | None:
        try:
            return self.path(name).read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None

    def put(self, name: str, data: bytes, *, absent: bool = False, tag: str | None = None) -> bool:
        part = self._part()
        part.write_bytes(data)
        if tag is None:
            return self._place(part, name, absent=absent)
        with self._at_version(name, tag) as current:
            return current and self._place(part, name)

    def delete(self, name: str, tag: str) -> None:
        with self._at_version(name, tag) as current:
            if current:
                self.path(name).unlink()

    def list(self, prefix: str) -> dict[str, Listed]:
        listed, now = {}, time.time()
        for path in sorted(self.path(prefix).rglob("*")):
            with suppress(FileNotFoundError):  # deleted meanwhile
                if path.is_file():
                    status, name = path.stat(), path.relative_to(self.folder / self.prefix).as_posix()
                    age = now - status.st_mtime
                    listed[name.removeprefix(prefix)] = Listed(name, status.st_size, _tag(status), age)
        return listed

    def holds(self, name: str, entry: Entry) -> bool:
        path = self.path(name)
        return path.is_file() and path.stat().st_size == entry["size"] and sha256_of(path) == entry["sha256"]

    def upload(self, files: Mapping[str, Path], entries: Mapping[str, Entry]) -> None:
        for name, path in files.items():
            part = self._part()
            shutil.copyfile(path, part)
            if sha256_of(part) != entries[name]["sha256"]:
                raise FourscoreError(f"{path} changed while it was copied to {self.uri(name)}")
            if not self._place(part, name):
                raise Conflict(name)

    def download(self, files: Mapping[str, Path]) -> None:
        for name, path in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                shutil.copyfile(self.path(name), path)
            except FileNotFoundError:
                raise Absent(name) from None

    @contextmanager
    def _at_version(self, name: str, tag: str) -> Iterator[bool]:
        """Yield whether the object still is the one with this tag, and let no other process change it meanwhile."""
        self.parts.mkdir(parents=True, exist_ok=True)
        with locked(self.parts / "versions"):
            path = self.path(name)
            yield path.is_file() and _tag(path.stat()) == tag

    def _part(self) -> Path:
        self.parts.mkdir(parents=True, exist_ok=True)
        return self.parts / secrets.token_hex(16)

    def _place(self, part: Path, name: str, *, absent: bool = False) -> bool:
        """Give a file the name of an object, if there may be one; return whether it has it now."""
        target = self.path(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        if not absent and not name.startswith(WRITE_ONCE):
            part.replace(target)
            return True
        try:
            os.link(part, target)
        except FileExistsError:
            return False
        finally:
            part.unlink()
        return True


def _tag(status: os.stat_result) -> str:
    """Return the identity of a version: each is a file of its own."""
    return f"{status.st_mtime_ns:x}{status.st_ino:x}{status.st_size:x}"
