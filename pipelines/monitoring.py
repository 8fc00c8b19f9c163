"""The monitoring pipeline: from captured requests to the state of each day, and to a proposal to retrain."""

from __future__ import annotations

from infra.sources.appended import AppendedFiles
from infra.sources.published import PublishedArtifact
from infra.sources.raw import RawFiles
from steps.baseline import baseline
from steps.capture import capture
from steps.compare import compare
from steps.core import Pipeline, step
from steps.judge import judge
from steps.measure import measure
from steps.monitoring.document import Comparison, Judgement, Performance, Proposal
from steps.propose import propose

MONITORING = Pipeline(
    "monitoring",
    step(baseline, layer="application"),
    step(capture, layer="application"),
    step(compare, layer="application", documents=[Comparison]),
    step(measure, layer="application", documents=[Performance]),
    step(judge, layer="application", documents=[Judgement]),
    step(propose, layer="application", documents=[Proposal]),
    sources={
        "model": PublishedArtifact,
        "train_set": PublishedArtifact,
        "evaluation": PublishedArtifact,
        "captured": AppendedFiles,
        "labels": RawFiles,
    },
)
