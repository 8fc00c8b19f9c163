"""Text, values and positions as HTML. Whatever comes from data is hostile until it has been through here."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from markupsafe import Markup

from steps import wording
from steps.evaluation.document import Estimate
from steps.wording import CLOSE, CUT, OPEN, UNKNOWN, clean, cut, number

_LARGE = 100_000
_SCALAR = str | int | float | bool
NO_ENDS = (None, None)
_PARTS = re.compile(f"({OPEN}[^{CLOSE}]*{CLOSE}|`[^`{OPEN}{CLOSE}]*`)")


def data(value: object, length: int = CUT) -> Markup:
    """Return a name or value from data: escaped, cut, visible, and isolated so that its direction stays its own."""
    if value is None or value == "":
        return Markup('<bdi class="data none">{}</bdi>').format("(empty)")
    return Markup('<bdi class="data">{}</bdi>').format(cut(value, length))


def text(value: object, length: int = 4000) -> Markup:
    """Return several lines as they are, every character visible."""
    return Markup("\n").join(clean(line) for line in str(value)[:length].split("\n"))


def prose(text: object, length: int = 900) -> Markup:
    """Return a sentence of ours: ``code`` in backticks, names from data isolated; all else is escaped."""
    parts = _PARTS.split(str(text)[:length])
    return Markup("").join(
        Markup("<bdi>{}</bdi>").format(clean(part[1:-1]))
        if part.startswith(OPEN)
        else Markup("<code>{}</code>").format(clean(part[1:-1]))
        if part.startswith("`") and part.endswith("`") and len(part) > 1
        else Markup("{}").format(clean(part))
        for part in parts
    )


def style_text(value: object) -> Markup:
    """Return text for a string of the style sheet: letters and digits, everything else as CSS escapes it."""
    escaped = "".join(c if c.isascii() and c.isalnum() else f"\\{ord(c):x} " for c in cut(value, 80))
    return Markup(escaped)  # noqa: S704  nothing but letters, digits, backslashes and blanks


def show(value: object, length: int = CUT) -> str:
    """Return a JSON value in words; lists and small mappings as such, anything deeper as compact JSON."""
    if value is None:
        return UNKNOWN
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        large = isinstance(value, int) or abs(value) >= _LARGE
        return number(value) if large else f"{value:.5g}".replace("-", wording.MINUS)
    if isinstance(value, str):
        return cut(value, length)
    if isinstance(value, list | tuple) and all(isinstance(item, _SCALAR) for item in value):
        return cut(", ".join(show(item, length) for item in value), length)
    if isinstance(value, Mapping) and all(isinstance(item, _SCALAR) or item is None for item in value.values()):
        return cut(", ".join(f"{name}: {show(item, length)}" for name, item in value.items()), length)
    return cut(json.dumps(value, ensure_ascii=False, default=str), length)


def exact(value: object) -> str:
    """Return a value of a problem file: a number with all its digits, anything else as :func:`show` has it."""
    return wording.exact(value) if isinstance(value, int | float) and not isinstance(value, bool) else show(value)


def seconds(value: float) -> str:
    """Return a duration: ``< 0.1 s``, ``0.4 s``, ``73 s``, ``12.5 min``."""
    if value < 0.1:
        return "< 0.1 s"
    if value < 120:
        return f"{value:.1f} s" if value < 10 else f"{value:.0f} s"
    return f"{value / 60:.1f} min" if value < 7200 else f"{value / 3600:.1f} h"


def share(part: float, whole: float) -> str:
    """Return the width of a bar, as per cent of its track."""
    return f"{100 * part / whole if whole else 0:.2f}%"


class Scale:
    """Positions on a line, as per cent of its width, for everything that is drawn on it."""

    def __init__(
        self, estimates: Iterable[Estimate], *marks: float | None, within: tuple[float | None, float | None] = NO_ENDS
    ) -> None:
        """Lay out a scale around estimates and marks, no further than the values that exist (``within``)."""
        ends = [*marks, *(end for e in estimates for end in (e.low, e.value, e.high))]
        values = [end for end in ends if end is not None]
        self.low, self.high = (min(values), max(values)) if values else (0.0, 1.0)
        margin = 0.06 * (self.high - self.low) or 0.06 * abs(self.low) or 1.0
        low, high = within
        self.low = self.low - margin if low is None else max(low, self.low - margin)
        self.high = self.high + margin if high is None else min(high, self.high + margin)

    def at(self, value: float | None) -> str | None:
        """Return ``37.50%``; None for nothing, or what lies outside."""
        return None if value is None or not self.low <= value <= self.high else f"{self._share(value):.2f}%"

    def reach(self, estimate: Estimate) -> tuple[str, str] | None:
        """Return start and width of the part of an interval that is inside; None where there is no interval."""
        if estimate.low is None or estimate.high is None:
            return None
        start, end = self._share(estimate.low), self._share(estimate.high)
        return f"{start:.2f}%", f"{end - start:.2f}%"

    def _share(self, value: Any) -> float:
        return 100 * min(1.0, max(0.0, (float(value) - self.low) / (self.high - self.low)))
