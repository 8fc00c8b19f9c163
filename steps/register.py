"""register: what becomes of the model, as a request that infra applies, and the model card that goes with it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from steps import documents
from steps.cards.document import Registration
from steps.cards.modelcard import model_card
from steps.core import Config, Input, Output
from steps.journal import Journal

CANDIDATE = "candidate"


class RegisterConfig(Config):
    """Under which name the model is kept."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$",
        description="Name of the registered model (letters, digits, - _ .); the problem's name when left out.",
    )
    problem_digest: str = Field(default="", description="sha256 of the whole problem; follows from it.")
    smoke: bool = Field(default=False, description="A rehearsal on a sample: recorded, never a candidate.")


def register(
    card: Input,
    model: Input,
    validation: Input,
    division: Input,
    evaluation: Input,
    registration: Output,
    config: RegisterConfig,
    log: Journal,
) -> None:
    """Write the registration request and the model card.

    A model that was not found good enough is recorded as rejected and gets no alias, and neither does a rehearsal.
    """
    facts = {
        "problem": _read(card / "problem.json"),
        "schema": _read(model / "schema.json"),
        "training": _read(model / "training.json"),
        "validation": _read(validation / "results.json"),
        "split": _read(division / "split.json"),
        "evaluation": _read(evaluation / "evaluation.json"),
    }
    request = _request(config, facts, model)
    documents.write(registration, Registration(**request))
    (registration / "model_card.md").write_text(model_card(request, facts), encoding="utf-8")
    log.parameter("register.name", config.name)
    log.parameter("register.alias", request["alias"] or "none")
    for name, value in request["tags"].items():
        log.parameter(f"register.{name}", value)
    verdict: Literal["pass", "rejected"] = "pass" if request["verdict"] == "pass" else "rejected"
    log.verdict(verdict, facts["evaluation"]["reasons"])


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_bytes())
    return content


def _request(config: RegisterConfig, facts: dict[str, dict[str, Any]], model: Path) -> dict[str, Any]:
    evaluation = facts["evaluation"]
    verdict = "pass" if evaluation["verdict"] == "pass" else "rejected"
    return {
        "name": config.name,
        "verdict": verdict,
        "alias": CANDIDATE if verdict == "pass" and not config.smoke else None,
        "smoke": config.smoke,
        "tags": {
            "model_digest": directory_digest(model),
            "data_digest": _data_digest(evaluation),
            "problem_digest": config.problem_digest,
            "verdict": verdict,
        },
        "metrics": {
            name: estimate["value"] for name, estimate in evaluation["metrics"].items() if estimate["value"] is not None
        },
        "inputs": [{"name": each["name"], "type": each["type"]} for each in facts["schema"]["inputs"]],
        "outputs": _outputs(facts["schema"]),
        "description": _description(evaluation),
    }


def directory_digest(directory: Path) -> str:
    """sha256 over the files' names and contents, in the order of their names."""
    whole = hashlib.sha256()
    for path in sorted(path for path in directory.rglob("*") if path.is_file()):
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        whole.update(json.dumps([path.relative_to(directory).as_posix(), content]).encode())
    return whole.hexdigest()


def _data_digest(evaluation: dict[str, Any]) -> str:
    """Of the rows that the model saw and of those that judged it, by the digests of their content."""
    return hashlib.sha256(json.dumps(evaluation["data"], sort_keys=True).encode()).hexdigest()


def _outputs(schema: dict[str, Any]) -> list[dict[str, str]]:
    if not schema["classes"]:
        return [{"name": "prediction", "type": "float"}]
    chances = [{"name": f"probability_{name}", "type": "float"} for name in schema["classes"]]
    return [{"name": "prediction", "type": "category"}, *chances]


def _description(evaluation: dict[str, Any]) -> str:
    """One line for the registry."""
    headline = evaluation["metrics"][evaluation["headline"]]
    met = sum(line["met"] for line in evaluation["thresholds"])
    value = "undefined" if headline["value"] is None else f"{headline['value']:.4g}"
    ends = "" if headline["low"] is None else f" (95 % interval {headline['low']:.4g} to {headline['high']:.4g})"
    kept = f"{met} of {len(evaluation['thresholds'])} thresholds met"
    return f"{evaluation['headline']} {value}{ends} on {evaluation['rows']} test rows; {kept}"
