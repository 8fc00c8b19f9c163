"""The log of approvals: signed lines that only grow, each of which names the one before.

<root>/approvals/log.jsonl    an envelope per line: decisions, revocations, adopted approvers; beside a store on S3, too
<root>/approvals/head         digest of the last line, so that lines cut off at the end are noticed

What a reader is given has been verified from the first line on: signatures by whoever was an approver at that line, the order,
and that nothing is missing. The first approvers are trusted as they come; whoever does not want to trust the store compares them
with a file of their own (``standing.check_policy``). Whoever can write to the store may cut off lines together with the head; a
copy of the head elsewhere, as each deployment and each bundle keeps one, shows that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from infra.approvals import dsse, policy, statement
from infra.approvals.keys import Signer
from infra.approvals.policy import Approver, Approvers
from infra.approvals.statement import Adoption, Decision, Predicate, Subject
from infra.sources.source import Executions
from steps.errors import FourscoreError, InputError

LOG, HEAD = "approvals/log.jsonl", "approvals/head"
_ATTEMPTS = 20


class BrokenLog(FourscoreError):
    """A line of the log was changed, moved or removed; nothing counts as approved until that is explained."""


@dataclass(frozen=True)
class Entry:
    """A verified line."""

    number: int
    digest: str
    approver: Approver
    """Who signed, as the approvers of that time have them."""
    key: str
    """Id of the key that signed."""
    subjects: tuple[Subject, ...]
    content: Predicate


@dataclass(frozen=True)
class Log:
    """The verified lines and what they come to."""

    entries: tuple[Entry, ...] = ()
    policy: Approvers | None = None
    """The approvers in force."""
    pending: dict[str, tuple[Entry, ...]] = field(default_factory=dict)
    """Digest of approvers that too few have adopted yet -> who has."""
    data: bytes | None = None

    @property
    def head(self) -> str | None:
        """Digest of the last line."""
        return self.entries[-1].digest if self.entries else None

    def line(self, digest: str) -> bytes:
        """Return the line with a digest, as it was signed."""
        number = next(entry.number for entry in self.entries if entry.digest == digest)
        return (self.data or b"").split(b"\n")[number - 1]


def read(store: Executions) -> Log:
    """Return the log of a store; an empty one if nobody has signed anything.

    Raises:
        BrokenLog: it is not what was signed; the message names the line.
    """
    data, head = store.get(LOG), (store.get(HEAD) or b"").decode(errors="replace").strip()
    where = f"{LOG} of {store.workspace}"
    log = Log(data=data)
    lines = (data or b"").split(b"\n")
    if lines.pop():
        raise BrokenLog(f"{where}: its last line has no end, so the file was cut")
    for line in lines:
        try:
            log = _extended(log, line)
        except ValueError as error:
            raise BrokenLog(f"{where}, line {len(log.entries) + 1}: {error}") from None
    digests = [entry.digest for entry in log.entries]
    # the head follows the line, so a process that was killed between both leaves that of the line before
    if head not in (digests or [""]) and not (len(digests) == 1 and not head):
        raise BrokenLog(
            f"{where}: lines at its end are missing; the last one had the digest {head[:12] or 'of no line'}"
        )
    return log


def append(store: Executions, signer: Signer, make: Callable[[Log], tuple[tuple[Subject, ...], Predicate]]) -> Entry:
    """Sign a statement and add it to the log.

    Args:
        make: returns subjects and predicate of the statement that comes after this log; called again where another was faster.

    Raises:
        InputError: the signer may not sign it.
        BrokenLog: the log is not what was signed.
    """
    return _append(store, lambda log: dsse.seal(statement.payload(*make(log)), signer))


def add(store: Executions, line: bytes) -> Entry:
    """Add a statement that was signed elsewhere, by somebody who does not have the log.

    Raises:
        InputError: it is not signed by an approver, is there already, or is no statement.
    """
    return _append(store, lambda _: line)


def _append(store: Executions, make: Callable[[Log], bytes]) -> Entry:
    for _ in range(_ATTEMPTS):
        log = read(store)
        line = make(log)
        try:
            longer = _extended(log, line)
        except ValueError as error:
            raise InputError(f"this cannot be signed: {error}") from None
        before = store.get(HEAD)
        if store.swap(LOG, log.data, (log.data or b"") + line + b"\n"):
            store.swap(HEAD, before, f"{longer.head}\n".encode())  # lost only to one that has added a line since
            return longer.entries[-1]
    raise FourscoreError(f"{LOG} of {store.workspace}: others were faster {_ATTEMPTS} times; try again")


def _extended(log: Log, line: bytes) -> Log:
    """Return the log with one line more.

    Raises:
        ValueError: the line may not stand there.
    """
    digest = hashlib.sha256(line).hexdigest()
    if any(entry.digest == digest for entry in log.entries):
        raise ValueError("the same statement is there already")
    envelope = dsse.unseal(line)
    subjects, content = statement.parse(envelope.payload)
    _check_order(log, content)
    entitled = log.policy or (policy.of_json(content.approvers) if isinstance(content, Adoption) else None)
    if entitled is None:
        raise ValueError("nobody has adopted approvers yet: fourscore approvers init")
    keys = [key for approver in entitled.approvers for key in approver.public_keys]
    signers = envelope.signers(keys)
    if len(signers) != 1 or len(envelope.signatures) != 1:
        names = ", ".join(name for name, _ in envelope.signatures)
        raise ValueError(f"it is not signed by one approver in force (key {names:.120})")
    [key] = signers
    entry = Entry(len(log.entries) + 1, digest, entitled.keys[key], key, subjects, content)
    longer = replace(log, entries=(*log.entries, entry), data=(log.data or b""))
    return _adopted(longer, entry, entitled) if isinstance(content, Adoption) else _checked(longer, entry)


def _check_order(log: Log, content: Predicate) -> None:
    imported = isinstance(content, Decision) and content.previous is None and bool(content.recomputed)
    if not imported and content.previous != log.head:
        previous = (content.previous or "no line")[:12]
        raise ValueError(f"it was signed after {previous}, but stands after {(log.head or 'no line')[:12]}")


def _checked(log: Log, entry: Entry) -> Log:
    """Return the log, whose last entry is a decision or a revocation, after a look at what that refers to."""
    content = entry.content
    assert not isinstance(content, Adoption)
    assert log.policy is not None
    if content.policy != log.policy.digest():
        raise ValueError("it was signed under other approvers than those in force")
    if isinstance(content, statement.Revocation):
        decisions = {earlier.digest for earlier in log.entries if isinstance(earlier.content, Decision)}
        if content.statement not in decisions:
            raise ValueError("it revokes a decision that is not in the log")
    return log


def _adopted(log: Log, entry: Entry, entitled: Approvers) -> Log:
    """Return the log with the consent to approvers, who are in force once enough people have adopted them."""
    assert isinstance(entry.content, Adoption)
    proposed = policy.of_json(entry.content.approvers)
    digest = proposed.digest()
    if log.policy and digest == log.policy.digest():
        raise ValueError("these approvers are in force already")
    consents = (*log.pending.get(digest, ()), entry)
    people = [person for person in entitled.approvers if person.name in {consent.approver.name for consent in consents}]
    if policy.shortage(entitled.change, people):
        return replace(log, pending=log.pending | {digest: consents})
    return replace(log, policy=proposed, pending={})
