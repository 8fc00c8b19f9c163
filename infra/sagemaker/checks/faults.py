"""What is wrong with a definition: each fault with its path, collected while everything is looked at."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any, Literal

_NAME = re.compile(r"[A-Za-z_][\w-]*")


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong, or that somebody should know of."""

    path: str
    """Such as ``Steps[1].Arguments.ProcessingInputs[0].S3Input.S3Uri``."""
    message: str
    """What was found there and what would work."""
    severity: Literal["error", "warning"] = "error"
    """A definition with an error is not sent."""

    def __str__(self) -> str:
        return f"{self.path or 'definition'}: {self.message}"


@dataclass
class Sheet:
    """Where faults are written down, each once."""

    faults: list[Fault] = field(default_factory=list)

    def error(self, path: str, message: str) -> None:
        self._add(Fault(path, message))

    def warning(self, path: str, message: str) -> None:
        self._add(Fault(path, message, "warning"))

    def _add(self, fault: Fault) -> None:
        if fault not in self.faults:
            self.faults.append(fault)


def below(path: str, name: str | int) -> str:
    """The path of a member or an item."""
    if isinstance(name, int):
        return f"{path}[{name}]"
    if not _NAME.fullmatch(name):
        return f"{path}[{shown(name)}]"
    return f"{path}.{name}" if path else name


def shown(value: Any) -> str:
    """A value as a message shows it, short."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else f"{text[:77]}..."


def kind(value: Any) -> str:
    """What a JSON value is, in words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return f"the boolean {json.dumps(value)}"
    if isinstance(value, (int, float)):
        return f"the number {value}"
    if isinstance(value, str):
        return f"the string {shown(value)}"
    return "a list" if isinstance(value, list) else "an object"
