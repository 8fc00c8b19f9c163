"""register: the request to register the model, which the tracker carries out, and the model card."""

from __future__ import annotations

import hashlib
import json

from pydantic import Field

from model_code.digest import directory_digest
from steps import documents
from steps.cards.document import ProblemCard, Registration, unwritten
from steps.cards.facts import CardFacts
from steps.cards.modelcard import model_card
from steps.cards.sagemaker import FILE, sagemaker_card
from steps.core import Config, Input, Output
from steps.evaluation import sentences
from steps.evaluation.document import Evaluation
from steps.expectations.document import ValidationResults
from steps.journal import Journal
from steps.splitting.document import SplitReport
from steps.training.document import ModelColumn, ModelSchema, TrainingRecord
from steps.wording import unmarked

CANDIDATE = "candidate"


class RegisterSection(Config):
    """The name that the model is registered under."""

    name: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$",
        description="Name of the registered model (letters, digits, - _ .); the problem's name when left out.",
    )


class RegisterConfig(Config):
    """The name that the model is registered under, and what it was made for."""

    name: str = Field(description="Name of the registered model.")
    problem_digest: str = Field(default="", description="sha256 of the whole problem.")
    smoke: bool = Field(default=False, description="A smoke run on a sample: recorded, never a candidate.")


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

    A model that is not good enough is recorded as rejected. Only one that passed on the whole data, for a problem that
    somebody answers for, asks to be a candidate.
    """
    facts = CardFacts(
        problem=documents.read(ProblemCard, card),
        schema=documents.read(ModelSchema, model),
        training=documents.read(TrainingRecord, model),
        validation=documents.read(ValidationResults, validation),
        split=documents.read(SplitReport, division),
        evaluation=documents.read(Evaluation, evaluation),
    )
    request = _request(config, facts, directory_digest(model))
    documents.write(registration, request)
    (registration / "model_card.md").write_text(model_card(request, facts), encoding="utf-8")
    content = json.dumps(sagemaker_card(request, facts), indent=1, ensure_ascii=False, allow_nan=False)
    (registration / FILE).write_text(f"{content}\n", encoding="utf-8")
    log.parameter("register.name", config.name)
    log.parameter("register.alias", request.alias or "none")
    for name, value in request.tags.items():
        log.parameter(f"register.{name}", value)
    if fields := unwritten(facts.problem.model_dump()):
        text = f"nobody answers for this model, so it is no candidate; still to be written: {', '.join(fields)}"
        log.warning(text)
    log.verdict(request.verdict, facts.evaluation.reasons)


def _request(config: RegisterConfig, facts: CardFacts, model_digest: str) -> Registration:
    evaluation, schema = facts.evaluation, facts.schema
    may_be_used = evaluation.verdict == "pass" and not config.smoke and not unwritten(facts.problem.model_dump())
    return Registration(
        name=config.name,
        verdict=evaluation.verdict,
        alias=CANDIDATE if may_be_used else None,
        smoke=config.smoke,
        tags={
            "model_digest": model_digest,
            "data_digest": _data_digest(evaluation),
            "problem_digest": config.problem_digest,
            "verdict": evaluation.verdict,
        },
        metrics={name: estimate.value for name, estimate in evaluation.metrics.items() if estimate.value is not None},
        inputs=schema.inputs,
        outputs=_outputs(schema),
        description=unmarked(sentences.description(evaluation)),
    )


def _data_digest(evaluation: Evaluation) -> str:
    """Return the digest of the digests of the training rows and the test rows."""
    return hashlib.sha256(json.dumps(evaluation.data.model_dump(), sort_keys=True).encode()).hexdigest()


def _outputs(schema: ModelSchema) -> tuple[ModelColumn, ...]:
    if not schema.classes:
        return (ModelColumn(name="prediction", type="float"),)
    probabilities = (ModelColumn(name=f"probability_{name}", type="float") for name in schema.classes)
    return (ModelColumn(name="prediction", type="category"), *probabilities)
