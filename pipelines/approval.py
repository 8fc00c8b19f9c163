"""Decisions about candidates, signed by people: approve, reject, revoke, and who may."""

from __future__ import annotations

import getpass
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from infra.approvals import log, policy, standing, statement
from infra.approvals.keys import Signer
from infra.approvals.log import Entry, Log
from infra.approvals.policy import Approver, Approvers
from infra.approvals.standing import Standing
from infra.approvals.statement import Adoption, Decision, Revocation
from infra.files import write_atomically
from infra.places import store_of
from infra.runs import records
from infra.runs.records import RunRecord
from infra.store.store import Store
from pipelines.candidates import Candidate, candidate
from pipelines.problem.yaml_lines import complain, read
from steps.errors import GateRefused, InputError
from steps.wording import listed

FILE = "approvers.yaml"


def decide(
    workspace: Path,
    run: str,
    decision: str,
    reason: str,
    signer: Signer,
    *,
    answers: Mapping[str, str] | None = None,
    anyway: bool = False,
    approvers: Path | None = None,
) -> tuple[Entry, Standing]:
    """Sign a decision about the candidate of a run.

    Args:
        decision: ``approve`` or ``reject``.
        answers: question of the problem -> answer; an approval answers all of them.
        anyway: approve although a simpler model or the champion does as well or better.
        approvers: the approvers that the person trusts; those beside the problem file, if there are any.

    Returns:
        The decision, and where the candidate stands with it.

    Raises:
        InputError: the run has no candidate, the signer is no approver, or answers are missing.
        GateRefused: it was rejected, is nobody's, or something else does as well; or the approvers in force are others.
    """
    record = records.load(workspace, run)
    store = store_of(workspace, record)
    subject = candidate(store, record)
    standing.check_policy(log.read(store), *trusted(record, approvers))
    if decision == "approve":
        _check_answers(subject, answers or {})
        if subject.reservations and not anyway:
            raise GateRefused(
                f"run {run} passes, but {listed(subject.reservations)}; if it is right all the same: "
                f"fourscore approve {run} --anyway --reason '...'"
            )
    subjects = subject.subjects

    def make(current: Log) -> tuple[tuple[statement.Subject, ...], Decision]:
        force = _in_force(current)
        _check_person(force, signer, subject, decision)
        return subjects, Decision(
            decision="approve" if decision == "approve" else "reject",
            model=subject.request.name,
            run=run,
            registration=subject.registration,
            training=subject.training,
            model_digest=subject.request.tags["model_digest"],
            author=subject.author,
            four_eyes=subject.card.review.four_eyes,
            anyway=anyway,
            reason=reason,
            answers=dict(answers or {}),
            recomputed="",
            time=(time := records.now()),
            expires=later(time, force.valid_days),
            policy=force.digest(),
            previous=current.head,
        )

    entry = log.append(store, signer, make)
    return entry, _standing(log.read(store), subject)


def standing_of(store: Store, record: RunRecord, approvers: Path | None = None) -> tuple[Candidate, Standing]:
    """Return the candidate of a run and whether it is approved.

    Raises:
        InputError, GateRefused: as :func:`decide`.
        BrokenLog: the log is not what was signed.
    """
    subject, current = candidate(store, record), log.read(store)
    standing.check_policy(current, *trusted(record, approvers))
    return subject, _standing(current, subject)


def _standing(current: Log, subject: Candidate) -> Standing:
    return standing.standing(
        current,
        subject.registration,
        subject.subjects,
        four_eyes=subject.card.review.four_eyes,
        author=subject.author,
    )


