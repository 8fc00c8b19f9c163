"""The interface of a store of executions, on a disk or on S3."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from infra.sources.source import Executions
from infra.store.manifest import Manifest


class Store(Executions, Protocol):
    """A place that keeps executions by their key."""

    @property
    def uri(self) -> str | None:
        """Root of the store where it is not the workspace alone."""

    def find(self, key: str) -> Manifest | None:
        """Return the manifest, or None if nothing is published under the key; a broken one is put aside."""

    def look(self, key: str) -> Manifest | None:
        """Return what :meth:`find` returns, changing nothing.

        Raises:
            CorruptExecution: the manifest is broken, or another execution's.
        """

    def directory(self, key: str) -> Path:
        """Return where manifest, journal and opened artifacts of an execution are on this machine."""

    def file(self, key: str, name: str) -> Path:
        """Return a local file with one of the execution's files; its reader compares it with the manifest."""

    def verify(self, manifest: Manifest, prefix: str = "") -> None:
        """Compare the files under ``prefix`` with the manifest; without one, everything, the journal too.

        Raises:
            CorruptExecution: one is missing, or has another size or digest.
        """

    def check(self, key: str) -> None:
        """Compare an execution's files on this machine with its manifest, but for large ones, which readers verify.

        Raises:
            CorruptExecution: one differs, and the store has no other copy of the execution.
        """

    def quarantine(self, key: str) -> None:
        """Move a broken execution out of sight, for whoever wants to know what happened."""

    def publish(self, directory: Path, manifest: Manifest) -> Manifest:
        """Make the directory's files the execution of ``manifest.key``; a second publication changes nothing.

        Returns:
            The execution that counts from now on, which is the first one's.
        """

    def push(self, key: str) -> Manifest:
        """Bring an execution that is only on this machine to where the store's other users find it.

        Raises:
            CorruptExecution: it is lost, or its files are not what was published.
        """

    def exchange_readings(self) -> None:
        """Share readings of sealed test sets with the store's other users."""

    # Work in progress is always on this machine

    def lock(self, key: str) -> AbstractContextManager[object]:
        """Return a lock that is held by the one who executes the step."""

    def working(self, key: str) -> AbstractContextManager[Path]:
        """Return a directory to execute in; removed afterwards unless it was published."""

    def scratch(self, key: str, name: str) -> Path:
        """Return a directory that survives a killed attempt at the key."""

    def sweep(self) -> None:
        """Remove what processes left behind that are gone."""
