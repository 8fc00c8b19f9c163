"""Files in a folder to which lines are appended, such as captured requests: their whole lines at the time of the plan."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from infra.files import digest_of
from infra.sources.source import Executions, Source
from steps.errors import FourscoreError, InputError

_CHUNK = 1 << 20


@dataclass(frozen=True)
class AppendedFile:
    """The beginning of a file, up to the end of a line."""

    path: Path
    size: int
    sha256: str


@dataclass(frozen=True)
class AppendedFiles(Source):
    """Files by name; what is appended after the plan is not read."""

    files: tuple[AppendedFile, ...] = ()

    @classmethod
    def of_folder(cls, folder: Path, patterns: Iterable[str]) -> Self:
        """Return the files that match.

        Raises:
            InputError: there is no such folder, or no file with a whole line in it.
        """
        if not folder.is_dir():
            raise InputError(f"{folder}: there is no such folder; name the one that requests are captured in")
        paths = sorted({path for pattern in patterns for path in folder.rglob(pattern) if path.is_file()})
        files = tuple(file for path in paths if (file := _beginning(path)).size)
        if not files:
            raise InputError(f"{folder} has no file {' or '.join(patterns)} with a whole line; was anything captured?")
        return cls(files)

    @property
    def digest(self) -> str:
        return digest_of({"files": [[file.path.name, file.sha256] for file in self.files]})

    def lay_out(self, directory: Path, store: Executions) -> Path:
        """Copy the lines that the plan knows.

        Raises:
            FourscoreError: they are no longer what they were.
        """
        width = len(str(len(self.files)))
        for number, file in enumerate(self.files, 1):
            target = directory / f"{number:0{width}}-{file.path.name}"
            if _copied(file.path, target, file.size) != file.sha256:
                raise FourscoreError(f"{file.path} changed since the plan was made; run again")
        return directory


def _beginning(path: Path) -> AppendedFile:
    size, digest, pending = 0, hashlib.sha256(), b""
    with path.open("rb") as source:
        while chunk := source.read(_CHUNK):
            whole, newline, rest = chunk.rpartition(b"\n")
            if newline:
                digest.update(pending + whole + newline)
                size += len(pending) + len(whole) + 1
                pending = rest
            else:
                pending += rest
    return AppendedFile(path, size, digest.hexdigest())


def _copied(path: Path, target: Path, size: int) -> str:
    digest, left = hashlib.sha256(), size
    with path.open("rb") as source, target.open("xb") as copy:
        while left and (chunk := source.read(min(_CHUNK, left))):
            copy.write(chunk)
            digest.update(chunk)
            left -= len(chunk)
    return digest.hexdigest()
