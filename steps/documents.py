"""The JSON documents that stages publish: one frozen type for a file, one function to write it, one to read it.

The types lie beside what fills them (``steps/evaluation/document.py`` ...). Field names are an interface: scripts, MLflow
and the runs of earlier versions rely on them, so fields are added and never renamed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from steps.errors import FourscoreError

Scalar = str | bool | int | float | None


class Section(BaseModel):
    """A part of a document; frozen, and fields that a later version added are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class Document(Section):
    """A published JSON file."""

    artifact: ClassVar[str] = ""
    """The output of a stage that holds it; empty where several hold one of this kind."""
    file: ClassVar[str]
    """Its name in the directory of the artifact."""

    format: int = 1
    """The version of the file's layout; it rises when a reader of the version before would misread the file."""

    @classmethod
    def path(cls) -> str:
        """Return where the document is among the files of an execution, such as ``evaluation/evaluation.json``."""
        return f"{cls.artifact}/{cls.file}"


D = TypeVar("D", bound=Document)


def write(directory: Path, document: Document) -> None:
    """Write a document into the directory of its artifact, the same bytes for the same content.

    Raises:
        FourscoreError: a number in it is infinite or not a number, which JSON cannot hold.
    """
    content = document.model_dump(mode="json", by_alias=True)
    for field, value in _numbers(document.model_dump(by_alias=True)):
        if not math.isfinite(value):
            raise FourscoreError(f"{document.path()}: the field {field} is {value}, which JSON cannot hold")
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    (directory / document.file).write_text(text + "\n", encoding="utf-8")


def _numbers(value: Any, field: str = "") -> Iterator[tuple[str, float]]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _numbers(item, f"{field}.{name}" if field else str(name))
    elif isinstance(value, list | tuple):
        for position, item in enumerate(value):
            yield from _numbers(item, f"{field}[{position}]")
    elif isinstance(value, float):
        yield field, value


def read(kind: type[D], directory: Path) -> D:
    """Read the document of this type from the directory of its artifact.

    Raises:
        OSError: there is no such file.
        FourscoreError: it is not such a document, or a later version of Fourscore wrote it.
    """
    path = directory / kind.file
    return parse(kind, path.read_bytes(), str(path))


def parse(kind: type[D], data: bytes, name: str) -> D:
    """Return the document in the content of a file; ``name`` names the file in messages.

    Raises:
        FourscoreError: as :func:`read`.
    """
    latest = kind.model_fields["format"].default
    try:
        content = json.loads(data)
        version = content.get("format", latest) if isinstance(content, dict) else latest
        if isinstance(version, int) and version > latest:
            raise FourscoreError(f"{name} has format {version}; this version of Fourscore reads formats up to {latest}")
        return kind.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(map(str, first["loc"])) or "the file"
        raise FourscoreError(f"{name} is not a {kind.__name__}: {field}: {first['msg']}") from None
    except ValueError as error:
        raise FourscoreError(f"{name} is not JSON: {error}") from None
