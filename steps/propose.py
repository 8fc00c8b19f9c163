"""propose: whether to train again, and why; a person decides, and the new model goes through all gates."""

from __future__ import annotations

from steps import documents
from steps.core import Config, Input, Output
from steps.journal import Journal


class ProposeConfig(Config):
    """Nothing is configured."""


def propose(judgement: Input, performance: Input, proposal: Output, config: ProposeConfig, log: Journal) -> None:
    """Write the proposal; nothing is trained or promoted by it."""
    from steps.monitoring import proposing
    from steps.monitoring.document import Judgement, Performance
    from steps.wording import unmarked

    document = proposing.propose(documents.read(Judgement, judgement), documents.read(Performance, performance))
    documents.write(proposal, document)
    log.metric("application/retrain", document.retrain)
    for reason in document.reasons:
        log.note(unmarked(reason))
