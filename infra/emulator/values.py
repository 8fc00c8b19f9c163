"""What the values of a pipeline definition come to: parameters, references, joins, property files, conditions.

Source: Amazon SageMaker Developer Guide, "Pipeline parameters", "Step properties", "Property files and JsonGet";
the language itself: the SageMaker Pipeline Definition JSON Schema, version 2020-12-01.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from steps.errors import InputError, near

JOIN, JSON_GET = "Std:Join", "Std:JsonGet"
TOKEN = re.compile(r"""\.?([^.\[\]]+)|\[(\d+)\]|\[(?:'([^']*)'|"([^"]*)")\]""")
EXECUTION = ("StartDateTime", "CurrentDateTime", "PipelineName", "PipelineArn", "PipelineExecutionId", "PipelineExecutionArn")  # fmt: skip

COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "Equals": operator.eq,
    "GreaterThan": operator.gt,
    "GreaterThanOrEqualTo": operator.ge,
    "LessThan": operator.lt,
    "LessThanOrEqualTo": operator.le,
}


class Unresolvable(InputError):
    """A value of the definition comes to nothing; the message names the reference."""


@dataclass(frozen=True)
class Scope:
    """What references are looked up in."""

    parameters: Mapping[str, Any] = field(default_factory=dict)
    execution: Mapping[str, str] = field(default_factory=dict)
    properties: Callable[[str], Any] = lambda _: {}
    """Step -> what Describe says of its job; lists of named things (outputs, channels) may be asked by name too."""
    property_file: Callable[[str, str], Any] = lambda *_: {}
    """Step, property file -> the JSON in it."""
    json_at: Callable[[str], Any] = lambda _: {}
    """S3 URI -> the JSON in it."""


def references(value: Any) -> Iterator[str]:
    """Every ``Get`` in a value, however deep."""
    if isinstance(value, Mapping):
        if set(value) == {"Get"} and isinstance(value["Get"], str):
            yield value["Get"]
        else:
            for each in value.values():
                yield from references(each)
    elif isinstance(value, list):
        for each in value:
            yield from references(each)


def referenced_steps(value: Any) -> set[str]:
    return {tokens(each)[1] for each in references(value) if each.startswith("Steps.") and len(tokens(each)) > 1}


def tokens(path: str) -> list[str]:
    """``a.b[0]['c d']`` -> ``["a", "b", "0", "c d"]``.

    Raises:
        Unresolvable: the path is none.
    """
    found: list[str] = []
    position = 2 if path.startswith("$.") else 0
    while position < len(path):
        match = TOKEN.match(path, position)
        if match is None:
            raise Unresolvable(f"{path!r} is no path; wanted names with dots, [0] or ['name'] between them")
        found.append(next(group for group in match.groups() if group is not None))
        position = match.end()
    return found


def resolve(value: Any, scope: Scope) -> Any:
    """The value with every reference and function replaced by what it comes to.

    Raises:
        Unresolvable: something that is referred to is not there, or a function is given what it cannot take.
    """
    if isinstance(value, list):
        return [resolve(each, scope) for each in value]
    if not isinstance(value, Mapping):
        return value
    if set(value) == {"Get"}:
        return get(value["Get"], scope)
    if set(value) == {JOIN}:
        return join(value[JOIN], scope)
    if set(value) == {JSON_GET}:
        return json_get(value[JSON_GET], scope)
    return {name: resolve(each, scope) for name, each in value.items()}


def get(reference: Any, scope: Scope) -> Any:
    if not isinstance(reference, str):
        raise Unresolvable(f"Get wants the text of a reference, found {reference!r}")
    kind, *path = tokens(reference)
    if kind == "Parameters" and len(path) == 1:
        if path[0] not in scope.parameters:
            raise Unresolvable(f"{reference}: no parameter of this name{near(path[0], list(scope.parameters))}")
        return scope.parameters[path[0]]
    if kind == "Execution" and len(path) == 1 and path[0] in EXECUTION:
        return scope.execution[path[0]]
    if kind == "Steps" and len(path) > 1:
        return walk(scope.properties(path[0]), path[1:], reference)
    raise Unresolvable(f"{reference}: wanted Parameters.NAME, Steps.STEP.PROPERTY or Execution.{' | '.join(EXECUTION)}")


def walk(value: Any, path: Sequence[str], reference: str) -> Any:
    """Follow a path through JSON; in a list an element is asked by its number or by the name that it carries."""
    for name in path:
        if isinstance(value, Mapping) and name in value:
            value = value[name]
        elif isinstance(value, list) and name.isdigit() and int(name) < len(value):
            value = value[int(name)]
        elif isinstance(value, list) and (named := [each for each in value if _carries(each, name)]):
            value = named[0]
        else:
            known = list(value) if isinstance(value, Mapping) else []
            raise Unresolvable(f"{reference}: there is no {name!r}{near(name, known)}")
    return value


