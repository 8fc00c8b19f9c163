"""The reader of pipeline definitions: their steps, parameters, values and conditions.

It knows what infra/sagemaker/definition.py compiles to, and refuses other steps, fields and functions by name.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from infra.sagemaker.definition import Definition, all_steps
from steps.errors import InputError

FIELDS = {"Name", "Type", "Arguments", "DependsOn", "Description", "RetryPolicies", "PropertyFiles"}
TYPES = {"Processing", "Training", "RegisterModel", "Condition", "Fail"}
CONVERSIONS: dict[str, Callable[[str], Any]] = {"String": str, "Integer": int}


def read(text: str) -> Definition:
    """Return a definition.

    Raises:
        InputError: it has a step that the local cloud does not know.
    """
    definition: Definition = json.loads(text)
    for step in all_steps(definition["Steps"]):
        if unknown := {step["Type"]} - TYPES or step.keys() - FIELDS:
            raise InputError(f"step {step['Name']}: the local cloud does not know {', '.join(sorted(unknown))}")
    return definition


def parameter_values(definition: Definition, arguments: Mapping[str, str]) -> dict[str, Any]:
    """Return the value of each parameter of a definition: its argument, or else its default.

    Raises:
        InputError: an argument is wrong or missing.
    """
    declared = {parameter["Name"]: parameter for parameter in definition.get("Parameters", [])}
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
        case {"Type": "Equals", "LeftValue": left, "RightValue": right}:
            return resolve(left, scope) == resolve(right, scope)
        case {"Type": str(condition), "LeftValue": _}:
            raise InputError(f"the local cloud does not know the condition {condition}")
        case dict():
            if unknown := [name for name in value if name == "Get" or name.startswith("Std:")]:
                raise InputError(f"the local cloud does not know {unknown[0]}: {value[unknown[0]]!r:.120}")
            return {name: resolve(item, scope) for name, item in value.items()}
    return value
