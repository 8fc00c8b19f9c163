"""People decide about candidates: with a reason, as approvers, on what the problem asks, and not about their own runs."""

import json
from dataclasses import replace

import pytest
import signed
import yaml
from cli import fourscore
from judged import judged, key_of

from infra.runs import records
from infra.store.local import LocalStore
from pipelines.approval import decide
from steps import documents
from steps.cards.document import ProblemCard
from steps.errors import GateRefused, InputError


def run_by(workspace, run="one", author="ada", **review):
    """A run by an author, whose problem has a section ``review``."""
    record = judged(workspace, run)
    record.provenance["Run by"] = author
    records.save(workspace, record)
    directory = LocalStore(workspace).directory(key_of(run, "define"))
    card = documents.read(ProblemCard, directory / "card")
    store = LocalStore(workspace)
    manifest = store.find(key_of(run, "define"))
    changed = ProblemCard.model_validate(card.model_dump() | {"review": review})
    (directory / "manifest.json").unlink()
    documents.write(directory / "card", changed)
    store.publish(directory, replace(manifest, files={}))


def test_four_eyes_are_not_those_of_the_author(workspace):
    run_by(workspace, four_eyes=True)
    people = [signed.approver("a", 1, "reviewer", "admin", accounts=["ada"]), signed.approver("b", 2, "reviewer")]
    signed.adopt(LocalStore(workspace), signed.approvers(*people))
    with pytest.raises(GateRefused, match="four eyes: ada started run one, so somebody else approves it"):
        signed.approve(workspace, "one", 1)
    signed.approve(workspace, "one", 1, "reject")
    assert signed.approve(workspace, "one", 2).approver.name == "b"


def test_four_eyes_want_to_know_the_author(workspace):
    run_by(workspace, author="not recorded", four_eyes=True)
    with pytest.raises(GateRefused, match="nobody knows who started the run"):
        signed.approve(workspace, "one")


def test_an_approval_answers_what_the_problem_asks(workspace):
    run_by(workspace, questions=["Who is told?", "What if it fails?"])
    with pytest.raises(InputError, match=r"--answer 2='...'   What if it fails\?") as refusal:
        signed.approve(workspace, "one", answers={"Who is told?": "the desk"})
    assert "Who is told" not in str(refusal.value)
    with pytest.raises(InputError, match="does not ask 'Why'"):
        signed.approve(workspace, "one", answers={"Why": "so"})
    answers = {"Who is told?": "the desk", "What if it fails?": "people decide"}
    assert signed.approve(workspace, "one", answers=answers).content.answers == answers


def test_a_stranger_decides_nothing_and_a_wrong_role_approves_nothing(workspace):
    judged(workspace, "one")
    signed.adopt(
        LocalStore(workspace),
        signed.approvers(signed.approver("a", 1, "reviewer", "admin"), signed.approver("b", 2, "admin")),
    )
    for seed, message in (
        (3, "is of no approver; approvers are: a"),
        (2, "b is admin; models are approved by reviewer"),
    ):
        with pytest.raises(InputError, match=message):
            signed.approve(workspace, "one", seed)


def test_what_does_no_better_than_the_champion_is_approved_only_anyway(workspace):
    judged(workspace, "one", better="neither")
    signed.adopt(LocalStore(workspace))
    with pytest.raises(GateRefused, match=r"passes, but it is no better than the current champion; .* one --anyway"):
        decide(workspace, "one", "approve", "because", signed.signer(1))
    assert signed.approve(workspace, "one").content.anyway


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    judged(tmp_path / ".fourscore", "one")
    return tmp_path


def test_a_person_alone_is_led_from_the_first_key_to_the_approval_and_back(place):
    def run(*arguments):
        result = fourscore(*arguments, cwd=place)
        assert result.returncode == 0, result.stderr
        return result.stdout

    assert "no key to sign with" in fourscore("approve", "one", "--reason", "x", cwd=place).stderr
    odd = fourscore("approvers", "init", "--name", "The Owner", cwd=place)
    assert (odd.returncode, "such as credit-risk" in odd.stderr, (place / "approvers.yaml").exists()) == (
        2,
        True,
        False,
    )
    assert "wrote approvers.yaml" in run("approvers", "init", "--name", "owner")
    assert yaml.safe_load((place / "approvers.yaml").read_text())["quorum"] == {"reviewer": 1}
    assert "approved by owner until" in run("approve", "one", "--reason", "it is good enough")
    assert "owner: reviewer, admin" in run("approvers", "show")
    assert "owner has rejected it: no" in run("reject", "one", "--reason", "no")
    refused = fourscore("promote", "one", cwd=place)
    assert (refused.returncode, "owner has rejected it: no" in refused.stderr) == (3, True)


def test_approvers_are_changed_by_adopting_their_file_and_compared_with_it(place):
    fourscore("approvers", "init", "--name", "owner", cwd=place)
    path = place / "approvers.yaml"
    path.write_text(path.read_text().replace("valid_days: 365", "valid_days: 30"))
    options = ("one", "--reason", "x", "--approvers", "approvers.yaml")
    refused = fourscore("approve", *options, cwd=place)
    assert (refused.returncode, "does not name the approvers in force" in refused.stderr) == (3, True)
    adopted = fourscore("approvers", "adopt", "--reason", "shorter", cwd=place)
    assert "they are in force" in adopted.stdout
    assert fourscore("approve", *options, cwd=place).returncode == 0


def test_a_mistake_in_approvers_is_named_with_its_line(place):
    fourscore("approvers", "init", cwd=place)
    path = place / "approvers.yaml"
    path.write_text(path.read_text().replace("valid_days: 365", "valid_days: many"))
    refused = fourscore("approvers", "adopt", "--reason", "x", cwd=place)
    assert refused.returncode == 2
    assert "approvers.yaml:11: valid_days: should be a valid integer" in refused.stderr
    assert fourscore("approvers", "init", cwd=place).returncode == 2


def test_a_decision_is_revoked_by_how_its_digest_begins(place):
    fourscore("approvers", "init", cwd=place)
    approved = fourscore("approve", "one", "--reason", "x", "--json", cwd=place)
    statement = json.loads(approved.stdout)["statement"]
    unknown = fourscore("revoke", "ffff", "--reason", "x", cwd=place)
    assert (unknown.returncode, statement[:12] in unknown.stderr) == (2, True)
    assert fourscore("revoke", statement[:8], "--reason", "a mistake", cwd=place).returncode == 0
    assert "it was revoked" in fourscore("promote", "one", cwd=place).stderr
