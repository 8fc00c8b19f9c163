"""The problem definition: problem.yaml as types, with the config of every stage.

Values on which several stages must agree (target, task, thresholds, how rows are divided) are written once, at the top or in
``split``, and passed to the config of each stage here.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, field_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from infra.sagemaker.config import SageMakerConfig
from infra.secrets import UNSAFE, credentials_in
from model_code import tasks
from pipelines.problem.suite import read_suite, suite_of_sample
from pipelines.problem.yaml_lines import Document, complain, parse, read, refuse
from steps.core import Config, Pipeline
from steps.define import DefineConfig, Fault
from steps.errors import InputError
from steps.evaluate import EvaluateConfig
from steps.evaluation.thresholds import Threshold
from steps.ingest import IngestConfig, Source
from steps.label import LabelConfig
from steps.register import RegisterConfig
from steps.split import SplitConfig
from steps.train import TrainConfig
from steps.validate import ValidateConfig

SHARED: Mapping[str, Mapping[str, str]] = {
    "data": {"target": "target"},
    "label": {"target": "target", "task": "task"},
    "train": {
        "task": "task",
        "success": "success",
        "by": "split.by",
        "column": "split.column",
        "key": "split.key",
    },
    "evaluate": {"task": "task", "success": "success", "clusters": "split"},
    "register": {"problem_digest": "the whole problem", "smoke": "--smoke"},
}
"""The fields of each section that a problem file does not write there, and where their values come from."""

SMOKE = {"data.sample_rows": "2000", "train.budget.epochs": "5", "evaluate.resamples": "200", "register.smoke": "true"}
"""The settings of ``--smoke``: the same pipeline on a small sample."""

SOURCE = re.compile(r"[^\W\d][\w-]{0,63}")
"""The names that a source may have; folders and files are named after it."""
_MISNAMED = (
    "{name} cannot be the name of a source; use letters, digits, _ and -, beginning with a letter or _, at most 64 "
    "characters"
)


class DataConfig(IngestConfig):
    """The sources of the data and its columns."""

    sources: dict[str, Source] = Field(
        min_length=1,
        description=(
            "The files, by a name that the query may use: letters, digits, _ and -, beginning with a letter or _, at "
            "most 64 characters."
        ),
    )

    @field_validator("sources")
    @classmethod
    def _names_are_names(cls, value: dict[str, Source]) -> dict[str, Source]:
        wrong = [
            InitErrorDetails(
                type=PydanticCustomError("value_error", _MISNAMED, {"name": repr(name)}), loc=(name,), input=name
            )
            for name in value
            if not SOURCE.fullmatch(name)
        ]
        for name, source in value.items():
            for path in [source.path] if isinstance(source.path, str) else source.path:
                if secret := credentials_in(path):
                    reason = {"reason": f"holds {secret}, {UNSAFE}"}
                    kind = PydanticCustomError("value_error", "{reason}", reason)
                    wrong.append(InitErrorDetails(type=kind, loc=(name, "path"), input=name))
        if wrong:  # a ValueError would have the place of all names
            raise ValidationError.from_exception_data(cls.__name__, wrong)
        return value


class Problem(Config):
    """A question, the data that may answer it, and the success criteria."""

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$",
        description="Lower-case letters, digits, - and _; names runs and experiments.",
    )
    question: str = Field(min_length=1, description="The question in words.")
    decision: str = Field(min_length=1, description="The decision that the answer serves.")
    owner: str = Field(min_length=1, description="The role that owns the decision.")
    cost_of_error: str = Field(min_length=1, description="The cost of errors, in each direction.")
    task: str = Field(description="binary-classification, multiclass-classification or regression.")
    target: str = Field(
        min_length=1, description="The predicted column, or the name of the column that label.rule computes."
    )
    success: tuple[Threshold, ...] = Field(
        description="The thresholds that the model must reach on the held-out test set."
    )
    eased: dict[str, Annotated[str, Field(min_length=1)]] = Field(
        default={},
        description=(
            "Promises that ask less than those of an earlier run, each with the reason; a report that finds one shows "
            "the line to write here."
        ),
    )
    data: DataConfig
    expectations: str = Field(description="The Great Expectations suite (JSON), relative to this file.")
    label: LabelConfig
    split: SplitConfig
    train: TrainConfig
    evaluate: EvaluateConfig
    register_as: RegisterConfig = Field(alias="register")
    tracking_uri: str | None = Field(
        default=None, description="The MLflow tracking server; the workspace's own sqlite when left out."
    )
    sagemaker: SageMakerConfig = Field(
        default_factory=SageMakerConfig,
        description="Machines, time and money on Amazon SageMaker; changes neither results nor keys.",
    )

    @field_validator("tracking_uri")
    @classmethod
    def _holds_no_credentials(cls, value: str | None) -> str | None:
        if secret := credentials_in(value or ""):
            raise ValueError(
                f"holds {secret}, which would be copied to run files and MLflow; write it without, and set the environment "
                "variables MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or say --tracking-uri"
            )
        return value

    @field_validator("task")
    @classmethod
    def _known_task(cls, value: str) -> str:
        tasks.get(value)
        return value


class Loaded(Config):
    """A problem, its expectation suite and the settings that it was loaded with."""

    problem: Problem
    suite: ValidateConfig
    path: Path
    overrides: dict[str, str]
    smoke: bool

    def digest(self) -> str:
        """Return the sha256 of the problem and its suite, without where it runs and is tracked."""
        problem = self.problem.model_dump(mode="json", exclude={"tracking_uri", "sagemaker"})
        content = [problem, self.suite.model_dump(mode="json")]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def card(self) -> DefineConfig:
        """Return the config of the stage that freezes the problem."""
        return DefineConfig(**{name: getattr(self.problem, name) for name in DefineConfig.model_fields})

    def configs(self, pipeline: Pipeline) -> dict[str, Config]:
        """Return the config of each stage; one that the problem does not mention has its defaults."""
        p = self.problem
        configs: dict[str, Config] = {
            "define": self.card(),
            "ingest": p.data,
            "validate": suite_of_sample(self.suite) if self.smoke else self.suite,
            "label": p.label,
            "split": p.split,
            "train": p.train,
            "evaluate": p.evaluate,
            "register": p.register_as.model_copy(update={"problem_digest": self.digest()}),
        }
        return {step.name: configs.get(step.name) or step.config_type() for step in pipeline}


def load(path: Path, settings: Mapping[str, str] | None = None, *, smoke: bool = False) -> Loaded:
    """Read a problem file, apply ``--set`` overrides, check everything that can be checked without data.

    Raises:
        InputError: something is wrong; one line per fault, with file, line and the valid choices.
    """
    document = read(path)
    problem, _ = check(document, settings or {}, SMOKE if smoke else {})
    suite = read_suite(path.parent / problem.expectations, document.place(("expectations",)))
    return Loaded(problem=problem, suite=suite, path=path, overrides=dict(settings or {}), smoke=smoke)


def check(
    document: Document, settings: Mapping[str, str], defaults: Mapping[str, str] | None = None
) -> tuple[Problem, dict[str, Any]]:
    """Return the problem that a document and ``--set`` overrides define, and its content.

    Args:
        defaults: overrides that the settings go before.

    Raises:
        InputError: something is wrong; one line per fault, with file, line and the valid choices.
    """
    overrides = {**(defaults or {}), **settings}
    content = _override(document.content, overrides)
    _refuse_shared(document, settings)
    try:
        problem = Problem.model_validate(_share(content))
    except ValidationError as error:
        raise complain(document, error, Problem, overrides, SHARED) from None
    refuse(_contradictions(problem), document, overrides)
    return problem, content


def _contradictions(problem: Problem) -> Iterator[Fault]:
    """Yield settings that no data could make possible."""
    split, label, has_classes = problem.split, problem.label, tasks.get(problem.task).has_classes
    of_role = [name for name, column in problem.data.columns.items() if column.role == split.by]
    if split.by != "row" and split.column is None and len(of_role) != 1:
        count = f"{len(of_role)} columns have it: {', '.join(of_role)}" if of_role else "no column has it"
        yield ("split", "by"), f"split.by: {split.by} needs split.column, or one column of role {split.by}; {count}"
    if split.by != "row" and problem.target in (split.column, *of_role):
        yield ("split",), f"split.column: {problem.target!r} is the target, which is not known before"
    name = split.column or next(iter(of_role), "")
    column = problem.data.columns.get(name)
    if split.by == "time" and column and column.type in ("boolean", "category", "text"):
        text = f"split.by: time needs dates or numbers, and column {name!r} is declared as {column.type}"
        yield ("split", "column"), text
    if split.stratify == "exact" and not has_classes:
        yield ("split", "stratify"), "split.stratify: exact gives each class its share, and a regression has no classes"
    for setting in ("positive", "classes", "leave_out"):
        if getattr(label, setting) and not has_classes:
            yield ("label", setting), f"label.{setting}: a regression has no classes"
    if label.positive and label.classes and label.positive not in label.classes:
        yield ("label", "positive"), f"label.positive: {label.positive!r} is not in label.classes"
    if (
        label.rule is None
        and (column := problem.data.columns.get(problem.target))
        and column.type in ("date", "datetime")
    ):
        yield (
            ("target",),
            f"target: {problem.target!r} holds dates; predict a number or a class, computed by label.rule",
        )


def _override(content: dict[str, Any], overrides: Mapping[str, str]) -> dict[str, Any]:
    changed: dict[str, Any] = json.loads(json.dumps(content, default=str))
    for key, text in overrides.items():
        *parents, last = key.split(".")
        section: Any = changed
        for parent in parents:
            if isinstance(section, dict) and section.get(parent) is None:
                section[parent] = {}
            section = _enter(section, parent, key)
        try:
            value, _ = parse(f"--set {key}", text)
        except InputError as error:
            raise InputError(f"{error}. If text is meant, quote it: --set {key}='\"...\"'") from None
        if isinstance(section, list):
            _enter(section, last, key)
            section[int(last)] = value
        elif isinstance(section, dict):
            section[last] = value
        else:
            raise InputError(f"--set {key}: {'.'.join(parents)} is a single value without fields")
    return changed


def _enter(section: Any, name: str, key: str) -> Any:
    if isinstance(section, list):
        if not name.isdigit() or int(name) >= len(section):
            raise InputError(f"--set {key}: {name!r} is not an index of a list of {len(section)}; indices start at 0")
        return section[int(name)]
    if isinstance(section, dict):
        return section[name]
    raise InputError(f"--set {key}: the parent of {name!r} is a single value without fields")


def _refuse_shared(document: Document, settings: Mapping[str, str]) -> None:
    for section, fields in SHARED.items():
        content = document.content.get(section)
        for name, origin in fields.items():
            if isinstance(content, dict) and name in content:
                raise InputError(
                    f"{document.place((section, name))}: {section}.{name} is not written here; it follows from {origin}"
                )
            if f"{section}.{name}" in settings:
                raise InputError(f"--set {section}.{name}: it follows from {origin}; set that")


def _share(content: dict[str, Any]) -> dict[str, Any]:
    """Fill in the shared fields, so that each section is validated as its stage's whole config.

    Content of the wrong shape is passed on for the validation to complain about.
    """
    section = content.get("split")
    split = section if isinstance(section, dict) else {}
    by = split.get("by", "row")
    column = split.get("column") or _of_role(content, split.get("by"))
    shared = {
        **{name: content.get(name) for name in ("target", "task", "success")},
        "split.by": by if column else None,  # the problem is refused with the reason
        "split.column": column,
        "split.key": split.get("key"),
        "split": column if by in ("group", "time") else None,
    }
    filled = dict(content)
    for name in (*SHARED, "split"):
        fields = content.get(name, {}) or {}
        if isinstance(fields, dict):
            origins = SHARED.get(name, {}).items()
            extra = {field: shared[origin] for field, origin in origins if shared.get(origin) is not None}
            filled[name] = {**extra, **fields}
    if isinstance(filled["register"], dict):
        filled["register"].setdefault("name", content.get("name"))
    return filled


def _of_role(content: Mapping[str, Any], role: object) -> str | None:
    """Return the column of role group or time, for a split that does not name its column."""
    data = content.get("data")
    columns = data.get("columns") if isinstance(data, dict) else None
    names = [
        name for name, column in (columns or {}).items() if isinstance(column, dict) and column.get("role") == role
    ]
    return names[0] if role in ("group", "time") and len(names) == 1 else None
