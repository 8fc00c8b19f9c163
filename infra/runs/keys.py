"""What makes a step's result, flat, and the key that follows from it; known before anything runs, wherever it runs.

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
from pathlib import Path
from typing import Any

from infra.files import write_json
from infra.runs.plan import Ingredients
from steps.core import Config, Step

PACKAGES = ("pipelines", "infra", "steps", "model_code")
_MODULE_STRING = re.compile(r"(?:steps|model_code)(?:\.\w+)+(?=:|$)")
_DISTRIBUTION = {"sklearn": "scikit-learn", "yaml": "pyyaml"}


class Sources:
    """Digests and imports of our modules, remembered by size and time of change so that a cached run stays quick."""

    def __init__(self, memory: Path | None) -> None:
        self.memory = memory
        try:
            self.memory_entries: dict[str, Any] = json.loads(memory.read_bytes()) if memory else {}
        except (OSError, ValueError):
            self.memory_entries = {}
        self.changed = False

    def module(self, name: str) -> tuple[str, list[str]] | None:
        """Digest of a module's source and the names that it imports; None for what is not a module of ours."""
        origin = _origin(name)
        if origin is None:
            return None
        path = Path(origin)
        stat = path.stat()
        stamp = [stat.st_size, stat.st_mtime_ns]
        entry = self.memory_entries.get(str(path))
        if entry is None or entry["stamp"] != stamp:
            source = path.read_bytes()
            entry = {
                "stamp": stamp,
                "digest": hashlib.sha256(source).hexdigest()[:16],
                "imports": sorted(imports(source)),
            }
            self.memory_entries[str(path)] = entry
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
            if root not in PACKAGES and name != module:
                if root not in sys.stdlib_module_names:
                    packages.add(root)
                continue
            located = self.module(name)
            if located is None:
                continue
            digests[name] = located[0]
            waiting.extend(located[1])
        return digests, packages

    def save(self) -> None:
        if self.changed and self.memory:
            self.memory.parent.mkdir(parents=True, exist_ok=True)
            write_json(self.memory, self.memory_entries)


def _origin(name: str) -> str | None:
    loaded = sys.modules.get(name)
    if loaded is not None:
        return getattr(loaded, "__file__", None)
    if name.partition(".")[0] in PACKAGES:
        return _file(name)
    spec = find_spec(name)
    return spec.origin if spec else None


def _file(name: str) -> str | None:
    """Return the file of one of our modules, looked up by path: ``find_spec`` imports the parents, torch with them."""
    package, *rest = name.split(".")
    spec = find_spec(package)
    for folder in spec.submodule_search_locations or () if spec else ():
        place = Path(folder, *rest)
        for path in (place.with_name(f"{place.name}.py"), place / "__init__.py"):
            if path.is_file():
                return str(path)
    return None


def imports(source: bytes) -> set[str]:
    """Every module that a source may import: import statements, and our modules named in strings (lazy tables)."""
    located: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            located.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            located.add(node.module)
            if node.module.partition(".")[0] in PACKAGES:
                located.update(f"{node.module}.{alias.name}" for alias in node.names)
        elif (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and (match := _MODULE_STRING.match(node.value))
        ):
            located.add(match.group())
    return {name for name in located if _is_module(name)}


def _is_module(name: str) -> bool:
    return name.partition(".")[0] not in PACKAGES or _file(name) is not None


def flatten(value: Any, prefix: str) -> dict[str, Any]:
    """Nested settings as one level of dotted names; lists stay whole."""
    if isinstance(value, dict) and value:
        return {name: leaf for key, inner in value.items() for name, leaf in flatten(inner, f"{prefix}.{key}").items()}
    return {prefix: value}


def ingredients(step: Step, config: Config, inputs: Mapping[str, str], sources: Sources) -> Ingredients:
    """Everything that decides the result of a step, flat, so that two can be compared line by line."""
    digests, packages = sources.closure(step.function.__module__)
    contents: Ingredients = {"python": _python()}
    contents |= {f"code {name}": digest for name, digest in sorted(digests.items())}
    contents |= {f"package {name}": _version(name) for name in sorted(packages)}
    contents |= {f"input {name}": key for name, key in sorted(inputs.items())}
    for field, value in config.model_dump(mode="json").items():
        contents |= {f"config {name}": leaf for name, leaf in flatten(value, f"{step.name}.{field}").items()}
    return contents


def _python() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def _version(package: str) -> str:
    """The release; what follows a ``+`` says how it was built (torch 2.13.0+cpu), which differs from machine to machine."""
    try:
        return metadata.version(_DISTRIBUTION.get(package, package)).partition("+")[0]
    except metadata.PackageNotFoundError:
        return "not installed"


def key_of(step: str, contents: Ingredients) -> str:
    return hashlib.sha256(json.dumps({"step": step, "made of": contents}, sort_keys=True).encode()).hexdigest()


def differences(contents: Ingredients) -> list[str]:
    """Which code and packages are others here than those a key was made of; running them would make the key a lie."""
    current: Ingredients = {}
    sources = Sources(None)
    for name in contents:
        kind, _, what = name.partition(" ")
        if kind == "python":
            current[name] = _python()
        elif kind == "package":
            current[name] = _version(what)
        elif kind == "code":
            located = sources.module(what) if _is_module(what) else None
            current[name] = located[0] if located else "not there"
    return [
        f"{name} is {value}, the plan has {contents[name]}"
        for name, value in current.items()
        if contents[name] != value
    ]
