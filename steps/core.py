"""The four nouns: a Step is a function, Input and Output are directories, a Pipeline is steps, execute runs one."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, get_type_hints

from pydantic import BaseModel, ConfigDict

from steps.documents import Document
from steps.journal import LAYERS, Journal

Input = Annotated[Path, "input"]
"""A directory that the step reads, named after the artifact that it holds."""
Output = Annotated[Path, "output"]
"""An empty directory that the step fills; published whole or not at all."""
Scratch = Annotated[Path, "scratch"]
"""A directory that survives a killed attempt at the same key (checkpoints); never published."""

_ROLES: dict[Any, str] = {Input: "input", Output: "output", Scratch: "scratch"}


class Config(BaseModel):
    """Typed, frozen, and a misspelt field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    scratch_ignores: ClassVar[tuple[str, ...]] = ()
    """Fields on which nothing depends that the step keeps in its scratch directories; a change of them finds it again."""


@dataclass(frozen=True)
class Step:
    """A function and what its signature says: which artifacts it reads, writes and how it is configured."""

    name: str
    function: Callable[..., None]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    scratch: tuple[str, ...]
    config_type: type[Config]
    layer: str = "application"
    """The layer of MLflow that its metrics and its run belong to (``steps.journal.LAYERS``)."""
    job: str = ""
    """The job into which it is fused with its neighbours where a pipeline runs as jobs."""
    documents: tuple[str, ...] = ()
    """Files that a person looks for beside the numbers, as ``artifact/file``."""
    gate: str = ""
    """What is wrong where the step refuses, in a word; empty for a step that never does."""

    @property
    def address(self) -> str:
        """``module:function``, by which another process imports the function."""
        return f"{self.function.__module__}:{self.function.__name__}"


def step(
    function: Callable[..., None],
    *,
    layer: str = "application",
    job: str = "",
    documents: Iterable[type[Document] | str] = (),
    gate: str = "",
) -> Step:
    """Read a function's signature: ``Input``, ``Output``, ``Scratch``, ``config: Config`` and ``log: Journal`` parameters.

    Args:
        layer: the layer of MLflow that the step belongs to.
        job: the job into which the step is fused.
        documents: what the step publishes and a person looks for: types of documents, other files as ``artifact/file``.
        gate: what is wrong where the step refuses, in a word.

    Raises:
        TypeError: a parameter is something else, or ``config`` or ``log`` is missing.
    """
    hints = get_type_hints(function, include_extras=True)
    names: dict[str, list[str]] = {"input": [], "output": [], "scratch": []}
    config_type: type[Config] | None = None
    for parameter in inspect.signature(function).parameters:
        hint = hints.get(parameter)
        if role := _ROLES.get(hint):
            names[role].append(parameter)
        elif isinstance(hint, type) and issubclass(hint, Config):
            config_type = hint
        elif hint is not Journal:
            raise TypeError(
                f"step {function.__name__}: parameter {parameter!r} is neither Input, Output, Scratch, Config nor Journal"
            )
    if config_type is None or Journal not in hints.values():
        raise TypeError(f"step {function.__name__}: wants a 'config' (a Config) and a 'log' (a Journal)")
    if layer not in LAYERS:
        raise TypeError(f"step {function.__name__}: layer {layer!r} is not one of {', '.join(LAYERS)}")
    paths = tuple(entry if isinstance(entry, str) else entry.path() for entry in documents)
    if strange := [path for path in paths if path.partition("/")[0] not in names["output"]]:
        raise TypeError(f"step {function.__name__}: document {strange[0]!r} is not in one of its outputs")
    return Step(
        name=function.__name__,
        function=function,
        inputs=tuple(names["input"]),
        outputs=tuple(names["output"]),
        scratch=tuple(names["scratch"]),
        config_type=config_type,
        layer=layer,
        job=job,
        gate=gate,
        documents=paths,
    )


def import_step(address: str) -> Step:
    """Return the step of the function at ``module:function``."""
    module, _, name = address.partition(":")
    return step(getattr(import_module(module), name))


class Pipeline:
    """A named tuple of steps that is checked when it is built.

    Args:
        name: the pipeline's name, which run records keep.
        steps: the steps, in the order in which they run.
        sources: artifact -> the type of source that brings it from outside.

    Raises:
        TypeError: a step reads what nothing before it wrote, or an artifact or a name is written twice.
    """

    def __init__(self, name: str, *steps: Step, sources: Mapping[str, Any] = MappingProxyType({})) -> None:
        self.name = name
        self.steps = steps
        self.sources = sources
        self.producer: dict[str, str] = dict.fromkeys(sources, "outside")
        """Artifact -> name of the step that writes it."""
        for step in steps:
            for artifact in step.inputs:
                if artifact not in self.producer:
                    artifacts = ", ".join(self.producer)
                    raise TypeError(
                        f"step {step.name} reads {artifact!r}, which nothing before it writes; known: {artifacts}"
                    )
            for artifact in step.outputs:
                if artifact in self.producer:
                    raise TypeError(
                        f"step {step.name} writes {artifact!r}, which {self.producer[artifact]} writes already"
                    )
                self.producer[artifact] = step.name
        if len({step.name for step in steps}) < len(steps):
            raise TypeError("two steps have the same name")

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps)


def execute(step: Step, directories: Mapping[str, Path], config: Config, log: Journal) -> None:
    """Run one step in this process: the same call on a laptop, in a container and in a test.

    Args:
        directories: one existing directory for each input, output and scratch parameter.
    """
    arguments: dict[str, Any] = {name: directories[name] for name in (*step.inputs, *step.outputs, *step.scratch)}
    step.function(**arguments, config=canonical(config), log=log)


def canonical(config: Config) -> Config:
    """The config as the key sees it, where mappings have no order: equal keys must not differ in what is written."""
    text = json.dumps(config.model_dump(mode="json"), sort_keys=True)
    return type(config).model_validate_json(text)
