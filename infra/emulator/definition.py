"""The values in a pipeline definition of infra/sagemaker/definition.py: its parameters, functions and conditions."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from infra.sagemaker.definition import Definition
from steps.errors import InputError

CONVERSIONS: dict[str, Callable[[str], Any]] = {"String": str, "Integer": int}


def parameter_values(definition: Definition, arguments: Mapping[str, str]) -> dict[str, Any]:
    """Return the value of each parameter of a definition: its argument, or else its default.

    Raises:
        InputError: an argument is not declared or missing.
    """
    declared = {parameter["Name"]: parameter for parameter in definition["Parameters"]}
    values = {name: parameter["DefaultValue"] for name, parameter in declared.items() if "DefaultValue" in parameter}
    if wrong := (arguments.keys() - declared) | (declared.keys() - values - arguments.keys()):
        raise InputError(f"pipeline parameters: {', '.join(sorted(wrong))}: not declared, or missing")
    return values | {name: CONVERSIONS[declared[name]["Type"]](value) for name, value in arguments.items()}


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
