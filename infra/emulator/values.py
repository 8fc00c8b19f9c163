"""Values of a pipeline definition: parameters, joins, property files and conditions.

Source: Amazon SageMaker Developer Guide, "Pipeline parameters" and "Property files and JsonGet". Only the functions that
infra/sagemaker/definition.py compiles to are known; any other is refused by its name.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from steps.errors import InputError, near

FUNCTIONS = "{'Get': 'Parameters.NAME'}, Std:Join with On and Values, Std:JsonGet with PropertyFile and Path"
COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {"Equals": operator.eq, "LessThanOrEqualTo": operator.le}
SAMPLES: dict[str, Any] = {"String": "", "Integer": 1, "Float": 1.0}
"""Type of a parameter -> a value of that type."""


class Unresolvable(InputError):
    """A value of the definition that cannot be computed; the message names it."""


@dataclass(frozen=True)
class Scope:
    """Where the values of one execution are looked up."""

    parameters: Mapping[str, Any]
    property_file: Callable[[str, str], Any]
    """Takes a step and the name of one of its property files; returns the JSON in that file."""


def resolve(value: Any, scope: Scope) -> Any:
    """Return the value with every function in it replaced by its result.

    Raises:
        Unresolvable: a function is unknown, or refers to something that does not exist.
    """
    match value:
        case list():
            return [resolve(item, scope) for item in value]
        case {"Get": str(reference), **rest} if not rest:
            return _parameter(reference, scope)
        case {"Std:Join": {"On": str(separator), "Values": list(values)}, **rest} if not rest:
            return separator.join(_text(resolve(item, scope)) for item in values)
        case {"Std:JsonGet": {"PropertyFile": {"Get": str(reference)}, "Path": str(path)}, **rest} if not rest:
            return _from_property_file(reference, path, scope)
        case dict():
            if unknown := next((name for name in value if name == "Get" or name.startswith("Std:")), None):
                raise Unresolvable(f"{unknown}: {value[unknown]!r:.120}: the local cloud knows {FUNCTIONS}")
            return {name: resolve(item, scope) for name, item in value.items()}
    return value


def _parameter(reference: str, scope: Scope) -> Any:
    name = reference.removeprefix("Parameters.")
    if name == reference:
        raise Unresolvable(f"Get: {reference!r}: the local cloud knows {FUNCTIONS}")
    if name not in scope.parameters:
        raise Unresolvable(f"{reference}: the parameter is not declared{near(name, list(scope.parameters))}")
    return scope.parameters[name]


def _text(value: Any) -> str:
    if isinstance(value, Mapping | list) or value is None:
        raise Unresolvable(f"Std:Join joins text and numbers, not {value!r:.80}")
    return str(value)


def _from_property_file(reference: str, path: str, scope: Scope) -> Any:
    match reference.split("."):
        case ["Steps", step, "PropertyFiles", name]:
            content = scope.property_file(step, name)
        case _:
            raise Unresolvable(f"Std:JsonGet: {reference!r} is not Steps.STEP.PropertyFiles.NAME")
    try:
        value = content[path]
    except (KeyError, TypeError):
        raise Unresolvable(f"{reference}: the file has no {path!r}") from None
    if not isinstance(value, str | int | float):
        raise Unresolvable(f"{reference}: {path!r} is neither text nor a number: {value!r:.80}")
    return value


def holds(condition: Any, scope: Scope) -> bool:
    """Return whether a condition is true.

    Raises:
        Unresolvable: its type is unknown, or it compares text with a number.
    """
    match condition:
        case {"Type": str(kind), "LeftValue": left, "RightValue": right} if kind in COMPARISONS:
            values = resolve(left, scope), resolve(right, scope)
            if isinstance(values[0], str) != isinstance(values[1], str):
                raise Unresolvable(f"{kind} compares text with a number: {values[0]!r} and {values[1]!r}")
            return COMPARISONS[kind](*values)
    raise Unresolvable(f"condition {condition!r:.120}: the local cloud knows {', '.join(COMPARISONS)}")


def parameter_values(
    declared: Sequence[Mapping[str, Any]], arguments: Sequence[Mapping[str, str]]
) -> dict[str, str | int | float]:
    """Return the value of each declared parameter: the argument of this start, or else the default.

    Raises:
        InputError: names every argument that is wrong or missing.
    """
    texts = {argument["Name"]: argument["Value"] for argument in arguments}
    names = [parameter["Name"] for parameter in declared]
    faults = [f"{name} is not declared{near(name, names)}" for name in texts if name not in names]
    values = {}
    for parameter in declared:
        name, kind = parameter["Name"], parameter["Type"]
        if name not in texts and "DefaultValue" not in parameter:
            faults.append(f"{name} has no default and no value was passed")
            continue
        try:
            value = parse_value(texts[name], kind) if name in texts else parameter["DefaultValue"]
        except ValueError:
            faults.append(f"{name} is of type {kind}, not {texts[name]!r}")
            continue
        if value not in parameter.get("EnumValues", [value]):
            faults.append(f"{name} is one of {', '.join(parameter['EnumValues'])}, not {value!r}")
        values[name] = value
    if faults:
        raise InputError("pipeline parameters: " + "; ".join(faults))
    return values


def parse_value(text: str, kind: str) -> str | int | float:
    """Return a parameter's value from the text in which it arrives.

    Raises:
        ValueError: the text is not of this type.
    """
    match kind:
        case "Integer" if re.fullmatch(r"[+-]?\d+", text):
            return int(text)
        case "Float" if math.isfinite(number := float(text)):
            return number
        case "String":
            return text
    raise ValueError(text)
