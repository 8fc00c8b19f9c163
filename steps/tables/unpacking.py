"""Files out of gzip, bzip2, xz, zstandard and zip archives, refused where they would fill the disk."""

from __future__ import annotations

import bz2
import gzip
import lzma
import shutil
import zipfile
import zlib
from collections.abc import Callable, Collection
from pathlib import Path, PurePosixPath
from typing import IO, Any

from steps.errors import InputError, refuse_full_disk

_CHUNK = 1 << 20
_DAMAGES = (
    OSError,
    EOFError,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    RuntimeError,
    NotImplementedError,
    UnicodeError,
)
"""The exceptions of the unpacking libraries; UnicodeError is about the names of members."""


def _open_zstandard(path: Path, _mode: str) -> Any:
    import pyarrow as pa

    return pa.CompressedInputStream(pa.OSFile(str(path)), "zstd")


_OPENERS: dict[str, Callable[[Path, str], Any]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
    ".zst": _open_zstandard,
}
"""How the files of packers that pack one file are opened, by suffix."""
LARGEST_RATIO = 200
"""The largest ratio of unpacked to packed size: tables pack 5 to 50 times, files made to fill a disk far more."""
SMALL = 64 << 20
"""Bytes that any file may unpack to, whatever the ratio."""


def unpack(
    path: Path,
    name: str,
    member: str | None,
    suffixes: Collection[str],
    scratch: Path,
    *,
    small: int = SMALL,
    free: int | None = None,
) -> tuple[Path, str]:
    """Return the readable file and its name: the file itself, or what an archive holds.

    Args:
        member: the file of a zip archive that is meant; None where the archive holds one table.
        suffixes: the suffixes of data files, by which the member is chosen.
        small: bytes that the file may unpack to, whatever the ratio.
        free: free bytes on the disk of ``scratch``; None: as the system says.

    Raises:
        InputError: the archive is damaged, unpacks to too much, or holds several tables.
    """
    target = scratch / "unpacked"
    available = shutil.disk_usage(scratch).free if free is None else free
    limits = (small, available // 2)
    try:
        if (opener := _OPENERS.get(PurePosixPath(name).suffix.lower())) is not None:
            with opener(path, "rb") as packed:
                _write(packed, path.stat().st_size, target, name, limits)
            return target, name.rpartition(".")[0]
        if name.lower().endswith(".zip"):
            with zipfile.ZipFile(path) as archive:
                chosen = _member(archive, name, member, suffixes)
                with archive.open(chosen) as packed:
                    _write(packed, archive.getinfo(chosen).compress_size, target, name, limits)
                return target, PurePosixPath(chosen).name
    except InputError:
        raise
    except _DAMAGES as error:
        refuse_full_disk(error)
        raise InputError(f"{name}: cannot be unpacked: {error}") from None
    return path, name


def _write(packed: IO[bytes], packed_size: int, target: Path, name: str, limits: tuple[int, int]) -> None:
    """Unpack to ``target``, and stop where it would take more than half of the free disk or be a zip bomb.

    The other half of the disk is for the table that the file becomes.

    Raises:
        InputError: it is too large; nothing of it is left.
    """
    small, free = limits
    plausible = max(small, LARGEST_RATIO * packed_size)
    size = 0
    with target.open("wb") as out:
        while chunk := packed.read(_CHUNK):
            size += len(chunk)
            if size > min(free, plausible):
                break
            out.write(chunk)
    if size <= min(free, plausible):
        return
    target.unlink()
    if plausible < free:
        raise InputError(
            f"{name}: {packed_size:,} bytes unpack to more than {LARGEST_RATIO} times as many, which no table does. "
            "If it is a table, unpack it yourself and name the unpacked file"
        )
    raise InputError(
        f"{name}: unpacks to more than {free:,} bytes, half of what is free on the workspace's disk; free some space, "
        "or give --workspace on a larger disk"
    )


def _member(archive: zipfile.ZipFile, name: str, member: str | None, suffixes: Collection[str]) -> str:
    """Choose the member that is data; a table goes before JSON, which often only describes it."""
    members = [
        info.filename for info in archive.infolist() if not info.is_dir() and not info.filename.startswith("__MACOSX/")
    ]
    if member is not None:
        matching = [path for path in members if member in (path, PurePosixPath(path).name)]
        if len(matching) == 1:
            return matching[0]
        raise InputError(f"{name}: no single member is called {member!r}; the archive holds {', '.join(members[:10])}")
    data = [path for path in members if PurePosixPath(path).suffix.lower() in suffixes]
    tables = [path for path in data if PurePosixPath(path).suffix.lower() != ".json"]
    candidates = tables or data or members
    if len(candidates) != 1:
        raise InputError(
            f"{name}: which member is meant? Give member: one of {', '.join(members[:10]) or 'none, it is empty'}"
        )
    return candidates[0]
