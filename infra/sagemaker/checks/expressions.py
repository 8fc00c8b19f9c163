"""Expressions of a definition: what Get, Std:Join and Std:JsonGet refer to, whether it is there and what type it has.

Sources: SageMaker Developer Guide, "Pipelines overview" and "Pass data between steps"; the definition's public JSON schema.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from infra.sagemaker.checks.faults import Sheet, below, kind, shown
from infra.sagemaker.shapes import PROPERTIES, shapes
from steps.errors import near

EXECUTION = (
    "StartDateTime",
    "CurrentDateTime",
    "PipelineName",
    "PipelineArn",
    "PipelineExecutionId",
    "PipelineExecutionArn",
)
_STEP = re.compile(r"Steps\.([\w-]+)\.(.+)", re.DOTALL)
_TOKEN = re.compile(r"\.?([A-Za-z]\w*)|\[(\d+)\]|\['([^']+)'\]")
_SCALARS = {"string": "String", "timestamp": "String", "integer": "Integer", "long": "Integer", "boolean": "Boolean"}
_NAMED = {"Outputs": "OutputName", "ProcessingInputs": "InputName", "InputDataConfig": "ChannelName"}
"""Lists whose items may be called by their name."""


@dataclass(frozen=True)
class Place:
    """A step and where it stands."""

    step: dict[str, Any]
    path: str
    branch: tuple[tuple[str, str], ...] = ()
    """Within which branches of which conditions, the outermost first: (name of the condition, IfSteps or ElseSteps)."""

    @property
    def arguments(self) -> dict[str, Any]:
        found = self.step.get("Arguments")
        return found if isinstance(found, dict) else {}


@dataclass
class Scope:
    """What expressions may refer to, and what they did refer to."""

    sheet: Sheet
    parameters: dict[str, dict[str, Any]] = field(default_factory=dict)
    declared: dict[str, str] = field(default_factory=dict)
    """Parameter -> path of its declaration."""
    steps: dict[str, Place] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    references: dict[str, dict[str, str]] = field(default_factory=dict)
    """Step -> step that it refers to -> path where it first does."""

    def refer(self, user: str, name: str, path: str) -> None:
        self.references.setdefault(user, {}).setdefault(name, path)

    def type_of(self, value: dict[str, Any], path: str, user: str) -> str | None:
        """Type of what an expression gives: String, Integer, Float, Boolean; None where only the execution will know.

        Args:
            user: name of the step in which it stands.
        """
        name, inner = next(iter(value.items()))
        inside = below(path, name)
        if name == "Get":
            return self._get(inner, inside, user)
        if name == "Std:Join":
            self._join(inner, inside, user)
            return "String"
        if name == "Std:JsonGet":
            self._json_get(inner, inside, user)
            return None
        hint = near(name, ("Get", "Std:Join", "Std:JsonGet"))
        self.sheet.error(inside, f"no such function{hint or '; there are Get, Std:Join and Std:JsonGet'}")
        return None

    def _get(self, target: Any, path: str, user: str) -> str | None:
        if not isinstance(target, str):
            self.sheet.error(path, f"is {kind(target)}; wanted a reference such as Parameters.Run")
            return None
        root, _, rest = target.partition(".")
        if root == "Parameters":
            return self._parameter(rest, path)
        if root == "Execution":
            if rest not in EXECUTION:
                self.sheet.error(
                    path, f"executions have no {rest!r}{near(rest, EXECUTION)}; they have {', '.join(EXECUTION)}"
                )
            return "String"
        if match := _STEP.fullmatch(target):
            return self._step(match[1], match[2], path, user)
        self.sheet.error(
            path, f"{target!r} refers to nothing; wanted Parameters.NAME, Execution.NAME or Steps.NAME.PROPERTY"
        )
        return None

    def _parameter(self, name: str, path: str) -> str | None:
        if name not in self.parameters:
            there = f"; there are: {', '.join(sorted(self.parameters))}" if self.parameters else "; there are none"
            self.sheet.error(path, f"no parameter {name!r} is declared{near(name, list(self.parameters)) or there}")
            return None
        self.used.add(name)
        declared = self.parameters[name].get("Type")
        return declared if isinstance(declared, str) else None

    def _step(self, name: str, rest: str, path: str, user: str) -> str | None:
        place = self.steps.get(name)
        if place is None:
            there = f"; there are: {', '.join(self.steps)}"
            self.sheet.error(path, f"no step {name!r}{near(name, list(self.steps)) or there}")
            return None
        self.refer(user, name, path)
        if rest.startswith("PropertyFiles."):
            self.sheet.error(path, "a property file is read by Std:JsonGet only, which takes this as its PropertyFile")
            return None
        type_ = place.step.get("Type")
        if type_ == "Condition" and rest == "Outcome":
            return "Boolean"
        if type_ not in PROPERTIES:
            self.sheet.error(path, f"step {name!r} ({type_}) has no property {rest!r} that others could refer to")
            return None
        return self._property(place, PROPERTIES[type_], rest, path)

    def _property(self, place: Place, shape: str, rest: str, path: str) -> str | None:
        """Walk ``ProcessingOutputConfig.Outputs['result'].S3Output.S3Uri`` through what describing the job answers."""
        value: Any = place.arguments
        position, last = 0, ""
        while position < len(rest):
            token = _TOKEN.match(rest, position)
            described = shapes()[shape]
            if token is None:
                self.sheet.error(path, f"{rest!r} is no path of properties, such as ModelArtifacts.S3ModelArtifacts")
                return None
            member, index, name = token.groups()
            if member and described["type"] == "structure":
                if member not in described["members"]:
                    known = list(described["members"])
                    self.sheet.error(path, f"{shape} has no {member!r}{near(member, known)}")
                    return None
                shape, value, last = described["members"][member], _member(value, member), member
            elif (index or name) and described["type"] == "list":
                if name and not self._named(value, last, name, path):
                    return None
                shape, value = described["member"], None
            elif name and described["type"] == "map":
                shape, value = described["value"], None
            else:
                self.sheet.error(
                    path, f"{rest!r}: {shape} is a {described['type']}, which {token.group()!r} does not fit"
                )
                return None
            position = token.end()
        type_ = shapes()[shape]["type"]
        if type_ in ("structure", "list", "map"):
            self.sheet.error(path, f"{rest!r} is a whole {type_}; an expression gives one value")
            return None
        return _SCALARS.get(type_, "Float")

    def _named(self, items: Any, last: str, name: str, path: str) -> bool:
        field_ = _NAMED.get(last)
        known = [item.get(field_) for item in items if isinstance(item, dict)] if isinstance(items, list) else []
        if field_ is None or name not in known:
            self.sheet.error(path, f"no item {name!r} in {last}; there are: {', '.join(map(str, known)) or 'none'}")
            return False
        return True

    def _join(self, inner: Any, path: str, user: str) -> None:
        if not isinstance(inner, dict) or not set(inner) <= {"On", "Values"} or "Values" not in inner:
            self.sheet.error(path, f"is {shown(inner)}; wanted {{'On': 'text between', 'Values': [...]}}")
            return
        if not isinstance(inner.get("On", ""), str):
            self.sheet.error(
                below(path, "On"), f"is {kind(inner['On'])}; wanted the string that goes between the values"
            )
        values = inner["Values"]
        if not isinstance(values, list) or not values:
            self.sheet.error(
                below(path, "Values"), f"is {shown(values)}; wanted a list of strings, numbers and expressions"
            )
            return
        for index, value in enumerate(values):
            inside = below(below(path, "Values"), index)
            if is_expression(value):
                self.type_of(value, inside, user)
            elif value is None or isinstance(value, (dict, list)):
                self.sheet.error(
                    inside, f"is {kind(value)}, which cannot be joined; wanted a string, a number or an expression"
                )

    def _json_get(self, inner: Any, path: str, user: str) -> None:
        if not isinstance(inner, dict) or set(inner) != {"PropertyFile", "Path"}:
            self.sheet.error(path, f"is {shown(inner)}; wanted an object with PropertyFile and Path")
            return
        if not isinstance(inner["Path"], str) or not inner["Path"]:
            self.sheet.error(
                below(path, "Path"), f"is {kind(inner['Path'])}; wanted where the value is in the file, such as verdict"
            )
        inside = below(path, "PropertyFile")
        get = inner["PropertyFile"]
        match = _STEP.fullmatch(get["Get"]) if isinstance(get, dict) and isinstance(get.get("Get"), str) else None
        if match is None or not match[2].startswith("PropertyFiles."):
            self.sheet.error(inside, f"is {shown(get)}; wanted {{'Get': 'Steps.NAME.PropertyFiles.FILE'}}")
            return
        name, file = match[1], match[2].partition(".")[2]
        if name not in self.steps:
            there = f"; there are: {', '.join(self.steps)}"
            self.sheet.error(inside, f"no step {name!r}{near(name, list(self.steps)) or there}")
            return
        self.refer(user, name, inside)
        files = self.steps[name].step.get("PropertyFiles")
        known = (
            [each.get("PropertyFileName") for each in files if isinstance(each, dict)]
            if isinstance(files, list)
            else []
        )
        if file not in known:
            there = f"; it has: {', '.join(map(str, known)) or 'none'}"
            self.sheet.error(inside, f"step {name!r} has no property file {file!r}{there}")

    def samples(self, value: Any) -> Iterator[tuple[Any, str]]:
        """Values that are known to be possible, each with the words that say where it comes from."""
        if not is_expression(value):
            yield value, ""
            return
        target = value.get("Get")
        if isinstance(target, str) and target.startswith("Parameters."):
            name = target.partition(".")[2]
            declared = self.parameters.get(name, {})
            values = declared.get("EnumValues")
            if isinstance(values, list):
                yield from ((each, f"parameter {name} may be ") for each in values)
            elif "DefaultValue" in declared:
                yield declared["DefaultValue"], f"parameter {name} is by default "
        joined = value.get("Std:Join")
        if isinstance(joined, dict) and isinstance(joined.get("Values"), list):
            parts = [list(self.samples(each)) for each in joined["Values"]]
            if all(len(part) == 1 for part in parts):
                yield str(joined.get("On", "")).join(str(part[0][0]) for part in parts), "joined it is "

    def plain(self, value: Any) -> Any:
        """The one value that is known, or None."""
        known = [each for each, _ in self.samples(value)]
        return known[0] if len(known) == 1 else None

    def sketch(self, value: Any) -> str:
        """A string as it will look, with ``{...}`` where only the execution will know."""
        joined = value.get("Std:Join") if is_expression(value) else None
        if isinstance(joined, dict) and isinstance(joined.get("Values"), list):
            return str(joined.get("On", "")).join(map(self.sketch, joined["Values"]))
        plain = self.plain(value)
        return "{...}" if plain is None else str(plain)

    def default(self, value: Any) -> Any:
        """What a parameter is when nobody gives it, or None."""
        target = value.get("Get") if is_expression(value) else None
        name = target.partition("Parameters.")[2] if isinstance(target, str) else ""
        return self.parameters.get(name, {}).get("DefaultValue")


def is_expression(value: Any) -> bool:
    """Whether a value is computed when the pipeline runs: an object with one function as its only member."""
    if not isinstance(value, dict) or len(value) != 1:
        return False
    name = str(next(iter(value)))
    return name == "Get" or name.startswith("Std:")


def _member(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None
