"""The reader of pipeline definitions: the steps, what each step waits for, and everything that is wrong.

Source: Amazon SageMaker Developer Guide, "Pipeline steps"; the SageMaker Pipeline Definition JSON Schema, version
2020-12-01. The reader knows what infra/sagemaker/definition.py compiles to. It refuses other step types and fields by
name, so that nothing of a definition is passed over in silence.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any

from infra.emulator.values import SAMPLES, Scope, Unresolvable, holds, resolve
from steps.errors import InputError, near

VERSION = "2020-12-01"
TOP_FIELDS = {"Version", "Metadata", "Parameters", "PipelineExperimentConfig", "Steps"}
STEP_FIELDS = {"Name", "Type", "Arguments", "DependsOn", "DisplayName", "Description"}
TYPES: dict[str, set[str]] = {
    "Processing": {"RetryPolicies", "PropertyFiles"},
    "Training": {"RetryPolicies"},
    "RegisterModel": {"RetryPolicies"},
    "Condition": set(),
    "Fail": set(),
}
"""Type of a step -> the fields that only such a step has."""


@dataclass(frozen=True)
class Step:
    """One step of a definition."""

    name: str
    type: str
    arguments: Mapping[str, Any]
    waits_for: frozenset[str]
    files: frozenset[tuple[str, str]]
    """The property files that its values read: (step, name)."""
    raw: Mapping[str, Any]
    """The step as it is written."""
    branch: tuple[str, bool] | None = None
    """The condition step in whose branch this step stands, and the outcome that takes the branch."""


@dataclass(frozen=True)
class Definition:
    """A definition without faults."""

    parameters: tuple[Mapping[str, Any], ...]
    steps: Mapping[str, Step]
    """In the order in which they are written; the steps of a branch follow their condition."""

    def ready(self, statuses: Mapping[str, str]) -> list[Step]:
        """Return the steps that have no status yet and wait for nothing, steps of type Fail first."""
        ready = [
            step
            for name, step in self.steps.items()
            if name not in statuses and all(statuses.get(other) == "Succeeded" for other in step.waits_for)
        ]
        return sorted(ready, key=lambda step: step.type != "Fail")


def read(text: str) -> Definition:
    """Read a definition.

    Raises:
        InputError: everything that is wrong with it, one fault a line.
    """
    try:
        document = json.loads(text)
    except ValueError as error:
        raise InputError(f"the pipeline definition is not JSON: {error}") from None
    faults = list(_faults_of_document(document))
    steps: dict[str, Step] = {}
    if not faults:
        declared = document.get("Parameters", [])
        samples = {item["Name"]: item.get("DefaultValue", SAMPLES[item["Type"]]) for item in declared}
        faults = [fault for raw in document["Steps"] for fault in _add(raw, None, steps, samples)]
        faults += _faults_of_order(steps)
    if faults:
        raise InputError("the pipeline definition is not valid:\n" + "\n".join(f"  {fault}" for fault in faults))
    return Definition(tuple(document.get("Parameters", [])), steps)


def _faults_of_document(document: Any) -> Iterator[str]:
    if not isinstance(document, dict):
        yield "it is not a JSON object"
        return
    if document.get("Version") != VERSION:
        yield f"Version: {document.get('Version')!r} is not {VERSION!r}"
    for name in document.keys() - TOP_FIELDS:
        yield f"{name}: the local cloud has no such field{near(name, sorted(TOP_FIELDS))}"
    if not isinstance(document.get("Steps"), list) or not document["Steps"]:
        yield "Steps: not a list of steps"
    for parameter in document.get("Parameters", []):
        if parameter.get("Type") not in SAMPLES or not isinstance(parameter.get("Name"), str):
            yield f"Parameters: {parameter!r:.80} has no Name, or no Type of {', '.join(SAMPLES)}"


def _add(
    raw: Any, branch: tuple[str, bool] | None, steps: dict[str, Step], samples: Mapping[str, Any]
) -> Iterator[str]:
    """Add a step and then the steps of its branches; yield what is wrong with them.

    The values of a step are resolved once with sample parameters and sample files: what cannot be resolved is a fault,
    and the files that are asked for say which steps this one waits for.
    """
    if not isinstance(raw, dict) or not isinstance(name := raw.get("Name"), str):
        yield f"a step has no Name: {raw!r:.80}"
        return
    kind, arguments, depends = raw.get("Type"), raw.get("Arguments", {}), raw.get("DependsOn", [])
    if kind not in TYPES:
        yield f"{name}: Type is {kind!r}; the local cloud knows {', '.join(TYPES)}"
        return
    if name in steps:
        yield f"{name}: two steps have this name"
    for field in raw.keys() - STEP_FIELDS - TYPES[kind]:
        yield f"{name}: {field}: the local cloud knows no such field of a {kind} step"
    if not isinstance(arguments, dict) or not all(isinstance(other, str) for other in depends):
        yield f"{name}: Arguments is an object and DependsOn a list of names"
        return
    branches = {key: arguments.get(key, []) for key in ("IfSteps", "ElseSteps")} if kind == "Condition" else {}
    plain = {key: value for key, value in arguments.items() if key not in branches}
    files: set[tuple[str, str]] = set()

    def sample_file(step: str, file: str) -> Any:
        files.add((step, file))
        return defaultdict(str)

    scope = Scope(samples, sample_file)
    try:
        resolve({key: value for key, value in plain.items() if key != "Conditions"}, scope)
        if kind == "Condition":
            all(holds(condition, scope) is not None for condition in plain["Conditions"])
    except Unresolvable as error:
        yield f"{name}: {error}"
    except KeyError:
        yield f"{name}: Arguments has no Conditions"
    if branch and branches:
        yield f"{name}: the local cloud knows no condition inside a branch of another"
    waits_for = {*depends, *(step for step, _ in files), *([branch[0]] if branch else [])}
    steps[name] = Step(name, str(kind), plain, frozenset(waits_for), frozenset(files), raw, branch)
    for key, inner in branches.items():
        for step in inner:
            yield from _add(step, (name, key == "IfSteps"), steps, samples)


def _faults_of_order(steps: Mapping[str, Step]) -> Iterator[str]:
    for name, step in steps.items():
        for other in sorted(step.waits_for - steps.keys()):
            yield f"{name}: there is no step {other!r} to wait for{near(other, list(steps))}"
        for other, file in sorted(step.files):
            declared = steps[other].raw.get("PropertyFiles", []) if other in steps else []
            if other in steps and file not in [item.get("PropertyFileName") for item in declared]:
                yield f"{name}: step {other} declares no property file {file!r}"
    try:
        TopologicalSorter({name: step.waits_for for name, step in steps.items()}).prepare()
    except CycleError as error:
        yield f"steps wait for each other in a circle: {' <- '.join(error.args[1])}"
