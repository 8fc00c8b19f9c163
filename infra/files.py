"""Writing files so that a reader sees the old content or the new, never half; locks that die with their process."""

import contextlib
import fcntl
import hashlib
import json
import os
import uuid
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any


def fsync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_workspace(workspace: Path) -> None:
    """Make the folder for its owner only; one that exists stays as it is."""
    workspace.mkdir(mode=0o700, parents=True, exist_ok=True)


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a whole file at once; a reader sees the old content or the new."""
    with arriving(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


@contextlib.contextmanager
def arriving(path: Path) -> Iterator[IO[bytes]]:
    """A file to write piece by piece that stands under its name only when it is whole and on the disk."""
    # the name of the file itself may be as long as a file system takes, and threads may write the same file at once
    temporary = path.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    write_atomically(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def append_lines(path: Path, lines: Iterable[bytes]) -> None:
    """Add whole lines; half a line that a full disk left at the end before stays a line of its own."""
    with path.open("ab+") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.write(b"\n")
        file.writelines(line + b"\n" for line in lines)
        file.flush()
        os.fsync(file.fileno())


def digest_of(content: Mapping[str, Any]) -> str:
    """Return the sha256 of a JSON object without its own field ``digest``, in whatever layout it is written."""
    covered = {name: value for name, value in content.items() if name != "digest"}
    return hashlib.sha256(json.dumps(covered, sort_keys=True).encode()).hexdigest()


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_intact(path: Path, entry: Mapping[str, Any]) -> bool:
    """Return whether the file has the size and the digest of a manifest's entry."""
    return path.is_file() and path.stat().st_size == entry["size"] and sha256_of(path) == entry["sha256"]


@contextlib.contextmanager
def locked(path: Path, *, blocking: bool = True) -> Iterator[bool]:
    """Hold an exclusive lock on ``path`` (made if needed); the kernel frees it when the process dies, however it dies.

    Yields:
        True, or False where ``blocking`` is off and another process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if blocking else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        yield True


def is_locked(path: Path) -> bool:
    """Return whether a process holds the lock; two who look at once see each other."""
    with locked(path, blocking=False) as free:
        return not free
