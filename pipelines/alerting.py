"""Alerts of monitoring: what is new since the last one, in one message; what was delivered is remembered.

<workspace>/alerts/<run>.jsonl    the run that made the model: a digest for each thing that an address was told
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from infra.alerts import deliver
from infra.files import append_lines, digest_of, locked
from steps.monitoring.document import Episode, Judgement, Performance, Proposal
from steps.wording import clean, count, unmarked

LISTED = 5
"""Sentences of an alert's text; all are in its lists."""
_BARE = str.maketrans(
    {"<": "\N{SINGLE LEFT-POINTING ANGLE QUOTATION MARK}", ">": "\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}"}
)
"""Names come from data, and in chats <...> may call people."""


def alert(
    workspace: Path,
    trained: str,
    monitoring: str,
    judgement: Judgement,
    performance: Performance,
    proposal: Proposal,
    address: str,
) -> bool:
    """Tell an address of alarms that it was not told of; return whether there were any.

    It is told at least once: what could not be delivered is delivered by the next call.

    Args:
        trained: the run that made the model.
        monitoring: the run that judged it.

    Raises:
        FourscoreError: it could not be delivered.
    """
    memory = workspace / "alerts" / f"{trained}.jsonl"
    memory.parent.mkdir(parents=True, exist_ok=True)
    with locked(memory.with_suffix(".lock")):
        delivered = set(memory.read_text(encoding="utf-8").split()) if memory.exists() else set()
        month = performance.blocks[-1].last[:7] if performance.blocks else ""
        alarms = {
            _key(address, episode.measure, episode.column, episode.alarm): episode
            for episode in judgement.episodes
            if episode.alarm
        }
        broken = {_key(address, text.partition(":")[0], month): text for text in judgement.broken}
        new_alarms = [episode for key, episode in alarms.items() if key not in delivered]
        new_broken = [text for key, text in broken.items() if key not in delivered]
        if not new_alarms and not new_broken:
            return False
        deliver(_message(trained, monitoring, judgement, new_alarms, new_broken, proposal), address)
        append_lines(memory, [key.encode() for key in (*alarms, *broken) if key not in delivered])
    return True


def _key(*parts: str | None) -> str:
    return digest_of({"parts": parts})


def _message(
    trained: str,
    monitoring: str,
    judgement: Judgement,
    alarms: Sequence[Episode],
    broken: Sequence[str],
    proposal: Proposal,
) -> Mapping[str, Any]:
    sentences = [*broken, *(f"{episode.since[:10]}: {episode.text}" for episode in alarms)]
    plain = [clean(unmarked(text)).translate(_BARE) for text in sentences]
    subject = f"Fourscore: {count(len(plain), 'alarm')} about the model of run {trained}"
    more = [f"and {len(plain) - LISTED} more"] if len(plain) > LISTED else []
    advice = ["Retraining is proposed; a person decides."] if proposal.retrain else []
    return {
        "subject": subject,
        "text": "\n".join([subject, *plain[:LISTED], *more, *advice]),
        "run": trained,
        "monitoring": monitoring,
        "state": judgement.state,
        "retrain": proposal.retrain,
        "alarms": [
            {**episode.model_dump(mode="json", exclude={"text"}), "text": text}
            for episode, text in zip(alarms, plain[len(broken) :], strict=True)
        ],
        "broken": plain[: len(broken)],
    }
