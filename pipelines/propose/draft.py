"""What is known of a problem before its data is read: the options of ``fourscore new`` and its settings."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from infra.sources.files import expand_home
from model_code import tasks
from pipelines.problem.definition import Problem
from pipelines.problem.loading import problem_of
from pipelines.problem.yaml_lines import Document, read
from steps.cards.document import TO_BE_WRITTEN
from steps.errors import InputError

PROBLEM = "problem.yaml"
INCOMPLETE = "# Incomplete: "
"""The start of a problem file whose data could not be read; ``new`` may overwrite it."""


@dataclass(frozen=True)
class Options:
    """The options of ``fourscore new``."""

    directory: Path
    data: tuple[str, ...]
    target: str
    ignore: tuple[str, ...] = ()
    task: str | None = None
    split: str | None = None
    names: str | None = None
    settings: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Draft:
    """A problem without what only its data can tell."""

    options: Options
    problem: Problem
    content: dict[str, Any]
    """What the problem file will say in any case: the options, and the settings of ``--set``."""

    @property
    def task(self) -> str | None:
        """The task if it was given; the problem has one in any case."""
        return self.problem.task if self.options.task or "task" in (self.options.settings or {}) else None


def make_draft(options: Options) -> Draft:
    """Return what the options say.

    Raises:
        InputError: a problem file exists, or an option or a setting is wrong.
    """
    path = options.directory / PROBLEM
    if path.exists() and not is_incomplete(path):
        raise InputError(f"{path} exists and is not overwritten; remove it, or choose another folder")
    if options.task is not None and options.task not in tasks.names():
        raise InputError(f"--task {options.task}: use one of {', '.join(tasks.names())}")
    sources: dict[str, Any] = {name: {"path": place} for name, place in _sources(options).items()}
    if options.names is not None:
        if len(sources) > 1:
            raise InputError("--names: there are several sources; give --set data.sources.NAME.names='[a, b]'")
        next(iter(sources.values()))["names"] = [name.strip() for name in options.names.split(",")]
    if path.exists():
        _keep_settings(sources, read(path).content)
    by, column = _split(options.split or "row")
    if column == options.target:
        raise InputError(f"--split {by}:{column}: it is the target, which is not known before; split by another column")
    task = options.task or tasks.names()[0]
    content = {
        "name": _name(options.directory),
        "question": f"Which value does `{options.target}` have?",
        "decision": f"{TO_BE_WRITTEN}: the decision that this prediction serves",
        "owner": f"{TO_BE_WRITTEN}: the role that owns that decision",
        "cost_of_error": f"{TO_BE_WRITTEN}: the cost of errors, in each direction",
        "task": task,
        "target": options.target,
        "success": [],
        "data": {
            "sources": sources,
            "columns": {name: {"type": "category", "role": "ignore"} for name in options.ignore},
        },
        "expectations": "expectations.json",
        "label": {},
        "split": {"by": by, **({"column": column} if column else {})},
        "train": {},
        "evaluate": {},
        "register": {},
    }
    document = Document(path, content).override(options.settings or {})
    return Draft(options, problem_of(document), document.content)


def amended(draft: Draft, content: dict[str, Any]) -> Draft:
    """Return a draft with other content."""
    return replace(draft, problem=problem_of(Document(draft.options.directory / PROBLEM, content)), content=content)


def is_incomplete(path: Path) -> bool:
    """Return whether a problem file was written without its data."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.readline().startswith(INCOMPLETE)
    except OSError:
        return False


def _keep_settings(sources: dict[str, Any], content: Mapping[str, Any]) -> None:
    """Add what a person wrote about the sources in an incomplete file."""
    data = content.get("data")
    earlier = data.get("sources") if isinstance(data, dict) else None
    for name, source in (earlier or {}).items():
        if name in sources and isinstance(source, dict):
            sources[name] = {**source, **sources[name]}


def _split(text: str) -> tuple[str, str | None]:
    by, colon, column = text.partition(":")
    if by == "row" and not colon:
        return by, None
    if by in ("group", "time") and column:
        return by, column
    raise InputError(f"--split {text}: use row, group:COLUMN or time:COLUMN")


def _name(directory: Path) -> str:
    name = re.sub(r"[^a-z0-9_-]+", "-", directory.resolve().name.lower()).strip("-_")[:63]
    return name or "problem"


def _sources(options: Options) -> dict[str, str]:
    """Return the path of each source as it will be written: relative to the problem's folder, or a URI."""
    sources: dict[str, str] = {}
    for text in options.data:
        prefix, equals, path = text.partition("=")
        has_name = bool(equals) and re.fullmatch(r"[A-Za-z_]\w*", prefix) is not None and not Path(text).exists()
        path = path if has_name else text
        stem = re.sub(r"\W+", "_", Path(path.rstrip("/")).name.partition(".")[0]).strip("_").lower()
        name = prefix if has_name else (stem if re.fullmatch(r"[a-z_]\w*", stem) else f"data_{stem}".rstrip("_"))
        if name in sources:
            raise InputError(f"--data {text}: a source {name!r} exists already; give names: --data NAME=FILE")
        sources[name] = path if "://" in path else _relative(path, options.directory)
    return sources


def _relative(text: str, directory: Path) -> str:
    """Return a path relative to the problem's folder; absolute if they have only the root in common."""
    path, base = expand_home(text).absolute(), directory.resolve()
    absolute = path.parent.resolve() / path.name
    if os.path.commonpath([absolute, base]) == absolute.anchor:
        return absolute.as_posix()
    return Path(os.path.relpath(absolute, base)).as_posix()
