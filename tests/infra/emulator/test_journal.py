"""The journal of the simulated cloud keeps every request that was answered, whatever a full disk left between them."""

import pytest

from infra.emulator.journal import Journal

REQUEST = {"REQUEST_METHOD": "PUT", "PATH_INFO": "/bucket/ü 0", "QUERY_STRING": ""}


@pytest.mark.parametrize("left", [b'{"n": 2, "envi', b"\xc3", b'{"n": 2}'[:-1]])
def test_a_request_that_is_answered_after_half_a_line_was_left_is_replayed(workspace, left):
    journal = Journal(workspace)
    journal.add(1, REQUEST, b"one")
    with journal.path.open("ab") as file:
        file.write(left)
    journal.add(3, REQUEST, b"three")
    assert [(entry["n"], journal.body(entry)) for entry in Journal(workspace).load()] == [(1, b"one"), (3, b"three")]


def test_half_a_line_at_the_end_is_dropped_and_the_journal_is_whole_again(workspace):
    journal = Journal(workspace)
    journal.add(1, REQUEST, b"one")
    before = journal.path.read_bytes()
    with journal.path.open("ab") as file:
        file.write(before.rstrip()[:-4])
    assert [entry["n"] for entry in Journal(workspace).load()] == [1]
    assert journal.path.read_bytes() == before
