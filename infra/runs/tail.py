"""Reading the new lines of a journal that is still being written."""

import json
from dataclasses import dataclass
from pathlib import Path

from steps.journal import Event


@dataclass
class Tail:
    """The position in a journal, which may move to the store while it is read; its bytes stay the same."""

    offset: int = 0

    def read(self, path: Path) -> list[Event]:
        """Return the events of the complete lines since the last call; none while the file is moved."""
        try:
            with path.open("rb") as file:
                if file.seek(0, 2) < self.offset:
                    self.offset = 0  # another journal; its reader recognises repeated events
                file.seek(self.offset)
                data = file.read()
        except FileNotFoundError:
            return []
        complete = data[: data.rfind(b"\n") + 1]
        events = [json.loads(line) for line in complete.splitlines()]
        self.offset += len(complete)
        return events
