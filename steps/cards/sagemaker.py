"""The model card as SageMaker reads it: the content of a model card, and of a model package's, within its limits."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from steps.cards.document import Registration
from steps.cards.facts import CardFacts, limits
from steps.evaluation import sentences
from steps.evaluation.document import Estimate
from steps.evaluation.sentences import metric_name, predictor_name
from steps.wording import cut, number, unmarked

FILE = "sagemaker_model_card.json"
LONGEST = 100_000
"""The most characters of a card."""
_NAME, _TITLE, _SHORT, _LONG = 255, 63, 1024, 2048
"""The most characters that SageMaker takes in a field."""


def sagemaker_card(request: Registration, facts: CardFacts) -> dict[str, Any]:
    """Return the content of the card; its risk is not rated, which is a person's task."""
    problem, evaluation = facts.problem, facts.evaluation
    scored = {"model": evaluation.metrics, **evaluation.rivals()}
    uses = [f"Decision: {problem.decision}", f"Intended users: {problem.intended_users or 'not recorded'}"]
    verdict = "rehearsal, no verdict" if request.smoke else evaluation.verdict
    details = {
        "Verdict": verdict,
        "Out of scope": problem.out_of_scope or "not recorded",
        "Licence of the data": problem.data_license or "not recorded",
        **request.tags,
    }
    return {
        "model_overview": {
            "model_description": _text(request.description, _SHORT),
            "problem_type": problem.task,
            "algorithm_type": _text(facts.schema.architecture, _SHORT),
            "model_owner": _text(problem.owner, _SHORT),
        },
        "intended_uses": {
            "purpose_of_model": _text(problem.question, _LONG),
            "intended_uses": _text(". ".join(uses), _LONG),
            "factors_affecting_model_efficiency": _text(" ".join(sentences.limits(evaluation)) or "none known", _LONG),
            "risk_rating": "Unknown",
            "explanations_for_risk_rating": _text(f"Cost of errors: {problem.cost_of_error}", _LONG),
        },
        "business_details": {
            "business_problem": _text(problem.decision, _LONG),
            "business_stakeholders": _text(problem.owner, _LONG),
        },
        "training_details": {
            "training_observations": _text(
                f"{facts.training.chosen}: {facts.training.why or 'the only candidate'}", _SHORT
            ),
            "training_job_details": {"training_datasets": [f"sha256:{evaluation.data.train_digest}"]},
        },
        "evaluation_details": [
            {
                "name": "Held-out test set",
                "evaluation_observation": _text(f"{verdict}: the model {sentences.promise_kept(evaluation)}", _LONG),
                "datasets": [f"sha256:{evaluation.data.test_digest}"],
                "metadata": {"rows": str(evaluation.rows)},
                "metric_groups": [_group(predictor_name(name), metrics) for name, metrics in scored.items()],
            }
        ],
        "additional_information": {
            "caveats_and_recommendations": _text(" ".join(limits(request, facts)), _LONG),
            "custom_details": {name: _text(value, _LONG) for name, value in details.items()},
        },
    }


def package_card(registration: Path) -> str:
    """Return the card of a registration as that of a model package: a shorter overview, on one line as its pattern demands."""
    content = json.loads((registration / FILE).read_text(encoding="utf-8"))
    overview = {"model_creator": content["model_overview"]["model_owner"]}
    for left_out in ((), ("evaluation_details",)):
        shorter = {name: value for name, value in content.items() if name not in left_out}
        text = json.dumps(shorter | {"model_overview": overview}, ensure_ascii=False, allow_nan=False)
        if len(text) <= LONGEST:
            break
    return text.translate(dict.fromkeys(map(ord, "\x7f\x85\u2028\u2029"), " "))


def _group(name: str, metrics: Mapping[str, Estimate]) -> dict[str, Any]:
    data = [
        {
            "name": _text(metric_name(metric), _NAME),
            "type": "number",
            "value": estimate.value,
            "notes": f"95 % interval {number(estimate.low, 4)} to {number(estimate.high, 4)}",
        }
        for metric, estimate in metrics.items()
        if estimate.value is not None
    ]
    return {"name": _text(name, _TITLE), "metric_data": data}


def _text(text: str, length: int) -> str:
    return cut(unmarked(text), length)
