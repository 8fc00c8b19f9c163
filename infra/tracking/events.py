"""Reading what is new in a journal, and saying it in names and values that a tracker takes."""

from __future__ import annotations

import hashlib
import json
import platform
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steps.journal import Event

LONGEST_NAME = 240
"""MLflow takes 250 characters, of letters, digits, and ``_-. :/``, that do not read as another path."""


@dataclass
class Tail:
    """How far a journal was read; the journal may move to the store while it is read, its bytes stay the same."""

    offset: int = 0
    count: int = 0

    def read(self, path: Path) -> list[Event]:
        """The complete lines since the last call; none when the file is just being moved."""
        try:
            with path.open("rb") as file:
                if file.seek(0, 2) < self.offset:
                    self.offset = self.count = 0  # another journal; what it repeats is recognised where it is written
                file.seek(self.offset)
                data = file.read()
        except FileNotFoundError:
            return []
        complete = data[: data.rfind(b"\n") + 1]
        events = [json.loads(line) for line in complete.splitlines()]
        self.offset += len(complete)
        self.count += len(events)
        return events


def allowed_name(name: str) -> str:
    """The name itself where MLflow takes it, else one like it that no other name becomes."""
    kept = re.sub(r"[^\w.\- :/]", "_", name)
    parts = ["_" if part in ("", ".", "..") else part for part in kept.split("/")]
    kept = "/".join(parts)
    if kept == name and len(name) <= LONGEST_NAME:
        return name
    return f"{kept[:LONGEST_NAME]}-{hashlib.sha256(name.encode()).hexdigest()[:6]}"


def last_values(events: Iterable[Event]) -> dict[str, Event]:
    """Of every metric its last event."""
    return {event["name"]: event for event in events if event["kind"] == "metric"}


def flat(problem: Mapping[str, Any]) -> dict[str, str]:
    """A problem as parameters: one per field of each section; what lies deeper as JSON."""
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
    """Which workspace a run is of, where several share a server: this machine and this place, not spelled out."""
    return hashlib.sha256(f"{platform.node()}\0{workspace.absolute()}".encode()).hexdigest()[:12]
