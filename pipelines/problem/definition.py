"""The problem definition: problem.yaml as types, and the config of every stage that follows from it.

Values on which several stages must agree (target, task, thresholds, how rows are divided) are written once, at the top or in
``split``, and go into the configs here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, field_validator

from infra.sagemaker.config import SageMakerConfig
from model_code import tasks
from pipelines.problem.suite import suite_of_sample
from pipelines.problem.yaml_lines import Document
from steps.core import Config, Pipeline
from steps.define import DefineConfig
from steps.evaluate import EvaluateConfig, EvaluateSection
from steps.evaluation.thresholds import Goal
from steps.ingest import DataSection, IngestConfig
from steps.label import LabelConfig, LabelSection
from steps.register import RegisterConfig, RegisterSection
from steps.split import SplitConfig
from steps.train import TrainConfig, TrainSection
from steps.validate import ValidateConfig

SHARED: Mapping[str, str] = {
    "target": "target",
    "task": "task",
    "success": "success",
    "costs": "costs",
    "decision_threshold": "decision_threshold",
    "by": "split.by",
    "column": "split.column",
    "key": "split.key",
    "problem_digest": "the whole problem",
    "smoke": "--smoke",
}
"""Fields of the stages' configs that a section does not write, and where their values come from."""

SMOKE = {"data.sample_rows": "2000", "train.budget.epochs": "5", "evaluate.resamples": "200"}
"""The settings of ``--smoke``: the same pipeline on a small sample."""


class Problem(DefineConfig):
    """A question, the data that may answer it, and the success criteria."""

    eased: dict[str, Annotated[str, Field(min_length=1)]] = Field(
        default={},
        description=(
            "Promises that ask less than those of an earlier run, each with the reason; a report that finds one shows "
            "the line to write here."
        ),
    )
    data: DataSection
    expectations: str = Field(description="The Great Expectations suite (JSON), relative to this file.")
    label: LabelSection = Field(default_factory=LabelSection)
    split: SplitConfig = Field(default_factory=SplitConfig)
    train: TrainSection = Field(default_factory=TrainSection)
    evaluate: EvaluateSection = Field(default_factory=EvaluateSection)
    register_as: RegisterSection = Field(default_factory=RegisterSection, alias="register")
    tracking_uri: str | None = Field(
        default=None, description="The MLflow tracking server; the workspace's own sqlite when left out."
    )
    sagemaker: SageMakerConfig = Field(
        default_factory=SageMakerConfig,
        description="Machines, time and money on Amazon SageMaker; changes neither results nor keys.",
    )

    @field_validator("data", "label", "split", "train", "evaluate", "register_as", mode="before")
    @classmethod
    def _empty_section(cls, value: object) -> object:
        return {} if value is None else value

    @field_validator("task")
    @classmethod
    def _known_task(cls, value: str) -> str:
        tasks.get(value)
        return value

    def columns_of_role(self, role: str) -> list[str]:
        """Return the declared columns of a role."""
        return [name for name, column in self.data.columns.items() if column.role == role]

    @property
    def division_column(self) -> str | None:
        """The column of the group or time by which rows are divided: the declared one, or the only one of that role."""
        return self.split.column or next(iter(self.columns_of_role(self.split.by)), None)

    def table(self) -> IngestConfig:
        """Return the config of the stage that reads the data."""
        return IngestConfig(**dict(self.data), target=self.target)


@dataclass(frozen=True)
class Loaded:
    """A problem, its expectation suite, and the document that it was read from."""

    problem: Problem
    suite: ValidateConfig
    document: Document
    smoke: bool

    def digest(self) -> str:
        """Return the sha256 of the problem and its suite, without where it runs and is tracked."""
        problem = self.problem.model_dump(mode="json", exclude={"tracking_uri", "sagemaker"})
        content = [problem, self.suite.model_dump(mode="json")]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def configs(self, pipeline: Pipeline) -> dict[str, Config]:
        """Return the config of each stage; one that the problem does not mention has its defaults."""
        p, column = self.problem, self.problem.division_column
        goal = Goal(
            task=p.task,
            success=p.success,
            costs=p.costs,
            decision_threshold=p.decision_threshold,
            by=p.split.by,
            column=column,
            key=p.split.key,
        )
        configs: dict[str, Config] = {
            "define": DefineConfig(**p.model_dump(include=set(DefineConfig.model_fields))),
            "ingest": p.table(),
            "validate": suite_of_sample(self.suite) if self.smoke else self.suite,
            "label": LabelConfig(**dict(p.label), target=p.target, task=p.task),
            "split": p.split,
            "train": TrainConfig(**dict(p.train), **dict(goal.on_folds(p.train.choose))),
            "evaluate": EvaluateConfig(**dict(p.evaluate), **dict(goal)),
            "register": RegisterConfig(
                name=p.register_as.name or p.name, problem_digest=self.digest(), smoke=self.smoke
            ),
        }
        return {step.name: configs.get(step.name) or step.config_type() for step in pipeline}
