"""Dataclasses in JSON: fields have the types that they say, and those that a later version added are left out."""

import json
import sys
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

T = TypeVar("T")
_types = cache(get_type_hints)


def parse(kind: type[T], data: bytes) -> T:
    """Return the dataclass in the content of a file.

    Raises:
        ValueError: the content is no JSON object, or a field is missing or of another type; the message names the field.
    """
    try:
        content = json.loads(data)
        json.dumps(content, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("its values are nested too deeply") from None
    except UnicodeEncodeError:
        raise ValueError("a text in it holds half a character") from None
    return of_object(kind, content)


def of_object(kind: type[T], content: Any) -> T:
    """Return the dataclass with the fields of a JSON object.

    Raises:
        ValueError: a field is missing or of another type; the message names the field.
    """
    value: T = _typed(kind, content, "")
    return value


def _typed(expected: Any, value: Any, name: str) -> Any:
    """Return a value with the type of its field."""
    origin, parts = get_origin(expected), get_args(expected)
    if expected is Any or (origin is Literal and value in parts):
        return value
    if origin is UnionType:
        [some] = [part for part in parts if part is not NoneType]
        return None if value is None else _typed(some, value, name)
    if origin is list and isinstance(value, list):
        return [_typed(parts[0], item, f"{name}.{number}") for number, item in enumerate(value)]
    if origin is dict and isinstance(value, dict):
        return {key: _typed(parts[1], item, f"{name}.{key}") for key, item in value.items()}
    if is_dataclass(expected) and isinstance(value, dict):
        return _with_fields(expected, value, f"{name}." if name else "")
    if expected is float and type(value) is int and abs(value) <= sys.float_info.max:
        return float(value)
    if type(value) is not expected:
        raise ValueError(f"{name or 'it'} is {value!r:.60}, not {_described(expected)}")
    return value


def _with_fields(kind: Any, content: dict[str, Any], prefix: str) -> Any:
    values, types = {}, _types(kind)
    for field in fields(kind):
        if field.name in content:
            values[field.name] = _typed(types[field.name], content[field.name], prefix + field.name)
        elif field.default is MISSING and field.default_factory is MISSING:
            raise ValueError(f"it has no field {prefix + field.name!r}")
    return kind(**values)


def _described(expected: Any) -> str:
    if get_origin(expected) is Literal:
        return f"one of {', '.join(map(repr, get_args(expected)))}"
    origin = get_origin(expected) or expected
    names = {str: "text", bool: "true or false", int: "a whole number", float: "a number", list: "a list"}
    return names.get(origin, "an object")
