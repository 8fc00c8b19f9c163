"""Objects as files of a folder on this machine: what runs on the local cloud have in place of S3."""

import os
import secrets
import shutil
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from infra.files import is_intact, locked, sha256_of
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
        return self._place(part, name, absent=absent, tag=tag)

    def delete(self, name: str, tag: str) -> None:
        with self._alone():
            if self._tag(name) == tag:
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
        return is_intact(self.path(name), entry)

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

    def _part(self) -> Path:
        self.parts.mkdir(parents=True, exist_ok=True)
        return self.parts / secrets.token_hex(16)

    def _place(self, part: Path, name: str, *, absent: bool = False, tag: str | None = None) -> bool:
        """Give a file the name of an object, if the conditions hold; return whether they do."""
        target = self.path(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        with self._alone():
            current = self._tag(name)
            if tag not in (None, current) or (current and (absent or name.startswith(WRITE_ONCE))):
                part.unlink()
                return False
            part.replace(target)
            return True

    def _alone(self) -> AbstractContextManager[object]:
        """Return a lock: of all processes that have the folder, one looks and writes at a time."""
        return locked(self.parts / "lock")

    def _tag(self, name: str) -> str | None:
        """Return the tag of the version that is there; None without any."""
        try:
            return _tag(self.path(name).stat())
        except FileNotFoundError:
            return None


def _tag(status: os.stat_result) -> str:
    """Return the identity of a version: each is a file of its own."""
    return f"{status.st_mtime_ns:x}{status.st_ino:x}{status.st_size:x}"
