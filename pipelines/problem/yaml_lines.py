"""YAML documents with the line of every value, and validation errors that name file and line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from steps.define import Fault
from steps.errors import InputError
from steps.wording import near

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
Location = tuple[str | int, ...]
_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)
_TEXT = "tag:yaml.org,2002:str"
DEEPEST = 50
"""The deepest nesting of brackets or indentation; a problem has six levels."""


@dataclass(frozen=True)
class Document:
    """A YAML document with the line of every key and value in it, and the ``--set`` overrides of its content."""

    path: Path
    content: dict[str, Any]
    lines: Mapping[Location, int] = field(default_factory=dict)
    overrides: Mapping[str, str] = field(default_factory=dict)

    def override(self, overrides: Mapping[str, str]) -> Document:
        """Return the document with other values in its content.

        Raises:
            InputError: a value is not YAML, or its key leads nowhere.
        """
        content: dict[str, Any] = json.loads(json.dumps(self.content, default=str))
        for key, text in overrides.items():
            _set(content, key, text)
        return replace(self, content=content, overrides=overrides)

    def place(self, location: Location) -> str:
        """Return the ``--set`` that decides a location, or ``file:line`` of it or its nearest parent in the document."""
        dotted = ".".join(map(str, location))
        absent = location not in self.lines
        for key, value in self.overrides.items():
            if f"{dotted}.".startswith(f"{key}.") or (absent and key.startswith(f"{dotted}.")):
                return f"--set {key}={value}"
        nearest = location
        while nearest and nearest not in self.lines:
            nearest = nearest[:-1]
        return f"{self.path}:{self.lines.get(nearest, 1)}"

    def refuse(self, faults: Iterable[Fault]) -> None:
        """Refuse the document if it has faults.

        Raises:
            InputError: it has; one line per fault.
        """
        if lines := [f"{self.place(location)}: {text}" for location, text in faults]:
            raise InputError("\n".join(lines))


def read(path: Path) -> Document:
    """Read a YAML file that holds a mapping.

    Raises:
        InputError: the file is missing, not UTF-8, not a mapping, or its text is refused by :func:`parse`.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError(_missing(path)) from None
    except IsADirectoryError:
        raise InputError(
            f"{path} is a directory; give the problem file in it, such as {path / 'problem.yaml'}"
        ) from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 at byte {error.start}; save the file as UTF-8") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    content, lines = parse(path, text)
    if not isinstance(content, dict):
        kind = "nothing" if content is None else f"a {type(content).__name__}"
        raise InputError(
            f"{path}:1: a problem file has 'key: value' lines, and this one holds {kind}; 'fourscore new' writes one"
        )
    return Document(path, content, lines)


