"""Only what was approved and what the store says has passed becomes champion; registry and champion file agree."""

import multiprocessing
import time

import pytest
import signed
from judged import judged, key_of
from reported import make_run
from signed import approve

from infra.runs import records
from infra.sources import champion as champions
from infra.store.local import LocalStore
from infra.store.manifest import CorruptExecution
from infra.store.s3 import S3Store
from pipelines import doctor
from pipelines.promotion import promote, rollback
from steps.errors import FourscoreError, GateRefused, InputError


class Models:
    """A registry that is a file; the version of a run is its name."""

    def __init__(self, workspace, on_move=lambda: None):
        self.alias, self.on_move = workspace / "alias", on_move

    def version_of(self, run, digest):
        return run

    def move_champion(self, run, name, version, digest):
        time.sleep(0.1)
        self.alias.write_text(version)
        self.on_move()


def champion(workspace):
    return champions.read(LocalStore(workspace), "flights")


def test_what_passed_becomes_champion(workspace):
    for run in ("one", "two"):
        judged(workspace, run)
        approve(workspace, run)
    first = promote(workspace, "one", None, Models(workspace))
    assert (first["before"], first["approved_by"]) == (None, ["owner"])
    assert promote(workspace, "two", None, Models(workspace))["before"] == "one"
    assert (champion(workspace).run, champion(workspace).train_key) == ("two", key_of("two", "train"))


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"status": "rejected", "message": "roc_auc >= 0.7: not met"}, "was rejected and cannot be promoted"),
        ({"smoke": True}, "is a smoke run on a sample"),
    ],
)  # fmt: skip
def test_a_model_that_may_not_be_used_is_not_promoted(workspace, fields, sentence):
    run = make_run(workspace, **fields)
    with pytest.raises(FourscoreError) as refusal:
        promote(workspace, run, None)
    assert sentence in str(refusal.value)
    assert isinstance(refusal.value, GateRefused) is not fields.get("smoke", False)
    assert champion(workspace) is None


def test_what_nobody_approved_is_not_promoted(workspace):
    judged(workspace, "one")
    with pytest.raises(GateRefused, match="run one is not approved: nobody may approve yet"):
        promote(workspace, "one", None, Models(workspace))
    signed.adopt(LocalStore(workspace))
    with pytest.raises(
        GateRefused, match=r"not approved: it wants 1 more of role reviewer\nnext: fourscore review one"
    ):
        promote(workspace, "one", None, Models(workspace))
    approve(workspace, "one", decision="reject")
    with pytest.raises(GateRefused, match="owner has rejected it: because"):
        promote(workspace, "one", None, Models(workspace))
    assert champion(workspace) is None


def test_the_way_back_leads_to_the_champion_before_and_forth_again(workspace):
    for run in ("one", "two"):
        judged(workspace, run)
        approve(workspace, run)
        promote(workspace, run, None, Models(workspace))
    store = LocalStore(workspace)
    assert rollback(workspace, "flights", None, store, Models(workspace))["run"] == "one"
    assert (champion(workspace).run, champion(workspace).previous) == ("one", "two")
    assert rollback(workspace, "flights", None, store, Models(workspace))["run"] == "two"


def test_there_is_no_way_back_to_what_was_rejected_since(workspace):
    for run in ("one", "two"):
        judged(workspace, run)
        approve(workspace, run)
        promote(workspace, run, None, Models(workspace))
    approve(workspace, "one", decision="reject")
    with pytest.raises(GateRefused, match="run one is not approved"):
        rollback(workspace, "flights", None, LocalStore(workspace), Models(workspace))
    assert champion(workspace).run == "two"


@pytest.mark.parametrize("promotions", [0, 1])
def test_there_is_no_way_back_from_the_first_champion(workspace, promotions):
    if promotions:
        judged(workspace, "one")
        approve(workspace, "one")
        promote(workspace, "one", None, Models(workspace))
    with pytest.raises(InputError, match="had one champion only" if promotions else "no model 'flights' was promoted"):
        rollback(workspace, "flights", None, LocalStore(workspace), Models(workspace))


def test_a_model_that_nobody_answers_for_is_not_promoted_whatever_its_run_file_says(workspace):
    record = judged(workspace, "one", owner="to be written")
    assert "to be written" not in str(record.problem)
    with pytest.raises(GateRefused, match="since nobody answers for it: write the owner in"):
        promote(workspace, "one", None, Models(workspace))
    assert champion(workspace) is None


