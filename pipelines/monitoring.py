"""The monitoring pipeline: from captured requests to the state of each day, and to a proposal to retrain."""

from __future__ import annotations

from infra.sources.appended import AppendedFiles
from infra.sources.published import PublishedArtifact
from steps.baseline import baseline
from steps.capture import capture
from steps.compare import compare
from steps.core import Pipeline, step
from steps.judge import judge
from steps.monitoring.document import Comparison, Judgement

MONITORING = Pipeline(
    "monitoring",
    step(baseline, layer="application"),
    step(capture, layer="application"),
    step(compare, layer="application", documents=[Comparison]),
    step(judge, layer="application", documents=[Judgement]),
    sources={
        "model": PublishedArtifact,
        "train_set": PublishedArtifact,
        "evaluation": PublishedArtifact,
        "captured": AppendedFiles,
    },
)
