"""An approval counts for exactly what was signed, while it is in time, by whom the problem allows."""

import json

import pytest
import signed
from judged import judged, key_of

from infra.approvals import log, standing
from infra.approvals.standing import check_policy
from infra.files import digest_of
from infra.places import store_of
from infra.runs import records
from infra.store.local import LocalStore
from pipelines.approval import revoke, standing_of
from steps.errors import GateRefused


def state(workspace, run="one"):
    record = records.load(workspace, run)
    return standing_of(store_of(workspace, record), record)[1]


@pytest.fixture
def workspace(tmp_path):
    judged(tmp_path, "one")
    return tmp_path


def test_the_last_decision_of_a_person_counts(workspace):
    for decision, approved in (("approve", True), ("reject", False), ("approve", True)):
        signed.approve(workspace, "one", decision=decision)
        assert state(workspace).approved is approved


def test_a_revoked_approval_does_not_count(workspace):
    entry = signed.approve(workspace, "one")
    revoke(LocalStore(workspace), entry.digest[:10], "a mistake", signed.signer(1))
    assert state(workspace).notes == ("the decision of owner does not count: it was revoked",)
    assert not state(workspace).approved


def test_an_expired_approval_does_not_count(workspace):
    entry = signed.approve(workspace, "one")
    subjects, current = entry.subjects, log.read(LocalStore(workspace))

    def at(moment):
        registration = entry.content.registration
        return standing.standing(current, registration, subjects, four_eyes=False, author=None, at=moment)

    assert at("2026-12-31T00:00:00+00:00").approved
    assert at(entry.content.expires).notes == (
        f"the decision of owner does not count: it has expired on {entry.content.expires[:10]}",
    )


def test_a_key_that_was_taken_away_takes_its_approvals_along(workspace):
    signed.approve(workspace, "one")
    signed.adopt(LocalStore(workspace), signed.approvers(signed.approver("owner", 2, "reviewer", "admin")))
    assert state(workspace).notes == ("the decision of owner does not count: its key is no longer that of an approver",)


def test_every_place_of_the_quorum_wants_a_person_of_its_own(workspace):
    people = [
        signed.approver("a", 1, "reviewer", "admin"),
        signed.approver("b", 2, "reviewer"),
        signed.approver("c", 3, "risk"),
    ]
    signed.adopt(LocalStore(workspace), signed.approvers(*people, quorum={"reviewer": 2, "risk": 1}))
    signed.approve(workspace, "one", 1)
    signed.approve(workspace, "one", 3)
    assert state(workspace).reasons == ("it wants 1 more of role reviewer",)
    signed.approve(workspace, "one", 2)
    assert state(workspace).approved


def _rewrite(workspace, stage, change):
    """Change a manifest as somebody does who knows its digest."""
    path = LocalStore(workspace).directory(key_of("one", stage)) / "manifest.json"
    content = json.loads(path.read_text())
    change(content)
    content["digest"] = digest_of(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("stage", "change"),
    [
        ("train", lambda content: content["files"]["model/model.pt2"].update(sha256="0" * 64)),
        ("train", lambda content: content["ingredients"].update(code="other")),
        ("evaluate", lambda content: content["ingredients"].update({"input raw": "other"})),
        ("evaluate", lambda content: content["reasons"].append("fine")),
        ("register", lambda content: content["directories"].append("more")),
    ],
)  # fmt: skip
def test_an_approval_of_other_files_does_not_count(workspace, stage, change):
    entry = signed.approve(workspace, "one")
    _rewrite(workspace, stage, change)
    record = records.load(workspace, "one")
    from infra.approvals.statement import lineage_of, subjects
    from pipelines.training import TRAINING

    changed = subjects(lineage_of(store_of(workspace, record), entry.content.registration, TRAINING.sources))
    current = standing.standing(
        log.read(LocalStore(workspace)), entry.content.registration, changed, four_eyes=False, author=None
    )
    assert not current.approved
    assert (
        f"{stage} in the store differs from what was signed" in current.notes[0]
        or "more in the store" in current.notes[0]
    )


def test_an_author_who_was_exchanged_after_the_approval_ends_it(workspace):
    signed.approve(workspace, "one")
    record = records.load(workspace, "one")
    record.provenance["Run by"] = "bob"
    records.save(workspace, record)
    assert "the run's record says bob" in state(workspace).notes[0]


def test_whoever_trusts_a_file_of_approvers_is_not_led_by_another_log(workspace):
    signed.approve(workspace, "one")
    current = log.read(LocalStore(workspace))
    check_policy(current, current.policy, "approvers.yaml")
    other = current.policy.model_copy(update={"valid_days": 9})
    for own_log in (current, log.Log()):
        with pytest.raises(GateRefused, match=r"approvers.yaml does not name the approvers in force"):
            check_policy(own_log, other, "approvers.yaml")
