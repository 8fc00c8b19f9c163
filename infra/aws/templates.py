"""The two CloudFormation templates, and values for their parameters."""

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
def declared(name: str) -> dict[str, dict[str, Any]]:
    """Return the template's parameters and what it says of them."""
    import yaml

    class Loader(yaml.CSafeLoader):
        """Passes over short forms such as ``!Ref``, which parameters do not have."""

    Loader.add_multi_constructor("!", lambda *_: None)
    return dict(yaml.load(text(name), Loader)["Parameters"])  # noqa: S506 - a safe loader


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
