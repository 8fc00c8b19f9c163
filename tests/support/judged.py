"""Runs whose evaluation came to a verdict, with the stages that a promotion looks at."""

import shutil

from reported import PROBLEM, evaluation

from infra.runs import records
from infra.runs.records import RunRecord, StageRecord
from infra.store.local import LocalStore
from infra.store.manifest import Manifest
from model_code.digest import directory_digest
from steps import documents
from steps.cards.document import ProblemCard, Registration
from steps.evaluation.document import Evaluation

STAGES = {"define": "card", "train": "model", "evaluate": "evaluation", "register": "registration"}


def key_of(run, stage):
    return f"{stage}-{run}".ljust(64, "0")


def judged(
    workspace,
    run,
    verdict="pass",
    *,
    says=None,
    smoke=False,
    changes=None,
    owner="Alice",
    store=None,
    better="model",
    model=None,
):
    """A finished run whose evaluation came to a verdict; ``says`` is what its registration says of it.

    Args:
        better: who is better, the model or the champion.
        model: a directory with an exported model in place of a text.
    """
    store = store or LocalStore(workspace)
    for stage, artifact in STAGES.items():
        inputs = {"evaluate": {"input model": key_of(run, "train"), "input raw": "digest"}}
        inputs["register"] = inputs["evaluate"] | {"input evaluation": key_of(run, "evaluate")}
        inputs["register"] |= {"input card": key_of(run, "define")}
        with store.working(key_of(run, stage)) as directory:
            (directory / artifact).mkdir()
            if stage == "define":
                names = ("name", "question", "decision", "cost_of_error", "task", "target")
                card = ProblemCard(**{name: str(PROBLEM.get(name, "x")) for name in names}, owner=owner)
                documents.write(directory / artifact, card)
            if stage == "train" and model:
                shutil.copytree(model, directory / artifact, dirs_exist_ok=True)
            elif stage == "train":
                (directory / artifact / "model.pt2").write_text(run)
            if stage == "evaluate":
                difference = {"value": 0.01, "low": -0.1, "high": 0.1}
                comparisons = {"champion": {"metric": "roc_auc", "difference": difference, "better": better}}
                content = evaluation(verdict=verdict, comparisons=comparisons)
                documents.write(directory / artifact, Evaluation.model_validate(content))
            if stage == "register":
                digest = directory_digest(store.directory(key_of(run, "train")) / "model")
                tags = {"model_digest": digest} | (changes or {})
                request = Registration(
                    name="flights", verdict=says or verdict, alias=None, smoke=smoke, tags=tags, metrics={}, inputs=(), outputs=(),
                    description="",
                )  # fmt: skip
                documents.write(directory / artifact, request)
            outcome = "pass" if stage in ("define", "train") else verdict
            reasons = [] if outcome == "pass" else ["not good enough"]
            store.publish(directory, Manifest(key_of(run, stage), stage, inputs.get(stage, {}), outcome, reasons))
    stages = [StageRecord(stage, key_of(run, stage), "ran", outputs=[name]) for stage, name in STAGES.items()]
    status = "pass" if smoke or verdict == "pass" else "rejected"
    record = RunRecord(
        run,
        "flights",
        problem=PROBLEM,
        status=status,
        started=records.now(),
        stages=stages,
        smoke=smoke,
        store=store.uri,
    )
    records.save(workspace, record)
    return record
