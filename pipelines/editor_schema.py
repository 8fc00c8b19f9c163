"""The JSON Schema of problem.yaml, with which editors complete and check it: ``python -m pipelines.editor_schema`` writes it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from pipelines.problem import SHARED, Problem

PATH = Path(__file__).with_name("problem.schema.json")


def schema() -> dict[str, Any]:
    """Problem's own schema without what a problem file does not say because it is said elsewhere in it."""
    whole = Problem.model_json_schema(by_alias=True)
    for section, names in SHARED.items():
        reference = whole["properties"][section]["$ref"]
        definition = whole["$defs"][reference.rpartition("/")[2]]
        for name in names:
            definition["properties"].pop(name, None)
        definition["required"] = [name for name in definition.get("required", ()) if name not in names]
    whole["$defs"]["RegisterConfig"]["required"] = []
    whole["required"] = [name for name in whole["required"] if name not in {"split", "train", "evaluate", "register"}]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **whole, "title": "A Fourscore problem"}


def text() -> str:
    return json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    PATH.write_text(text(), encoding="utf-8")
    sys.stderr.write(f"wrote {PATH}\n")