def parse(source: Path | str, text: str) -> tuple[Any, Mapping[Location, int]]:
    """Return the content of a YAML text, and the line of every key and value in it.

    Args:
        source: the name of the text in messages.

    Raises:
        InputError: the text is not YAML, has a key twice, or uses aliases or nesting by which a small text can stand for a
            huge content.
    """
    lines: dict[Location, int] = {}
    try:
        _check_events(source, text)
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            _number(source, node, (), lines)
            return loader.construct_document(node) if node is not None else None, lines
        finally:
            loader.dispose()
    except InputError:
        raise
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise InputError(f"{source}:{mark.line + 1 if mark else 1}: not valid YAML: {error.problem}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise InputError(f"{source}: not valid YAML: {error}") from None


def _check_events(source: Path | str, text: str) -> None:
    """Refuse aliases, tags, keys that are collections and deep nesting, before any object is built."""
    inside: list[Any] = []  # for each open mapping, whether a key comes next; None for a sequence
    for event in yaml.parse(text, Loader=_Loader):
        place = f"{source}:{event.start_mark.line + 1}" if event.start_mark else f"{source}:1"
        if isinstance(event, yaml.AliasEvent):
            raise InputError(f"{place}: *{event.anchor} repeats another part of the file; write it out")
        if isinstance(event, yaml.CollectionEndEvent):
            inside.pop()
        elif isinstance(event, yaml.NodeEvent):
            if tag := getattr(event, "tag", None):
                raise InputError(f"{place}: the tag {tag} is not allowed; write the value alone")
            is_key = bool(inside) and inside[-1]
            if is_key and not isinstance(event, yaml.ScalarEvent):
                raise InputError(f"{place}: a key is a list or a mapping; write a name, such as 'target: ...'")
            if inside and inside[-1] is not None:
                inside[-1] = not is_key
            if isinstance(event, yaml.CollectionStartEvent):
                inside.append(True if isinstance(event, yaml.MappingStartEvent) else None)
        if len(inside) > DEEPEST:
            raise InputError(f"{place}: nested more than {DEEPEST} levels deep; a problem file has six")


def check_depth(path: Path, text: str) -> None:
    """Check that JSON is not nested too deep; brackets in quotes do not count.

    Raises:
        InputError: it is; the message names the line.
    """
    depth = 0
    for match in _BRACKETS.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(match.group(), 0)
        if depth > DEEPEST:
            line = text.count("\n", 0, match.start()) + 1
            raise InputError(f"{path}:{line}: nested more than {DEEPEST} levels deep; an expectation has four")


def _missing(path: Path) -> str:
    folder = path.parent
    nearby = (
        sorted({*folder.glob("*.yaml"), *folder.glob("*.yml"), *folder.glob("*/problem.yaml")})
        if folder.is_dir()
        else []
    )
    hint = (
        f"; nearby: {', '.join(map(str, nearby[:4]))}"
        if nearby
        else "; 'fourscore new DIR --data FILE --target COLUMN' writes one"
    )
    return f"no problem file {path}{hint}"


def _number(source: Path | str, node: Any, location: Location, lines: dict[Location, int]) -> None:
    if node is None:
        return
    lines.setdefault(location, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            key.tag = _TEXT  # a key is a name, though YAML 1.1 takes on, yes and no for true and false
            child = (*location, key.value)
            line = key.start_mark.line + 1
            if child in lines:
                raise InputError(
                    f"{source}:{line}: {'.'.join(map(str, child))} is given twice; the first is on line {lines[child]}"
                )
            lines[child] = line
            _number(source, value, child, lines)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _number(source, value, (*location, index), lines)


def _set(content: dict[str, Any], key: str, text: str) -> None:
    """Set the value at a dotted key; sections on the way there that are absent are added."""
    *parents, last = key.split(".")
    section: Any = content
    for parent in parents:
        if isinstance(section, dict) and section.get(parent) is None:
            section[parent] = {}
        section = _enter(section, parent, key)
    try:
        value, _ = parse(f"--set {key}", text)
    except InputError as error:
        raise InputError(f"{error}. If text is meant, quote it: --set {key}='\"...\"'") from None
    if isinstance(section, list):
        _enter(section, last, key)
        section[int(last)] = value
    elif isinstance(section, dict):
        section[last] = value
    else:
        raise InputError(f"--set {key}: {'.'.join(parents)} is a single value without fields")


def _enter(section: Any, name: str, key: str) -> Any:
    if isinstance(section, list):
        if not name.isdigit() or int(name) >= len(section):
            raise InputError(f"--set {key}: {name!r} is not an index of a list of {len(section)}; indices start at 0")
        return section[int(name)]
    if isinstance(section, dict):
        return section[name]
    raise InputError(f"--set {key}: the parent of {name!r} is a single value without fields")


def complain(
    document: Document, error: ValidationError, model: type[BaseModel], shared: Mapping[str, str]
) -> InputError:
    """Return a pydantic error as one line per fault: file, line, the wrong value, what would work.

    Args:
        shared: names of fields that are not written in sections -> where they are written.
    """
    return InputError("\n".join(_fault(document, fault, model, shared) for fault in error.errors(include_url=False)))


def _fault(document: Document, fault: Any, model: type[BaseModel], shared: Mapping[str, str]) -> str:
    location: Location = tuple(fault["loc"])
    dotted = ".".join(map(str, location))
    place = document.place(location)
    if fault["type"] == "extra_forbidden" and len(location) == 2 and (origin := shared.get(str(location[1]))):
        return f"{place}: {dotted}: it follows from {origin} and is not written here"
    if fault["type"] == "extra_forbidden":
        fields = _fields(model, location[:-1])
        choices = near(str(location[-1]), fields) or f"; the keys are: {', '.join(fields)}"
        return f"{place}: unknown key {dotted!r}{choices}"
    if fault["type"] == "missing":
        return f"{place}: {dotted!r} is missing"
    message = fault["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    message = message.replace("Input should be", "should be")
    value = repr(fault["input"])
    if fault["type"] == "string_type" and not isinstance(fault["input"], dict | list):
        value += _as_text(place, fault["input"])
    instead = "" if fault["type"] == "value_error" else f", not {value if len(value) < 80 else value[:77] + '...'}"
    return f"{place}: {dotted + ': ' if dotted else ''}{message}{instead}"


def _as_text(place: str, value: Any) -> str:
    """Return how to write a value as text, for a message about a value that YAML took for something else."""
    if place.startswith("--set "):
        key, _, text = place.removeprefix("--set ").partition("=")
        return f"""; as text it is --set {key}='"{text}"'"""
    if isinstance(value, bool):
        return (
            f"; YAML takes {'yes and on' if value else 'no and off'} for {value}; quote the word if it is meant as text"
        )
    return "" if value is None else f"; quote it if text is meant: '{value}'"


def _fields(model: type[BaseModel], location: Location) -> list[str]:
    """Return the fields of the model at a location."""
    current: Any = model
    for part in location:
        field = getattr(current, "model_fields", {}).get(part) if isinstance(part, str) else None
        current = _model_in(field.annotation) if field is not None else current
    return [field.alias or name for name, field in getattr(current, "model_fields", {}).items()]


def _model_in(annotation: Any) -> Any:
    """Return the model in an annotation such as ``dict[str, Source]`` or ``Budget | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for part in getattr(annotation, "__args__", ()) if (model := _model_in(part))), None)
