"""The encoding of a text file, detected from its bytes, and its translation into UTF-8."""

from __future__ import annotations

import codecs
import io
import re
from pathlib import Path

from steps.errors import InputError

ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "latin-1", "cp1252")
_SAMPLE = 1 << 20
_CHUNK = 1 << 20
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins with the mark of UTF-16
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_EAST_ASIAN = (
    ("euc_kr", "euc_kr", 0xB0, 0xC8, False),
    ("gbk", "gb2312", 0xB0, 0xD7, False),
    ("big5", "big5", 0xA4, 0xC6, False),
    ("shift_jis", "shift_jis", 0x88, 0x97, True),
    ("euc_jp", "euc_jp", 0xB0, 0xCF, True),
)
"""Encodings with two bytes for a character: the codec, the first bytes of its frequent characters, and whether there must be kana.

Text that is read as the wrong one of them holds rare characters, or none at all.
"""
EAST_ASIAN = tuple(name for name, *_ in _EAST_ASIAN)
_FREQUENT, _DISTINCT = 0.9, 4
"""The share of frequent characters, and how many different ones, from which such an encoding is taken."""


def encoding_of(path: Path, name: str, *, whole: bool = True) -> str:
    """Detect the encoding of a file.

    A byte order mark tells it; otherwise text that decodes as UTF-8 is UTF-8, since other text hardly ever does; of the
    others, an East Asian one is taken if it gives frequent characters only, then cp1252 unless a byte is undefined in it.

    Args:
        whole: look at all of the file, not only at its start.

    Raises:
        InputError: the file is UTF-8 with damaged lines.
    """
    with path.open("rb") as file:
        start = file.read(_SAMPLE)
        for mark, encoding in _MARKS:
            if start.startswith(mark):
                return encoding
        if (wide := _without_mark(start)) is not None:
            return wide
    if _is_utf8(path, whole=whole):
        return "utf-8"
    return _eight_bit(path, name)


def _is_utf8(path: Path, *, whole: bool) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    with path.open("rb") as file:
        try:
            while chunk := file.read(_CHUNK):
                if not chunk.isascii() or decoder.getstate()[0]:
                    decoder.decode(chunk)
                if not whole:
                    return True
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    return True


def _without_mark(start: bytes) -> str | None:
    """Return UTF-16 without a byte order mark, in which every other byte of western text is zero; None for other text."""
    if b"\0" not in start:
        return None
    even, odd = start[0::2].count(0), start[1::2].count(0)
    if max(even, odd) < 0.3 * len(start) / 2 or min(even, odd) > 0.05 * max(even, odd):
        return None
    return "utf-16-le" if odd > even else "utf-16-be"


def _eight_bit(path: Path, name: str) -> str:
    """Return an 8-bit encoding, unless most lines with special characters are UTF-8: then the file is damaged UTF-8."""
    well_formed, wrong, first_line, undefined = 0, 0, 0, False
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if line.isascii():
                continue
            try:
                line.decode("utf-8")
                well_formed += 1
            except UnicodeDecodeError:
                wrong += 1
                first_line = first_line or number
                undefined = undefined or any(byte in line for byte in b"\x81\x8d\x8f\x90\x9d")
    if well_formed > wrong:
        raise InputError(
            f"{name}, line {first_line}: not readable as UTF-8, while {well_formed:,} other lines are; {wrong:,} "
            "lines are damaged. Fix the file, or give its encoding, such as encoding: cp1252 (or latin-1)"
        )
    return _east_asian(path) or ("latin-1" if undefined else "cp1252")


def _east_asian(path: Path) -> str | None:
    """Return the encoding with two bytes for a character in which nearly all special characters are frequent ones."""
    with path.open("rb") as file:
        start = file.read(_SAMPLE)
    if len(start) == _SAMPLE:
        start = start[: start.rfind(b"\n") + 1]
    shares = {}
    for name, codec, low, high, kana in _EAST_ASIAN:
        try:
            special = re.findall(r"[^\x00-\x7f]", start.decode(name))
        except UnicodeDecodeError:
            continue
        kinds = set(special)
        usual = {c for c in kinds if _frequent(c, codec, low, high, kana)}
        if len(usual) >= _DISTINCT and (not kana or any(map(_is_kana, usual))):
            shares[name] = sum(c in usual for c in special) / len(special)
    best = max(shares, key=lambda name: shares[name], default=None)
    return best if best is not None and shares[best] >= _FREQUENT else None


def _frequent(character: str, codec: str, low: int, high: int, kana: bool) -> bool:
    if kana and _is_kana(character):
        return True
    encoded = character.encode(codec, "ignore")
    return len(encoded) > 1 and low <= encoded[0] <= high


def _is_kana(character: str) -> bool:
    return "\u3040" <= character <= "\u30ff"


def looks_foreign(path: Path) -> bool:
    """Return whether most accented letters stand in threes or more, which no western European language does."""
    with path.open("rb") as file:
        runs = re.findall(rb"[\x80-\xff]+", file.read(_SAMPLE))
    return sum(len(run) for run in runs if len(run) > 2) > sum(map(len, runs)) / 2


def transcode(path: Path, encoding: str, target: Path, name: str) -> None:
    """Write the file as UTF-8 with line feeds as line ends.

    Raises:
        InputError: the file is not in that encoding, or no such encoding exists.
    """
    choices = f"use one of {', '.join(ENCODINGS)}"
    with path.open("rb") as file, target.open("w", encoding="utf-8", newline="") as out:
        try:
            reader = io.TextIOWrapper(file, codecs.lookup(encoding).name, newline="")
        except (LookupError, ValueError):  # ValueError also for codecs from bytes to bytes, such as hex
            raise InputError(f"{name}: {encoding!r} is not an encoding of text; {choices}") from None
        try:
            pending = ""
            while text := reader.read(_CHUNK):
                text = pending + text
                pending = "\r" if text.endswith("\r") else ""
                text = text[: len(text) - len(pending)]
                out.write(text.replace("\r\n", "\n").replace("\r", "\n"))
            out.write(pending.replace("\r", "\n"))
        except UnicodeError as error:
            raise InputError(f"{name}: cannot be read as {encoding}: {error}; {choices}") from None
