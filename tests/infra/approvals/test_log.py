"""The log only grows: what is changed, moved or missing in it breaks it, and approvers change by their own consent."""

import multiprocessing

import pytest
import signed
from judged import judged

from infra.approvals import dsse, log, statement
from infra.approvals.log import HEAD, LOG, BrokenLog
from infra.store.local import LocalStore
from infra.store.s3 import S3Store
from steps.errors import InputError

A, B = signed.approver("a", 1, "reviewer", "admin"), signed.approver("b", 2, "reviewer", "admin")
TWO = signed.approvers(A, B, change={"admin": 2})


@pytest.fixture
def store(tmp_path):
    return LocalStore(tmp_path)


@pytest.fixture
def filled(tmp_path):
    """Approvers and three decisions."""
    for run in ("one", "two", "three"):
        judged(tmp_path, run)
        signed.approve(tmp_path, run)
    return LocalStore(tmp_path)


def lines_of(store):
    return store.get(LOG).splitlines(keepends=True)


def test_a_line_that_is_moved_or_missing_breaks_the_log(filled):
    lines = lines_of(filled)
    assert len(log.read(filled).entries) == 4
    for changed in (
        [lines[0], *lines[2:]],
        [lines[0], lines[2], lines[1], lines[3]],
        [*lines, lines[1]],
        lines[1:],
        lines[:-1],
        [*lines[:-1], lines[-1].rstrip(b"\n")],
        [],
    ):
        filled.put(LOG, b"".join(changed))
        with pytest.raises(BrokenLog, match="approvals/log"):
            log.read(filled)


def test_a_process_that_was_killed_before_the_head_was_written_breaks_nothing(filled):
    entries = log.read(filled).entries
    filled.put(HEAD, f"{entries[-2].digest}\n".encode())
    assert log.read(filled).entries == entries
    signed.approve(filled.workspace, "one", decision="reject")
    assert filled.get(HEAD).decode().strip() == log.read(filled).head


def test_only_an_approver_adds_a_line(store):
    signed.adopt(store)
    with pytest.raises(InputError, match="not signed by one approver in force"):
        signed.adopt(store, TWO, seed=2)
    with pytest.raises(InputError, match="it was signed after"):
        log.add(store, _line_after_nothing(1))


def _line_after_nothing(seed):
    adoption = statement.Adoption(approvers=TWO, reason="x", time=signed.START, previous=None)
    return dsse.seal(statement.payload(statement.single("approvers.yaml", "0" * 64), adoption), signed.signer(seed))


def test_the_first_approvers_are_in_force_once_enough_of_them_have_signed(store):
    signed.adopt(store, TWO, seed=1)
    assert log.read(store).policy is None
    signed.adopt(store, TWO, seed=2)
    assert log.read(store).policy.model_dump(mode="json") == TWO


def test_a_change_of_approvers_wants_those_of_before(store):
    for seed in (1, 2):
        signed.adopt(store, TWO, seed)
    alone = signed.approvers(A)
    signed.adopt(store, alone, 1)
    signed.adopt(store, signed.approvers(B), 2)
    current = log.read(store)
    assert (len(current.policy.approvers), len(current.pending)) == (2, 2)
    signed.adopt(store, alone, 2)
    current = log.read(store)
    assert ([person.name for person in current.policy.approvers], current.pending) == (["a"], {})
    with pytest.raises(InputError, match="in force already"):
        signed.adopt(store, alone, 1)


def test_who_consents_twice_is_one_person(store):
    for seed in (1, 2):
        signed.adopt(store, TWO, seed)
    for _ in range(2):
        signed.adopt(store, signed.approvers(A), 1)
    assert len(log.read(store).policy.approvers) == 2


def test_lines_that_are_signed_at_once_all_stand_in_the_log(tmp_path):
    runs = [f"run-{number}" for number in range(4)]
    for run in runs:
        judged(tmp_path, run)
    signed.adopt(LocalStore(tmp_path))
    context = multiprocessing.get_context("fork")
    racers = [context.Process(target=signed.approve, args=(tmp_path, run)) for run in runs]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert [racer.exitcode for racer in racers] == [0] * 4
    assert {entry.content.run for entry in log.read(LocalStore(tmp_path)).entries[1:]} == set(runs)


def test_users_of_a_store_on_s3_have_one_log(tmp_path, root):
    first, second = (S3Store(tmp_path / name, root) for name in ("first", "second"))
    signed.adopt(first)
    assert log.read(second).head == log.read(first).head
