"""The plan of a pipeline: the key of every step before anything runs, and whether and why each one runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import zip_longest
from typing import Any

from infra.runs import records
from infra.runs.keys import ModuleDigests, ingredients, key_of
from infra.runs.plan import Ingredients, Plan, PlannedStep
from infra.sources.source import Source
from infra.store.ledger import divided
from infra.store.store import Store
from steps.core import Config, Pipeline
from steps.errors import InputError
from steps.wording import near


def make_plan(
    pipeline: Pipeline,
    configs: Mapping[str, Config],
    sources: Mapping[str, Source],
    store: Store,
    problem: str,
    until: str | None = None,
    *,
    smoke: bool = False,
) -> Plan:
    """Return every step with its key, whether it is cached and, if not, which ingredient changed.

    Args:
        configs: the config of each step, by the step's name.
        problem: the name of the problem; its newest runs say what changed.
        until: the last step to run; None runs all.

    Raises:
        InputError: ``until`` is not a stage of the pipeline.
    """
    names = [step.name for step in pipeline]
    if until is not None and until not in names:
        raise InputError(f"--until {until}: no such stage; the stages are {', '.join(names)}{near(until, names)}")
    modules, previous = ModuleDigests(store.workspace / "memory" / "modules.json"), _previous(store, problem)
    external, keys, steps = dict(sources), dict[str, str](), list[PlannedStep]()
    for step in pipeline:
        for name in step.inputs:
            if name in external and name not in keys:
                external[name] = external[name].beside(keys)
                keys[name] = external[name].digest
        config, inputs = configs[step.name], {name: keys[name] for name in step.inputs}
        assert isinstance(config, step.config_type)
        current = ingredients(step, config, inputs, modules)
        key = key_of(step.name, current)
        cached = store.find(key) is not None
        reason = _reason(cached, current, previous.get(step.name), pipeline)
        internal = {name: value for name, value in inputs.items() if name not in pipeline.sources}
        steps.append(PlannedStep(step, config, key, current, internal, cached, reason))
        keys |= dict.fromkeys(step.outputs, key)
    modules.save()
    count = len(names) if until is None else names.index(until) + 1
    return Plan(
        steps=tuple(steps[:count]),
        sources=external,
        later=tuple(steps[count:]),
        divided=divided(steps),
        pipeline=pipeline.name,
        smoke=smoke,
    )


def _previous(store: Store, problem: str) -> dict[str, Ingredients]:
    """Return the ingredients of the newest execution of each step of this problem."""
    newest: dict[str, Ingredients] = {}
    for record in records.every(store.workspace):
        if record.problem_name != problem:
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
    """Describe an ingredient that differs, old -> new."""
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
