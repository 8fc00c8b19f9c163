"""Numbers, names and lists in words, as messages, report, card, terminal and registry write them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from difflib import get_close_matches

CUT = 90
MINUS, UNKNOWN = "\N{MINUS SIGN}", "\N{EN DASH}"
_MOST_DECIMALS = 9
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u061c\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
"""Control, zero-width and direction-changing characters, lone surrogates: shown by their code, never obeyed."""
OPEN, CLOSE = "\x02", "\x03"
"""Around a name or value from data within a sentence, so that whoever lays it out can set it apart."""
_LEAST, _MOST = 1e-9, 1e16
"""Between them a number is written without an exponent."""
_BREAKS = re.compile(r"[\t\n\r]+")


def clean(value: object) -> str:
    """Return text on one line with every character visible."""
    text = _BREAKS.sub(" ", value if isinstance(value, str) else str(value))
    return _INVISIBLE.sub(
        lambda match: (
            f"\N{MATHEMATICAL LEFT ANGLE BRACKET}U+{ord(match.group()):04X}\N{MATHEMATICAL RIGHT ANGLE BRACKET}"
        ),
        text,
    )


def cut(value: object, length: int = CUT) -> str:
    """Return clean text of at most ``length`` characters; the middle goes first, since names often differ at their ends."""
    text = clean(str(value)[: 10 * length])
    if len(text) <= length and len(str(value)) <= 10 * length:
        return text
    tail = length // 4
    return f"{text[: length - tail - 1]}\N{HORIZONTAL ELLIPSIS}{clean(str(value)[-tail:])[-tail:]}"


def isolate(value: object, length: int = 40) -> str:
    """Return a name or value from data for use within a sentence: cut, and marked as such."""
    return f"{OPEN}{cut(value, length)}{CLOSE}"


def unmarked(sentence: str) -> str:
    """Return a sentence without the marks around names from data, for media that need none."""
    return sentence.replace(OPEN, "").replace(CLOSE, "")


def number(value: float | None, decimals: int | None = None) -> str:
    """Return a number with thousands separators and a true minus; without ``decimals``, as many as its size deserves."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    if isinstance(value, int) and decimals is None:
        text = f"{value:,d}"
    else:
        text = f"{value:,.{decimals_of_size(abs(value)) if decimals is None else decimals}f}"
        text = text.removeprefix("-") if not float(text.replace(",", "")) else text
    return text.replace("-", MINUS)


def exact(value: float) -> str:
    """Return a number that a person wrote, with all its digits and no more."""
    sign, (whole, point, rest) = MINUS if value < 0 else "", digits(abs(value)).partition(".")
    return f"{sign}{int(whole):,d}{point}{rest}" if whole.isdigit() else f"{sign}{whole}{point}{rest}"


def signed(value: float | None, decimals: int) -> str:
    """Return a difference with its sign."""
    text = number(value, decimals)
    return f"+{text}" if value is not None and value > 0 and float(text.replace(",", "")) else text


def decimals_of_size(size: float) -> int:
    """Return the places that give small numbers three digits that mean something, and large ones none."""
    if size == 0 or not math.isfinite(size):
        return 0
    places = 2 - math.floor(math.log10(size))
    return max(0, places) if size >= 1 else min(_MOST_DECIMALS, max(3, places))


def percent(part: float | None, whole: float = 1) -> str:
    """Return a share in per cent; a share that is small but not nothing never reads as 0 %."""
    if part is None or not whole:
        return UNKNOWN
    share = 100 * part / whole
    if 0 < share < 0.1:
        return "< 0.1 %"
    if 99.9 < share < 100:
        return "> 99.9 %"
    return f"{share:.0f} %" if share >= 10 or share == 0 else f"{share:.1f} %"


def count(number_of: int, noun: str, plural: str | None = None) -> str:
    """Return ``1 row``, ``1,204 rows``."""
    return f"{number(number_of)} {noun if number_of == 1 else plural or noun + 's'}"


def digits(bound: float) -> str:
    """Return the digits that a person wrote, all of them and no more: 0.65, 1234567, 0.00001."""
    text = repr(float(bound)).removesuffix(".0")
    return f"{Decimal(text):f}" if "e" in text and _LEAST <= abs(bound) < _MOST else text


def near(name: str, names: Sequence[str]) -> str:
    """Return a hint, ready to be put into a message, or nothing."""
    lower = {candidate.lower(): candidate for candidate in names}
    close = [lower[candidate] for candidate in get_close_matches(name.lower(), list(lower), n=3, cutoff=0.6)]
    return f"; did you mean {' or '.join(map(repr, close))}?" if close else ""


def absent(column: str, columns: Sequence[str]) -> str:
    """Return that a table has no such column, with what would work."""
    return f"the table has no column {column!r}{near(column, columns)}; its columns are: {', '.join(columns)}"


def listed(items: Iterable[str], last: str = "and") -> str:
    """Return ``a, b and c``."""
    words = list(items)
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}" if words else ""


def install(extra: str) -> str:
    """Return what makes an optional part available; the name is not one that a package registry may know as somebody else's."""
    return f"install the extra {extra}, in the folder with Fourscore's pyproject.toml: pip install -e '.[{extra}]'"