def _carries(element: Any, name: str) -> bool:
    keys = ("OutputName", "InputName", "ChannelName")
    return isinstance(element, Mapping) and any(element.get(key) == name for key in keys)


def join(arguments: Any, scope: Scope) -> str:
    if not isinstance(arguments, Mapping) or not {"Values"} <= set(arguments) <= {"On", "Values"}:
        raise Unresolvable(f"{JOIN} wants On and Values, found {arguments!r}")
    values = [resolve(each, scope) for each in arguments["Values"]]
    if bad := [each for each in values if isinstance(each, Mapping | list) or each is None]:
        raise Unresolvable(f"{JOIN} joins text and numbers, found {bad[0]!r}")
    return str(arguments.get("On", "")).join(as_text(each) for each in values)


def as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def json_get(arguments: Any, scope: Scope) -> Any:
    """``{"PropertyFile": {"Get": "Steps.S.PropertyFiles.F"}, "Path": P}`` or ``{"S3Uri": URI, "Path": P}``."""
    known = isinstance(arguments, Mapping) and set(arguments) in ({"PropertyFile", "Path"}, {"S3Uri", "Path"})
    if not known:
        raise Unresolvable(f"{JSON_GET} wants PropertyFile or S3Uri, and Path, found {arguments!r}")
    path = resolve(arguments["Path"], scope)
    if "S3Uri" in arguments:
        uri = resolve(arguments["S3Uri"], scope)
        content, name = scope.json_at(uri), uri
    else:
        name = next(references(arguments["PropertyFile"]), "")
        match tokens(name):
            case ["Steps", step, "PropertyFiles", file]:
                content = scope.property_file(step, file)
            case _:
                raise Unresolvable(f"{JSON_GET}: wanted Steps.STEP.PropertyFiles.NAME, found {name!r}")
    found = walk(content, tokens(path), f"{name}, {path}")
    if isinstance(found, Mapping | list) or found is None:
        raise Unresolvable(f"{JSON_GET}: {name} holds no text or number at {path}")
    return found


def holds(condition: Any, scope: Scope) -> bool:
    """Whether a condition is true.

    Raises:
        Unresolvable: it is of no kind that there is, or compares what cannot be compared.
    """
    match condition:
        case {"Type": str(kind), "LeftValue": left, "RightValue": right} if kind in COMPARISONS:
            return compare(kind, resolve(left, scope), resolve(right, scope))
        case {"Type": "In", "QueryValue": query, "Values": list(values)}:
            return resolve(query, scope) in [resolve(each, scope) for each in values]
        case {"Type": "Not", "Expression": expression}:
            return not holds(expression, scope)
        case {"Type": "Or", "Conditions": list(conditions)}:
            return any(holds(each, scope) for each in conditions)
    kinds = ", ".join([*COMPARISONS, "In", "Not", "Or"])
    raise Unresolvable(f"no condition: {condition!r}; there are {kinds}, each with its own fields")


def compare(kind: str, left: Any, right: Any) -> bool:
    if _family(left) != _family(right):
        raise Unresolvable(f"{kind} cannot compare {left!r} with {right!r}: one is text and the other is not")
    return COMPARISONS[kind](left, right)


def _family(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    return "number" if isinstance(value, int | float) else type(value).__name__


def parameters(declared: Sequence[Mapping[str, Any]], given: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """The value of each declared parameter: what was given at the start, else its default.

    Raises:
        InputError: everything that is wrong with what was given.
    """
    known = {each["Name"]: each for each in declared}
    texts = {each["Name"]: each["Value"] for each in given}
    faults = [f"{name} is not declared{near(name, list(known))}" for name in texts if name not in known]
    found = {}
    for name, each in known.items():
        if name not in texts and "DefaultValue" not in each:
            faults.append(f"{name} has no default and no value was given")
            continue
        try:
            value = typed(texts[name], each["Type"]) if name in texts else each["DefaultValue"]
        except ValueError:
            faults.append(f"{name} is of type {each['Type']}, found {texts[name]!r}")
            continue
        if "EnumValues" in each and value not in each["EnumValues"]:
            faults.append(f"{name} is one of {', '.join(each['EnumValues'])}, found {value!r}")
        found[name] = value
    if len(texts) < len(given):
        faults.append("a parameter is given twice")
    if faults:
        raise InputError("pipeline parameters: " + "; ".join(faults))
    return found


def typed(text: str, kind: str) -> Any:
    """What SageMaker makes of a parameter that arrives as text."""
    if kind == "Boolean":
        return {"true": True, "false": False}[text.lower()] if text.lower() in {"true", "false"} else _no(text)
    if kind == "Integer":
        return int(text) if re.fullmatch(r"[+-]?\d+", text) else _no(text)
    if kind == "Float":
        return number if math.isfinite(number := float(text)) else _no(text)
    return text


def _no(text: str) -> Any:
    raise ValueError(text)
