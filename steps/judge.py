"""judge: the state of each window: quiet, watch or alarm."""

from __future__ import annotations

from pydantic import Field

from steps import documents
from steps.core import Config, Input, Output
from steps.journal import Journal


class JudgeConfig(Config):
    """How many false alarms are worth it."""

    alarms_per_quarter: float = Field(
        default=0.25, gt=0, le=100, description="How many false alarms a quarter may have on average, over all columns."
    )


def judge(comparison: Input, performance: Input, judgement: Output, config: JudgeConfig, log: Journal) -> None:
    """Publish the states and the episodes, and report both to the trackers."""
    from steps.monitoring import judging
    from steps.monitoring.document import Comparison, Performance
    from steps.monitoring.proposing import sentence
    from steps.wording import unmarked

    blocks = documents.read(Performance, performance).blocks
    broken = (
        [f"{sentence(promise)}." for promise in blocks[-1].promises if promise.outcome == "broken"] if blocks else []
    )
    document = judging.judge(documents.read(Comparison, comparison), config.alarms_per_quarter, broken)
    documents.write(judgement, document)
    for position, day in enumerate(document.days):
        log.metric("application/state", judging.RANK[day.state], position)
        log.metric("application/alarms", sum(finding.state == "alarm" for finding in day.findings), position)
    for episode in document.episodes:
        if episode.state == "alarm":
            text = f"{episode.since[:10]} to {episode.until[:10]}: {unmarked(episode.text)}"
            log.warning(text)
    for text in broken:
        log.warning(text)
    log.table("episodes", [episode.model_dump() for episode in document.episodes])
