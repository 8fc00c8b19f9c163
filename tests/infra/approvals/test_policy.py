"""Approvers that can work: enough people, one entry for each, each counted in one role."""

import itertools

import pytest
import signed
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from infra.approvals import policy
from infra.approvals.policy import Approver, shortage

A, B = signed.approver("a", 1, "reviewer", "admin"), signed.approver("b", 2, "risk")


def test_who_has_two_roles_is_one_person():
    both = signed.approver("a", 1, "reviewer", "risk")
    people = policy.of_json(signed.approvers(both, B, quorum={"risk": 1}, change={"risk": 1})).approvers
    assert shortage({"reviewer": 1, "risk": 1}, people[:1]) == "1 more of role risk"
    assert shortage({"risk": 1, "reviewer": 1}, people) == ""


@given(
    st.lists(st.sets(st.sampled_from("xyz"), min_size=1), max_size=4),
    st.dictionaries(st.sampled_from("xyz"), st.integers(1, 2), min_size=1),
)
def test_a_quorum_is_filled_exactly_if_some_seating_of_people_fills_it(roles, quorum):
    people = [Approver(**signed.approver(f"p{number}", number, *role_set)) for number, role_set in enumerate(roles)]
    places = [role for role, count in quorum.items() for _ in range(count)]
    seatings = itertools.permutations(people, len(places)) if len(people) >= len(places) else ()
    filled = any(all(role in person.roles for role, person in zip(places, seats, strict=True)) for seats in seatings)
    assert (shortage(quorum, people) == "") is filled


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"approvers": [A, A]}, "name a stands there twice"),
        ({"approvers": [A, {**B, "keys": A["keys"]}]}, "key SHA256:.* stands there twice"),
        (
            {"approvers": [A], "quorum": {"risk": 1}},
            "quorum: its people are too few, even if all sign: 1 more of role risk",
        ),
        ({"approvers": [A], "change": {"admin": 2}}, "change: its people are too few"),
        ({"approvers": [{**A, "keys": ["ssh-rsa AAAA"]}]}, "no Ed25519 key"),
        ({"approvers": [{**A, "name": "a\nb"}]}, "should match pattern"),
        ({"approvers": [A], "quorum": {}}, "at least 1"),
    ],
)
def test_approvers_that_could_not_work_are_refused(content, message):
    with pytest.raises(ValidationError, match=message):
        policy.of_json({"quorum": {"reviewer": 1}, "change": {"admin": 1}, **content})
