"""Only what the store says has passed becomes champion, and registry and champion file agree."""

import multiprocessing
import time

import pytest
from reported import PROBLEM, make_run

from infra.runs import records
from infra.runs.records import RunRecord, StageRecord
from infra.sources import champion as champions
from infra.store.local import LocalStore
from infra.store.manifest import CorruptExecution, Manifest
from pipelines import doctor
from pipelines.promotion import promote
from steps import documents
from steps.cards.document import Registration
from steps.errors import FourscoreError, GateRefused, InputError
from steps.register import directory_digest

STAGES = {"train": "model", "evaluate": "evaluation", "register": "registration"}


def key_of(run, stage):
    return f"{stage}-{run}".ljust(64, "0")


def judged(workspace, run, verdict="pass", *, says=None, smoke=False, changes=None):
    """A finished run whose evaluation came to a verdict; ``says`` is what its registration says of it."""
    store = LocalStore(workspace)
    for stage, artifact in STAGES.items():
        inputs = {"evaluate": {"input model": key_of(run, "train"), "input raw": "digest"}}
        inputs["register"] = inputs["evaluate"] | {"input evaluation": key_of(run, "evaluate")}
        with store.working(key_of(run, stage)) as directory:
            (directory / artifact).mkdir()
            if stage == "train":
                (directory / artifact / "model.pt2").write_text(run)
            if stage == "register":
                digest = directory_digest(store.directory(key_of(run, "train")) / "model")
                tags = {"model_digest": digest} | (changes or {})
                request = Registration(
                    name="flights", verdict=says or verdict, alias=None, smoke=smoke, tags=tags, metrics={}, inputs=(), outputs=(),
                    description="",
                )  # fmt: skip
                documents.write(directory / artifact, request)
            outcome = "pass" if stage == "train" else verdict
            reasons = [] if outcome == "pass" else ["not good enough"]
            store.publish(directory, Manifest(key_of(run, stage), stage, inputs.get(stage, {}), outcome, reasons))
    stages = [StageRecord(stage, key_of(run, stage), "ran", outputs=[name]) for stage, name in STAGES.items()]
    status = "pass" if smoke or verdict == "pass" else "rejected"
    record = RunRecord(
        run, "flights", problem=PROBLEM, status=status, started=records.now(), stages=stages, smoke=smoke
    )
    records.save(workspace, record)
    return record


def moved(workspace, run, uri, digest):
    """A registry that is a file."""
    time.sleep(0.1)
    (workspace / "alias").write_text(run)
    return "1"


def champion(workspace):
    return champions.read(LocalStore(workspace), "flights")


def test_what_passed_becomes_champion(workspace):
    judged(workspace, "one")
    judged(workspace, "two")
    assert promote(workspace, "one", None, moved)["before"] is None
    assert promote(workspace, "two", None, moved)["before"] == "one"
    assert (champion(workspace).run, champion(workspace).train_key) == ("two", key_of("two", "train"))


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"problem": {**PROBLEM, "decision": "to be written: what it serves", "owner": "to be written"}},
         "nobody answers for it: write the decision and owner in /examples/flights/problem.yaml, then run it again"),
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


@pytest.mark.parametrize("says", ["pass", "rejected"])
def test_an_edited_run_file_promotes_no_rejected_model(workspace, says):
    judged(workspace, "one", "rejected", says=says)
    with pytest.raises(GateRefused, match="was rejected"):
        promote(workspace, "one", None, moved)
    path = records.path_of(workspace, "one")
    path.write_text(path.read_text().replace('"rejected"', '"pass"'))
    with pytest.raises(GateRefused, match="says rejected\nnot good enough"):
        promote(workspace, "one", None, moved)
    assert champion(workspace) is None


def test_a_registration_that_says_rejected_is_enough(workspace):
    judged(workspace, "one", says="rejected")
    with pytest.raises(GateRefused, match="its registration says rejected"):
        promote(workspace, "one", None, moved)


def test_the_registration_of_a_run_that_passed_promotes_no_other_model(workspace):
    """The keys in a run file may be exchanged; what the registration was made from may not."""
    judged(workspace, "good")
    record = judged(workspace, "bad", "rejected")
    record.status, record.message = "pass", ""
    record.producer("registration").key = key_of("good", "register")
    records.save(workspace, record)
    promote(workspace, "bad", None, moved)
    assert champion(workspace).train_key == key_of("good", "train")
    judged(workspace, "odd", changes={"model_digest": "d" * 64})
    with pytest.raises(CorruptExecution, match="is not the model that run odd judged"):
        promote(workspace, "odd", None, moved)


def test_a_smoke_run_is_one_whatever_its_run_file_says(workspace):
    record = judged(workspace, "one", smoke=True)
    record.smoke = False
    records.save(workspace, record)
    with pytest.raises(InputError, match="smoke run"):
        promote(workspace, "one", None, moved)


def test_three_promotions_at_once_leave_registry_and_champion_equal(workspace):
    runs = ["one", "two", "three"]
    for run in runs:
        judged(workspace, run)
    context = multiprocessing.get_context("fork")
    racers = [context.Process(target=promote, args=(workspace, run, None, moved)) for run in runs]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert [racer.exitcode for racer in racers] == [0, 0, 0]
    assert (workspace / "alias").read_text() == champion(workspace).run


def test_a_promotion_that_was_cut_is_named_by_doctor_and_ended_by_promoting_again(workspace):
    judged(workspace, "one")

    def cut(*arguments):
        moved(*arguments)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        promote(workspace, "one", None, cut)
    (finding,) = doctor._promotions(workspace)
    assert not finding["ok"]
    assert "'fourscore promote one --yes' ends it" in finding["found"]
    promote(workspace, "one", None, moved)
    assert [finding["ok"] for finding in doctor._promotions(workspace)] == [True]
    assert champion(workspace).run == "one"


def test_a_registry_that_is_away_leaves_no_promotion_open(workspace):
    judged(workspace, "one")

    def away(*_):
        raise FourscoreError("the server does not answer")

    with pytest.raises(FourscoreError, match="does not answer"):
        promote(workspace, "one", None, away)
    assert [finding["ok"] for finding in doctor._promotions(workspace)] == [True]
