"""Changing one place of a JSON document, named by a path such as ``Steps[1].Arguments.Environment['a b']``."""

import json
import re

GONE = object()
"""A value that says: take this member or item away."""
_TOKEN = re.compile(r"\.?([A-Za-z_][\w-]*)|\[(\d+)\]|\[(\"[^\"]*\")\]")


def tokens(path):
    """The members and items that a path goes through."""
    found, position = [], 0
    while position < len(path):
        match = _TOKEN.match(path, position)
        assert match, f"{path!r} is no path at {path[position:]!r}"
        name, index, quoted = match.groups()
        found.append(name or (int(index) if index else json.loads(quoted)))
        position = match.end()
    return found


def changed(document, path, value):
    """A copy in which the place holds ``value``, or is gone; a function is given what was there."""
    document = json.loads(json.dumps(document))
    *way, last = tokens(path)
    holder = document
    for step in way:
        holder = holder[step]
    if value is GONE:
        del holder[last]
    elif isinstance(holder, list) and last == len(holder):
        holder.append(value)
    else:
        holder[last] = value(holder[last]) if callable(value) else value
    return document


def places(value, path=""):
    """Every member and item of a document with what is there, the outer before the inner."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in items:
        plain = isinstance(name, str) and re.fullmatch(r"[A-Za-z_][\w-]*", name)
        step = (
            f"[{name}]"
            if isinstance(name, int)
            else (f".{name}" if path else name)
            if plain
            else f"[{json.dumps(name)}]"
        )
        yield path + step, inner
        yield from places(inner, path + step)
