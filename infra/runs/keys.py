"""Keys: the ingredients of a step's result, flat, and the key that they give before anything runs.

key(step) = sha256(step, source of the step and of our modules that it imports, versions of the packages that those
                   import, its config, the keys of its inputs or the content digest of what comes from outside)
"""

import ast
import hashlib
import json
import re
import sys
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from infra.files import write_json
from infra.runs.plan import Ingredients, PlannedStep
from steps.core import Config, Step

PACKAGES = ("pipelines", "infra", "steps", "model_code")
_MODULE = re.compile(r"(?:steps|model_code)(?:\.\w+)+(?=:|$)")
DIGITS = 16
"""Hexadecimal digits of a source's digest."""
_DISTRIBUTION = {"sklearn": "scikit-learn", "yaml": "pyyaml"}


class ModuleDigests:
    """Digests and imports of our modules.

    Every source is read each time: a copy or a checkout may keep the size and the time of a file that it changes. What a
    source imports is remembered by its digest, since to parse it takes longer than to read it.
    """

    def __init__(self, memory: Path | None) -> None:
        self.memory = memory
        self.changed = False
        try:
            content = json.loads(memory.read_bytes()) if memory else {}
        except (OSError, ValueError):
            content = {}
        self.imports: dict[str, list[str]] = content if isinstance(content, dict) else {}

    def module(self, name: str) -> tuple[str, list[str]] | None:
        """Return the digest of a module's source and the names that it imports; None if it has no source file."""
        origin = _origin(name)
        if origin is None:
            return None
        source = Path(origin).read_bytes()
        digest = hashlib.sha256(source).hexdigest()[:DIGITS]
        if digest not in self.imports:
            self.imports[digest] = sorted(imports(source))
            self.changed = True
        return digest, self.imports[digest]

    def closure(self, module: str) -> tuple[dict[str, str], set[str]]:
        """Return the digests of our modules that a module needs, itself included, and the packages that they import."""
        digests: dict[str, str] = {}
        packages: set[str] = set()
        waiting = [module]
        while waiting:
            name = waiting.pop()
            root = name.partition(".")[0]
            if root not in PACKAGES and name != module:
                packages.add(root)
            elif name not in digests and (entry := self.module(name)):
                digests[name] = entry[0]
                waiting.extend(entry[1])
        return digests, packages - sys.stdlib_module_names

    def save(self) -> None:
        if self.changed and self.memory:
            self.memory.parent.mkdir(parents=True, exist_ok=True)
            write_json(self.memory, self.imports)


def _origin(name: str) -> str | None:
    """Return the file of a module, looked up by path: ``find_spec`` imports the parents, torch with them."""
    if loaded := sys.modules.get(name):
        return getattr(loaded, "__file__", None)
    package, *rest = name.split(".")
    spec = find_spec(package)
    if spec is None or not rest:
        return spec.origin if spec else None
    for folder in spec.submodule_search_locations or ():
        place = Path(folder, *rest)
        for path in (place.with_name(f"{place.name}.py"), place / "__init__.py"):
            if path.is_file():
                return str(path)
    return None


def imports(source: bytes) -> set[str]:
    """Return every module that a source may import: by a statement, or named in a string (lazy tables)."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            if node.module.partition(".")[0] in PACKAGES:
                names.update(f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and (match := _MODULE.match(node.value)):
            names.add(match.group())
    return {name for name in names if _is_module(name)}


def _is_module(name: str) -> bool:
    return name.partition(".")[0] not in PACKAGES or _origin(name) is not None


def flatten(value: Any, prefix: str) -> dict[str, Any]:
    """Return nested settings as one level of dotted names; lists stay whole."""
    if isinstance(value, dict) and value:
        return {name: leaf for key, inner in value.items() for name, leaf in flatten(inner, f"{prefix}.{key}").items()}
    return {prefix: value}


def ingredients(step: Step, config: Config, inputs: Mapping[str, str], modules: ModuleDigests) -> Ingredients:
    """Return everything that decides the result of a step, flat, so that two can be compared line by line."""
    digests, packages = modules.closure(step.function.__module__)
    recipe: Ingredients = {"python": _python()}
    recipe |= {f"code {name}": digest for name, digest in sorted(digests.items())}
    recipe |= {f"package {name}": _version(name) for name in sorted(packages)}
    recipe |= {f"input {name}": key for name, key in sorted(inputs.items())}
    for field, value in config.model_dump(mode="json").items():
        recipe |= {f"config {name}": leaf for name, leaf in flatten(value, f"{step.name}.{field}").items()}
    return recipe


def _python() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


@cache  # it is read from a file, for each of eight stages; what a process has imported stays
def _version(package: str) -> str:
    """Return the release without its build (torch 2.13.0+cpu), which differs between machines."""
    try:
        return metadata.version(_DISTRIBUTION.get(package, package)).partition("+")[0]
    except metadata.PackageNotFoundError:
        return "not installed"


def key_of(step: str, recipe: Ingredients) -> str:
    return hashlib.sha256(json.dumps({"step": step, "made of": recipe}, sort_keys=True).encode()).hexdigest()


def scratch_key(planned: PlannedStep) -> str:
    """Return the key of a step's scratch directories: its own without the fields that they do not depend on."""
    ignored = tuple(f"config {planned.step.name}.{field}." for field in planned.config.scratch_ignores)
    recipe = {name: value for name, value in planned.ingredients.items() if not f"{name}.".startswith(ignored)}
    return planned.key if len(recipe) == len(planned.ingredients) else key_of(planned.step.name, recipe)


def differences(recipe: Ingredients) -> list[str]:
    """Return which code and packages differ on this machine from those of a key; running them would make the key a lie."""
    current: Ingredients = {}
    modules = ModuleDigests(None)
    for name in recipe:
        kind, _, what = name.partition(" ")
        if kind == "python":
            current[name] = _python()
        elif kind == "package":
            current[name] = _version(what)
        elif kind == "code":
            module = modules.module(what) if _is_module(what) else None
            current[name] = module[0] if module else "not there"
    return [
        f"{name} is {value}, the plan has {recipe[name]}" for name, value in current.items() if recipe[name] != value
    ]