def revoke(store: Store, digest: str, reason: str, signer: Signer) -> Entry:
    """Take back a decision; every approver may, since stopping is always allowed.

    Args:
        digest: of the decision's line in the log, or how it begins.

    Raises:
        InputError: there is no such decision, or the signer is no approver.
    """
    decisions = [entry for entry in log.read(store).entries if isinstance(entry.content, Decision)]
    matches = [entry for entry in decisions if entry.digest.startswith(digest)] if digest else []
    if len(matches) != 1:
        choices = ", ".join(f"{entry.digest[:12]} ({entry.content.run})" for entry in decisions[-5:]) or "none"  # type: ignore[union-attr]
        raise InputError(
            f"{'no' if not matches else 'more than one'} decision {digest!r}; the last ones are: {choices}"
        )
    full = matches[0].digest

    def make(current: Log) -> tuple[tuple[statement.Subject, ...], Revocation]:
        force = _in_force(current)
        assert current.head is not None
        content = Revocation(
            statement=full, reason=reason, time=records.now(), policy=force.digest(), previous=current.head
        )
        return statement.single("decision", full), content

    return log.append(store, signer, make)


def initiate(store: Store, path: Path, name: str, signer: Signer) -> Entry:
    """Write an approvers.yaml in which one person may do everything, and adopt it.

    Raises:
        InputError: the file exists, the store has approvers, or the name cannot be one.
    """
    if not re.fullmatch(policy.NAME, name):
        raise InputError(f"--name {name!r:.80}: a name has letters, digits and _ . @ -, such as credit-risk")
    if path.exists():
        raise InputError(f"{path} exists; change it and adopt the change: fourscore approvers adopt --reason '...'")
    if log.read(store).policy:
        raise InputError("the store has approvers already; 'fourscore approvers show' shows them")
    text = policy.example(name, signer.public, getpass.getuser())
    write_atomically(path, text)
    try:
        return adopt(store, path, "the first approvers", signer)
    except BaseException:
        path.unlink()
        raise


def adopt(store: Store, path: Path, reason: str, signer: Signer) -> Entry:
    """Consent to an approvers.yaml; it is in force once enough approvers in force have.

    Raises:
        InputError: the file is wrong, is in force already, or the signer is no approver.
    """
    proposed = approvers_in(path)

    def make(current: Log) -> tuple[tuple[statement.Subject, ...], Adoption]:
        content = Adoption(
            approvers=proposed.model_dump(mode="json"), reason=reason, time=records.now(), previous=current.head
        )
        return statement.single(FILE, proposed.digest()), content

    return log.append(store, signer, make)


def approvers_in(path: Path) -> Approvers:
    """Return the approvers in a file.

    Raises:
        InputError: it is missing or wrong; file and line are named.
    """
    if not path.is_file():
        raise InputError(f"no file {path}; 'fourscore approvers init' writes one")
    document = read(path)
    try:
        return Approvers.model_validate(document.content)
    except ValidationError as error:
        raise complain(document, error, Approvers, {}) from None


def trusted(record: RunRecord, path: Path | None) -> tuple[Approvers | None, str]:
    """Return the approvers of a file that the reader trusts, and its path: one that is named, or beside the problem file."""
    if path is None:
        path = Path(record.problem_path).parent / FILE
        if not path.is_file():
            return None, ""
    return approvers_in(path), str(path)


def _in_force(current: Log) -> Approvers:
    if current.policy is None:
        waiting = " (adopted by too few so far)" if current.pending else ""
        raise InputError(f"nobody may approve yet{waiting}: 'fourscore approvers init' names the first approvers")
    return current.policy


def person_of(store: Store, signer: Signer, subject: Candidate) -> Approver:
    """Return the approver to whom a key belongs, who may decide about the candidate.

    Raises:
        InputError: nobody may approve yet, or the key is of no approver.
        GateRefused: the problem wants four eyes, and these are those of the author.
    """
    force = _in_force(log.read(store))
    _check_person(force, signer, subject, "approve")
    return force.keys[signer.public.id]


