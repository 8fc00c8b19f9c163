"""Keys: what makes a step's result. All are known before anything runs, so the plan can say what runs and why.

key(step) = sha256(step, source of the step and of our modules that it imports, versions of the packages that those
                   import, its config, the keys of its inputs or the content digest of what comes from outside)
"""

from __future__ import annotations

import ast
import hashlib
import json
import re
import sys
from collections.abc import Mapping
from importlib import metadata
from importlib.util import find_spec
from itertools import zip_longest
from pathlib import Path
from typing import Any

from infra import runs
from infra.backend import Ingredients, Plan, PlannedStep
from infra.champions import Champion
from infra.files import write_json
from infra.sources import ResolvedFile
from infra.sources import digest as digest_of_sources
from infra.store import Store
from steps.core import Config, Pipeline, Step

OURS = ("pipelines", "infra", "steps", "model_code")
_NAMED = re.compile(r"(?:steps|model_code)(?:\.\w+)+(?=:|$)")
_DISTRIBUTION = {"sklearn": "scikit-learn", "yaml": "pyyaml"}


class Sources:
    """Digests and imports of our modules, remembered by size and time of change so that a cached run stays quick."""

    def __init__(self, memory: Path) -> None:
        self.memory = memory
        try:
            self.known: dict[str, Any] = json.loads(memory.read_bytes())
        except (OSError, ValueError):
            self.known = {}
        self.changed = False

    def module(self, name: str) -> tuple[str, list[str]] | None:
        """Digest of a module's source and the names that it imports; None for what is not a module of ours."""
        origin = _origin(name)
        if origin is None:
            return None
        path = Path(origin)
        stat = path.stat()
        stamp = [stat.st_size, stat.st_mtime_ns]
        entry = self.known.get(str(path))
        if entry is None or entry["stamp"] != stamp:
            source = path.read_bytes()
            entry = {
                "stamp": stamp,
                "digest": hashlib.sha256(source).hexdigest()[:16],
                "imports": sorted(imports(source)),
            }
            self.known[str(path)] = entry
            self.changed = True
        return entry["digest"], entry["imports"]

    def closure(self, module: str) -> tuple[dict[str, str], set[str]]:
        """Our modules that a module needs, itself included, with their digests; and the packages that they import."""
        digests: dict[str, str] = {}
        packages: set[str] = set()
        waiting = [module]
        while waiting:
            name = waiting.pop()
            if name in digests:
                continue
            root = name.partition(".")[0]
            if root not in OURS and name != module:
                if root not in sys.stdlib_module_names:
                    packages.add(root)
                continue
            found = self.module(name)
            if found is None:
                continue
            digests[name] = found[0]
            waiting.extend(found[1])
        return digests, packages

    def save(self) -> None:
        if self.changed:
            self.memory.parent.mkdir(parents=True, exist_ok=True)
            write_json(self.memory, self.known)


def _origin(name: str) -> str | None:
    loaded = sys.modules.get(name)
    if loaded is not None:
        return getattr(loaded, "__file__", None)
    spec = find_spec(name)
    return spec.origin if spec else None


