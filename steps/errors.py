"""Every exception that reaches a person, as one hierarchy; each class knows its exit code.

FourscoreError            1   something broke
├── InputError            2   the user's input is wrong: usage, problem file, data file
├── GateRefused           3   a gate said no: validation, leakage, thresholds
└── Interrupted         130   SIGINT or SIGTERM
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence


class FourscoreError(Exception):
    """Something broke that the reader may be able to mend; the message says how."""

    exit_code = 1


class InputError(FourscoreError, ValueError):
    """What the user gave is wrong; the message names the thing, what was found and what would work."""

    exit_code = 2


class GateRefused(FourscoreError):
    """A stage finished its work and says that the run must not go on; it is published with these reasons."""

    exit_code = 3

    def __init__(self, *reasons: str) -> None:
        super().__init__("\n".join(reasons))
        self.reasons: Sequence[str] = reasons


GO_ON = "run the same command to go on"


class Interrupted(FourscoreError):
    """A person or the machine asked the run to stop."""

    exit_code = 130


def refuse_full_disk(error: Exception) -> None:
    """A disk that is full is nobody's wrong input, whatever the library that met it makes of it.

    Raises:
        OSError: that is what the error is about.
    """
    if getattr(error, "errno", None) == errno.ENOSPC or os.strerror(errno.ENOSPC) in str(error):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
