"""One execution for all who start the same work at once."""

import contextlib
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from infra.aws_errors import ResourceNotFound
from infra.sagemaker.definition import Definition, text
from infra.sagemaker.requests import fit
from infra.sagemaker.service import Service
from steps.errors import FourscoreError, InputError

ATTEMPTS = 5
"""How often a pipeline that somebody else changes at this very moment is started."""
TITLE = 82
"""Greatest number of characters of an execution's display name, which the console shows."""


@dataclass(frozen=True)
class Work:
    """What an execution is to do, and how it is asked for."""

    pipeline: str
    definition: Definition
    role: str
    tags: Sequence[Mapping[str, str]]
    run: str
    mlflow_run: str | None = None
    """The run in MLflow that a model package names."""

    @cached_property
    def digest(self) -> str:
        """What makes two executions the same work: not who asks, nor when."""
        return hashlib.sha256(text(self.definition).encode()).hexdigest()

    @property
    def parameters(self) -> dict[str, str]:
        """The values of the execution's parameters that are not left at their defaults."""
        declared = {parameter["Name"] for parameter in self.definition["Parameters"]}
        values = {"Run": self.run, "MlflowRunId": self.mlflow_run}
        return {name: value for name, value in values.items() if value and name in declared}


def start(service: Service, work: Work, note: Callable[[str], None]) -> None:
    """Start an execution, or find the one that somebody started for the same work.

    A start's token is made of the work and of the execution that last did it. So two who start at once, and one who
    starts again because the response was lost, get one execution; one that is over or was deleted blocks nothing.

    Args:
        note: hears the ARN of the execution as soon as it is known, also if the start is then interrupted.

    Raises:
        InputError: AWS refuses the pipeline or the start.
        FourscoreError: AWS cannot be reached, or others change the pipeline again and again.
    """
    arn = ""
    for _ in range(ATTEMPTS):
        latest = service.latest(work.pipeline, work.digest)
        before = arn or (latest.arn if latest else "")
        arn = latest.arn if latest and not latest.over else _begin(service, work, before, note)
        with contextlib.suppress(ResourceNotFound):  # it was deleted, but AWS still remembers its token
            if json.loads(service.definition_of(arn)) == work.definition:
                note(arn)
                return
            if not service.execution(arn).over:  # somebody changed the pipeline between our update and our start
                service.stop(arn)
    raise FourscoreError(
        f"pipeline {work.pipeline} is changed by others again and again; run the same command again later"
    )


def _begin(service: Service, work: Work, before: str, note: Callable[[str], None]) -> str:
    token = hashlib.sha256(f"{work.digest}\n{before}".encode()).hexdigest()
    service.upsert(work.pipeline, text(work.definition), work.role, work.tags, token)
    try:
        return service.start(work.pipeline, work.parameters, token, fit(work.run, TITLE), work.digest)
    except InputError:
        raise
    except (KeyboardInterrupt, FourscoreError) as error:  # the response was lost, or another start came first
        latest = service.latest(work.pipeline, work.digest)
        if latest is None or latest.over:
            raise
        if isinstance(error, KeyboardInterrupt):
            note(latest.arn)
            raise
        return latest.arn
