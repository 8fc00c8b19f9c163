"""The definition with everything in it that a run may have, from which a stack's roles are generated before any run is"""

from __future__ import annotations

import hashlib

from infra.aws.facts import PROJECT, Facts
from infra.runs.plan import Plan, PlannedStep
from infra.sagemaker.config import JOBS, SageMakerConfig
from infra.sagemaker.definition import Definition, compile_plan
from infra.sagemaker.stack import Stack
from infra.sources.source import Source
from steps.core import Config, Pipeline

NOTHING = "0" * 64
"""Stands for any digest: policies have wildcards where digests are."""
PRIVATE = {"subnets": ("subnet-0",), "security_groups": ("sg-0",)}


def reference_definition(facts: Facts, pipeline: Pipeline, *, private: bool, tracking_uri: str | None) -> Definition:
    """What the compiler makes of a plan with all stages on spot capacity, none of them cached.

    Args:
        private: jobs may run in a network of one's own.
        tracking_uri: MLflow as the jobs reach it.
    """
    config = {"train": {"spot": True}, **(PRIVATE if private else {})}
    stack = stack_of(facts, {"cpu": f"{facts.registry}/{facts.name}@sha256:{NOTHING}"}, tracking_uri)
    return compile_plan(_plan(pipeline), PROJECT, SageMakerConfig.model_validate(config), stack, NOTHING, worst_case=0)


def stack_of(facts: Facts, images: dict[str, str], tracking_uri: str | None = None) -> Stack:
    """The stack as compiler and backend know it."""
    return Stack(
        name=facts.stack,
        region=facts.region,
        account=facts.account,
        bucket=facts.bucket,
        prefix=facts.prefix,
        roles={role: facts.role(role) for role in ("pipeline", *JOBS)},
        images=images,
        package_group=facts.name,
        kms_key=facts.key,
        tracking_uri=tracking_uri,
    )


class _Registration(Config):
    """Stands for the config of whichever stage registers a model."""

    name: str = PROJECT
    problem_digest: str = NOTHING


def _plan(pipeline: Pipeline) -> Plan:
    keys: dict[str, str] = {}
    planned = []
    for step in pipeline:
        key = hashlib.sha256(step.name.encode()).hexdigest()
        inputs = {artifact: keys[artifact] for artifact in step.inputs if artifact in keys}
        planned.append(PlannedStep(step, _Registration(), key, {}, inputs, cached=False, reason=""))
        keys |= dict.fromkeys(step.outputs, key)
    return Plan(tuple(planned), dict.fromkeys(pipeline.sources, Source()))
