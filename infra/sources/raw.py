"""Raw files as a source: copies on this machine; for jobs, objects raw/<sha256>/<name> that are uploaded once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from infra.files import sha256_of
from infra.sources.files import Resolved, ResolvedFile, digest, materialise, resolve
from infra.sources.source import Document, Executions, SharedExecutions, Source
from steps.errors import FourscoreError


@dataclass(frozen=True)
class RawFiles(Source):
    """The files of ``data.sources``, addressed by their content."""

    files: Resolved

    places = ("raw/*",)

    @classmethod
    def find(cls, problem: Document, folder: Path, store: Executions) -> Self:
        sources = {name: source["path"] for name, source in problem["data"]["sources"].items()}
        return cls(resolve(sources, folder, store.workspace))

    @property
    def digest(self) -> str:
        return digest(self.files)

    def lay_out(self, directory: Path, store: Executions) -> Path:
        materialise(self.files, directory)
        return directory

    def describe(self) -> dict[str, Any]:
        return {
            "files": {
                name: [{"name": file.name, "sha256": file.sha256, "size": file.size} for file in files]
                for name, files in self.files.items()
            }
        }

    def send(self, store: SharedExecutions) -> None:
        for files in self.files.values():
            for file in files:
                name, entry = f"raw/{file.sha256}/{file.name}", {"size": file.size, "sha256": file.sha256}
                if not store.objects.holds(name, entry):
                    store.objects.upload({name: file.path}, {name: entry})

    @classmethod
    def restore(cls, description: Document, store: SharedExecutions, directory: Path) -> Self:
        """Fetch the files; raise FourscoreError if one is missing or does not have the digest in its name."""
        entries: Mapping[str, Sequence[Document]] = description["files"]
        return cls({name: tuple(_fetch(store, entry, directory) for entry in files) for name, files in entries.items()})


def _fetch(store: SharedExecutions, entry: Document, directory: Path) -> ResolvedFile:
    from infra.s3.objects import Absent

    name = f"raw/{entry['sha256']}/{entry['name']}"
    path = directory / entry["sha256"] / entry["name"]
    try:
        store.objects.download({name: path})
    except Absent:
        raise FourscoreError(f"{store.objects.uri(name)} is missing; run again from where the data is") from None
    if sha256_of(path) != entry["sha256"]:
        raise FourscoreError(f"{store.objects.uri(name)} changed since the plan was made; remove it and run again")
    return ResolvedFile(entry["name"], path, entry["sha256"], entry["size"])
