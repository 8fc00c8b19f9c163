"""The problem definition: problem.yaml as types, every step's config in one place.

What several stages must agree on (target, task, thresholds, how rows were divided) is written once, at the top or in
``split``, and given to each stage's config here.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, field_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from infra.sagemaker.config import SageMakerConfig
from model_code import tasks
from pipelines.problem.yaml_lines import Document, check_depth, complain, parse, read
from steps.core import Config, Pipeline
from steps.define import DefineConfig
from steps.errors import InputError
from steps.evaluate import EvaluateConfig
from steps.evaluation.thresholds import Threshold
from steps.ingest import IngestConfig, Source
from steps.label import LabelConfig
from steps.register import RegisterConfig
from steps.split import SplitConfig
from steps.train import TrainConfig
from steps.validate import ROW_COUNT, Expectation, ValidateConfig

SHARED = {
    "data": ("target",),
    "label": ("target", "task"),
    "train": ("task", "success", "by", "column", "key"),
    "evaluate": ("task", "success", "clusters"),
    "register": ("problem_digest", "smoke"),
}
"""Fields of a section that are filled in from elsewhere in the problem and are not written in it."""

SMOKE = {"data.sample_rows": "2000", "train.budget.epochs": "5", "evaluate.resamples": "200", "register.smoke": "true"}
"""What ``--smoke`` changes: the same graph on a small sample."""

SOURCE = re.compile(r"[^\W\d][\w-]{0,63}")
"""What a source may be called; folders and files are named after it."""
_MISNAMED = (
    "{name} cannot be the name of a source; wanted letters, digits, _ and -, beginning with a letter or _, at most 64 "
    "characters"
)


class DataConfig(IngestConfig):
    """Where the data comes from and what its columns are."""

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
        if wrong:  # each with the place of its own name, where a ValueError would have that of all
            raise ValidationError.from_exception_data(cls.__name__, wrong)
        return value


class Problem(Config):
    """A question, the data that may answer it, and what would count as an answer."""

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$",
        description="Lower-case letters, digits, - and _; names runs and experiments.",
    )
    question: str = Field(min_length=1, description="The question in words.")
    decision: str = Field(min_length=1, description="The decision that the answer serves.")
    owner: str = Field(min_length=1, description="The role that answers for the decision.")
    cost_of_error: str = Field(min_length=1, description="What being wrong costs, in each direction.")
    task: str = Field(description="binary-classification, multiclass-classification or regression.")
    target: str = Field(min_length=1, description="What is predicted: a column, or the name of what label.rule makes.")
    success: tuple[Threshold, ...] = Field(description="What the model must reach on the sealed test set.")
    data: DataConfig
    expectations: str = Field(description="Great Expectations suite (JSON), relative to this file.")
    label: LabelConfig
    split: SplitConfig
    train: TrainConfig
    evaluate: EvaluateConfig
    register_as: RegisterConfig = Field(alias="register")
    tracking_uri: str | None = Field(
        default=None, description="MLflow tracking server; the workspace's own sqlite when left out."
    )
    sagemaker: SageMakerConfig = Field(
        default_factory=SageMakerConfig,
        description="Machines, time and money on Amazon SageMaker; it changes no result and no key.",
    )

    @field_validator("task")
    @classmethod
    def _known_task(cls, value: str) -> str:
        tasks.get(value)
        return value


class Loaded(Config):
    """A problem with what was read beside it."""

    problem: Problem
    suite: ValidateConfig
    path: Path
    overrides: dict[str, str]
    smoke: bool

    def digest(self) -> str:
        """sha256 over everything that the problem asks: all but where it runs and is tracked, and the suite with it."""
        problem = self.problem.model_dump(mode="json", exclude={"tracking_uri", "sagemaker"})
        asked = [problem, self.suite.model_dump(mode="json")]
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()

    def configs(self, pipeline: Pipeline) -> dict[str, Config]:
        """Return the config of each stage; one that the problem does not mention has its defaults."""
        p = self.problem
        card = {name: getattr(p, name) for name in DefineConfig.model_fields}
        configs: dict[str, Config] = {
            "define": DefineConfig(**card),
            "ingest": p.data,
            "validate": _of_sample(self.suite) if self.smoke else self.suite,
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
        InputError: with file, line and the valid choices, one line per fault.
    """
    document = read(path)
    overrides = {**(SMOKE if smoke else {}), **(settings or {})}
    content = _override(document.content, overrides)
    _refuse_shared(document, {**(settings or {})})
    try:
        problem = Problem.model_validate(_share(content))
    except ValidationError as error:
        raise complain(document, error, Problem, overrides, SHARED) from None
    suite = _suite(path.parent / problem.expectations, document)
    return Loaded(problem=problem, suite=suite, path=path, overrides=dict(settings or {}), smoke=smoke)


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
            raise InputError(f"{error}. If it is meant as text, quote it: --set {key}='\"...\"'") from None
        if isinstance(section, list):
            _enter(section, last, key)
            section[int(last)] = value
        elif isinstance(section, dict):
            section[last] = value
        else:
            raise InputError(f"--set {key}: {'.'.join(parents)} is a single value and has nothing inside it")
    return changed


