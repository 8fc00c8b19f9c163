"""Raw files of the sources in S3, by content: raw/<sha256>/<name>, sent once and verified where they arrive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.files import sha256_of
from infra.sources.files import ResolvedFile, stamp_of
from steps.errors import FourscoreError

if TYPE_CHECKING:
    from infra.s3.objects import Objects


def keep(objects: Objects, file: ResolvedFile) -> None:
    """Send a file, unless it is there."""
    name, entry = f"raw/{file.sha256}/{file.name}", {"size": file.size, "sha256": file.sha256}
    if not objects.holds(name, entry):
        objects.upload({name: file.path}, {name: entry})


def fetch(
    objects: Objects, wanted: Mapping[str, Sequence[Mapping[str, Any]]], directory: Path
) -> dict[str, tuple[ResolvedFile, ...]]:
    """Bring files here, by source and in order.

    Args:
        wanted: of each source its files as ``name``, ``sha256`` and ``size``.

    Raises:
        FourscoreError: one is not there, or is not what its name says.
    """
    return {source: tuple(_fetch(objects, each, directory) for each in files) for source, files in wanted.items()}


def _fetch(objects: Objects, each: Mapping[str, Any], directory: Path) -> ResolvedFile:
    from infra.s3.objects import Absent

    name = f"raw/{each['sha256']}/{each['name']}"
    path = directory / each["sha256"] / each["name"]
    try:
        objects.download({name: path})
    except Absent:
        raise FourscoreError(f"{objects.uri(name)} is not there; run again from where the data is") from None
    if sha256_of(path) != each["sha256"]:
        raise FourscoreError(f"{objects.uri(name)} is not what it was when the plan was made; remove it and run again")
    stat = path.stat()
    return ResolvedFile(each["name"], path, each["sha256"], stat.st_size, stamp_of(stat))
