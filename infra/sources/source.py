"""What comes from outside of a pipeline: one class for each kind, which says its digest and lays it out as a directory."""

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

    def open(self, key: str, artifact: str) -> Path:
        """Return a local directory with the artifact, verified against its manifest."""

    def push(self, key: str) -> object:
        """Bring an execution to where the store's other users find it."""


class SharedExecutions(Executions, Protocol):
    """A store that jobs can reach."""

    @property
    def objects(self) -> Objects:
        """The objects below the store's root."""


class Source:
    """An artifact that no step writes. A subclass has at least ``find``, ``digest`` and ``lay_out``."""

    places: ClassVar[tuple[str, ...]] = ()
    """Patterns below the store's root that a job reads for it, besides artifacts of steps."""
    remedy: ClassVar[str] = "run again from where it is"
    """What a person can do when it is lost."""

    @classmethod
    def find(cls, problem: Document, folder: Path, workspace: Path) -> Self:
        """Return the source of a problem as it is now.

        Args:
            problem: the problem as JSON, with the names of its Python fields.
            folder: the folder that relative paths start from.

        Raises:
            InputError: it is not there, or not readable.
        """
        raise NotImplementedError

    @property
    def digest(self) -> str:
        """The part that it has in the key of every step that reads it."""
        raise NotImplementedError

    def lay_out(self, directory: Path, store: Executions) -> Path:
        """Return the directory that steps read; ``directory`` is empty and may be filled and returned."""
        raise NotImplementedError

    def beside(self, keys: Mapping[str, str]) -> Self:
        """Return the source as a step sees it, given artifact -> key of what is planned before it."""
        return self

    def check(self) -> None:
        """Compare with what was found, after a step has read it.

        Raises:
            FourscoreError: it changed meanwhile, so the step's result is of neither content.
        """

    def describe(self) -> dict[str, Any]:
        """Return what a job needs to restore it, as JSON that says nothing of this machine."""
        return {}

    def send(self, store: SharedExecutions) -> None:
        """Bring it to where jobs find it, unless it is there."""

    @classmethod
    def restore(cls, description: Document, store: SharedExecutions, directory: Path) -> Self:  # noqa: ARG003  for subclasses
        """Return what :meth:`describe` described; what has to be fetched goes to ``directory``."""
        return cls(**description)


def describe(source: Source) -> dict[str, Any]:
    """Return the source as JSON with the address of its class."""
    kind = type(source)
    return {"type": f"{kind.__module__}:{kind.__qualname__}", **source.describe()}


def restore(description: Document, store: SharedExecutions, directory: Path) -> Source:
    """Return the source that :func:`describe` described.

    Raises:
        TypeError: its class is no source.
    """
    module, _, name = description["type"].partition(":")
    kind = getattr(import_module(module), name)
    if not issubclass(kind, Source):
        raise TypeError(f"{description['type']} is not a source")
    fields = {field: value for field, value in description.items() if field != "type"}
    source: Source = kind.restore(fields, store, directory)
    return source
