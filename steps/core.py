"""The four nouns: a Step is a function, Input and Output are directories, a Pipeline is steps, execute runs one."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_type_hints

from pydantic import BaseModel, ConfigDict

from steps.journal import Journal

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


@dataclass(frozen=True)
class Step:
    """A function and what its signature says: which artifacts it reads, writes and how it is configured."""

    name: str
    function: Callable[..., None]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    scratch: tuple[str, ...]
    config_type: type[Config]


def step(function: Callable[..., None]) -> Step:
    """Read a function's signature: ``Input``, ``Output``, ``Scratch``, ``config: Config`` and ``log: Journal`` parameters.

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
    return Step(
        name=function.__name__,
        function=function,
        inputs=tuple(names["input"]),
        outputs=tuple(names["output"]),
        scratch=tuple(names["scratch"]),
        config_type=config_type,
    )


class Pipeline:
    """A tuple of steps that is checked when it is built.

    Args:
        functions: the steps, in the order in which they run.
        sources: names of the artifacts that come from outside.

    Raises:
        TypeError: a step reads what nothing before it wrote, or an artifact or a name is written twice.
    """

    def __init__(self, *functions: Callable[..., None], sources: frozenset[str] = frozenset()) -> None:
        self.steps = tuple(step(function) for function in functions)
        self.sources = sources
        known: dict[str, str] = dict.fromkeys(sources, "outside")
        for each in self.steps:
            for name in each.inputs:
                if name not in known:
                    raise TypeError(
                        f"step {each.name} reads {name!r}, which nothing before it writes; known: {', '.join(known)}"
                    )
            for name in each.outputs:
                if name in known:
                    raise TypeError(f"step {each.name} writes {name!r}, which {known[name]} writes already")
                known[name] = each.name
        if len({each.name for each in self.steps}) < len(self.steps):
            raise TypeError("two steps have the same name")
        self.producer = known

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
