"""Misfortunes on demand: a spot instance taken away, capacity that is not there, an error inside SageMaker.

They stand in for what AWS does at times of its own choosing; nothing else in the emulator is random.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from steps.errors import InputError

INTERRUPTION, SLOW_DOWN = "interruption", "slow_down"
ERRORS = {
    "internal": "InternalServerError: We encountered an internal error. Please try again.",
    "capacity": "CapacityError: Unable to provision requested ML compute capacity. Please retry using a different ML instance type.",
    "throttling": "ThrottlingException: Rate exceeded",
    "limit": "ResourceLimitExceeded: The account-level service limit for this instance type is exceeded.",
}  # fmt: skip
KINDS = (INTERRUPTION, SLOW_DOWN, *ERRORS)


@dataclass(frozen=True)
class Disturbance:
    """What is to happen to the next job of a step."""

    kind: str
    """interruption (of a spot instance) | internal | capacity | throttling | limit | slow_down (S3 answers 503)"""
    step: str = ""
    """The step whose job is meant, by its name; empty: any."""
    times: int = 1
    """How often it happens; of a slow_down, how many requests are refused."""
    share: float = 1.0
    """Of a slow_down: which share of the requests is refused, spread evenly."""
    after_seconds: float | None = None
    """For an interruption: so long after the container started ..."""
    after_checkpoints: int | None = None
    """... or when the checkpoints have changed so often; the first that comes. Neither: after the first checkpoint."""

    @staticmethod
    def of(raw: Mapping[str, Any]) -> Disturbance:
        """From JSON.

        Raises:
            InputError: it is none.
        """
        try:
            found = Disturbance(**raw)
        except TypeError as error:
            raise InputError(f"no disturbance: {error}") from None
        if found.kind not in KINDS:
            raise InputError(f"a disturbance's kind is one of {', '.join(KINDS)}, found {found.kind!r}")
        return found


class Disturbances:
    """What is still to happen; each is taken as often as it says."""

    def __init__(self) -> None:
        self._waiting: list[Disturbance] = []
        self._asked = 0
        self._lock = threading.Lock()

    def add(self, disturbance: Disturbance) -> None:
        with self._lock:
            self._waiting.append(disturbance)

    def take(self, step: str, *kinds: str) -> Disturbance | None:
        """The first of these kinds that is meant for the step, counted as happened."""
        with self._lock:
            for index, each in enumerate(self._waiting):
                if each.kind in kinds and each.step in ("", step):
                    rest = Disturbance(**{**asdict(each), "times": each.times - 1})
                    self._waiting[index : index + 1] = [rest] if rest.times > 0 else []
                    return each
        return None

    def refuses(self) -> bool:
        """Whether the next request to S3 is one that is refused."""
        if not self._waiting:
            return False
        with self._lock:
            slow = next((each for each in self._waiting if each.kind == SLOW_DOWN), None)
            self._asked += 1
            due = slow is not None and int(self._asked * slow.share) > int((self._asked - 1) * slow.share)
        return due and self.take("", SLOW_DOWN) is not None

    def clear(self) -> None:
        with self._lock:
            self._waiting.clear()
