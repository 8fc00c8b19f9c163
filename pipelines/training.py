"""The training pipeline: from a problem definition and raw data to a registered candidate, in eight stages."""

from __future__ import annotations

from infra.sources.champion import ChampionModel
from infra.sources.raw import RawFiles
from steps.cards.document import Registration
from steps.core import Pipeline, step
from steps.define import define
from steps.evaluate import evaluate
from steps.evaluation.document import Evaluation
from steps.expectations.document import ValidationResults
from steps.ingest import ingest
from steps.label import label
from steps.register import register
from steps.split import split
from steps.splitting.document import SplitReport
from steps.train import train
from steps.validate import validate

TRAINING = Pipeline(
    "training",
    step(define, layer="application", job="prepare", documents=["card/card.md"], gate="problem"),
    step(ingest, layer="data", job="prepare"),
    step(validate, layer="data", job="prepare", documents=[ValidationResults], gate="check"),
    step(label, layer="data", job="prepare", gate="label"),
    step(split, layer="data", job="prepare", documents=[SplitReport], gate="leak"),
    step(train, layer="model", job="train"),
    step(evaluate, layer="model", job="assess", documents=[Evaluation]),
    step(register, layer="application", job="assess", documents=["registration/model_card.md", Registration]),
    sources={"raw": RawFiles, "champion": ChampionModel},
)
