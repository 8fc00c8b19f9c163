"""From a plan to a pipeline definition: a pure function whose text is the same, byte for byte, for the same plan.

Version 2020-12-01 of the definition's JSON is SageMaker's stable public contract. Why it is as it is:

- The condition ``affordable`` stands beside the jobs: nothing can depend on a condition, and a condition cannot be inside
  a branch of another, as ``verdict`` would be. Who starts an execution by hand beyond the money cap sees it fail before
  its second job; ``fourscore run`` refuses such a run before it is sent.
- Spot is no parameter: MaxWaitTimeInSeconds is refused when spot is off and wanted when it is on, and a parameter cannot
  take a field away. Compiling anew costs milliseconds.
- One host or several differ in TrainInstanceCount alone: the hosts are known inside the container only, so
  ``python -m infra.container train`` starts torchrun itself when it finds several hosts or GPUs.
- Caching is ours, by keys, so steps carry no CacheConfig.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from copy import deepcopy
from itertools import pairwise
from typing import Any

from infra.runs.plan import Plan
from infra.sagemaker.config import SageMakerConfig
from infra.sagemaker.jobs import Decision, Job, fuse
from infra.sagemaker.requests import CALLS, LONGEST, PROJECT, Site, fit, join, parameter
from infra.sagemaker.stack import Stack
from steps.errors import FourscoreError

Definition = dict[str, Any]

VERSION = "2020-12-01"


def compile_plan(
    plan: Plan,
    problem: str,
    config: SageMakerConfig,
    stack: Stack,
    code: str,
    worst_case: float,
    decision: Decision | None = None,
) -> Definition:
    """The definition of what is left to do.

    Args:
        problem: the problem's name.
        code: digest of our modules as they lie below ``code/`` in the stack's root.
        worst_case: dollars that the jobs cost if each takes all the time that it may.
        decision: what is decided already (:func:`infra.sagemaker.jobs.decided`).

    Raises:
        InputError: config and plan, or config and stack, do not fit each other.
        FourscoreError: nothing is left to do.
    """
    site = Site(problem, config, stack, code)
    jobs = () if decision and decision.verdict == "refused" else fuse(plan)
    steps = [*(site.job(job) for job in jobs), *_ending(site, plan, jobs, decision)]
    if not steps:
        raise FourscoreError("everything is in the store already: there is nothing to compile")
    for before, step in pairwise(steps):
        step["DependsOn"] = [before["Name"]]
    if jobs:
        steps = [_affordable(), *steps]
    definition: Definition = {
        "Version": VERSION,
        "Metadata": {},
        "Parameters": list(_parameters(config, worst_case, set(gets(steps)))),
        "PipelineExperimentConfig": None,  # with one, the service would make an experiment and a trial for each execution
        "Steps": steps,
    }
    return deepcopy(definition)  # the policies are shared; whoever changes a definition changes that one only


def text(definition: Definition) -> str:
    """What is sent, and what golden files hold."""
    return json.dumps(definition, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def digest(definition: Definition) -> str:
    return hashlib.sha256(text(definition).encode()).hexdigest()


def pipeline_name(problem: str) -> str:
    """Of a problem in a stack, as ``stack-problem``: two stacks of one account keep apart."""
    return fit(f"{PROJECT}-{problem}", LONGEST)


def step_names(steps: list[Definition]) -> Iterator[str]:
    """The names of steps, those in branches too."""
    for step in steps:
        yield step["Name"]
        if step["Type"] == "Condition":
            yield from step_names([*step["Arguments"]["IfSteps"], *step["Arguments"]["ElseSteps"]])


def package_groups(steps: list[Definition]) -> Iterator[str]:
    """The model package groups that steps register models in, those in branches too."""
    for step in steps:
        if step["Type"] == "RegisterModel":
            yield step["Arguments"]["ModelPackageGroupName"]
        if step["Type"] == "Condition":
            yield from package_groups([*step["Arguments"]["IfSteps"], *step["Arguments"]["ElseSteps"]])


def gets(value: Any) -> Iterator[str]:
    """Everything that is referred to inside a part of a definition: ``Parameters.Run``, ``Steps.assess...``."""
    if isinstance(value, dict):
        if isinstance(reference := value.get("Get"), str):
            yield reference
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from gets(each)


def _parameters(config: SageMakerConfig, worst_case: float, used: set[str]) -> Iterator[Definition]:
    """Those that the definition uses; Run has no default, since an execution without a run would have no place."""
    statuses = ["PendingManualApproval", "Approved", "Rejected"]
    known: tuple[Definition, ...] = (
        {"Name": "Run", "Type": "String"},
        {"Name": "PrepareInstanceType", "Type": "String", "DefaultValue": config.prepare.instance},
        {"Name": "TrainInstanceType", "Type": "String", "DefaultValue": config.train.instance},
        {"Name": "TrainInstanceCount", "Type": "Integer", "DefaultValue": config.train.instances},
        {"Name": "AssessInstanceType", "Type": "String", "DefaultValue": config.assess.instance},
        {"Name": "MaxDollars", "Type": "Float", "DefaultValue": float(config.max_dollars)},
        {"Name": "WorstCaseDollars", "Type": "Float", "DefaultValue": float(worst_case)},
        {"Name": "ApprovalStatus", "Type": "String", "DefaultValue": statuses[0], "EnumValues": statuses},
        {"Name": "MlflowRunId", "Type": "String", "DefaultValue": "none"},
    )
    return (each for each in known if f"Parameters.{each['Name']}" in used)


def _ending(site: Site, plan: Plan, jobs: tuple[Job, ...], decision: Decision | None) -> Iterator[Definition]:
    """What follows from the verdict: a model package, or the reasons; nothing where nothing is to be decided."""
    if decision and decision.verdict == "refused":
        yield _fail("refused", _cut(f"refused: {decision.stage}: " + "\n".join(decision.reasons)))
        return
    registering = plan.producer("registration")
    if registering is None or registering not in plan.steps or plan.smoke:
        return
    package = {
        "Name": "register-model",
        "Type": "RegisterModel",
        "Arguments": site.package(registering),
        "RetryPolicies": [CALLS],
    }
    if any(job.name == "assess" for job in jobs):
        passed = {"Type": "Equals", "LeftValue": _verdict("verdict"), "RightValue": "pass"}
        yield _condition("verdict", passed, [package], _fail("rejected", join("rejected: ", _verdict("reasons"))))
    elif decision is None:
        raise FourscoreError("the assessment is cached and its verdict was not given")
    elif decision.verdict == "rejected":
        yield _fail("rejected", _cut("rejected: " + "\n".join(decision.reasons)))
    else:
        yield package


def _affordable() -> Definition:
    dollars, cap = parameter("WorstCaseDollars"), parameter("MaxDollars")
    advice = " of sagemaker.max_dollars; raise it, or give the jobs less"
    dear = _fail("too-expensive", join("the run could cost $", dollars, ", more than the $", cap, advice))
    return _condition("affordable", {"Type": "LessThanOrEqualTo", "LeftValue": dollars, "RightValue": cap}, [], dear)


def _condition(name: str, condition: Definition, then: list[Definition], otherwise: Definition) -> Definition:
    arguments = {"Conditions": [condition], "IfSteps": then, "ElseSteps": [otherwise]}
    return {"Name": name, "Type": "Condition", "Arguments": arguments}


def _fail(name: str, message: Any) -> Definition:
    return {"Name": name, "Type": "Fail", "Arguments": {"ErrorMessage": message}}


def _verdict(path: str) -> Definition:
    return {"Std:JsonGet": {"PropertyFile": {"Get": "Steps.assess.PropertyFiles.verdict"}, "Path": path}}


def _cut(message: str) -> str:
    return message if len(message) <= LONGEST else f"{message[: LONGEST - 4]} ..."
