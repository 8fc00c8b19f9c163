"""The champion: a small file beside the store that the plan reads without MLflow, and its model as a source.

<workspace>/champions/<model name>.json    Champion, replaced atomically by a promotion
<root>/champions/<model name>.json         the same on S3 where a store is shared; the workspace has a copy
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from infra.files import digest_of
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
    previous: str | None = None
    """The run of the champion before."""
    approved_by: tuple[str, ...] = ()
    """Names of the approvers on whose decisions it was promoted."""


def read(store: Executions, name: str) -> Champion | None:
    """Return the champion; None if no model was promoted.

    Raises:
        InputError: the file is not a champion, or was changed.
    """
    data = store.get(_name(name))
    if data is None:
        return None
    try:
        content = json.loads(data)
        is_whole = content.pop("digest", digest_of(content)) == digest_of(content)
        champion = Champion(**content | {"approved_by": tuple(content.get("approved_by", ()))})
    except (ValueError, TypeError, AttributeError):
        is_whole = False
    if not is_whole:
        path = store.workspace / _name(name)
        raise InputError(f"{path}: not readable as a champion; remove it and promote a run again")
    return champion


def write(store: Executions, champion: Champion, before: Champion | None = None) -> bool:
    """Make it the champion for all users of the store, unless another one took the place of ``before`` meanwhile.

    Returns:
        Whether it is the champion now.
    """
    data = store.get(_name(champion.name))
    content = asdict(champion)
    text = json.dumps({**content, "digest": digest_of(content)}, indent=1, ensure_ascii=False)
    return read(store, champion.name) == before and store.swap(_name(champion.name), data, f"{text}\n".encode())


def _name(name: str) -> str:
    return f"champions/{name}.json"


@dataclass(frozen=True)
class ChampionModel(Source):
    """The model of the champion; an empty directory if there is none."""

    key: str | None
    """Key of the execution that trained the model."""

    remedy = "run the champion's own problem again to train it anew, or promote another run"

    @classmethod
    def find(cls, problem: Document, folder: Path, store: Executions) -> Self:  # noqa: ARG003  the store has it
        champion = read(store, problem["register_as"]["name"] or problem["name"])
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