def _check_person(force: Approvers, signer: Signer, subject: Candidate, decision: str) -> None:
    person = force.keys.get(signer.public.id)
    if person is None:
        names = listed([f"{approver.name} ({', '.join(approver.roles)})" for approver in force.approvers])
        raise InputError(f"key {signer.public.id} is of no approver; approvers are: {names}")
    if decision == "reject":
        return
    if not set(person.roles) & set(force.quorum):
        raise InputError(
            f"{person.name} is {listed(person.roles)}; models are approved by {listed(list(force.quorum))}"
        )
    if subject.card.review.four_eyes:
        if not subject.author:
            raise GateRefused("the problem wants four eyes, and nobody knows who started the run")
        if subject.author in (person.name, *person.accounts):
            raise GateRefused(
                f"the problem wants four eyes: {subject.author} started run {subject.run}, so somebody else approves it"
            )


def _check_answers(subject: Candidate, answers: Mapping[str, str]) -> None:
    questions = subject.card.review.questions
    if strange := [question for question in answers if question not in questions]:
        raise InputError(
            f"the problem does not ask {strange[0]!r}; it asks: {listed([repr(question) for question in questions]) or 'nothing'}"
        )
    if missing := [question for question in questions if not answers.get(question, "").strip()]:
        numbers = {question: number for number, question in enumerate(questions, 1)}
        lines = "\n".join(f"  --answer {numbers[question]}='...'   {question}" for question in missing)
        raise InputError(f"the problem wants answers before an approval:\n{lines}")


def questions_of(workspace: Path, run: str, answers: tuple[str, ...]) -> dict[str, str]:
    """Return question -> answer, from answers ``NUMBER=TEXT`` of a command line.

    Raises:
        InputError: there is no question of that number.
    """
    if not answers:
        return {}
    record = records.load(workspace, run)
    questions = candidate(store_of(workspace, record), record).card.review.questions
    by_question = {}
    for text in answers:
        number, equals, answer = text.partition("=")
        if not equals or not number.strip().isdigit() or not 1 <= int(number) <= len(questions):
            choices = (
                "; ".join(f"{place} is {question!r}" for place, question in enumerate(questions, 1)) or "there are none"
            )
            raise InputError(f"--answer {text!r}: wanted is NUMBER=TEXT with the number of a question: {choices}")
        by_question[questions[int(number) - 1]] = answer
    return by_question


def shortage_of(current: Log, entry: Entry) -> str:
    """Return whose consent approvers still want that an entry of the log adopts; empty if they are in force."""
    consents = next((entries for entries in current.pending.values() if entry in entries), ())
    if not consents:
        return ""
    assert isinstance(entry.content, Adoption)
    entitled = current.policy or policy.of_json(entry.content.approvers)
    names = {consent.approver.name for consent in consents}
    return policy.shortage(entitled.change, [person for person in entitled.approvers if person.name in names])


def later(time: str, days: int) -> str:
    return (datetime.fromisoformat(time) + timedelta(days=days)).isoformat(timespec="seconds")


def _fields(entry: Entry) -> dict[str, Any]:
    """Return what was signed but for whole approvers; a revocation's own statement is not the one that it revokes."""
    content = entry.content.model_dump(mode="json", exclude={"approvers"})
    return content | ({"revokes": content.pop("statement")} if isinstance(entry.content, Revocation) else {})


def document(current: Log) -> dict[str, Any]:
    """Return the log as JSON: approvers in force, pending changes, every line."""
    revoked = standing.revocations(current)
    return {
        "head": current.head,
        "approvers": current.policy.model_dump(mode="json") if current.policy else None,
        "pending": {digest: [entry.approver.name for entry in entries] for digest, entries in current.pending.items()},
        "entries": [
            {
                "line": entry.number,
                "statement": entry.digest,
                "kind": type(entry.content).__name__.lower(),
                "approver": entry.approver.name,
                "key": entry.key,
                "revoked": entry.digest in revoked,
                **_fields(entry),
            }
            for entry in current.entries
        ],
    }
