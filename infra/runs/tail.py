"""The new lines of a journal that is still being written."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from steps.journal import Event


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
