"""A finished run whose model can be monitored, and requests to it as the server captures them."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
from tables import write_table

from infra.places import open_store
from infra.runs import records
from infra.runs.records import RunRecord, StageRecord
from infra.store.manifest import Manifest
from steps import documents
from steps.evaluation.document import Evaluation, EvaluationData, IntervalMethod, ThresholdResult

RUN = "credit-1"
CLASSES = ["bad", "good"]
SCHEMA = {
    "format": 1,
    "task": "binary-classification",
    "target": "outcome",
    "classes": CLASSES,
    "architecture": "linear",
    "inputs": [
        {"name": "income", "type": "float", "kind": "numeric"},
        {"name": "colour", "type": "category", "kind": "category", "vocabulary": ["red", "green", "blue"]},
    ],
    "numeric": ["income"],
    "category": ["colour"],
}
START = datetime(2026, 3, 1, tzinfo=UTC)


def rows(count, seed, shift=0.0):
    """Inputs, answers and outcomes; the probabilities are right."""
    random = np.random.default_rng(seed)
    income = random.normal(shift, 1, count)
    good = 1 / (1 + np.exp(-2 * (income - shift)))
    frame = pl.DataFrame(
        {"income": income, "colour": random.choice(["red", "green", "blue"], count, p=[0.5, 0.3, 0.2])}
    )
    answers = pl.DataFrame(
        {
            "prediction": pl.Series([CLASSES[int(chance > 0.5)] for chance in good]),
            "probability_bad": 1 - good,
            "probability_good": good,
        }
    )
    return frame, answers, [CLASSES[int(chance)] for chance in random.random(count) < good]


def evaluation(at_least=0.8):
    promise = ThresholdResult(
        metric="roc_auc",
        wanted=f"roc_auc at least {at_least}",
        at_least=at_least,
        value=0.88,
        low=0.86,
        high=0.9,
        met=True,
    )
    return Evaluation(
        task=SCHEMA["task"],
        target=SCHEMA["target"],
        classes=CLASSES,
        rows=2000,
        verdict="pass",
        headline="roc_auc",
        metrics={},
        thresholds=(promise,),
        interval=IntervalMethod(method="bootstrap", level=0.95, resamples=100, seed=0, resampled="rows", drawn=2000),
        data=EvaluationData(train_rows=4000, train_digest="a", test_rows=2000, test_digest="b"),
    )


def trained_run(workspace, *, at_least=0.8):
    """A workspace with a run that trained and evaluated a model."""
    store = open_store(workspace)
    trained, _, outcome = rows(4000, seed=1)
    _, answers, _ = rows(2000, seed=2)

    def model(folder):
        (folder / "model.pt2").write_bytes(b"not read")
        (folder / "schema.json").write_text(json.dumps(SCHEMA))

    def train_set(folder):
        write_table(folder, trained.with_columns(pl.Series("outcome", outcome)))

    def evaluated(folder):
        answers.write_parquet(folder / "predictions.parquet")
        documents.write(folder, evaluation(at_least))

    stages = []
    makers = {"split": ("train_set", train_set), "train": ("model", model), "evaluate": ("evaluation", evaluated)}
    for letter, (stage, (artifact, make)) in zip("abc", makers.items(), strict=True):
        key = letter * 64
        with store.working(key) as directory:
            (directory / artifact).mkdir()
            make(directory / artifact)
            (directory / "journal.jsonl").write_text("")
            store.publish(directory, Manifest(key=key, step=stage, ingredients={}, verdict="pass"))
        stages.append(StageRecord(stage, key, "ran", outputs=[artifact]))
    record = RunRecord(
        run=RUN, problem_name="credit", problem_path=str(workspace / "problem.yaml"), problem={"name": "credit"},
        status="pass", started="2026-02-01T00:00:00+00:00", finished="2026-02-01T00:01:00+00:00", stages=stages, number=1,
    )  # fmt: skip
    records.save(workspace, record)
    return workspace


def line(moment, request, inputs, answers, **fields):
    content = {"time": moment.isoformat(timespec="milliseconds"), "request_id": request}
    return json.dumps(content | {"rows": len(inputs), "inputs": inputs, "answers": answers} | fields) + "\n"


def captured(folder, days, shifts=(), count=400, labels=None):
    """Write a file a day of requests with ten rows each; ``shifts`` has day -> by how much income is higher.

    ``labels`` is a file for the outcomes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    outcomes = ["request_id,row,outcome"]
    for day in range(days):
        frame, answers, truth = rows(count, seed=100 + day, shift=dict(shifts).get(day, 0.0))
        inputs, replies = frame.to_dicts(), answers.to_dicts()
        with (folder / f"capture-{day:03}.jsonl").open("a") as file:
            for start in range(0, count, 10):
                request = f"r{day}-{start}"
                moment = START + timedelta(days=day, minutes=start)
                file.write(line(moment, request, inputs[start : start + 10], replies[start : start + 10]))
                outcomes += [f"{request},{row},{truth[start + row - 1]}" for row in range(1, 11)]
    if labels is not None:
        labels.write_text("\n".join(outcomes) + "\n")
    return folder
