"""The whole story: from a problem definition and raw data to a registered candidate, in eight stages."""

from __future__ import annotations

from steps.core import Pipeline
from steps.define import define
from steps.evaluate import evaluate
from steps.ingest import ingest
from steps.label import label
from steps.register import register
from steps.split import split
from steps.train import train
from steps.validate import validate

TRAINING = Pipeline(
    define,
    ingest,
    validate,
    label,
    split,
    train,
    evaluate,
    register,
    sources=frozenset({"raw", "champion"}),
)
STAGES = tuple(step.name for step in TRAINING)
