"""Arguments of a step against what the API takes: members, types, enumerations, patterns, lengths and ranges."""

from __future__ import annotations

import math
import re
from typing import Any

from infra.sagemaker.checks.expressions import Scope, is_expression
from infra.sagemaker.checks.faults import below, kind, shown
from infra.sagemaker.shapes import ARGUMENTS, shapes, source
from steps.errors import near

_FITS = {
    "string": ("String",),
    "timestamp": ("String",),
    "integer": ("Integer",),
    "long": ("Integer",),
    "float": ("Float", "Integer"),
    "double": ("Float", "Integer"),
    "boolean": ("Boolean",),
}
"""Type of the API -> types of expressions that may stand there."""
_BY_PIPELINE = ("ProcessingJobName", "TrainingJobName")
"""Members that the pipeline fills in itself."""


class Arguments:
    """The check of one step's arguments."""

    def __init__(self, scope: Scope, user: str) -> None:
        self.scope = scope
        self.sheet = scope.sheet
        self.user = user

    def step(self, type_: str, value: Any, path: str) -> None:
        """Check the arguments of a step that makes an API call."""
        self.check(value, ARGUMENTS[type_], path)

    def check(self, value: Any, name: str, path: str) -> None:
        """Compare a value with the shape of that name and go on inside it."""
        shape = shapes()[name]
        type_ = shape["type"]
        if is_expression(value):
            self._expression(value, name, shape, path)
        elif type_ == "structure":
            self._structure(value, name, shape, path)
        elif type_ == "list":
            self._list(value, shape, path)
        elif type_ == "map":
            self._map(value, shape, path)
        else:
            self._scalar(value, name, shape, path, "is ")

    def _structure(self, value: Any, name: str, shape: dict[str, Any], path: str) -> None:
        if not isinstance(value, dict):
            self.sheet.error(path, f"is {kind(value)}; wanted an object ({name})")
            return
        known = shape["members"]
        for member in shape.get("required", []):
            if member not in value and member not in _BY_PIPELINE:
                self.sheet.error(below(path, member), f"is missing; {name} wants it")
        for member, inner in value.items():
            inside = below(path, member)
            if member in _BY_PIPELINE:
                self.sheet.error(inside, "is given by the pipeline to each job that it starts; leave it out")
            elif member not in known:
                self.sheet.error(inside, f"{name} has no such member{near(member, list(known)) or _members(known)}")
            else:
                self.check(inner, known[member], inside)

    def _list(self, value: Any, shape: dict[str, Any], path: str) -> None:
        if not isinstance(value, list):
            self.sheet.error(path, f"is {kind(value)}; wanted a list")
            return
        self._count(len(value), shape, path, "items")
        for index, item in enumerate(value):
            self.check(item, shape["member"], below(path, index))

    def _map(self, value: Any, shape: dict[str, Any], path: str) -> None:
        if not isinstance(value, dict):
            self.sheet.error(path, f"is {kind(value)}; wanted an object of names and values")
            return
        self._count(len(value), shape, path, "entries")
        for key, item in value.items():
            inside = below(path, key)
            self._text(key, shape["key"], shapes()[shape["key"]], inside, "has the name ")
            self.check(item, shape["value"], inside)

    def _count(self, found: int, shape: dict[str, Any], path: str, what: str) -> None:
        if found > shape.get("max", math.inf):
            self.sheet.error(path, f"has {found} {what}; at most {shape['max']} are taken")
        if found < shape.get("min", 0):
            self.sheet.error(path, f"has {found} {what}; at least {shape['min']} are wanted")

    def _expression(self, value: dict[str, Any], name: str, shape: dict[str, Any], path: str) -> None:
        type_ = shape["type"]
        given = self.scope.type_of(value, path, self.user)
        if type_ not in _FITS:
            self.sheet.error(
                path, f"is the expression {shown(value)}; wanted a {type_} ({name}): expressions give single values"
            )
            return
        if given is not None and given not in _FITS[type_]:
            self.sheet.error(path, f"{shown(value)} gives {_article(given)}; {_remedy(value, type_)}")
            return
        for sample, words in self.scope.samples(value):
            self._scalar(sample, name, shape, path, words)
        if type_ == "string":
            self._join(value, shape, path)

    def _join(self, value: dict[str, Any], shape: dict[str, Any], path: str) -> None:
        """What is fixed in a joined string: its least length, and how it begins."""
        joined = value.get("Std:Join")
        if not isinstance(joined, dict) or not isinstance(joined.get("Values"), list):
            return
        fixed = [each for each in joined["Values"] if isinstance(each, str)]
        least = sum(map(len, fixed)) + len(str(joined.get("On", ""))) * (len(joined["Values"]) - 1)
        if least > shape.get("max", math.inf):
            self.sheet.error(
                path, f"has {least} characters and more when it is joined; at most {shape['max']} are taken"
            )
        first = joined["Values"][0] if joined["Values"] else None
        if (
            "s3)://" in shape.get("pattern", "")
            and isinstance(first, str)
            and not first.startswith(("s3://", "https://"))
        ):
            self.sheet.error(path, f"begins with {shown(first)}; wanted s3://BUCKET/...")

    def _scalar(self, value: Any, name: str, shape: dict[str, Any], path: str, words: str) -> None:
        type_ = shape["type"]
        if type_ in ("string", "timestamp"):
            if isinstance(value, str):
                self._text(value, name, shape, path, words)
            else:
                self.sheet.error(path, f"{words}{kind(value)}; wanted a string{_quoted(value)}")
        elif type_ == "boolean":
            if not isinstance(value, bool):
                self.sheet.error(path, f"{words}{kind(value)}; wanted true or false")
        else:
            self._number(value, type_, shape, path, words)

    def _number(self, value: Any, type_: str, shape: dict[str, Any], path: str, words: str) -> None:
        whole = type_ in ("integer", "long")
        wanted = "a whole number" if whole else "a number"
        if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
            self.sheet.error(path, f"{words}{kind(value)}; wanted {wanted}")
        elif not shape.get("min", -math.inf) <= value <= shape.get("max", math.inf):
            low, high = shape.get("min", "no limit"), shape.get("max", "no limit")
            self.sheet.error(path, f"{words}{value}; wanted {wanted} from {low} to {high}")

    def _text(self, value: str, name: str, shape: dict[str, Any], path: str, words: str) -> None:
        if "enum" in shape:
            if value not in shape["enum"]:
                newer = f"; if it is newer than {source()}, update that and run 'python -m infra.sagemaker.shapes'"
                hint = near(value, shape["enum"]) or (newer if len(shape["enum"]) > 40 else _members(shape["enum"]))
                self.sheet.error(path, f"{words}{shown(value)}, which is no {name}{hint}")
            return
        if not shape.get("min", 0) <= len(value) <= shape.get("max", math.inf):
            low, high = shape.get("min", 0), shape.get("max", "no limit")
            self.sheet.error(path, f"{words}{shown(value)} with {len(value)} characters; wanted {low} to {high}")
        if "pattern" in shape and not re.fullmatch(shape["pattern"], value):
            self.sheet.error(path, f"{words}{shown(value)}; wanted {name}, which looks like {shape['pattern']}")


def _members(known: Any) -> str:
    return f"; there are: {', '.join(sorted(known))}" if len(known) <= 40 else ""


def _article(type_: str) -> str:
    return f"an {type_}" if type_ == "Integer" else f"a {type_}"


def _remedy(value: dict[str, Any], type_: str) -> str:
    if type_ != "string":
        return f"wanted {_article(_FITS[type_][0])}"
    joined = shown({"Std:Join": {"On": "", "Values": [value]}})
    return f"wanted a String: {joined}"


def _quoted(value: Any) -> str:
    plain = isinstance(value, (int, float)) and not isinstance(value, bool)
    return f', such as "{value}"' if plain else ""
