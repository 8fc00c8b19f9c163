"""Whether a model is approved: the decisions in the log, the approvers in force, and the digests in the store."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from infra.approvals import statement
from infra.approvals.log import Entry, Log, read
from infra.approvals.policy import Approvers, shortage
from infra.approvals.statement import Decision, Revocation, Subject
from infra.runs.records import now
from infra.store.store import Store
from steps.errors import GateRefused


@dataclass(frozen=True)
class Standing:
    """What the log says of a model."""

    approvals: tuple[Entry, ...] = ()
    """Those that count."""
    reasons: tuple[str, ...] = ()
    """Why it may not be used; empty if it is approved."""
    notes: tuple[str, ...] = ()
    """Why decisions do not count."""

    rejected: bool = False
    """Whether somebody's rejection counts."""

    @property
    def approved(self) -> bool:
        return not self.reasons

    @property
    def expires(self) -> str | None:
        """When the first approval that counts expires."""
        return min((_decision(entry).expires for entry in self.approvals), default=None)

    def document(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "approved": self.approved,
            "expires": self.expires,
            "by": [summary(entry) for entry in self.approvals],
            "reasons": list(self.reasons),
            "notes": list(self.notes),
        }


def summary(entry: Entry) -> dict[str, Any]:
    """Return who decided what, as JSON."""
    content = _decision(entry)
    return {
        "approver": entry.approver.name,
        "roles": list(entry.approver.roles),
        "decision": content.decision,
        "reason": content.reason,
        "answers": dict(content.answers),
        "recomputed": content.recomputed,
        "time": content.time,
        "expires": content.expires,
        "key": entry.key,
        "statement": entry.digest,
    }


def standing(
    log: Log,
    registration: str,
    subjects: tuple[Subject, ...],
    *,
    four_eyes: bool,
    author: str | None,
    at: str | None = None,
) -> Standing:
    """Return whether a model is approved.

    Each person's last decision counts. It lapses when it was revoked or has expired, when its key is no longer an approver's,
    and when anything that was signed is not what the store has now. A rejection that counts refuses the model.

    Args:
        registration: key of the execution that asked to register the model.
        subjects: what the store has now, as :func:`statement.subjects` returns it.
        four_eyes: the problem wants somebody else than the author.
        author: who started the run, where its record is at hand.
        at: the time, as ISO 8601 in UTC; now.
    """
    if log.policy is None:
        return Standing(reasons=("nobody may approve yet: fourscore approvers init",))
    at, revoked = at or now(), set(revocations(log))
    last = {entry.approver.name: entry for entry in sorted(_decisions(log, registration), key=_when)}
    notes, counted = [], []
    for entry in last.values():
        fault = _fault(entry, log.policy, subjects, revoked, four_eyes=four_eyes, author=author, at=at)
        if fault:
            notes.append(f"the decision of {entry.approver.name} does not count: {fault}")
        else:
            counted.append(entry)
    rejections = [entry for entry in counted if _decision(entry).decision == "reject"]
    approvals = tuple(entry for entry in counted if entry not in rejections)
    reasons = [f"{entry.approver.name} has rejected it: {_decision(entry).reason}" for entry in rejections]
    people = [log.policy.keys[entry.key] for entry in approvals]
    if missing := shortage(log.policy.quorum, people):
        reasons.append(f"it wants {missing}")
    return Standing(approvals, tuple(reasons), tuple(notes), bool(rejections))


def of_training(
    store: Store, training: str, sources: Collection[str], own: Approvers | None = None, where: str = ""
) -> Entry:
    """Return an approval that stands of a model, by the key of the execution that made it; nothing but the store is asked.

    Args:
        sources: the names of inputs that no execution wrote.
        own: the approvers that the reader trusts, from the file ``where``; None trusts the log's.

    Raises:
        GateRefused: there is none, and why.
        BrokenLog: the log is not what was signed.
    """
    log = read(store)
    check_policy(log, own, where)
    decisions = [
        entry for entry in log.entries if isinstance(entry.content, Decision) and entry.content.training == training
    ]
    reasons: list[str] = []
    for registration in dict.fromkeys(_decision(entry).registration for entry in reversed(decisions)):
        lineage = statement.lineage_of(store, registration, sources)
        if refused := [manifest.step for manifest in lineage.values() if manifest.verdict != "pass"]:
            reasons.append(f"its stage {refused[0]} did not pass")
        elif training not in lineage:
            reasons.append("the decision is about another model")
        else:
            current = standing(log, registration, statement.subjects(lineage), four_eyes=False, author=None)
            if current.approved:
                return current.approvals[-1]
            reasons += [*current.reasons, *current.notes]
    raise GateRefused(
        f"the model of {training[:12]} is not approved: {'; '.join(reasons) or 'nobody has decided about it'}"
    )


def refuse(run: str, current: Standing) -> None:
    """Refuse what is not approved.

    Raises:
        GateRefused: it is not, with what is missing.
    """
    if not current.approved:
        lines = (*current.reasons, *current.notes)
        raise GateRefused(f"run {run} is not approved: {'; '.join(lines)}\nnext: fourscore review {run}")


def check_policy(log: Log, own: Approvers | None, where: str) -> None:
    """Compare the approvers in force with those of a file that the reader trusts.

    Raises:
        GateRefused: they differ.
    """
    if own and (log.policy is None or own.digest() != log.policy.digest()):
        raise GateRefused(
            f"{where} does not name the approvers in force in the store: either it was changed and too few have adopted the "
            f"change (fourscore approvers adopt {where} --reason '...'), or the store's log is not the one it belongs to"
        )


def revocations(log: Log) -> Mapping[str, Entry]:
    """Return the revoked statements and what revoked them."""
    return {entry.content.statement: entry for entry in log.entries if isinstance(entry.content, Revocation)}


def _decisions(log: Log, registration: str) -> Iterable[Entry]:
    return (
        entry
        for entry in log.entries
        if isinstance(entry.content, Decision) and entry.content.registration == registration
    )


def _when(entry: Entry) -> tuple[str, int]:
    return _decision(entry).time, entry.number


def _decision(entry: Entry) -> Decision:
    assert isinstance(entry.content, Decision)
    return entry.content


def _fault(
    entry: Entry,
    policy: Approvers,
    subjects: tuple[Subject, ...],
    revoked: set[str],
    *,
    four_eyes: bool,
    author: str | None,
    at: str,
) -> str:
    """Return why a decision does not count; empty if it does."""
    content, person = _decision(entry), policy.keys.get(entry.key)
    if entry.digest in revoked:
        return "it was revoked"
    if person is None:
        return "its key is no longer that of an approver"
    if entry.subjects != subjects:
        return f"it is about other files: {_difference(entry.subjects, subjects)}"
    if content.decision == "reject":
        return ""
    if content.expires <= at:
        return f"it has expired on {content.expires[:10]}"
    if author is not None and author != content.author:
        return f"it says that {content.author} started the run, and the run's record says {author}"
    if four_eyes or content.four_eyes:
        if not content.author:
            return "nobody knows who started the run, and the problem wants four eyes"
        if content.author in (person.name, *person.accounts):
            return "it is of the run's own author, and the problem wants four eyes"
    return ""


def _difference(signed: tuple[Subject, ...], current: tuple[Subject, ...]) -> str:
    before, after = ({one.name: one.digest.sha256 for one in those} for those in (signed, current))
    changed = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    names = [f"{name.split('/')[0]}/{'/'.join(name.split('/')[2:])}".rstrip("/") for name in changed]
    return (
        f"{names[0]}{f' and {len(names) - 1} more' if len(names) > 1 else ''} in the store differs from what was signed"
    )
