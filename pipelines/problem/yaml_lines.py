"""Reading YAML so that every complaint can name the file and the line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from steps.errors import InputError, near

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
Location = tuple[str | int, ...]
_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)
DEEPEST = 50
"""Levels of brackets or indentation; a problem has six."""


@dataclass(frozen=True)
class Document:
    """A YAML document and the line of everything in it."""

    path: Path
    content: dict[str, Any]
    lines: Mapping[Location, int]

    def place(self, location: Iterable[str | int]) -> str:
        """``file:line`` of the nearest thing that is written there."""
        wanted = tuple(location)
        while wanted and wanted not in self.lines:
            wanted = wanted[:-1]
        return f"{self.path}:{self.lines.get(wanted, 1)}"


def read(path: Path) -> Document:
    """Parse a YAML mapping.

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
        found = "nothing" if content is None else f"a {type(content).__name__}"
        raise InputError(
            f"{path}:1: wanted 'key: value' lines that define a problem, found {found}; 'fourscore new' writes one"
        )
    return Document(path, content, lines)


def parse(source: Path | str, text: str) -> tuple[Any, Mapping[Location, int]]:
    """What a YAML text says, and the line of everything in it.

    Args:
        source: what messages call it.

    Raises:
        InputError: it is not YAML, says a key twice, or is written in a way that a small text can stand for a huge or
            endless content.
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
    """Refuse what would be copied, nested or used as a key without bound, before anything is built of it."""
    inside: list[Any] = []  # of each open mapping whether a key comes next; None for a sequence
    for event in yaml.parse(text, Loader=_Loader):
        here = f"{source}:{event.start_mark.line + 1}" if event.start_mark else f"{source}:1"
        if isinstance(event, yaml.AliasEvent):
            raise InputError(f"{here}: *{event.anchor} repeats what stands elsewhere; write it out")
        if isinstance(event, yaml.CollectionEndEvent):
            inside.pop()
        elif isinstance(event, yaml.NodeEvent):
            if tag := getattr(event, "tag", None):
                raise InputError(f"{here}: {tag} asks for a special kind of value; write the value alone")
            is_key = bool(inside) and inside[-1]
            if is_key and not isinstance(event, yaml.ScalarEvent):
                raise InputError(f"{here}: a key is a list or a mapping; wanted a name, such as 'target: ...'")
            if inside and inside[-1] is not None:
                inside[-1] = not is_key
            if isinstance(event, yaml.CollectionStartEvent):
                inside.append(True if isinstance(event, yaml.MappingStartEvent) else None)
        if len(inside) > DEEPEST:
            raise InputError(f"{here}: nested more than {DEEPEST} levels deep; no problem is written like that")


def check_depth(path: Path, text: str) -> None:
    """Whether JSON is nested like something that a person meant; text in quotes does not count.

    Raises:
        InputError: with the line where it goes too deep.
    """
    depth = 0
    for found in _BRACKETS.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(found.group(), 0)
        if depth > DEEPEST:
            line = text.count("\n", 0, found.start()) + 1
            raise InputError(f"{path}:{line}: nested more than {DEEPEST} levels deep; an expectation has four")


def _missing(path: Path) -> str:
    folder = path.parent
    others = (
        sorted({*folder.glob("*.yaml"), *folder.glob("*.yml"), *folder.glob("*/problem.yaml")})
        if folder.is_dir()
        else []
    )
    hint = (
        f"; there is {', '.join(map(str, others[:4]))}"
        if others
        else "; 'fourscore new DIR --data FILE --target COLUMN' writes one"
    )
    return f"no problem file {path}{hint}"


def _number(source: Path | str, node: Any, location: Location, lines: dict[Location, int]) -> None:
    if node is None:
        return
    lines.setdefault(location, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*location, key.value)
            line = key.start_mark.line + 1
            if here in lines:
                raise InputError(
                    f"{source}:{line}: {'.'.join(map(str, here))} is given twice; the first is on line {lines[here]}"
                )
            lines[here] = line
            _number(source, value, here, lines)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _number(source, value, (*location, index), lines)


def complain(
    document: Document,
    error: ValidationError,
    model: type[BaseModel],
    overrides: Mapping[str, str],
    shared: Mapping[str, tuple[str, ...]],
) -> InputError:
    """A pydantic error as one line per fault: file, line, what was found, what would work.

    Args:
        shared: fields of sections that follow from others; a fault in one is a fault where that was written.
    """
    faults = error.errors(include_url=False)
    own = [each for each in faults if len(each["loc"]) < 2 or each["loc"][1] not in shared.get(str(each["loc"][0]), ())]
    return InputError("\n".join(_fault(document, each, model, overrides) for each in own or faults))


def _fault(document: Document, fault: Any, model: type[BaseModel], overrides: Mapping[str, str]) -> str:
    location: Location = tuple(fault["loc"])
    dotted = ".".join(map(str, location))
    made = location not in document.lines
    place = next(
        (
            f"--set {key}={value}"
            for key, value in overrides.items()
            if f"{dotted}.".startswith(f"{key}.") or (made and key.startswith(f"{dotted}."))
        ),
        None,
    )
    place = place or document.place(location)
    if fault["type"] == "extra_forbidden":
        known = _fields(model, location[:-1])
        choices = near(str(location[-1]), known) or f"; known here are: {', '.join(known)}"
        return f"{place}: unknown key {dotted!r}{choices}"
    if fault["type"] == "missing":
        return f"{place}: {dotted!r} is missing"
    message = fault["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    message = message.replace("Input should be", "wanted")
    shown = repr(fault["input"])
    if fault["type"] == "string_type" and place.startswith("--set ") and not isinstance(fault["input"], dict | list):
        key, _, text = place.removeprefix("--set ").partition("=")
        shown += f"""; as text it is --set {key}='"{text}"'"""
    found = "" if fault["type"] == "value_error" else f", found {shown if len(shown) < 80 else shown[:77] + '...'}"
    return f"{place}: {dotted + ': ' if dotted else ''}{message}{found}"


def _fields(model: type[BaseModel], location: Location) -> list[str]:
    """The fields of the model that a location leads to."""
    current: Any = model
    for part in location:
        field = getattr(current, "model_fields", {}).get(part) if isinstance(part, str) else None
        current = _model_in(field.annotation) if field is not None else current
    return [field.alias or name for name, field in getattr(current, "model_fields", {}).items()]


def _model_in(annotation: Any) -> Any:
    """The model in an annotation such as ``dict[str, Source]`` or ``Budget | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in getattr(annotation, "__args__", ()) if (found := _model_in(part))), None)
