"""Moments that are spread over several columns: year, month, day and hour."""

from __future__ import annotations

import re
from collections.abc import Sequence

from steps.tables.schema import Column

PARTS: tuple[tuple[str, str, int], ...] = (
    ("year", r"(year|yr|jahr|annee|anno|ano)", 0),
    ("month", r"(month|mnth|mon|mo|monat|mois|mes)", 100),
    ("week", r"(week|wk|weekofyear|woche)", 100),
    ("day", r"(day|dayofmonth|dayofyear|dy|dom|doy|tag|jour|dia)", 1000),
    ("hour", r"(hour|hr|hh|stunde|heure|hora)", 100),
    ("minute", r"(minute|mins?)", 100),
)
"""Words for the parts of a moment, the largest first, and the number that their values stay below."""


def is_part(name: str, words: str) -> bool:
    """Return whether a name is one of the words, alone or as the last part: dep_hour."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.strip()).lower()
    return re.fullmatch(rf"(.*[\W_])?{words}", spaced) is not None


def parts_of_moment(columns: Sequence[Column]) -> tuple[str, ...]:
    """Return the columns of whole numbers that spread a moment, the largest part first; empty for fewer than two.

    A lone hour or month returns again and again, and a lone year may be when a car was built.
    """
    whole = [column.name for column in columns if column.type == "integer" and not column.missing]
    parts = {}
    for part, words, _ in PARTS:
        fitting = [name for name in whole if is_part(name, words)]
        if len(fitting) == 1:
            parts[part] = fitting[0]
    if "month" in parts:
        parts.pop("week", None)
    dated = [part for part in ("year", "month", "week", "day") if part in parts]
    return tuple(parts.values()) if len(parts) >= 2 and dated and dated != ["week"] else ()
