"""The champion: a small file that the plan reads without a server, and its model as a source.

<workspace>/champions/<model name>.json    Champion, replaced atomically by a promotion
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from infra.files import write_json
from infra.sources.source import Document, Executions, SharedExecutions, Source
from steps.errors import InputError


@dataclass(frozen=True)
class Champion:
    """The model that new ones are compared with."""

    name: str
    run: str
    train_key: str
    model_digest: str
    version: str | None
    since: str


def read(workspace: Path, name: str) -> Champion | None:
    """Return the champion; None if no model was promoted.

    Raises:
        InputError: the file is not a champion.
    """
    path = workspace / "champions" / f"{name}.json"
    try:
        return Champion(**json.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError):
        raise InputError(f"{path}: not readable as a champion; remove it and promote a run again") from None


def write(workspace: Path, champion: Champion) -> None:
    (workspace / "champions").mkdir(parents=True, exist_ok=True)
    write_json(workspace / "champions" / f"{champion.name}.json", asdict(champion))


@dataclass(frozen=True)
class ChampionModel(Source):
    """The model of the champion; an empty directory if there is none."""

    key: str | None
    """Key of the execution that trained the model."""

    remedy = "run the champion's own problem again to train it anew, or promote another run"

    @classmethod
    def find(cls, problem: Document, folder: Path, workspace: Path) -> Self:  # noqa: ARG003  the workspace has it
        champion = read(workspace, problem["register_as"]["name"])
        return cls(champion.train_key if champion else None)

    @property
    def digest(self) -> str:
        return self.key or "none"

    def beside(self, keys: Mapping[str, str]) -> Self:
        """Drop a champion that this very training made: promoting it must not change the result."""
        return type(self)(None if self.key == keys.get("model") else self.key)

    def lay_out(self, directory: Path, store: Executions) -> Path:
        return store.open(self.key, "model") if self.key else directory

    def describe(self) -> dict[str, Any]:
        return {"key": self.key}

    def send(self, store: SharedExecutions) -> None:
        if self.key:
            store.push(self.key)
