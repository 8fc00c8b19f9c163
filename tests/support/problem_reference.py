"""The fields of problem.yaml for editors (JSON Schema) and people (docs/problem.md), generated from the types.

``python tests/support/problem_reference.py`` writes both; a test fails when they are out of date.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from pipelines.problem.definition import Problem

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT / "pipelines" / "problem" / "problem.schema.json"
REFERENCE = ROOT / "docs" / "problem.md"


def schema() -> dict[str, Any]:
    """Return the schema of a problem file."""
    whole = Problem.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **whole, "title": "A Fourscore problem"}


def reference() -> str:
    """Return every field in Markdown tables, one for each section of the file."""
    whole = schema()
    lines = [
        "# The problem file",
        "",
        "Generated from the types by `python tests/support/problem_reference.py`; edit those.",
        "",
    ]
    for name, definition in [("problem.yaml", whole), *whole["$defs"].items()]:
        title = _title(name)
        lines += [
            f"## {title}",
            "",
            definition.get("description", ""),
            "",
            "| field | type | default | meaning |",
            "|---|---|---|---|",
        ]
        required = set(definition.get("required", ()))
        for field, value in definition.get("properties", {}).items():
            default = "" if field in required else _left_out(value)
            meaning = value.get("description", "").replace("|", "\\|")
            lines.append(f"| `{field}` | {_kind(value)} | {default or 'required'} | {meaning} |")
        lines.append("")
    return "\n".join(lines)


def _left_out(value: dict[str, Any]) -> str:
    """Return the default of a field; that of a section is made of the defaults of its fields."""
    if "$ref" in value and "default" not in value:
        return "of its fields"
    return f"`{json.dumps(value.get('default'), ensure_ascii=False)}`"


def _title(name: str) -> str:
    """Return the name of a section as the file writes it."""
    return "training-job" if name == "TrainJobConfig" else re.sub("(Config|Section)$", "", name).lower()


def _kind(value: dict[str, Any]) -> str:
    """Return the type of a field in a word or two."""
    if "$ref" in value:
        title = _title(str(value["$ref"]).rpartition("/")[2])
        return f"[{title}](#{title})"
    if "anyOf" in value:
        return " or ".join(dict.fromkeys(_kind(choice) for choice in value["anyOf"] if choice.get("type") != "null"))
    if "enum" in value:
        return " \\| ".join(f"`{choice}`" for choice in value["enum"])
    if "const" in value:
        return f"`{value['const']}`"
    if value.get("type") == "array":
        return f"list of {_kind(value.get('items', {}))}"
    if isinstance(value.get("additionalProperties"), dict):
        return f"name: {_kind(value['additionalProperties'])}"
    return str(value.get("type", "anything"))


def text() -> str:
    return json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for path, content in ((SCHEMA, text()), (REFERENCE, reference())):
        path.write_text(content, encoding="utf-8")
        sys.stderr.write(f"wrote {path}\n")
