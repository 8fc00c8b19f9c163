"""The two CloudFormation templates, and values for their parameters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from steps.errors import InputError

DATA, COMPUTE = "data", "compute"


def text(name: str) -> str:
    """Return the template as CloudFormation reads it."""
    return Path(__file__).with_name(f"{name}.template.yaml").read_text(encoding="utf-8")


@cache
def load(name: str) -> dict[str, Any]:
    """Return the template as a dictionary, short forms in full: ``!Ref X`` is ``{"Ref": "X"}``."""
    import yaml

    class Loader(yaml.CSafeLoader):
        pass

    def in_full(loader: yaml.CSafeLoader, tag: str, node: yaml.Node) -> dict[str, Any]:
        value: Any
        if isinstance(node, yaml.ScalarNode):
            value = loader.construct_scalar(node)
        elif isinstance(node, yaml.SequenceNode):
            value = loader.construct_sequence(node, deep=True)
        else:
            value = loader.construct_mapping(node, deep=True)  # type: ignore[arg-type]
        if tag == "GetAtt":
            value = value.split(".", 1)
        return {tag if tag in ("Ref", "Condition") else f"Fn::{tag}": value}

    Loader.add_multi_constructor("!", in_full)
    return dict(yaml.load(text(name), Loader))  # noqa: S506 - a safe loader


def declared(name: str) -> dict[str, dict[str, Any]]:
    """Return the template's parameters and what it says of them."""
    return dict(load(name)["Parameters"])


def defaults() -> dict[str, str]:
    """Return the defaults of both templates' parameters."""
    entries = declared(DATA) | declared(COMPUTE)
    return {name: str(entry["Default"]) for name, entry in entries.items() if "Default" in entry}


def parameters(options: Mapping[str, Any]) -> dict[str, str]:
    """Return options of the command line as parameters: ``budget_dollars=200.0`` is ``{"BudgetDollars": "200"}``.

    Raises:
        InputError: a value does not match what the template declares.
    """
    both = declared(DATA) | declared(COMPUTE)
    values = {}
    for option, value in options.items():
        name = "".join(word.capitalize() for word in option.split("_"))
        values[name] = _text(value)
        if option == "prefix" and value:
            values[name] += "/"
        if problem := _problem(both[name], values[name]):
            raise InputError(f"--{option.replace('_', '-')} {value!r}: {problem}")
    return values


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.15g}"
    return ",".join(value) if isinstance(value, tuple) else str(value)


def _problem(parameter: Mapping[str, Any], value: str) -> str | None:
    allowed = parameter.get("AllowedValues", [value])
    if value not in allowed:
        return f"it is one of {', '.join(allowed)}"
    if not re.fullmatch(parameter.get("AllowedPattern", r".*"), value):
        return str(parameter["ConstraintDescription"])
    if parameter["Type"] == "Number" and not parameter["MinValue"] <= float(value) <= parameter["MaxValue"]:
        return f"it is between {parameter['MinValue']} and {parameter['MaxValue']}"
    return None
