"""The plan: every key before anything runs, so that it can say of each step whether it runs, and why."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any

from infra.runs import records
from infra.runs.keys import ModuleDigests, ingredients, key_of
from infra.runs.plan import Ingredients, Plan, PlannedStep
from infra.sources.source import Source
from infra.store.ledger import divided
from infra.store.store import Store
from steps.core import Config, Pipeline
from steps.errors import InputError, near


def make_plan(
    pipeline: Pipeline,
    configs: Mapping[str, Config],
    sources: Mapping[str, Source],
    store: Store,
    workspace: Path,
    problem_name: str,
    until: str | None = None,
    *,
    smoke: bool = False,
) -> Plan:
    """Derive every key and say for each step whether it is cached and, if not, which ingredient changed.

    Raises:
        InputError: ``until`` is not a stage of the pipeline.
    """
    names = [step.name for step in pipeline]
    if until is not None and until not in names:
        raise InputError(f"--until {until}: no such stage; the stages are {', '.join(names)}{near(until, names)}")
    modules, outside = ModuleDigests(workspace / "memory" / "modules.json"), dict(sources)
    previous = _previous(workspace, problem_name, store)
    keys: dict[str, str] = {}
    planned: list[PlannedStep] = []
    for step in pipeline:
        for name in step.inputs:
            if name in outside and name not in keys:
                outside[name] = outside[name].beside(keys)
                keys[name] = outside[name].digest
        assert isinstance(configs[step.name], step.config_type)
        inputs = {name: keys[name] for name in step.inputs}
        current = ingredients(step, configs[step.name], inputs, modules)
        key = key_of(step.name, current)
        cached = store.find(key) is not None
        internal = {name: value for name, value in inputs.items() if name not in pipeline.sources}
        planned.append(
            PlannedStep(
                step,
                configs[step.name],
                key,
                current,
                internal,
                cached,
                _reason(cached, current, previous.get(step.name), pipeline),
            )
        )
        keys |= dict.fromkeys(step.outputs, key)
    modules.save()
    count = len(names) if until is None else names.index(until) + 1
    return Plan(
        steps=tuple(planned[:count]),
        sources=outside,
        later=tuple(planned[count:]),
        divided=divided(planned),
        pipeline=pipeline.name,
        smoke=smoke,
    )


def _previous(workspace: Path, problem_name: str, store: Store) -> dict[str, Ingredients]:
    """Return the ingredients of the newest execution of each step of this problem."""
    newest: dict[str, Ingredients] = {}
    for record in records.every(workspace):
        if record.problem_name != problem_name:
            continue
        for stage in record.stages:
            if stage.name not in newest and (manifest := store.find(stage.key)):
                newest[stage.name] = manifest.ingredients
        if len(newest) == len(record.stages):
            break
    return newest


def _reason(cached: bool, current: Ingredients, before: Ingredients | None, pipeline: Pipeline) -> str:
    if cached:
        return "nothing that makes it has changed"
    if before is None:
        return "has not run here before"
    changes = [
        change(name, before.get(name), current.get(name), pipeline)
        for name in {**before, **current}
        if before.get(name) != current.get(name)
    ]
    if not changes:
        return "its result is no longer in the store"
    ordered = sorted(changes, key=lambda change: change.startswith("reads"))
    more = f" (and {len(ordered) - 3} more)" if len(ordered) > 3 else ""
    return "; ".join(ordered[:3]) + more


def change(name: str, old: Any, new: Any, pipeline: Pipeline) -> str:
    """One ingredient that differs, old -> new, as a person reads it."""
    kind, _, what = name.partition(" ")
    if kind == "code":
        return f"code of {what} changed"
    if kind == "input" and what not in pipeline.sources:
        return f"reads {what}, which {pipeline.producer[what]} makes anew"
    if kind == "input":
        return f"{what} changed {_short(old)} -> {_short(new)}"
    inside, old, new = _innermost(old, new)
    return f"{kind} {what}{inside} changed {_short(old)} -> {_short(new)}".strip()


def _innermost(old: Any, new: Any) -> tuple[str, Any, Any]:
    """Return the first place where two long lists or mappings differ, such as ``[0].at_least``, and both values there."""
    if not any(_short(value).endswith("...") for value in (old, new)):
        return "", old, new
    if isinstance(old, list) and isinstance(new, list):
        pairs = [(f"[{i}]", a, b) for i, (a, b) in enumerate(zip_longest(old, new)) if a != b]
    elif isinstance(old, dict) and isinstance(new, dict):
        names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
        pairs = [(f".{name}", old.get(name), new.get(name)) for name in names]
    else:
        return "", old, new
    if not pairs:
        return "", old, new
    inside, *values = pairs[0]
    further, *values = _innermost(*values)
    more = f" (and {len(pairs) - 1} more)" if len(pairs) > 1 else ""
    return f"{inside}{further}{more}", values[0], values[1]


def _short(value: Any) -> str:
    text = "(absent)" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:37]}..."
