"""Numbers and data as people read them. Whatever comes from data is hostile until it has been through here."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from markupsafe import Markup

from steps.evaluation.thresholds import digits

Estimate = Mapping[str, Any]
"""{"value", "low", "high"}: any of them may be None or absent."""

CUT = 90
_LARGE = 100_000
_SMALL, _THOUSANDS = 1e-3, 1000
_MOST_DECIMALS = 9
_SCALAR = str | int | float | bool
MINUS = "\N{MINUS SIGN}"
NOT_RECORDED = "not recorded"

_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u061c\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
"""Control, zero-width and direction-changing characters, lone surrogates: shown by their code, never obeyed."""
_OPEN, _CLOSE = "\x02", "\x03"
_PARTS = re.compile(f"({_OPEN}[^{_CLOSE}]*{_CLOSE}|`[^`{_OPEN}{_CLOSE}]*`)")
_BREAKS = re.compile(r"[\t\n\r]+")


def clean(value: object) -> str:
    """Text on one line with every character visible."""
    text = _BREAKS.sub(" ", value if isinstance(value, str) else str(value))
    return _INVISIBLE.sub(
        lambda match: (
            f"\N{MATHEMATICAL LEFT ANGLE BRACKET}U+{ord(match.group()):04X}\N{MATHEMATICAL RIGHT ANGLE BRACKET}"
        ),
        text,
    )


def cut(value: object, length: int = CUT) -> str:
    """Clean text of at most ``length`` characters; the middle goes first, since names often differ at their ends."""
    text = clean(str(value)[: 10 * length])
    if len(text) <= length and len(str(value)) <= 10 * length:
        return text
    tail = length // 4
    return f"{text[: length - tail - 1]}\N{HORIZONTAL ELLIPSIS}{clean(str(value)[-tail:])[-tail:]}"


def data(value: object, length: int = CUT) -> Markup:
    """A name or value that comes from data: escaped, cut, visible, and isolated so that its direction stays its own."""
    if value is None or value == "":
        return Markup('<bdi class="data none">{}</bdi>').format("(empty)")
    return Markup('<bdi class="data">{}</bdi>').format(cut(value, length))


def text(value: object, length: int = 4000) -> Markup:
    """Several lines as they are, every character visible."""
    return Markup("\n").join(clean(line) for line in str(value)[:length].splitlines())


def isolate(value: object, length: int = 40) -> str:
    """A name or value from data within a sentence for :func:`prose`: cut, its direction kept apart from the rest."""
    return f"{_OPEN}{cut(value, length)}{_CLOSE}"


def prose(text: object, length: int = 900) -> Markup:
    """A sentence of ours: ``code`` in backticks, isolated data; all else is escaped."""
    parts = _PARTS.split(str(text)[:length])
    return Markup("").join(
        Markup("<bdi>{}</bdi>").format(clean(part[1:-1]))
        if part.startswith(_OPEN)
        else Markup("<code>{}</code>").format(clean(part[1:-1]))
        if part.startswith("`") and part.endswith("`") and len(part) > 1
        else Markup("{}").format(clean(part))
        for part in parts
    )


def show(value: object, length: int = CUT) -> str:
    """A value of a document in words; lists and small mappings as such, anything deeper as compact JSON."""
    if value is None:
        return "\N{EN DASH}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return number(value) if isinstance(value, int) or abs(value) >= _LARGE else f"{value:.5g}".replace("-", MINUS)
    if isinstance(value, str):
        return cut(value, length)
    if isinstance(value, list | tuple) and all(isinstance(item, _SCALAR) for item in value):
        return cut(", ".join(show(item, length) for item in value), length)
    if isinstance(value, Mapping) and all(isinstance(item, _SCALAR) or item is None for item in value.values()):
        return cut(", ".join(f"{name}: {show(item, length)}" for name, item in value.items()), length)
    return cut(json.dumps(value, ensure_ascii=False, default=str), length)


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def number(value: object, decimals: int | None = None) -> str:
    """A number with thousands separators and a true minus; without ``decimals``, as many as its size deserves."""
    if not is_number(value):
        return "\N{EN DASH}"
    assert isinstance(value, int | float)
    if isinstance(value, int) and decimals is None:
        text = f"{value:,d}"
    else:
        text = f"{value:,.{_decimals_of_size(abs(value)) if decimals is None else decimals}f}"
        text = text.removeprefix("-") if not float(text.replace(",", "")) else text
    return text.replace("-", MINUS)


def exact(value: object) -> str:
    """A number that a person wrote, with all its digits and no more; anything else as :func:`show` has it."""
    if not is_number(value):
        return show(value)
    assert isinstance(value, int | float)
    sign, (whole, point, rest) = MINUS if value < 0 else "", digits(abs(value)).partition(".")
    return f"{sign}{int(whole):,d}{point}{rest}" if whole.isdigit() else f"{sign}{whole}{point}{rest}"


def _decimals_of_size(size: float) -> int:
    """Three digits that mean something for small numbers, none after the point for large ones."""
    if size == 0 or not math.isfinite(size):
        return 0
    places = 2 - math.floor(math.log10(size))
    return max(0, places) if size >= 1 else min(_MOST_DECIMALS, max(3, places))


def decimals_for(*estimates: Estimate, most: int = 4) -> int:
    """Two significant digits of the narrowest interval, at most ``most`` places; 3 where there is no interval.

    Numbers that are all below a thousandth get the places that three digits of the largest need.
    """
    values = [abs(e[name]) for e in estimates for name in ("low", "value", "high") if is_number(e.get(name))]
    size = max(values, default=0.0)
    most = max(most, _decimals_of_size(size)) if size < _SMALL else most
    widths = [e["high"] - e["low"] for e in estimates if is_number(e.get("low")) and is_number(e.get("high"))]
    widths = [width for width in widths if width > 0]
    if not widths:
        return max(3, _decimals_of_size(size)) if size < _SMALL else 3 if size < _THOUSANDS else 0
    return max(0, min(most, 1 - math.floor(math.log10(min(widths)))))


def signed(value: object, decimals: int) -> str:
    text = number(value, decimals)
    return f"+{text}" if is_number(value) and not text.startswith(MINUS) and float(text.replace(",", "")) else text


def interval(estimate: Estimate, decimals: int | None = None, *, sign: bool = False) -> str:
    """``0.853 to 0.884``, or an empty text where there is none."""
    if not (is_number(estimate.get("low")) and is_number(estimate.get("high"))):
        return ""
    places = decimals_for(estimate) if decimals is None else decimals
    write = signed if sign else number
    return f"{write(estimate['low'], places)} to {write(estimate['high'], places)}"


def percent(part: object, whole: object = 1) -> str:
    """A share in per cent; a share that is small but not nothing never reads as 0 %."""
    if not (is_number(part) and is_number(whole)) or not whole:
        return "\N{EN DASH}"
    share = 100 * part / whole  # type: ignore[operator]
    if 0 < share < 0.1:
        return "< 0.1 %"
    if 99.9 < share < 100:
        return "> 99.9 %"
    return f"{share:.0f} %" if share >= 10 or share == 0 else f"{share:.1f} %"


def seconds(value: object) -> str:
    """A duration: ``< 0.1 s``, ``0.4 s``, ``73 s``, ``12.5 min``."""
    if not is_number(value):
        return "\N{EN DASH}"
    assert isinstance(value, int | float)
    if value < 0.1:
        return "< 0.1 s"
    if value < 120:
        return f"{value:.1f} s" if value < 10 else f"{value:.0f} s"
    return f"{value / 60:.1f} min" if value < 7200 else f"{value / 3600:.1f} h"


def count(number_of: int, noun: str, plural: str | None = None) -> str:
    """``1 row``, ``1,204 rows``."""
    return f"{number(number_of)} {noun if number_of == 1 else plural or noun + 's'}"


def listed(items: Iterable[str], last: str = "and") -> str:
    """``a, b and c``."""
    words = list(items)
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}" if words else ""


class Scale:
    """Positions on a line, as per cent of its width, for what has to be drawn on it."""

    def __init__(self, values: Iterable[object]) -> None:
        finite = [float(value) for value in values if is_number(value)]  # type: ignore[arg-type]
        self.low, self.high = (min(finite), max(finite)) if finite else (0.0, 1.0)
        margin = 0.06 * (self.high - self.low) or 0.06 * abs(self.low) or 1.0
        self.low, self.high = self.low - margin, self.high + margin

    @classmethod
    def of(cls, estimates: Iterable[Estimate], *marks: object) -> Scale:
        return cls([*marks, *(estimate.get(name) for estimate in estimates for name in ("low", "value", "high"))])

    def at(self, value: object) -> str | None:
        """``37.50%``; None for what is no number or lies outside."""
        if not is_number(value) or not self.low <= float(value) <= self.high:  # type: ignore[arg-type]
            return None
        return f"{self._share(value):.2f}%"

    def reach(self, low: object, high: object) -> tuple[str, str] | None:
        """Start and width of what is inside of an interval; None where there is none."""
        if not (is_number(low) and is_number(high)):
            return None
        start, end = self._share(low), self._share(high)
        return f"{start:.2f}%", f"{end - start:.2f}%"

    def _share(self, value: Any) -> float:
        return 100 * min(1.0, max(0.0, (float(value) - self.low) / (self.high - self.low)))
