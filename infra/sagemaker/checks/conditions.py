"""Condition steps: conditions of known types, on values that can be compared, with something that follows from them"""

from __future__ import annotations

import json
from typing import Any

from infra.sagemaker.checks.expressions import Scope, is_expression
from infra.sagemaker.checks.faults import below, kind, shown
from infra.sagemaker.checks.parameters import check_members, is_a
from steps.errors import near

_ORDERED = ("GreaterThan", "GreaterThanOrEqualTo", "LessThan", "LessThanOrEqualTo")
_CONDITIONS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("Equals", *_ORDERED), ("LeftValue", "RightValue")),
    "In": ("QueryValue", "Values"),
    "Not": ("Expression",),
    "Or": ("Conditions",),
}


def check_condition_step(arguments: dict[str, Any], path: str, user: str, scope: Scope) -> None:
    check_members(arguments, ("Conditions", "IfSteps", "ElseSteps"), "a Condition step", path, scope.sheet)
    _conditions(arguments.get("Conditions"), below(path, "Conditions"), user, scope)
    guard = "Steps." not in json.dumps(arguments.get("Conditions"))
    for name in ("IfSteps", "ElseSteps"):
        if guard and name == "IfSteps" and arguments.get(name) == []:
            continue  # it looks at parameters alone: there is something to stop, and else nothing to do
        if not arguments.get(name):
            found = "has no steps: an execution that comes here would succeed, having done nothing"
            scope.sheet.error(below(path, name), f"{found}; wanted a step, such as Fail with the reason")


def _conditions(conditions: Any, path: str, user: str, scope: Scope) -> None:
    if not isinstance(conditions, list) or not conditions:
        scope.sheet.error(path, f"is {shown(conditions)}; wanted a list of conditions")
        return
    for index, each in enumerate(conditions):
        _condition(each, below(path, index), user, scope)


def _condition(condition: Any, path: str, user: str, scope: Scope) -> None:
    sheet = scope.sheet
    type_ = condition.get("Type") if isinstance(condition, dict) else None
    if not isinstance(type_, str) or type_ not in _CONDITIONS:
        hint = near(type_, list(_CONDITIONS)) if isinstance(type_, str) else ""
        sheet.error(below(path, "Type"), f"is {shown(type_)}; wanted {', '.join(_CONDITIONS)}{hint}")
        return
    wanted = _CONDITIONS[type_]
    check_members(condition, ("Type", *wanted), f"the condition {type_}", path, sheet)
    if missing := [name for name in wanted if name not in condition]:
        for name in missing:
            sheet.error(below(path, name), f"is missing; {type_} wants it")
    elif type_ == "Not":
        _condition(condition["Expression"], below(path, "Expression"), user, scope)
    elif type_ == "Or":
        _conditions(condition["Conditions"], below(path, "Conditions"), user, scope)
    elif type_ == "In":
        _operand(condition["QueryValue"], below(path, "QueryValue"), user, scope)
        values = condition["Values"]
        if not isinstance(values, list) or not values:
            sheet.error(below(path, "Values"), f"is {shown(values)}; wanted a list of values")
        for index, each in enumerate(values if isinstance(values, list) else ()):
            _operand(each, below(below(path, "Values"), index), user, scope)
    else:
        _comparison(condition, type_, path, user, scope)


def _comparison(condition: dict[str, Any], type_: str, path: str, user: str, scope: Scope) -> None:
    sides = {name: condition[name] for name in ("LeftValue", "RightValue")}
    types = [_operand(value, below(path, name), user, scope) for name, value in sides.items()]
    if not any(map(is_expression, sides.values())):
        scope.sheet.error(path, "compares two fixed values: it says the same whatever happens")
    kinds = {"Number" if each in ("Integer", "Float") else each for each in types} - {None}
    if len(kinds) > 1:
        scope.sheet.error(path, f"compares {types[0]} with {types[1]}; wanted two of one type")
    elif type_ in _ORDERED and kinds - {"Number"}:
        scope.sheet.error(path, f"{type_} compares numbers; this is {kinds.pop()}")


def _operand(value: Any, path: str, user: str, scope: Scope) -> str | None:
    if is_expression(value):
        return scope.type_of(value, path, user)
    for type_ in ("Boolean", "Integer", "Float", "String"):
        if is_a(value, type_):
            return type_
    scope.sheet.error(path, f"is {kind(value)}; wanted a string, a number, a boolean or an expression")
    return None
