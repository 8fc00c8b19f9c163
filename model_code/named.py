"""A name resolved through a table of import strings: nothing is imported until it is used."""

from __future__ import annotations

from collections.abc import Mapping
from pkgutil import resolve_name
from typing import Any


def made(kind: str, name: str, table: Mapping[str, str]) -> Any:
    """An instance of the class that the table has under that name.

    Raises:
        ValueError: there is none; the message lists those that there are.
    """
    if name not in table:
        raise ValueError(f"unknown {kind} {name!r}; known are: {', '.join(table)}")
    return resolve_name(table[name])()
