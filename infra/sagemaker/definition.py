"""The compiler from a plan to a pipeline definition: a pure function, with the same bytes for the same plan.

Version 2020-12-01 of the definition's JSON is SageMaker's stable public contract; docs/aws.md says why it is as it is.
"""

import json
from collections.abc import Iterator
from copy import deepcopy
from itertools import pairwise
from typing import Any

from infra.runs.plan import Plan
from infra.sagemaker.config import SageMakerConfig, TrainJobConfig
from infra.sagemaker.jobs import DECIDING, Decision, Job, fuse
from infra.sagemaker.requests import CALLS, LONGEST, PROJECT, Requests, fit, join
from infra.sagemaker.stack import Stack
from steps.cards.document import unwritten
from steps.errors import FourscoreError

Definition = dict[str, Any]
VERSION = "2020-12-01"


def compile_plan(
    plan: Plan, problem: str, config: SageMakerConfig, stack: Stack, code: str, decision: Decision | None = None
) -> Definition:
    """Return the definition of what is left to do.

    Args:
        problem: the problem's name.
        code: digest of our modules as they lie below ``code/`` in the stack's root.
        decision: what is decided already (:func:`infra.sagemaker.jobs.decided`).

    Raises:
        InputError: config and plan, or config and stack, do not fit each other.
        FourscoreError: nothing is left to do.
    """
    requests = Requests(problem, config, stack, code)
    jobs = fuse(plan)
    steps = [*(requests.job(job) for job in jobs), *_ending(requests, plan, jobs, decision)]
    if not steps:
        raise FourscoreError("everything is in the store already: there is nothing to compile")
    for before, step in pairwise(steps):
        step["DependsOn"] = [before["Name"]]
    definition: Definition = {
        "Version": VERSION,
        "Metadata": {},
        "Parameters": list(_parameters(config, set(gets(steps)))),
        "PipelineExperimentConfig": None,  # with one, the service would make an experiment and a trial for each execution
        "Steps": steps,
    }
    return deepcopy(definition)  # the policies are shared; whoever changes a definition changes that one only


def text(definition: Definition) -> str:
    """Return the definition's JSON, as it is sent and as golden files hold it."""
    return json.dumps(definition, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def pipeline_name(problem: str) -> str:
    """Return the name of the pipeline of a problem in a stack, which are given as ``stack-problem``."""
    return fit(f"{PROJECT}-{problem}", LONGEST)


def all_steps(steps: list[Definition]) -> Iterator[Definition]:
    """Yield every step, those in branches too."""
    for step in steps:
        yield step
        if step["Type"] == "Condition":
            yield from all_steps([*step["Arguments"]["IfSteps"], *step["Arguments"]["ElseSteps"]])


def gets(value: Any) -> Iterator[str]:
    """Yield every reference inside a part of a definition, such as ``Parameters.Run``."""
    if isinstance(value, dict):
        if isinstance(reference := value.get("Get"), str):
            yield reference
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from gets(item)


def _parameters(config: SageMakerConfig, used: set[str]) -> Iterator[Definition]:
    """Yield the parameters that the definition uses; Run has no default, since results of an execution lie below it."""
    machines: list[Definition] = []
    for job, machine in config.jobs.items():
        name = f"{job.capitalize()}Instance"
        machines.append({"Name": f"{name}Type", "Type": "String", "DefaultValue": machine.instance})
        if isinstance(machine, TrainJobConfig):
            machines.append({"Name": f"{name}Count", "Type": "Integer", "DefaultValue": machine.instances})
    declared: tuple[Definition, ...] = (
        {"Name": "Run", "Type": "String"},
        *machines,
        {"Name": "MlflowRunId", "Type": "String", "DefaultValue": "none"},
    )
    return (parameter for parameter in declared if f"Parameters.{parameter['Name']}" in used)


def _ending(requests: Requests, plan: Plan, jobs: tuple[Job, ...], decision: Decision | None) -> Iterator[Definition]:
    """Yield what follows from the verdict: a model package or the reasons; nothing if there is nothing to decide."""
    registering = plan.producer("registration")
    if registering is None or registering not in plan.steps or plan.smoke:
        return
    package = {
        "Name": "register-model",
        "Type": "RegisterModel",
        "Arguments": requests.package(
            registering, missing_answers(plan), decision.card if decision else _verdict("card")
        ),
        "RetryPolicies": [CALLS],
    }
    if any(job.name == DECIDING for job in jobs):
        passed = {"Type": "Equals", "LeftValue": _verdict("verdict"), "RightValue": "pass"}
        rejected = _rejection(join("rejected: ", _verdict("reasons")))
        branches = {"Conditions": [passed], "IfSteps": [package], "ElseSteps": [rejected]}
        yield {"Name": "verdict", "Type": "Condition", "Arguments": branches}
    elif decision is None:
        raise FourscoreError("the assessment is cached and its verdict was not given")
    elif decision.verdict == "rejected":
        yield _rejection(_cut("rejected: " + "\n".join(decision.reasons)))
    else:
        yield package


def missing_answers(plan: Plan) -> list[str]:
    """Return the fields of the problem that a person still has to write; until then its model is not to be used."""
    card = plan.producer("card")
    return unwritten(card.config.model_dump()) if card else []


def _rejection(message: Any) -> Definition:
    return {"Name": "rejected", "Type": "Fail", "Arguments": {"ErrorMessage": message}}


def _verdict(path: str) -> Definition:
    return {"Std:JsonGet": {"PropertyFile": {"Get": f"Steps.{DECIDING}.PropertyFiles.verdict"}, "Path": path}}


def _cut(message: str) -> str:
    return message if len(message) <= LONGEST else f"{message[: LONGEST - 4]} ..."
