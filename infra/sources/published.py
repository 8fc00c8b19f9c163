"""An artifact that a run published, as a source of another pipeline."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.sources.source import Executions, SharedExecutions, Source


@dataclass(frozen=True)
class PublishedArtifact(Source):
    """An artifact of an execution, which its key names."""

    key: str
    artifact: str

    remedy = "run the problem again, which makes it anew"

    @property
    def digest(self) -> str:
        return self.key

    def lay_out(self, directory: Path, store: Executions) -> Path:
        return store.open(self.key, self.artifact)

    def describe(self) -> dict[str, Any]:
        return {"key": self.key, "artifact": self.artifact}

    def send(self, store: SharedExecutions) -> None:
        store.push(self.key)
