"""Events of a journal, read as they are written, and their names and values as MLflow takes them."""

from __future__ import annotations

import hashlib
import json
import platform
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from steps.journal import Event

LONGEST_NAME = 240
"""MLflow takes 250 characters, of letters, digits, and ``_-. :/``, that do not read as another path."""


def allowed_name(name: str) -> str:
    """Return the name if MLflow takes it, else a similar one that no other name is changed to."""
    allowed = re.sub(r"[^\w.\- :/]", "_", name)
    parts = ["_" if part in ("", ".", "..") else part for part in allowed.split("/")]
    allowed = "/".join(parts)
    if allowed == name and len(name) <= LONGEST_NAME:
        return name
    return f"{allowed[:LONGEST_NAME]}-{hashlib.sha256(name.encode()).hexdigest()[:6]}"


def last_values(events: Iterable[Event]) -> dict[str, Event]:
    """Return the last event of every metric."""
    return {event["name"]: event for event in events if event["kind"] == "metric"}


def flat(problem: Mapping[str, Any]) -> dict[str, str]:
    """Return a problem as parameters: one per field of each section, deeper values as JSON."""
    fields: dict[str, Any] = {}
    for name, value in problem.items():
        if isinstance(value, Mapping):
            fields |= {f"{name}.{inner}": deeper for inner, deeper in value.items()}
        else:
            fields[name] = value
    return {
        allowed_name(name): value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for name, value in fields.items()
        if value not in (None, "", [], {})
    }


def key_of(workspace: Path) -> str:
    """Return a digest of this machine and workspace, which tells workspaces on a shared server apart."""
    return hashlib.sha256(f"{platform.node()}\0{workspace.absolute()}".encode()).hexdigest()[:12]
