"""The reader of pipeline definitions: steps with what they wait for, parameters, values and conditions.

It knows what infra/sagemaker/definition.py compiles to, and refuses other steps, fields and functions by name.
"""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infra.sagemaker.definition import gets
from steps.errors import InputError

FIELDS = {"Name", "Type", "Arguments", "DependsOn", "Description", "RetryPolicies", "PropertyFiles"}
TYPES = ("Processing", "Training", "RegisterModel", "Condition", "Fail")
COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {"Equals": operator.eq, "LessThanOrEqualTo": operator.le}
CONVERSIONS: dict[str, Callable[[str], Any]] = {"String": str, "Integer": int, "Float": float}


@dataclass(frozen=True)
class Step:
    """One step of a definition."""

    name: str
    type: str
    arguments: Mapping[str, Any]
    """Without the steps of branches."""
    waits_for: frozenset[str]
    retry_policies: Sequence[Mapping[str, Any]]
    property_files: Mapping[str, Mapping[str, str]]
    """Name of a property file -> its entry."""
    branch: tuple[str, bool] | None
    """The condition step in whose branch this step stands, and the outcome that takes the branch."""


def read_steps(text: str) -> dict[str, Step]:
    """Return the steps of a definition by their names, those of branches too.

    Raises:
        InputError: it has a step that the local cloud does not know.
    """
    return {step.name: step for raw in json.loads(text)["Steps"] for step in _read_step(raw, None)}


def _read_step(raw: Mapping[str, Any], branch: tuple[str, bool] | None) -> Iterator[Step]:
    name, kind, arguments = raw["Name"], raw["Type"], dict(raw["Arguments"])
    if kind not in TYPES or raw.keys() - FIELDS:
        unknown = kind if kind not in TYPES else ", ".join(raw.keys() - FIELDS)
        raise InputError(f"step {name}: the local cloud does not know {unknown}")
    branches = [(outcome, arguments.pop(key, [])) for key, outcome in (("IfSteps", True), ("ElseSteps", False))]
    waits_for = {reference.split(".")[1] for reference in gets(arguments) if reference.startswith("Steps.")}
    waits_for |= {*raw.get("DependsOn", []), *([branch[0]] if branch else [])}
    files = {file["PropertyFileName"]: file for file in raw.get("PropertyFiles", [])}
    yield Step(name, kind, arguments, frozenset(waits_for), raw.get("RetryPolicies", []), files, branch)
    for outcome, steps in branches:
        for step in steps:
            yield from _read_step(step, (name, outcome))


def parameter_values(text: str, arguments: Mapping[str, str]) -> dict[str, Any]:
    """Return the value of each parameter of a definition: its argument, or else its default.

    Raises:
        InputError: an argument is wrong or missing.
    """
    declared = {parameter["Name"]: parameter for parameter in json.loads(text).get("Parameters", [])}
    required = {name for name, parameter in declared.items() if "DefaultValue" not in parameter}
    for wrong, problem in ((arguments.keys() - declared, "not declared"), (required - arguments.keys(), "missing")):
        if wrong:
            raise InputError(f"pipeline parameters: {', '.join(sorted(wrong))}: {problem}")
    values = {name: parameter.get("DefaultValue") for name, parameter in declared.items()}
    try:
        return values | {name: CONVERSIONS[declared[name]["Type"]](value) for name, value in arguments.items()}
    except ValueError as error:
        raise InputError(f"pipeline parameters: {error}") from None


@dataclass(frozen=True)
class Scope:
    """Where the values of one execution are looked up."""

    parameters: Mapping[str, Any]
    property_file: Callable[[str, str], Any]
    """Takes a step and the name of one of its property files; returns the JSON in that file."""


def resolve(value: Any, scope: Scope) -> Any:
    """Return the value with every function in it replaced by its result.

    Raises:
        InputError: the local cloud does not know a function.
        KeyError: a parameter, or a value in a property file, does not exist.
    """
    match value:
        case list():
            return [resolve(item, scope) for item in value]
        case {"Get": str(reference)} if reference.startswith("Parameters."):
            return scope.parameters[reference.removeprefix("Parameters.")]
        case {"Std:Join": {"On": separator, "Values": values}}:
            return separator.join(str(resolve(item, scope)) for item in values)
        case {"Std:JsonGet": {"PropertyFile": {"Get": str(reference)}, "Path": path}}:
            _, step, _, name = reference.split(".")
            return scope.property_file(step, name)[path]
        case dict():
            if unknown := [name for name in value if name == "Get" or name.startswith("Std:")]:
                raise InputError(f"the local cloud does not know {unknown[0]}: {value[unknown[0]]!r:.120}")
            return {name: resolve(item, scope) for name, item in value.items()}
    return value


def holds(condition: Mapping[str, Any], scope: Scope) -> bool:
    """Return whether a condition is true.

    Raises:
        InputError: the local cloud does not know its type.
    """
    if condition["Type"] not in COMPARISONS:
        raise InputError(f"the local cloud does not know the condition {condition['Type']}")
    compare = COMPARISONS[condition["Type"]]
    return compare(resolve(condition["LeftValue"], scope), resolve(condition["RightValue"], scope))
