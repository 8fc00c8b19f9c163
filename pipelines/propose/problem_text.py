"""A proposal as a commented problem.yaml with every field, its meaning and its default."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml
from pydantic import BaseModel

from model_code import tasks
from pipelines.propose.draft import INCOMPLETE, Draft
from pipelines.propose.profile import Guess
from steps.cards.document import USES
from steps.evaluate import EvaluateSection
from steps.ingest import ColumnConfig, Source
from steps.label import LabelSection
from steps.register import RegisterSection
from steps.split import SplitConfig
from steps.train import TrainSection

SUITE = "expectations.json"
DECISIONS = ("costs", "decision_threshold")
LONGEST_KEY = 1000
"""About the length from which YAML reads a key only after a question mark."""


@dataclass(frozen=True)
class Proposal:
    """The content of the proposed files, and what a person should read before using them."""

    draft: Draft
    task: str
    target: str
    sources: dict[str, dict[str, Any]]
    query: str | None
    columns: tuple[Guess, ...]
    success: tuple[dict[str, Any], ...]
    label: dict[str, Any]
    slices: tuple[str, ...]
    expectations: tuple[dict[str, Any], ...]
    guessed: tuple[str, ...]
    decide: tuple[str, ...]
    rows: int = 0
    other_task: str | None = None
    """A task that is as likely."""
    digest: str = field(default="", repr=False)


class _Dumper(yaml.SafeDumper):
    """Quotes text that has more than one line, so that it stays on one."""


def _text_node(dumper: _Dumper, value: str) -> yaml.ScalarNode:
    style = None if value.splitlines() in ([], [value]) else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style)


_Dumper.add_representer(str, _text_node)


def scalar(value: Any) -> str:
    """Return a value on one line of YAML; text that YAML would read as something else is quoted."""
    text = yaml.dump(value, Dumper=_Dumper, default_flow_style=True, allow_unicode=True, width=10**9, sort_keys=False)
    return text.removesuffix("\n").removesuffix("\n...")


def problem_text(proposal: Proposal) -> str:
    """Return the whole file."""
    return _text(
        proposal,
        f"# Proposed by 'fourscore new' from {proposal.rows:,} rows; read it, and fill in what the data cannot tell.",
    )


def incomplete_text(draft: Draft, columns: Sequence[str], why: str) -> str:
    """Return the file of a problem whose data cannot be read: what the options say, and the default of everything else."""
    proposal = Proposal(
        draft=draft,
        task=draft.problem.task,
        target=draft.problem.target,
        sources=draft.content["data"]["sources"],
        query=draft.problem.data.query,
        columns=tuple(Guess(name, "", "feature") for name in columns),
        success=(),
        label={},
        slices=(),
        expectations=(),
        guessed=(),
        decide=(),
    )
    reason = "\n".join(f"#   {line}" for line in why.splitlines())
    return _text(
        proposal,
        f"{INCOMPLETE}the data could not be read; change its sources below, and run 'fourscore new' again.\n{reason}",
    )


def _text(proposal: Proposal, title: str) -> str:
    content = proposal.draft.content
    success = content["success"] or [{**threshold, "on": "interval"} for threshold in proposal.success]
    lines = [
        title,
        "# A field that is left out has the value shown here.",
        f"name: {scalar(content['name'])}",
        "# To be written by a person: the question, the decision that it serves, its owner (a role), the cost of errors.",
        *(f"{name}: {scalar(content[name])}" for name in ("question", "decision", "owner", "cost_of_error")),
        f"# If you like, {', '.join(USES)}: who works with it, what it is not made for, the licence of the data.",
        *(f"{name}: {scalar(content[name])}" for name in (*USES, *DECISIONS) if content.get(name)),
        *_costs(proposal.task, content),
        f"# one of {', '.join(tasks.names())}",
        f"task: {proposal.task}",
        f"target: {scalar(proposal.target)}",
        "",
        "# What the model must reach on the held-out test set. 'on: interval' judges the unfavourable end of the 95 %",
        "# interval, 'on: value' the estimate; 'slice: column=value' only the rows with that value. Proposed: clearly",
        "# better than a constant prediction. Other metrics (docs/evaluation.md):",
        *_metrics(proposal.task),
        *(["success:", *(f"  - {scalar(threshold)}" for threshold in success)] if success else ["success: []"]),
        "",
        *_data(proposal),
        "",
        "# Great Expectations suite; 'critical' stops the run, 'warning' and 'info' are reported.",
        f"expectations: {scalar(content['expectations'])}",
        "",
        *_section("label", LabelSection, {**proposal.label, **content["label"]}),
        "",
        *_section("split", SplitConfig, content["split"]),
        "",
        *_section("train", TrainSection, {"choose": "best", **content["train"]}),
        "",
        *_section("evaluate", EvaluateSection, {"slices": list(proposal.slices), **content["evaluate"]}),
        "",
        *_section("register", RegisterSection, {"name": content["name"], **content["register"]}),
        *(f"{name}: {scalar(content[name])}" for name in ("tracking_uri", "sagemaker") if name in content),
    ]
    return "\n".join(lines) + "\n"


def _costs(task: str, content: Mapping[str, Any]) -> Iterable[str]:
    """Yield comments that show how costs of two classes are declared, where nothing says how decisions are made."""
    if task in tasks.names() and tasks.get(task).has_positive and not any(content.get(name) for name in DECISIONS):
        yield "# Errors as numbers, in one unit; 'prediction' is then the positive class from where that is cheapest:"
        yield "# costs: {miss: 50, false_alarm: 2}"


def _metrics(task: str) -> Iterable[str]:
    """Yield comments that name the metrics of a task, if it is one."""
    if task in tasks.names():
        yield from (f"#   {line}" for line in textwrap.wrap(", ".join(tasks.get(task).metric_names()), 110))


def _data(proposal: Proposal) -> Iterable[str]:
    settings = proposal.draft.content["data"]
    yield "data:"
    yield "  # The data: a path from this file, a glob, package://NAME/file, https:// or s3://."
    yield "  # The format of a file is detected and reported; where detection fails, these can be given:"
    yield f"  # {', '.join(name for name in Source.model_fields if name != 'path')}."
    yield "  sources:"
    for name, source in proposal.sources.items():
        yield f"    {scalar(name)}: {scalar(source)}"
    yield "  # SQL over the sources; needed where there are several."
    if proposal.query is None:
        yield "  query: null"
    else:
        yield "  query: |"
        yield textwrap.indent(proposal.query.rstrip("\n"), "    ")
    if "sample_rows" in settings:
        yield f"  sample_rows: {scalar(settings['sample_rows'])}"
    yield "  # type: integer, float, boolean, category, text, date, datetime.  role: feature, key, group, time, ignore."
    yield "  # available: later = not known when the prediction is made, never a feature.  timezone, format: of dates."
    yield "  columns:" if proposal.columns else "  columns: {}"
    default = ColumnConfig()
    for column in proposal.columns:
        fields = {"type": column.type, "role": column.role, "available": default.available}
        fields |= settings["columns"].get(column.name, {})
        note = f"  # {' '.join(column.note.split())}" if column.note else ""
        key = scalar(column.name)
        gap = "\n    " if len(key) > LONGEST_KEY else ""  # YAML reads a longer key only after a question mark
        options = scalar({name: value for name, value in fields.items() if value})
        yield f"    {'? ' if gap else ''}{key}{gap}: {options}{note}"


def _section(name: str, config: type[BaseModel], values: Mapping[str, Any]) -> Iterable[str]:
    """Yield one section with every field that may be written in it."""
    yield f"{name}:"
    yield from _fields(config, values, "  ")


def _fields(config: type[BaseModel], values: Mapping[str, Any], indent: str) -> Iterable[str]:
    for name, info in config.model_fields.items():
        if info.description:
            yield f"{indent}# {info.description}"
        value = values.get(name, info.get_default(call_default_factory=True))
        default = info.get_default(call_default_factory=True)
        if isinstance(default, BaseModel):
            yield f"{indent}{name}:"
            yield from _fields(type(default), {**default.model_dump(), **dict(value)}, indent + "  ")
        else:
            yield f"{indent}{name}: {scalar(list(value) if isinstance(value, tuple) else value)}"
