"""Which model is the champion: a small file that the plan reads without asking any server.

<workspace>/champions/<model name>.json    Champion, replaced atomically by a promotion
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from infra.files import write_json
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
    """The champion, or None where nothing was promoted.

    Raises:
        InputError: the file is not what a promotion writes.
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
