"""Classes that are the same word in another spelling: `Yes` and `yes`, `New York` and `New  York`."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable


def twins(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Return the classes that differ in case, blanks or the form of a letter only, those of one word together."""
    groups: dict[str, list[str]] = {}
    for name in names:
        word = " ".join(unicodedata.normalize("NFKC", name).split()).casefold()
        groups.setdefault(word, []).append(name)
    return [tuple(spellings) for spellings in groups.values() if len(spellings) > 1]
