"""Faults of a pipeline definition before it is sent, all at once, each with its path: structure, references, order, limits, rules

Sources: the public JSON schema of pipeline definitions, the SageMaker Developer Guide ("Pipelines steps", "Retry Policy for
Pipeline Steps"), the SDK's validators, and botocore's model (``infra.sagemaker.shapes``).
"""

from __future__ import annotations

from typing import Any

from infra.sagemaker.checks.contract import check_contract
from infra.sagemaker.checks.expressions import Scope
from infra.sagemaker.checks.faults import Fault, Sheet, kind
from infra.sagemaker.checks.order import check_order
from infra.sagemaker.checks.parameters import check_parameters, check_top
from infra.sagemaker.checks.rules import check_rules
from infra.sagemaker.checks.steps import check_step, find_steps
from steps.errors import FourscoreError, InputError

__all__ = ["Fault", "faults", "refuse"]


def faults(definition: Any) -> list[Fault]:
    """Everything that is wrong, in the order of the definition's parts; an empty list where nothing is."""
    sheet = Sheet()
    if not isinstance(definition, dict):
        sheet.error("", f"is {kind(definition)}; wanted an object with Version, Parameters and Steps")
        return sheet.faults
    scope = Scope(sheet)
    check_top(definition, sheet)
    check_parameters(definition.get("Parameters", []), scope)
    places = find_steps(definition.get("Steps"), scope)
    for place in places:
        check_step(place, scope)
    check_order(places, scope)
    check_rules(places, scope)
    check_contract(places, scope)
    for name, path in scope.declared.items():
        if name not in scope.used:
            sheet.warning(path, f"{name!r} is used nowhere; leave it out, or refer to it as Parameters.{name}")
    return sheet.faults


def refuse(definition: Any) -> list[Fault]:
    """The warnings.

    Raises:
        FourscoreError: there are errors; the message lists them all.
    """
    found = faults(definition)
    if wrong := [fault for fault in found if fault.severity == "error"]:
        listed = "\n".join(f"  {fault}" for fault in wrong)
        chosen = all("InstanceType" in f"{fault.path} {fault.message}" for fault in wrong)  # by the problem file
        raise (InputError if chosen else FourscoreError)(
            f"the pipeline definition has {len(wrong)} fault(s) and is not sent:\n{listed}"
        )
    return found
