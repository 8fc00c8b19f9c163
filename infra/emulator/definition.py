"""A pipeline definition read: its steps, what each waits for, and everything that is wrong with it.

Source: Amazon SageMaker Developer Guide, "Pipeline steps"; the SageMaker Pipeline Definition JSON Schema, version
2020-12-01. Step types that are not simulated are refused rather than passed over.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any

from infra.emulator.values import Unresolvable, referenced_steps, references, tokens
from steps.errors import InputError, near

VERSION = "2020-12-01"
JOBS = ("Processing", "Training")
TYPES = (*JOBS, "Condition", "RegisterModel", "Fail")
PARAMETERS: dict[str, Any] = {"String": str, "Integer": int, "Float": (int, float), "Boolean": bool}
TOP = {"Version", "Metadata", "Parameters", "PipelineExperimentConfig", "Steps"}
COMMON = {"Name", "Type", "Arguments", "DependsOn", "DisplayName", "Description"}
OWN = {"Processing": {"RetryPolicies", "PropertyFiles", "CacheConfig"}, "Training": {"RetryPolicies", "CacheConfig"},
       "RegisterModel": {"RetryPolicies"}}  # fmt: skip
NAME = re.compile(r"[A-Za-z0-9\-_]{1,64}")


@dataclass(frozen=True)
class Step:
    """One step as it is written, with what it waits for."""

    name: str
    type: str
    arguments: Mapping[str, Any]
    waits_for: frozenset[str]
    raw: Mapping[str, Any]
    branch: tuple[str, bool] | None = None
    """The condition step whose branch it stands in, and whether in the one that is taken when the condition holds."""


@dataclass(frozen=True)
class Definition:
    """A definition without faults."""

    parameters: tuple[Mapping[str, Any], ...]
    steps: Mapping[str, Step]
    """In the order in which they are written, the steps of a branch after their condition."""

    def ready(self, statuses: Mapping[str, str]) -> list[Step]:
        """Steps that may start: not started, everything they wait for succeeded, their branch taken."""
        return [
            step
            for name, step in self.steps.items()
            if name not in statuses and all(statuses.get(each) == "Succeeded" for each in step.waits_for)
        ]


def read(text: str) -> Definition:
    """Read a definition.

    Raises:
        InputError: everything that is wrong with it, one fault a line.
    """
    try:
        document = json.loads(text)
    except ValueError as error:
        raise InputError(f"the pipeline definition is no JSON: {error}") from None
    faults = list(_faults_of_top(document)) if isinstance(document, dict) else ["it is no JSON object"]
    if faults:
        raise InputError(_listed(faults))
    steps: dict[str, Step] = {}
    for each in document["Steps"]:
        faults += _add(each, None, steps)
    declared = document.get("Parameters", [])
    faults += _faults_of_parameters(declared)
    faults += _faults_of_references(steps, {each.get("Name") for each in declared})
    if faults:
        raise InputError(_listed(faults))
    return Definition(tuple(declared), steps)


def _listed(faults: list[str]) -> str:
    return "the pipeline definition is not valid:\n" + "\n".join(f"  {each}" for each in faults)


def _faults_of_top(document: dict[str, Any]) -> Iterator[str]:
    if document.get("Version") != VERSION:
        yield f"Version: wanted {VERSION!r}, found {document.get('Version')!r}"
    for name in document.keys() - TOP:
        yield f"{name}: no such field{near(name, sorted(TOP))}"
    if not isinstance(document.get("Steps"), list) or not document["Steps"]:
        yield "Steps: wanted a list of steps"
    if not isinstance(document.get("Parameters", []), list):
        yield "Parameters: wanted a list"


def _add(raw: Any, branch: tuple[str, bool] | None, steps: dict[str, Step]) -> list[str]:
    """Add a step and, behind it, those of its branches; returns what is wrong with them."""
    if not isinstance(raw, dict) or not NAME.fullmatch(str(raw.get("Name", ""))):
        return [f"a step's Name matches {NAME.pattern}, found {raw!r:.80}"]
    name, kind = raw["Name"], raw.get("Type")
    if kind not in TYPES:
        return [f"{name}: Type is one of {', '.join(TYPES)} (others are not simulated), found {kind!r}"]
    arguments, waits = raw.get("Arguments", {}), raw.get("DependsOn", [])
    if not isinstance(arguments, dict) or not isinstance(waits, list):
        return [f"{name}: Arguments is an object, DependsOn a list"]
    faults = [f"{name}: two steps have this name"] if name in steps else []
    faults += [
        f"{name}: {each}: a {kind} step has no such field" for each in raw.keys() - COMMON - OWN.get(kind, set())
    ]
    if kind == "Condition" and branch:
        faults.append(f"{name}: a condition step inside a branch of another is not supported")
    try:
        refers = referenced_steps(arguments)
    except Unresolvable as error:
        return [*faults, f"{name}: {error}"]
    waits_for = frozenset(waits) | refers | ({branch[0]} if branch else set())
    steps[name] = Step(name, kind, arguments, waits_for, raw, branch)
    if kind == "Condition":
        if not isinstance(arguments.get("Conditions"), list) or not arguments["Conditions"]:
            faults.append(f"{name}: Conditions: wanted a list of conditions")
        own = {"Conditions": arguments.get("Conditions", [])}
        steps[name] = Step(name, kind, own, frozenset(waits) | referenced_steps(own), raw)
        for key, outcome in (("IfSteps", True), ("ElseSteps", False)):
            for each in arguments.get(key, []):
                faults += _add(each, (name, outcome), steps)
        faults += [
            f"{name}: {each}: no such argument" for each in arguments.keys() - {"Conditions", "IfSteps", "ElseSteps"}
        ]
    if kind == "Fail" and arguments.keys() - {"ErrorMessage"}:
        faults.append(f"{name}: a Fail step's only argument is ErrorMessage")
    return faults


def _faults_of_parameters(declared: list[Any]) -> Iterator[str]:
    names: set[str] = set()
    for each in declared:
        name, kind = each.get("Name"), each.get("Type")
        if not re.fullmatch(r"[A-Za-z0-9\-_]{1,256}", str(name)) or kind not in PARAMETERS:
            yield f"Parameters: wanted a Name and a Type of {', '.join(PARAMETERS)}, found {each!r}"
            continue
        if name in names:
            yield f"Parameters: {name} is declared twice"
        names.add(name)
        default = each.get("DefaultValue")
        is_kind = isinstance(default, PARAMETERS[kind]) and isinstance(default, bool) == (kind == "Boolean")
        if default is not None and not is_kind:
            yield f"Parameters: {name} is of type {kind}, its default is {default!r}"
        if default is not None and "EnumValues" in each and default not in each["EnumValues"]:
            yield f"Parameters: the default of {name}, {default!r}, is none of its EnumValues"
        for unknown in each.keys() - {"Name", "Type", "DefaultValue", "EnumValues", "Description"}:
            yield f"Parameters: {name}: {unknown}: no such field"


def _faults_of_references(steps: dict[str, Step], declared: set[Any]) -> Iterator[str]:
    for name, step in steps.items():
        for other in sorted(step.waits_for - steps.keys()):
            yield f"{name}: there is no step {other!r} to wait for{near(other, list(steps))}"
        for reference in references(step.arguments):
            kind, *path = tokens(reference)
            if kind == "Parameters" and path[0] not in declared:
                yield f"{name}: {reference}: the parameter is not declared{near(path[0], sorted(declared))}"
            if kind == "Steps" and path and steps.get(path[0]) and steps[path[0]].type in ("Condition", "Fail"):
                yield f"{name}: {reference}: a {steps[path[0]].type} step has no properties"
            if kind == "Steps" and path[1:2] == ["PropertyFiles"] and path[0] in steps:
                files = [file.get("PropertyFileName") for file in steps[path[0]].raw.get("PropertyFiles", [])]
                if path[2:] and path[2] not in files:
                    yield f"{name}: {reference}: {path[0]} declares no such property file"
    try:
        TopologicalSorter({name: step.waits_for for name, step in steps.items()}).prepare()
    except CycleError as error:
        yield f"steps wait for each other in a circle: {' <- '.join(error.args[1])}"