def imports(source: bytes) -> set[str]:
    """Every module that a source may import: import statements, and our modules named in strings (lazy tables)."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            if node.module.partition(".")[0] in OURS:
                found.update(f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and (match := _NAMED.match(node.value)):
            found.add(match.group())
    return {name for name in found if _is_module(name)}


def _is_module(name: str) -> bool:
    if name.partition(".")[0] not in OURS:
        return True
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def flatten(value: Any, prefix: str) -> dict[str, Any]:
    """Nested settings as one level of dotted names; lists stay whole."""
    if isinstance(value, dict) and value:
        return {name: leaf for key, inner in value.items() for name, leaf in flatten(inner, f"{prefix}.{key}").items()}
    return {prefix: value}


def ingredients(step: Step, config: Config, inputs: Mapping[str, str], sources: Sources) -> Ingredients:
    """Everything that decides the result of a step, flat, so that two can be compared line by line."""
    digests, packages = sources.closure(step.function.__module__)
    made: Ingredients = {"python": f"{sys.version_info.major}.{sys.version_info.minor}"}
    made |= {f"code {name}": digest for name, digest in sorted(digests.items())}
    made |= {f"package {name}": _version(name) for name in sorted(packages)}
    made |= {f"input {name}": key for name, key in sorted(inputs.items())}
    for field, value in config.model_dump(mode="json").items():
        made |= {f"config {name}": leaf for name, leaf in flatten(value, f"{step.name}.{field}").items()}
    return made


def _version(package: str) -> str:
    try:
        return metadata.version(_DISTRIBUTION.get(package, package))
    except metadata.PackageNotFoundError:
        return "not installed"


def key_of(step: str, made: Ingredients) -> str:
    return hashlib.sha256(json.dumps({"step": step, "made of": made}, sort_keys=True).encode()).hexdigest()


def make_plan(
    pipeline: Pipeline,
    configs: Mapping[str, Config],
    raw: Mapping[str, tuple[ResolvedFile, ...]],
    champion: Champion | None,
    store: Store,
    workspace: Path,
    problem_name: str,
    until: str | None = None,
) -> Plan:
    """Derive every key and say for each step whether it is cached and, if not, which ingredient changed."""
    sources = Sources(workspace / "memory" / "modules.json")
    previous = _previous(workspace, problem_name, store)
    keys: dict[str, str] = {"raw": digest_of_sources(raw)}
    planned: list[PlannedStep] = []
    for step in pipeline:
        if "champion" in step.inputs:
            # A champion that this very training made is not a rival: the result must not change when it is promoted.
            rival = champion if champion and champion.train_key != keys.get("model") else None
            keys["champion"] = rival.train_key if rival else "none"
            champion = rival
        assert isinstance(configs[step.name], step.config_type)
        inputs = {name: keys[name] for name in step.inputs}
        made = ingredients(step, configs[step.name], inputs, sources)
        key = key_of(step.name, made)
        cached = store.find(key) is not None
        internal = {name: value for name, value in inputs.items() if name not in pipeline.sources}
        planned.append(
            PlannedStep(
                step,
                configs[step.name],
                key,
                made,
                internal,
                cached,
                _reason(cached, made, previous.get(step.name), pipeline),
            )
        )
        keys |= dict.fromkeys(step.outputs, key)
    sources.save()
    asked = next((index for index, each in enumerate(planned, 1) if each.step.name == until), len(planned))
    rival_key = champion.train_key if champion else None
    return Plan(tuple(planned[:asked]), raw, rival_key, tuple(planned[asked:]))


def _previous(workspace: Path, problem_name: str, store: Store) -> dict[str, Ingredients]:
    """What the newest execution of each step of this problem was made of."""
    found: dict[str, Ingredients] = {}
    for record in runs.every(workspace):
        if record.problem_name != problem_name:
            continue
        for stage in record.stages:
            if stage.name not in found and (manifest := store.find(stage.key)):
                found[stage.name] = manifest.ingredients
        if len(found) == len(record.stages):
            break
    return found


def _reason(cached: bool, made: Ingredients, before: Ingredients | None, pipeline: Pipeline) -> str:
    if cached:
        return "nothing that makes it has changed"
    if before is None:
        return "has not run here before"
    changes = [
        change(name, before.get(name), made.get(name), pipeline)
        for name in {**before, **made}
        if before.get(name) != made.get(name)
    ]
    if not changes:
        return "its result is no longer in the store"
    own = sorted(changes, key=lambda change: change.startswith("reads"))
    more = f" (and {len(own) - 3} more)" if len(own) > 3 else ""
    return "; ".join(own[:3]) + more


def change(name: str, old: Any, new: Any, pipeline: Pipeline) -> str:
    """One ingredient that differs, old -> new, as a person reads it."""
    kind, _, what = name.partition(" ")
    if kind == "code":
        return f"code of {what} changed"
    if kind == "input" and what not in pipeline.sources:
        return f"reads {what}, which {pipeline.producer[what]} makes anew"
    if kind == "input":
        return f"{what} data changed" if what == "raw" else f"{what} changed {_short(old)} -> {_short(new)}"
    inside, old, new = _innermost(old, new)
    return f"{kind} {what}{inside} changed {_short(old)} -> {_short(new)}".strip()


def _innermost(old: Any, new: Any) -> tuple[str, Any, Any]:
    """Of lists and mappings that are long the first place in which they differ, as ``[0].at_least``, and what is there."""
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
