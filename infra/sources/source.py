"""The interface of a source, which comes from outside of a pipeline: its digest, and its directory for steps."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

if TYPE_CHECKING:
    from infra.s3.objects import Objects

Document = Mapping[str, Any]


class Executions(Protocol):
    """The store, as far as sources need it."""

    workspace: Path

    def get(self, name: str) -> bytes | None:
        """Return a small file beside the executions, such as ``champions/NAME.json``; None if there is none."""

    def swap(self, name: str, before: bytes | None, data: bytes) -> bool:
        """Write a small file beside the executions if it still has the content of before; return whether it was written."""

    def open(self, key: str, artifact: str) -> Path:
        """Return a local directory with the artifact, verified against the manifest.

        Raises:
            CorruptExecution: it is lost, or not what was published.
        """

    def push(self, key: str) -> object:
        """Share an execution with the store's other users."""


class SharedExecutions(Executions, Protocol):
    """A store that jobs can reach."""

    @property
    def objects(self) -> Objects:
        """The objects below the store's root."""


class Source:
    """An artifact that no step writes; a subclass has at least ``find``, ``digest`` and ``lay_out``."""

    places: ClassVar[tuple[str, ...]] = ()
    """Patterns below the store's root that jobs read for the source, besides artifacts of steps."""
    remedy: ClassVar[str] = "run again from where it is"
    """Advice to a person when the source is lost."""

    @classmethod
    def find(cls, problem: Document, folder: Path, store: Executions) -> Self:
        """Return the source of a problem as it is now.

        Args:
            problem: the problem as JSON, with the names of its Python fields.
            folder: the folder that relative paths start from.
            store: where the run's results will be.

        Raises:
            InputError: it does not exist, or cannot be read.
        """
        raise NotImplementedError

    @property
    def digest(self) -> str:
        """An ingredient of the key of every step that reads the source."""
        raise NotImplementedError

    def lay_out(self, directory: Path, store: Executions) -> Path:
        """Return a directory for steps to read: ``directory``, which is empty and may be filled, or another."""
        raise NotImplementedError

    def beside(self, keys: Mapping[str, str]) -> Self:
        """Return the source as a step reads it; ``keys`` has artifact -> key of the steps planned before."""
        return self

    def describe(self) -> dict[str, Any]:
        """Return as JSON what a job needs to restore the source, without paths of this machine."""
        return {}

    def send(self, store: SharedExecutions) -> None:
        """Upload the source for jobs, unless the store has it."""

    @classmethod
    def restore(cls, description: Document, store: SharedExecutions, directory: Path) -> Self:  # noqa: ARG003  for subclasses
        """Return the source of a description; files to fetch go to ``directory``."""
        return cls(**description)


def describe(source: Source) -> dict[str, Any]:
    """Return the source as JSON with the address of its class."""
    kind = type(source)
    return {"type": f"{kind.__module__}:{kind.__qualname__}", **source.describe()}


def restore(description: Document, store: SharedExecutions, directory: Path) -> Source:
    """Return the source of a description by :func:`describe`.

    Raises:
        TypeError: the class is not a source.
    """
    module, _, name = description["type"].partition(":")
    kind = getattr(import_module(module), name)
    if not issubclass(kind, Source):
        raise TypeError(f"{description['type']} is not a source")
    fields = {field: value for field, value in description.items() if field != "type"}
    source: Source = kind.restore(fields, store, directory)
    return source
