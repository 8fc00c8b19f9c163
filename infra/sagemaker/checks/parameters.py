"""The top of a definition: its version, its metadata, and the parameters that an execution may be given"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from infra.sagemaker.checks.expressions import Scope
from infra.sagemaker.checks.faults import Sheet, below, kind, shown
from infra.sagemaker.shapes import shapes
from steps.errors import near

VERSION = "2020-12-01"
NAME = re.compile(r"[A-Za-z0-9\-_]{1,64}")
"""Names of parameters and steps."""
_TOP = ("Version", "Metadata", "Parameters", "PipelineExperimentConfig", "Steps")
_PARAMETER = ("Name", "Type", "DefaultValue", "EnumValues", "Description")
_TYPES: dict[str, type | tuple[type, ...]] = {"String": str, "Integer": int, "Float": (int, float), "Boolean": bool}


def is_a(value: Any, type_: str) -> bool:
    """Whether a JSON value is of a parameter's type; a whole number is a Float, too."""
    if isinstance(value, bool):
        return type_ == "Boolean"
    return isinstance(value, _TYPES[type_])


def check_members(value: dict[str, Any], known: Sequence[str], what: str, path: str, sheet: Sheet) -> None:
    """Name each member that there is none of."""
    for name in value:
        if name not in known:
            hint = near(name, known) or f"; it has {', '.join(known)}"
            sheet.error(below(path, name), f"{what} has no such member{hint}")


def check_top(definition: dict[str, Any], sheet: Sheet) -> None:
    """Everything but parameters and steps."""
    check_members(definition, _TOP, "a definition", "", sheet)
    if definition.get("Version") != VERSION:
        sheet.error("Version", f"is {shown(definition.get('Version'))}; wanted {VERSION!r}")
    metadata = definition.get("Metadata", {})
    if not isinstance(metadata, dict):
        sheet.error("Metadata", f"is {kind(metadata)}; wanted an object of strings")
    for name, value in metadata.items() if isinstance(metadata, dict) else ():
        if not isinstance(value, str) or len(value) > 1024:
            sheet.error(below("Metadata", name), f"is {kind(value)}; wanted a string of at most 1024 characters")
    experiment, path = definition.get("PipelineExperimentConfig"), "PipelineExperimentConfig"
    if experiment is not None and not isinstance(experiment, dict):
        sheet.error(path, f"is {kind(experiment)}; wanted null or an object")
    elif isinstance(experiment, dict):
        check_members(experiment, ("ExperimentName", "TrialName"), "the experiment", path, sheet)
    longest = shapes()["PipelineDefinition"]["max"]
    if (size := len(json.dumps(definition, default=str))) > longest:
        sheet.error("", f"has {size} characters; at most {longest} are taken")


def check_parameters(declared: Any, scope: Scope) -> None:
    """Check each declaration and make it known to the scope."""
    sheet = scope.sheet
    if not isinstance(declared, list):
        sheet.error("Parameters", f"is {kind(declared)}; wanted a list")
        return
    if len(declared) > (most := shapes()["ParameterList"]["max"]):
        sheet.error("Parameters", f"has {len(declared)} parameters; at most {most} are taken")
    for index, parameter in enumerate(declared):
        path = below("Parameters", index)
        if not isinstance(parameter, dict):
            sheet.error(path, f"is {kind(parameter)}; wanted an object with Name and Type")
            continue
        check_members(parameter, _PARAMETER, "a parameter", path, sheet)
        _parameter(parameter, path, sheet)
        name = parameter.get("Name")
        if not isinstance(name, str) or not NAME.fullmatch(name):
            sheet.error(below(path, "Name"), f"is {shown(name)}; wanted 1 to 64 letters, digits, - and _")
        elif name in scope.parameters:
            sheet.error(below(path, "Name"), f"{name!r} is declared twice; keep one")
        else:
            scope.parameters[name], scope.declared[name] = parameter, path


def _parameter(parameter: dict[str, Any], path: str, sheet: Sheet) -> None:
    type_ = parameter.get("Type")
    if not isinstance(type_, str) or type_ not in _TYPES:
        hint = near(type_, list(_TYPES)) if isinstance(type_, str) else ""
        sheet.error(below(path, "Type"), f"is {shown(type_)}; wanted {', '.join(_TYPES)}{hint}")
        return
    default, inside = parameter.get("DefaultValue"), below(path, "DefaultValue")
    if "DefaultValue" in parameter and not is_a(default, type_):
        sheet.error(inside, f"is {kind(default)}; wanted a {type_}")
    if isinstance(default, str) and len(default) > (most := shapes()["String1024"]["max"]):
        sheet.error(inside, f"has {len(default)} characters; at most {most} are taken")
    description = parameter.get("Description", "")
    if not isinstance(description, str) or len(description) > 4096:
        sheet.error(below(path, "Description"), f"is {kind(description)}; wanted a string of at most 4096 characters")
    if "EnumValues" in parameter:
        _enumeration(parameter, type_, path, sheet)


def _enumeration(parameter: dict[str, Any], type_: str, path: str, sheet: Sheet) -> None:
    values, inside = parameter["EnumValues"], below(path, "EnumValues")
    default = parameter.get("DefaultValue")
    if type_ != "String":
        sheet.error(inside, f"a parameter of type {type_} takes no enumeration; only String does")
    elif not isinstance(values, list) or not values or not all(isinstance(each, str) for each in values):
        sheet.error(inside, f"is {shown(values)}; wanted a list of strings")
    elif len(set(values)) < len(values):
        sheet.error(inside, f"is {shown(values)}, which names a value twice")
    elif "DefaultValue" in parameter and default not in values:
        sheet.error(below(path, "DefaultValue"), f"is {shown(default)}; wanted one of {', '.join(values)}")