def _enter(section: Any, name: str, key: str) -> Any:
    if isinstance(section, list):
        if not name.isdigit() or int(name) >= len(section):
            raise InputError(f"--set {key}: {name!r} is not an index of a list of {len(section)}; they start at 0")
        return section[int(name)]
    if isinstance(section, dict):
        return section[name]
    raise InputError(f"--set {key}: there is nothing inside {name!r}'s parent, which is a single value")


def _refuse_shared(document: Document, settings: Mapping[str, str]) -> None:
    for section, names in SHARED.items():
        written = document.content.get(section)
        for name in names:
            at_top = {
                "by": "split.by",
                "column": "split.column",
                "key": "split.key",
                "clusters": "split",
                "smoke": "--smoke",
            }.get(name, name)
            if isinstance(written, dict) and name in written:
                raise InputError(
                    f"{document.place((section, name))}: {section}.{name} is not written here; it follows from {at_top}"
                )
            if f"{section}.{name}" in settings:
                raise InputError(f"--set {section}.{name}: it follows from {at_top}; set that")


def _share(content: dict[str, Any]) -> dict[str, Any]:
    """Fill in what stages share; wrong shapes are left for the validation to complain about."""
    top = {name: content.get(name) for name in ("target", "task", "success")}
    given = content.get("split")
    split = given if isinstance(given, dict) else {}
    by, column = split.get("by", "row"), split.get("column") or _of_role(content, split.get("by"))
    shared = {**top, "by": by, "column": column, "clusters": column if by in ("group", "time") else None}
    shared["key"] = split.get("key")
    filled = dict(content)
    for section in (*SHARED, "split"):
        written = content.get(section, {}) or {}
        if isinstance(written, dict):
            extra = {name: shared[name] for name in SHARED.get(section, ()) if shared.get(name) is not None}
            filled[section] = {**extra, **written}
    if isinstance(filled["register"], dict):
        filled["register"].setdefault("name", content.get("name"))
    return filled


def _of_role(content: Mapping[str, Any], role: object) -> str | None:
    """The column of role group or time, for a split that does not name its column."""
    data = content.get("data")
    columns = data.get("columns") if isinstance(data, dict) else None
    found = [
        name for name, column in (columns or {}).items() if isinstance(column, dict) and column.get("role") == role
    ]
    return found[0] if role in ("group", "time") and len(found) == 1 else None


def _suite(path: Path, document: Document) -> ValidateConfig:
    place = document.place(("expectations",))
    try:
        text = path.read_text(encoding="utf-8-sig")
        check_depth(path, text)
        raw = json.loads(text)
    except FileNotFoundError:
        raise InputError(f"{place}: expectations: no file {path}; 'fourscore new' proposes one") from None
    except json.JSONDecodeError as error:
        raise InputError(f"{path}:{error.lineno}: not valid JSON: {error.msg}") from None
    except InputError:
        raise
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None
    listed = raw.get("expectations") if isinstance(raw, dict) else raw
    if not isinstance(listed, list) or not listed:
        raise InputError(
            f"{path}: wanted {{'expectations': [...]}} with at least one, found none; an empty suite checks nothing"
        )
    shows = bool(raw.get("show_values", False)) if isinstance(raw, dict) else False
    known = {"type", "kwargs", "severity", "notes"}
    try:
        return ValidateConfig.model_validate({"suite": [_slim(each, known) for each in listed], "show_values": shows})
    except ValidationError as error:
        lines = [
            f"{path}: expectation {fault['loc'][1] if len(fault['loc']) > 1 else ''}: {fault['msg']}"
            for fault in error.errors()
        ]
        raise InputError("\n".join(lines)) from None


def _of_sample(suite: ValidateConfig) -> ValidateConfig:
    """A sample of the rows says nothing of how many there are."""
    kept = [each for each in suite.suite if not each.type.startswith("expect_table_row_count")]
    return suite.model_copy(update={"suite": tuple(kept or [Expectation(type=ROW_COUNT, kwargs={"min_value": 1})])})


def _slim(expectation: Any, known: set[str]) -> Any:
    """Great Expectations writes ids and meta beside what matters."""
    return (
        {key: value for key, value in expectation.items() if key not in ("id", "meta")}
        if isinstance(expectation, dict)
        else expectation
    )
