"""Every exception that reaches a person, as one hierarchy; each class knows its exit code.

FourscoreError            1   something broke
├── InputError            2   the user's input is wrong: usage, problem file, data file
├── GateRefused           3   a gate said no: validation, leakage, thresholds
└── Interrupted         130   SIGINT or SIGTERM
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Sequence
from difflib import get_close_matches


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


def install(extra: str) -> str:
    """What makes an optional part available; the name is not one that a package registry may know as somebody else's."""
    return f"install the extra {extra}, in the folder with Fourscore's pyproject.toml: pip install -e '.[{extra}]'"


def near(name: str, names: Sequence[str]) -> str:
    """A hint, ready to be put into a message, or nothing."""
    lower = {candidate.lower(): candidate for candidate in names}
    close = [lower[candidate] for candidate in get_close_matches(name.lower(), list(lower), n=3, cutoff=0.6)]
    return f"; did you mean {' or '.join(map(repr, close))}?" if close else ""


def listed(items: Iterable[str], last: str = "and") -> str:
    """Return ``a, b and c``."""
    words = list(items)
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}" if words else ""