@pytest.mark.parametrize("says", ["pass", "rejected"])
def test_an_edited_run_file_promotes_no_rejected_model(workspace, says):
    judged(workspace, "one", "rejected", says=says)
    with pytest.raises(GateRefused, match="was rejected"):
        promote(workspace, "one", None, Models(workspace))
    path = records.path_of(workspace, "one")
    path.write_text(path.read_text().replace('"rejected"', '"pass"'))
    with pytest.raises(GateRefused, match="says rejected\nnot good enough"):
        promote(workspace, "one", None, Models(workspace))
    assert champion(workspace) is None


def test_a_registration_that_says_rejected_is_enough(workspace):
    judged(workspace, "one", says="rejected")
    with pytest.raises(GateRefused, match="its registration says rejected"):
        promote(workspace, "one", None, Models(workspace))


def test_the_registration_of_a_run_that_passed_promotes_no_other_model(workspace):
    """The keys in a run file may be exchanged; what the registration was made from may not."""
    judged(workspace, "good")
    record = judged(workspace, "bad", "rejected")
    record.status, record.message = "pass", ""
    record.producer("registration").key = key_of("good", "register")
    records.save(workspace, record)
    approve(workspace, "bad")
    promote(workspace, "bad", None, Models(workspace))
    assert champion(workspace).train_key == key_of("good", "train")
    judged(workspace, "odd", changes={"model_digest": "d" * 64})
    with pytest.raises(CorruptExecution, match="is not the model that run odd judged"):
        promote(workspace, "odd", None, Models(workspace))


def test_a_smoke_run_is_one_whatever_its_run_file_says(workspace):
    record = judged(workspace, "one", smoke=True)
    record.smoke = False
    records.save(workspace, record)
    with pytest.raises(InputError, match="smoke run"):
        promote(workspace, "one", None, Models(workspace))


def test_three_promotions_at_once_leave_registry_and_champion_equal(workspace):
    runs = ["one", "two", "three"]
    for run in runs:
        judged(workspace, run)
        approve(workspace, run)
    context = multiprocessing.get_context("fork")
    racers = [context.Process(target=promote, args=(workspace, run, None, Models(workspace))) for run in runs]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert [racer.exitcode for racer in racers] == [0, 0, 0]
    assert (workspace / "alias").read_text() == champion(workspace).run


def test_two_machines_that_promote_at_once_leave_registry_and_champion_equal(workspace, root):
    """The second decides while the first is about to move the alias of the registry that both use."""
    places = [workspace / "one", workspace / "two"]
    for place in places:
        judged(place, place.name, store=S3Store(place, root))
        approve(place, place.name)
    overtaken = []

    def overtake():
        if not overtaken:
            overtaken.append(promote(places[1], "two", None, Models(workspace)))
            (workspace / "alias").write_text("one")  # the first machine's request comes last

    promote(places[0], "one", None, Models(workspace, overtake))
    assert overtaken[0]["before"] == "one"
    assert champions.read(S3Store(places[0], root), "flights").run == "two"
    assert (workspace / "alias").read_text() == "two"


def test_a_promotion_that_comes_second_changes_nothing_and_says_so(workspace, root):
    places = [workspace / "one", workspace / "two"]
    for place in places:
        judged(place, place.name, store=S3Store(place, root))
        approve(place, place.name)

    class Slow(Models):
        def version_of(self, run, digest):
            promote(places[1], "two", None, Models(workspace))
            return run

    with pytest.raises(FourscoreError, match="another promotion of flights was faster; nothing was changed"):
        promote(places[0], "one", None, Slow(workspace))
    assert champions.read(S3Store(places[0], root), "flights").run == (workspace / "alias").read_text() == "two"
    assert [finding["ok"] for finding in doctor._promotions(places[0])] == [True]


def test_a_promotion_that_was_cut_is_named_by_doctor_and_ended_by_promoting_again(workspace):
    judged(workspace, "one")
    approve(workspace, "one")

    def cut():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        promote(workspace, "one", None, Models(workspace, cut))
    (finding,) = doctor._promotions(workspace)
    assert not finding["ok"]
    assert "'fourscore promote one' ends it" in finding["found"]
    promote(workspace, "one", None, Models(workspace))
    assert [finding["ok"] for finding in doctor._promotions(workspace)] == [True]
    assert champion(workspace).run == "one"


def test_a_registry_that_is_away_leaves_no_promotion_open(workspace):
    judged(workspace, "one")
    approve(workspace, "one")

    class Away(Models):
        def version_of(self, run, digest):
            raise FourscoreError("the server does not answer")

    with pytest.raises(FourscoreError, match="does not answer"):
        promote(workspace, "one", None, Away(workspace))
    assert champion(workspace) is None
    assert [finding["ok"] for finding in doctor._promotions(workspace)] == [True]
