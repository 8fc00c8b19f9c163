"""Steps: where each stands, which members it has, how it is retried, and the files that others may read values from"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from infra.sagemaker.checks.arguments import Arguments
from infra.sagemaker.checks.conditions import check_condition_step
from infra.sagemaker.checks.expressions import Place, Scope, is_expression
from infra.sagemaker.checks.faults import Sheet, below, kind, shown
from infra.sagemaker.checks.parameters import NAME, check_members
from infra.sagemaker.shapes import ARGUMENTS
from steps.errors import near

MOST_STEPS = 50
"""Steps of a pipeline, those inside conditions among them. Source: Amazon SageMaker endpoints and quotas."""
_STEP = ("Name", "Type", "Arguments", "DependsOn", "DisplayName", "Description")
_MORE: dict[str, tuple[str, ...]] = {
    "Processing": ("RetryPolicies", "CacheConfig", "PropertyFiles"),
    "Training": ("RetryPolicies", "CacheConfig"),
    "RegisterModel": ("RetryPolicies",),
    "Condition": (),
    "Fail": (),
}
_RETRIED = (
    "Step.SERVICE_FAULT",
    "Step.THROTTLING",
    "SageMaker.JOB_INTERNAL_ERROR",
    "SageMaker.CAPACITY_ERROR",
    "SageMaker.RESOURCE_LIMIT",
)
_POLICY = ("ExceptionType", "IntervalSeconds", "BackoffRate", "MaxAttempts", "ExpireAfterMin")


def find_steps(steps: Any, scope: Scope) -> list[Place]:
    """Every step, those inside conditions too, in order; the named ones are made known to the scope."""
    found = list(_walk(steps, "Steps", (), scope.sheet))
    if isinstance(steps, list) and not steps:
        scope.sheet.error("Steps", "is empty; there is nothing to run")
    if len(found) > MOST_STEPS:
        scope.sheet.error("Steps", f"has {len(found)} steps; at most {MOST_STEPS} are taken")
    for place in found:
        name, path = place.step.get("Name"), below(place.path, "Name")
        if not isinstance(name, str) or not NAME.fullmatch(name):
            scope.sheet.error(path, f"is {shown(name)}; wanted 1 to 64 letters, digits, - and _")
        elif name in scope.steps:
            scope.sheet.error(path, f"{name!r} is the name of {scope.steps[name].path} already")
        else:
            scope.steps[name] = place
    return found


def _walk(steps: Any, path: str, branch: tuple[tuple[str, str], ...], sheet: Sheet) -> Iterator[Place]:
    if not isinstance(steps, list):
        sheet.error(
            path, "is missing; wanted a list of steps" if steps is None else f"is {kind(steps)}; wanted a list of steps"
        )
        return
    for index, step in enumerate(steps):
        inside = below(path, index)
        if not isinstance(step, dict):
            sheet.error(inside, f"is {kind(step)}; wanted a step")
            continue
        yield Place(step, inside, branch)
        arguments = step.get("Arguments")
        if step.get("Type") == "Condition" and isinstance(arguments, dict):
            for name in ("IfSteps", "ElseSteps"):
                deeper = (*branch, (str(step.get("Name")), name))
                yield from _walk(arguments.get(name, []), f"{inside}.Arguments.{name}", deeper, sheet)


def check_step(place: Place, scope: Scope) -> None:
    step, path, sheet = place.step, place.path, scope.sheet
    type_, user = step.get("Type"), str(step.get("Name"))
    if not isinstance(type_, str) or type_ not in _MORE:
        hint = near(type_, list(_MORE)) if isinstance(type_, str) else ""
        sheet.error(below(path, "Type"), f"is {shown(type_)}; the compiler writes {', '.join(_MORE)}{hint}")
        return
    check_members(step, (*_STEP, *_MORE[type_]), f"a {type_} step", path, sheet)
    for name, shape in (("DisplayName", "StepDisplayName"), ("Description", "StepDescription")):
        if name in step:
            if is_expression(step[name]):
                sheet.error(below(path, name), f"is {kind(step[name])}; wanted a string")
            Arguments(scope, user).check(step[name], shape, below(path, name))
    if "CacheConfig" in step:
        sheet.error(
            below(path, "CacheConfig"), "results are found by their keys in the store; leave the service's cache out"
        )
    if "RetryPolicies" in step:
        _retries(step["RetryPolicies"], below(path, "RetryPolicies"), sheet)
    if "PropertyFiles" in step:
        _property_files(place, sheet)
    inside = below(path, "Arguments")
    if not isinstance(step.get("Arguments"), dict):
        found = f"is {kind(step['Arguments'])}" if "Arguments" in step else "is missing"
        sheet.error(inside, f"{found}; wanted an object")
    elif type_ in ARGUMENTS:
        Arguments(scope, user).step(type_, step["Arguments"], inside)
    elif type_ == "Fail":
        check_members(step["Arguments"], ("ErrorMessage",), "a Fail step", inside, sheet)
        Arguments(scope, user).check(step["Arguments"].get("ErrorMessage"), "String3072", below(inside, "ErrorMessage"))
    else:
        check_condition_step(step["Arguments"], inside, user, scope)


def _retries(policies: Any, path: str, sheet: Sheet) -> None:
    if not isinstance(policies, list):
        sheet.error(path, f"is {kind(policies)}; wanted a list of retry policies")
        return
    seen: set[str] = set()
    for index, policy in enumerate(policies):
        inside = below(path, index)
        if not isinstance(policy, dict):
            sheet.error(inside, f"is {kind(policy)}; wanted an object with ExceptionType")
            continue
        check_members(policy, _POLICY, "a retry policy", inside, sheet)
        _exceptions(policy.get("ExceptionType"), below(inside, "ExceptionType"), seen, sheet)
        _between(policy, "IntervalSeconds", 0, 43200, True, inside, sheet)
        _between(policy, "BackoffRate", 0, 1e6, False, inside, sheet)
        _between(policy, "MaxAttempts", 0, 20, True, inside, sheet)
        _between(policy, "ExpireAfterMin", 0, 14400, True, inside, sheet)
        if {"MaxAttempts", "ExpireAfterMin"} <= set(policy):
            sheet.error(inside, "has MaxAttempts and ExpireAfterMin, which exclude each other; leave one out")


def _exceptions(types: Any, path: str, seen: set[str], sheet: Sheet) -> None:
    if not isinstance(types, list) or not types:
        sheet.error(path, f"is {shown(types)}; wanted a list of {', '.join(_RETRIED)}")
        return
    for index, each in enumerate(types):
        inside = below(path, index)
        if each not in _RETRIED:
            hint = near(each, _RETRIED) if isinstance(each, str) else ""
            sheet.error(
                inside, f"is {shown(each)}, which cannot be retried{hint or '; there are: ' + ', '.join(_RETRIED)}"
            )
        elif each in seen:
            sheet.error(inside, f"{each} is in two policies; keep one")
        else:
            seen.add(each)


def _between(policy: dict[str, Any], name: str, low: float, high: float, whole: bool, path: str, sheet: Sheet) -> None:
    value = policy.get(name, low)
    fits = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
    if not fits or not low <= value <= high:
        wanted = "a whole number" if whole else "a number"
        sheet.error(below(path, name), f"is {shown(value)}; wanted {wanted} from {low} to {high:g}")


def _property_files(place: Place, sheet: Sheet) -> None:
    files, path = place.step["PropertyFiles"], below(place.path, "PropertyFiles")
    config = place.arguments.get("ProcessingOutputConfig")
    outputs = config.get("Outputs") if isinstance(config, dict) else None
    known = [each.get("OutputName") for each in outputs if isinstance(each, dict)] if isinstance(outputs, list) else []
    if not isinstance(files, list):
        sheet.error(path, f"is {kind(files)}; wanted a list of property files")
        return
    wanted = ("PropertyFileName", "OutputName", "FilePath")
    names: list[Any] = []
    for index, file in enumerate(files):
        inside = below(path, index)
        if not isinstance(file, dict):
            sheet.error(inside, f"is {kind(file)}; wanted an object with {', '.join(wanted)}")
            continue
        check_members(file, wanted, "a property file", inside, sheet)
        for name in wanted:
            if not isinstance(file.get(name), str) or not file[name]:
                sheet.error(below(inside, name), f"is {shown(file.get(name))}; wanted a string")
        if file.get("OutputName") not in known:
            there = f"; there are: {', '.join(map(str, known)) or 'none'}"
            sheet.error(below(inside, "OutputName"), f"the step has no output {shown(file.get('OutputName'))}{there}")
        if file.get("PropertyFileName") in names:
            sheet.error(below(inside, "PropertyFileName"), f"{shown(file['PropertyFileName'])} is named twice")
        names.append(file.get("PropertyFileName"))
