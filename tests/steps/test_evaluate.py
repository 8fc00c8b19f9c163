"""A model whose answers are known is judged on rows whose truth is known."""

import json
import shutil

import numpy as np
import polars as pl
import pytest
import torch

from model_code import archive, onnx_graph, onnx_runtime, runtime, tasks, yardsticks
from steps import documents
from steps.core import execute, step
from steps.errors import FourscoreError, InputError
from steps.evaluate import EvaluateConfig, evaluate, metric_suffix
from steps.evaluation.behaviour import Behaviour
from steps.evaluation.document import Decision, Estimate, PredictionIntervals
from steps.evaluation.sentences import acting as sentences_of_decision
from steps.evaluation.sentences import coverage
from steps.evaluation.thresholds import Threshold
from steps.journal import Journal, read_events
from steps.tables.names import ROW
from steps.tables.schema import Column, TableSchema, Target

EVALUATE = step(evaluate)
TASKS = {"binary-classification": ("no", "yes"), "multiclass-classification": ("a", "b", "c"), "regression": ()}


class Scale(torch.nn.Module):
    """Answers with the first number times a factor, as the task wants it."""

    def __init__(self, classes, factor):
        super().__init__()
        self.classes, self.factor = classes, factor

    def forward(self, numeric, category):
        x = torch.nan_to_num(numeric[:, 0]) * self.factor + 0.0 * category.sum(dim=1)
        if not self.classes:
            return x
        if self.classes == 2:
            return torch.stack([1 - torch.sigmoid(x), torch.sigmoid(x)], dim=-1)
        return torch.softmax(torch.stack([x * -1.0, x * 0.0, x], dim=-1), dim=-1)


def write_model(directory, task, factor=1.0, *, name="x", classes=None, target="goal"):
    directory.mkdir(parents=True, exist_ok=True)
    classes = TASKS[task] if classes is None else classes
    example = (torch.zeros(4, 1, dtype=torch.float64), torch.zeros(4, 0, dtype=torch.int64))
    batch = torch.export.Dim("batch")
    program = torch.export.export(Scale(len(classes), factor), example, dynamic_shapes=({0: batch}, {0: batch}))
    program.example_inputs = None
    torch.export.save(program, directory / "model.pt2")
    (directory / "model.pt2").write_bytes(archive.rebuild((directory / "model.pt2").read_bytes()))
    schema = {
        "format": 1,
        "task": task,
        "target": target,
        "classes": list(classes),
        "architecture": "linear",
        "inputs": [{"name": name, "type": "float", "kind": "numeric"}],
        "numeric": [name],
        "category": [],
    }
    (directory / "schema.json").write_text(json.dumps(schema))


def rows_of(task, count, seed):
    """x decides the target, with noise; region, day and age are there to slice by."""
    random = np.random.default_rng(seed)
    x = random.normal(size=count)
    noisy = x + random.logistic(size=count)
    goal = {
        "binary-classification": np.where(noisy > 0, "yes", "no"),
        "multiclass-classification": np.where(noisy < -1, "a", np.where(noisy < 1, "b", "c")),
        "regression": noisy,
    }[task]
    days = pl.Series(np.arange(count) * 30 // count * 86_400_000_000).cast(pl.Datetime("us"))
    region = np.where(random.random(count) < 0.03, "tiny", random.choice(["north", "so/uth=1"], count))
    return pl.DataFrame(
        {
            ROW: np.arange(1, count + 1),
            "x": x,
            "region": region,
            "age": random.integers(18, 90, count),
            "vip": random.random(count) < 0.5,
            "day": days,
            "goal": goal,
        }
    )


def write_table(directory, table, task, roles=None):
    directory.mkdir(parents=True, exist_ok=True)
    table.write_parquet(directory / "data.parquet")
    types = {
        "x": "float",
        "region": "category",
        "age": "integer",
        "vip": "boolean",
        "day": "datetime",
        "goal": "category",
    }
    columns = tuple(
        Column(name=name, type=types[name], role=(roles or {}).get(name, "feature"))
        for name in table.columns
        if name != ROW
    )
    target = Target(name="goal", task=task, classes=TASKS[task])
    documents.write(directory, TableSchema(rows=table.height, digest="d" * 64, columns=columns, target=target))


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """One good model per task, exported once."""
    directories = {task: tmp_path_factory.mktemp("models") / task for task in TASKS}
    for task, directory in directories.items():
        write_model(directory, task)
    return directories


@pytest.fixture
def place(tmp_path, models):
    """Everything that evaluate reads, for one task; returns a function that runs it and gives back what it wrote."""

    def prepare(task="binary-classification", rows=800, table=None):
        directories = {name: tmp_path / name for name in (*EVALUATE.inputs, *EVALUATE.outputs)}
        for name in ("champion", "evaluation", "yardsticks"):
            directories[name].mkdir(exist_ok=True)
        directories["model"] = models[task]
        write_table(directories["train_set"], rows_of(task, 400, 1), task)
        write_table(directories["test_set"], rows_of(task, rows, 2) if table is None else table, task)
        yardsticks.write_constant(directories["yardsticks"], np.arange(len(TASKS[task]) or 1), TASKS[task])
        return directories

    return prepare


def run(directories, task="binary-classification", **fields):
    fields = {
        "success": (Threshold(metric={"regression": "r2"}.get(task, "accuracy"), at_least=0.1),),
        "resamples": 200,
        **fields,
    }
    for file in directories["evaluation"].iterdir():
        file.unlink()
    journal = directories["evaluation"].parent / "journal.jsonl"
    journal.unlink(missing_ok=True)
    with Journal(journal) as log:
        execute(EVALUATE, directories, EvaluateConfig(task=task, **fields), log)
    return json.loads((directories["evaluation"] / "evaluation.json").read_text()), list(read_events(journal))


@pytest.mark.parametrize("task", TASKS)
def test_every_task_is_judged_with_intervals_yardsticks_and_a_verdict(place, task):
    document, events = run(place(task), task, slices=("region", "age"))
    assert document["verdict"] == "pass"
    assert document["reasons"] == []
    for estimate in document["metrics"].values():
        assert estimate["low"] <= estimate["value"] <= estimate["high"]
    assert set(document["yardsticks"]) == {"constant"}
    assert document["comparisons"]["constant"]["better"] == "model"
    assert document["champion"] is None
    assert bool(document["per_class"]) == bool(document["abstention"]) == (task == "multiclass-classification")
    assert (document["residuals"] is None) == (task != "regression")
    assert (document["calibration"] is None) == (document["confusion"] is None) == (task == "regression")
    metrics = {event["name"] for event in events if event["kind"] == "metric"}
    headline = document["headline"]
    assert {
        f"model/{headline}",
        f"model/{headline}_low",
        f"model/{headline}_high",
        "application/predict_p50_ms",
    } <= metrics
    assert {"application/predict_p99_ms", "application/predict_rows_per_second", "application/model_mb"} <= metrics
    assert [event["verdict"] for event in events if event["kind"] == "verdict"] == ["pass"]


def test_the_speed_of_onnxruntime_and_its_largest_difference_are_told(place, models):
    path = models["regression"] / archive.MODEL
    as_onnx = onnx_graph.translate(runtime.decode(*archive.read(path.read_bytes())))
    directories = place("regression")
    directories["model"] = directories["evaluation"].parent / "both"
    shutil.copytree(models["regression"], directories["model"])
    (directories["model"] / onnx_runtime.MODEL).write_bytes(as_onnx)
    _, events = run(directories, "regression")
    metrics = {event["name"]: event["value"] for event in events if event["kind"] == "metric"}
    assert metrics["application/onnx_largest_difference"] <= 1e-12
    assert min(metrics[f"application/onnx_{name}"] for name in ("p50_ms", "p99_ms", "rows_per_second")) > 0


@pytest.fixture
def acting_from(place, models):
    """Return the directories of a model that acts from a probability on."""

    def prepare(threshold):
        directories = place()
        directories["model"] = directories["evaluation"].parent / "with a threshold"
        shutil.copytree(models["binary-classification"], directories["model"])
        schema = json.loads((directories["model"] / "schema.json").read_text())
        (directories["model"] / "schema.json").write_text(json.dumps(schema | {"threshold": threshold}))
        return directories

    return prepare


def test_declared_costs_are_counted_beside_acting_never_and_always(acting_from):
    directories = acting_from(0.2)
    promise = Threshold(metric="cost_per_1000_rows", at_most=2000)
    document, events = run(directories, costs={"miss": 9, "false_alarm": 1}, success=(promise,))
    table = pl.read_parquet(directories["evaluation"] / "predictions.parquet", glob=False)
    acting = table["probability_yes"] >= 0.2
    assert (table["prediction"] == "yes").equals(acting, check_names=False)
    positive = table["truth"] == "yes"
    decision = Decision.model_validate(document["decision"])
    cost = 9 * (positive & ~acting).sum() + (~positive & acting).sum()
    assert decision.per_1000_rows.value == pytest.approx(1000 * cost / 800)
    assert decision.never == pytest.approx(9000 * positive.mean())
    assert decision.always == pytest.approx(1000 * (1 - positive.mean()))
    for name, other in (("never", decision.never), ("always", decision.always), ("constant", decision.always)):
        saved = decision.saved[name]
        assert saved.value == pytest.approx(other - decision.per_1000_rows.value)
        assert saved.low < saved.value < saved.high
    assert (decision.acted, decision.hits) == (acting.sum(), (acting & positive).sum())
    text = sentences_of_decision(decision)
    assert "from a probability of 0.200 on, the cheapest on the validation folds" in text
    assert "a miss 9, a false alarm 1" in text
    assert "For 1,000 rows it saves " in text
    assert "against acting never" in text
    worse = decision.model_copy(
        update={"saved": {"never": Estimate(value=50, low=20, high=90), "trees": Estimate(value=-8, low=-9, high=-7)}}
    )
    assert "it saves 50 (20 to 90) against acting never but costs 8.0 (7.0 to 9.0) more than " in sentences_of_decision(
        worse
    )
    names = {event["name"] for event in events if event["kind"] == "metric"}
    assert {"model/cost_per_1000_rows", "model/cost_per_1000_rows_high", "model/decision_threshold"} <= names
    assert judged(document)["cost_per_1000_rows"]["met"]


def test_decisions_of_all_rows_slices_and_the_confusion_are_those_of_the_models_threshold(acting_from):
    directories = acting_from(0.2)
    promise = Threshold(metric="recall", at_least=0.85)
    document, _ = run(directories, success=(promise,), slices=("region",))
    table = pl.read_parquet(directories["evaluation"] / "predictions.parquet", glob=False)
    positive, acting = table["truth"] == "yes", table["probability_yes"] >= 0.2
    assert document["metrics"]["recall"]["value"] == pytest.approx((positive & acting).sum() / positive.sum())
    assert document["metrics"]["accuracy"]["value"] == pytest.approx((positive == acting).mean())
    assert document["confusion"][1][1] == (positive & acting).sum()
    north = pl.read_parquet(directories["test_set"] / "data.parquet", glob=False)["region"] == "north"
    (part,) = [part for part in document["slices"]["region"] if part["value"] == "north"]
    expected = (positive & acting & north).sum() / (positive & north).sum()
    assert part["metrics"]["recall"]["value"] == pytest.approx(expected)
    assert document["decision"]["reason"] == "promises"
    # the constant keeps the promise by acting on every row
    assert document["yardsticks"]["constant"]["recall"]["value"] == 1
    assert document["decision"]["thresholds"]["constant"] <= 0.5


def test_without_costs_or_promises_of_decisions_rows_are_acted_on_from_one_half_on(place):
    document, _ = run(place())
    decision = Decision.model_validate(document["decision"])
    assert (decision.threshold, decision.reason, decision.per_1000_rows, decision.saved) == (0.5, "one half", None, {})
    assert decision.hits == document["confusion"][1][1]
    assert "Rows are acted on from a probability of 0.500 on: " in sentences_of_decision(decision)
    assert run(place("regression"), "regression")[0]["decision"] is None


def test_a_decision_of_an_early_document_says_which_metrics_are_from_one_half_on():
    early = {
        "threshold": 0.2,
        "miss": 9,
        "false_alarm": 1,
        "per_1000_rows": {"value": 100, "low": 90, "high": 110},
        "never": 300,
        "always": 200,
    }
    assert sentences_of_decision(Decision.model_validate(early)) == (
        "By the declared costs (a miss 9, a false alarm 1), acting from a probability of 0.200 on costs 100 (90 to 110) for "
        "1,000 rows; never acting costs 300, always 200. Accuracy, F1 and the table of mistakes are those from one half on."
    )


@pytest.mark.parametrize("by", ["row", "time"])
def test_the_prediction_intervals_of_a_model_are_counted_on_the_test_rows(place, models, by):
    directories = place("regression")
    directories["model"] = directories["evaluation"].parent / "with intervals"
    shutil.copytree(models["regression"], directories["model"])
    schema = json.loads((models["regression"] / "schema.json").read_text())
    schema["intervals"] = {"rows": 99, "edges": [0.0], "levels": {"0.95": {"low": [-2.0, -1.0], "high": [1.0, 2.0]}}}
    (directories["model"] / "schema.json").write_text(json.dumps(schema))
    document, events = run(directories, "regression", by=by, column="day" if by == "time" else None)
    table = pl.read_parquet(directories["evaluation"] / "predictions.parquet", glob=False)
    error, above = table["truth"] - table["prediction"], table["prediction"] >= 0
    inside = pl.select(pl.when(above).then(error.is_between(-1, 2)).otherwise(error.is_between(-2, 1))).to_series()
    counted = document["prediction_intervals"]
    assert counted["coverage"]["value"] == pytest.approx(inside.mean())
    assert counted["coverage"]["low"] < inside.mean() < counted["coverage"]["high"]
    assert (counted["level"], counted["mean_width"], counted["later"]) == (0.95, 3.0, by == "time")
    assert "model/interval_coverage" in {event["name"] for event in events if event["kind"] == "metric"}
    sentence = coverage(PredictionIntervals.model_validate(counted))
    assert sentence.startswith("The intervals for 95 %")
    assert ("over time their share is not guaranteed" in sentence) == (by == "time")


def judged(document):
    return {line["metric"] + (f" on {line['slice']}" if line["slice"] else ""): line for line in document["thresholds"]}


def test_metrics_are_those_of_scikit_learn_on_what_is_in_the_predictions_file(place):
    from sklearn.metrics import log_loss, roc_auc_score

    directories = place()
    document, _ = run(directories)
    table = pl.read_parquet(directories["evaluation"] / "predictions.parquet", glob=False)
    assert table.columns == [ROW, "truth", "prediction", "probability_no", "probability_yes"]
    truth = (table["truth"] == "yes").to_numpy()
    assert document["metrics"]["roc_auc"]["value"] == pytest.approx(roc_auc_score(truth, table["probability_yes"]))
    assert document["metrics"]["log_loss"]["value"] == pytest.approx(log_loss(truth, table["probability_yes"]))
    assert document["rows"] == table.height == 800


def test_the_same_inputs_give_the_same_bytes_and_no_time_is_published(place):
    directories = place()
    run(directories, slices=("region",))
    first = {path.name: path.read_bytes() for path in directories["evaluation"].iterdir()}
    run(directories, slices=("region",))
    assert first == {path.name: path.read_bytes() for path in directories["evaluation"].iterdir()}
    assert b"_ms" not in first["evaluation.json"]


def test_a_missed_threshold_rejects_with_the_numbers_and_does_not_stop_the_run(place):
    document, events = run(
        place(), success=(Threshold(metric="roc_auc", at_least=0.99), Threshold(metric="log_loss", at_most=0.9))
    )
    assert document["verdict"] == "rejected"
    (reason,) = document["reasons"]
    assert reason.startswith("roc_auc >= 0.99 (95 % bound): not met, the value is 0.")
    assert [line["met"] for line in document["thresholds"]] == [False, True]
    assert {event["name"]: event["value"] for event in events if event["kind"] == "metric"}["model/thresholds_met"] == 1
    assert [event["verdict"] for event in events if event["kind"] == "verdict"] == ["rejected"]


def test_time_and_size_of_the_model_are_promises_like_others_and_judged_by_their_value(place):
    promises = [
        ("predict_p99_ms", 60_000, "at_most"),
        ("model_mb", 1e-6, "at_most"),
        ("predict_rows_per_second", 1, "at_least"),
    ]
    document, events = run(place(), success=[Threshold(metric=name, **{end: bound}) for name, bound, end in promises])
    assert [line["met"] for line in document["thresholds"]] == [True, False, True]
    (reason,) = document["reasons"]
    measured = {event["name"]: event["value"] for event in events if event["kind"] == "metric"}["application/model_mb"]
    assert reason == f"model_mb <= 0.000001 (value): not met, the value is {measured:.4g}"
    assert not set(document["metrics"]) & {name for name, _, _ in promises}


def test_rules_of_behaviour_gate_like_promises_and_disturbances_are_shown(place):
    rules = [Behaviour(rises_with="x"), Behaviour(invariant_to="region"), Behaviour(cases=({"x": 3, "goal": "no"},))]
    document, _ = run(place(), behaviour=rules)
    assert [(line["rows"], line["followed"], line["met"]) for line in document["behaviour"]] == [
        (800, 800, True),
        (800, 800, True),
        (1, 0, False),
    ]
    assert document["verdict"] == "rejected"
    (reason,) = document["reasons"]
    assert reason == "behaviour: 1 case gets the right answer: 0 of 1 cases follow it, all must; against it: cases 1"
    changes = {change["missing"]: change["value"] for change in document["robustness"]["changes"]}
    assert set(changes) == {None, "x"}


@pytest.mark.parametrize(
    ("rule", "message"), [("rises_with", "only a number rises"), ("invariant_to", "no column 'city'")]
)
def test_a_rule_about_a_column_that_cannot_follow_it_is_refused(place, rule, message):
    with pytest.raises(InputError, match=message):
        run(place(), behaviour=[Behaviour(**{rule: "region" if rule == "rises_with" else "city"})])


@pytest.mark.parametrize("task", TASKS)
def test_a_rejected_model_has_next_steps_and_a_learning_curve_and_a_passed_one_has_none(place, task):
    directories, headline = place(task), tasks.get(task).headline
    rejected, _ = run(directories, task, success=(Threshold(metric=headline, at_least=0.99),))
    assert 1 <= len(rejected["diagnosis"]["steps"]) <= 3
    assert [point["rows"] for point in rejected["diagnosis"]["learning"]["points"]] == [80, 160, 320]
    assert rejected["diagnosis"]["learning"]["gain"]["value"] is not None
    assert run(directories, task)[0]["diagnosis"] is None


def test_a_promise_that_the_rows_cannot_decide_says_how_many_would(place):
    document, events = run(place(rows=200), success=(Threshold(metric="recall", at_least=0.65),))
    (line,) = document["thresholds"]
    assert line["low"] < 0.65 < line["value"]
    assert line["rows"] == 200 < line["rows_to_decide"]
    assert f"about {line['rows_to_decide']:,} test rows would decide, if the value stays" in document["reasons"][0]
    document, events = run(place(rows=60), success=(Threshold(metric="recall", at_least=0.97),))
    notes = [event["text"] for event in events if event["kind"] == "note"]
    assert any("positive test rows cannot reach it, not even without an error" in text for text in notes)


def test_the_value_may_pass_where_the_interval_does_not(place):
    directories = place()
    value = run(directories)[0]["metrics"]["accuracy"]["value"]
    success = tuple(Threshold(metric="accuracy", at_least=value - 0.001, on=on) for on in ("value", "interval"))
    document, _ = run(directories, success=success)
    assert [line["met"] for line in document["thresholds"]] == [True, False]


def test_no_threshold_is_no_pass(place):
    document, _ = run(place(), success=())
    assert document["verdict"] == "rejected"
    assert "no threshold is defined" in document["reasons"][0]


def test_slices_cover_every_row_and_a_small_one_has_no_interval(place):
    document, events = run(place(), slices=("region", "age", "vip"))
    for parts in document["slices"].values():
        assert sum(part["rows"] for part in parts) == 800
    region = {part["value"]: part for part in document["slices"]["region"]}
    assert region["tiny"]["small"]
    assert region["tiny"]["metrics"]["accuracy"]["low"] is None
    assert region["tiny"]["metrics"]["accuracy"]["value"] is not None
    assert region["north"]["metrics"]["roc_auc"]["low"] is not None
    assert [part["value"].split()[0] for part in document["slices"]["age"]][0::3] == ["up", "above"]
    assert {part["value"] for part in document["slices"]["vip"]} == {"true", "false"}
    metrics = {event["name"] for event in events if event["kind"] == "metric"}
    assert {"model/roc_auc.region:north", "model/roc_auc.region:so_uth_1", "model/roc_auc.vip:true"} <= metrics
    assert "model/roc_auc.region:tiny" not in metrics


def test_features_are_searched_for_weak_segments_and_named_groups_compared(place):
    document, _ = run(place(), fairness=("region",))
    assert document["search"]["columns"] == 5
    groups = {group["value"]: group for group in document["fairness"]["region"]["groups"]}
    assert sum(group["rows"] for group in groups.values()) == 800
    assert groups["tiny"]["measures"]["recall"]["low"] is None
    assert document["fairness"]["region"]["gaps"]["recall"]["difference"]["low"] is not None
    assert not document["slices"]


def test_thresholds_on_slices_are_decided_on_their_rows(place):
    success = (
        Threshold(metric="accuracy", at_least=0.5, slice="region=north"),
        Threshold(metric="accuracy", at_least=0.5, slice="region=so/uth=1"),
        Threshold(metric="accuracy", at_least=0.1, slice="region=tiny"),
        Threshold(metric="accuracy", at_least=0.1, slice="region=west"),
        Threshold(metric="accuracy", at_least=0.1, slice="planet=mars"),
        Threshold(metric="f1", at_least=0.1, slice="age=33", on="value"),
    )
    document, _ = run(place(), success=success)
    lines = judged(document)
    assert lines["accuracy on region=north"]["met"]
    assert lines["accuracy on region=so/uth=1"]["met"]
    assert lines["f1 on age=33"]["met"]
    assert "too few for an interval" in lines["accuracy on region=tiny"]["reason"]
    assert (
        "no test row has 'west' in column 'region'; there are: so/uth=1, north, tiny"
        in lines["accuracy on region=west"]["reason"]
    )
    assert "no column for slice 'planet=mars'" in lines["accuracy on planet=mars"]["reason"]
    assert len(document["reasons"]) == 3


def test_a_value_that_is_written_like_the_pool_is_judged_on_its_own_rows(place):
    names = [f"v{index % 30}" if index % 4 else "(other)" for index in range(800)]
    table = rows_of("binary-classification", 800, 2).with_columns(pl.Series("region", names))
    success = (Threshold(metric="accuracy", at_least=0.1, slice="region=(other)"),)
    document, _ = run(place(table=table), slices=("region",), success=success)
    parts = {part["value"]: part for part in document["slices"]["region"]}
    assert sum(part["rows"] for part in parts.values()) == 800
    assert parts["(other)"]["rows"] == 200
    assert parts["(other)"]["metrics"]["accuracy"]["value"] == document["thresholds"][0]["value"]
    assert parts["(other)*"]["metrics"]["accuracy"] != parts["(other)"]["metrics"]["accuracy"]


def test_a_quarter_of_a_number_can_be_asked_for_without_showing_the_others(place):
    visible = run(place(), slices=("age",))[0]["slices"]["age"][0]
    success = (Threshold(metric="accuracy", at_least=0.1, slice=f"age={visible['value']}"),)
    document, _ = run(place(), success=success)
    assert document["thresholds"][0]["value"] == visible["metrics"]["accuracy"]["value"]
    assert document["slices"] == {}


def test_a_metric_that_is_undefined_is_not_met_and_says_why(place):
    table = rows_of("binary-classification", 200, 2).with_columns(goal=pl.lit("no"))
    document, _ = run(place(table=table), success=(Threshold(metric="roc_auc", at_least=0.1, on="value"),))
    assert document["verdict"] == "rejected"
    assert "roc_auc is not defined on these rows" in document["reasons"][0]
    assert document["metrics"]["roc_auc"] == {"value": None, "low": None, "high": None}


def test_answers_that_are_not_numbers_reject_the_model(place, tmp_path):
    directories = place("regression")
    write_model(tmp_path / "broken", "regression", factor=float("inf"))
    document, _ = run({**directories, "model": tmp_path / "broken"}, "regression")
    assert document["verdict"] == "rejected"
    assert "800 of 800 predictions for the test rows are not finite numbers" in document["reasons"]
    assert document["residuals"] is None


def test_a_worse_champion_is_beaten_and_an_equal_one_is_a_tie(place, tmp_path):
    directories = place()
    write_model(directories["champion"], "binary-classification", factor=-1.0)
    document, _ = run(directories, must_beat=("champion", "constant"))
    assert document["comparisons"]["champion"]["better"] == "model"
    assert document["champion"]["metrics"]["roc_auc"]["value"] < 0.5
    assert document["verdict"] == "pass"
    equal = run({**directories, "champion": directories["model"]}, must_beat=("champion",))[0]
    assert equal["comparisons"]["champion"]["better"] == "neither"
    assert equal["comparisons"]["champion"]["outcome"] == "not worse"
    assert equal["comparisons"]["champion"]["difference"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert "must_beat champion: not clearly better" in equal["reasons"][0]


@pytest.mark.parametrize("factor", [-1.0, 0.0])
def test_a_model_that_is_no_better_than_a_constant_passes_only_with_a_reason(place, tmp_path, factor):
    directories = place()
    write_model(tmp_path / "poor", "binary-classification", factor=factor)
    directories["model"] = tmp_path / "poor"
    document, _ = run(directories)
    assert [threshold["met"] for threshold in document["thresholds"]] == [True]
    assert document["verdict"] == "rejected"
    (reason,) = document["reasons"]
    assert reason.startswith("it is not clearly better than a constant prediction: roc_auc: differs by ")
    assert "give the reason under evaluate.need_not_beat_constant" in reason
    assert run(directories, need_not_beat_constant="it only has to be well calibrated")[0]["verdict"] == "pass"


def test_a_better_champion_is_named(place, tmp_path):
    directories = place("regression")
    write_model(tmp_path / "poor", "regression", factor=0.2)
    document, _ = run({**directories, "champion": directories["model"], "model": tmp_path / "poor"}, "regression")
    assert document["comparisons"]["champion"]["better"] == "champion"
    assert document["comparisons"]["champion"]["difference"]["high"] < 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "height"}, "column 'height' is missing"),
        ({"classes": ("no", "maybe")}, "it answers binary-classification of goal"),
        (
            {"target": "area"},
            "it answers binary-classification of area (no, yes), this model binary-classification of goal (no, yes)",
        ),
    ],
)
def test_a_champion_that_cannot_be_compared_is_noted_and_nothing_breaks(place, change, words):
    directories = place()
    write_model(directories["champion"], "binary-classification", **change)
    document, events = run(directories)
    assert document["champion"] is None
    assert "champion" not in document["comparisons"]
    assert words in document["notes"][0]
    assert [event["level"] for event in events if event["kind"] == "note"] == ["warning"]


def test_a_champion_with_its_classes_in_another_order_is_compared_class_by_class(place):
    directories = place()
    write_model(directories["champion"], "binary-classification", factor=-1.0, classes=("yes", "no"))
    document, _ = run(directories)
    assert document["comparisons"]["champion"]["difference"]["value"] == 0


def test_a_champion_that_learned_from_other_rows_may_know_the_test_rows_and_that_is_said(place):
    directories = place()
    write_model(directories["champion"], "binary-classification", factor=-1.0)
    training, train_digest = (
        directories["champion"] / "training.json",
        documents.read(TableSchema, directories["train_set"]).digest,
    )
    noted = {}
    for digest in (train_digest, "of another division"):
        training.write_text(json.dumps({"chosen": "linear", "train_digest": digest}))
        document, _ = run(directories)
        assert document["champion"]["metrics"]["roc_auc"]["value"] < 0.5
        noted[digest] = document["notes"]
    assert noted[train_digest] == []
    assert "may have seen test rows" in noted["of another division"][0]


SKIPPED = {"name": "linear", "status": "skipped", "reason": "does not fit in the budget of 1 minutes"}


@pytest.mark.parametrize(
    ("name", "chosen", "candidates", "why"),
    [
        ("linear", "linear", [{"name": "linear"}], "linear is the chosen model itself, which it cannot beat"),
        (
            "linear",
            "mlp",
            [{"name": "mlp"}, SKIPPED],
            "it was not fitted, since as a candidate it does not fit in the budget of 1 minutes",
        ),
        ("trees", "mlp", [{"name": "mlp"}], "it was not fitted"),
        ("champion", "mlp", [{"name": "mlp"}], "there is no champion but, at most, this very model"),
    ],
)
def test_a_rival_that_must_be_beaten_and_was_not_measured_is_a_true_reason(
    place, tmp_path, name, chosen, candidates, why
):
    write_model(tmp_path / "mine", "binary-classification")
    (tmp_path / "mine/training.json").write_text(json.dumps({"chosen": chosen, "candidates": candidates}))
    document, _ = run({**place(), "model": tmp_path / "mine"}, must_beat=(name,))
    assert document["reasons"] == [f"must_beat {name}: {why}; it was compared with: constant"]


def test_a_champion_that_must_be_beaten_and_cannot_be_compared_says_why(place):
    directories = place()
    write_model(directories["champion"], "binary-classification", target="area")
    (reason,) = run(directories, must_beat=("champion",))[0]["reasons"]
    assert "must_beat champion: the champion was not compared: it answers binary-classification of area" in reason


def test_what_must_be_beaten_is_known_by_name():
    every = ("constant", "linear", "trees", "hgb", "hist_gradient_boosting", "champion")
    assert EvaluateConfig(task="regression", must_beat=every).must_beat == every
    with pytest.raises(
        ValueError, match="cannot be compared with 'liner', 'mlp'; there are: constant, linear, trees, champion"
    ):
        EvaluateConfig(task="regression", must_beat=("liner", "constant", "mlp"))


@pytest.mark.parametrize(
    ("by", "column", "resampled"),
    [
        ("group", "region", "groups of region"),
        ("time", "day", "blocks of time by day"),
        ("time", "age", "blocks of time by age"),
    ],
)
def test_intervals_resample_what_the_split_kept_together(place, by, column, resampled):
    document, _ = run(place(), by=by, column=column)
    assert document["interval"]["resampled"] == resampled
    assert document["interval"]["resamples"] == 200
    assert ("intervals rest on only" in "".join(document["notes"])) == (document["interval"]["drawn"] < 30)


def six_times(directories, train_region, **columns):
    """70 test rows, six times each, with region as their key."""
    task, roles = "binary-classification", {"region": "key"}
    test = pl.concat([rows_of(task, 70, 2)] * 6)
    test = test.with_columns(pl.Series(ROW, range(1, 421)), region=pl.Series([f"row {row}" for row in range(420)]))
    train = rows_of(task, 400, 1).with_columns(region=pl.lit(train_region))
    for artifact, table in (("train_set", train), ("test_set", test.with_columns(**columns))):
        write_table(directories[artifact], table, task, roles)


UNITS = pl.Series("unit", np.arange(420) % 70)
KEY = pl.format("u{}", UNITS)


def width_of(document):
    estimate = document["metrics"]["accuracy"]
    return estimate["high"] - estimate["low"]


@pytest.mark.parametrize(
    ("columns", "key", "what"),
    [({}, (), "features"), ({"region": KEY, "age": pl.Series("age", np.arange(420))}, ("region",), "region")],
)
def test_equal_rows_that_the_split_kept_together_are_resampled_together(place, columns, key, what):
    directories = place()
    six_times(directories, "elsewhere", **columns)
    together, _ = run(directories, key=key)
    assert together["interval"]["resampled"] == f"groups of rows with equal {what}"
    assert together["interval"]["drawn"] == 70
    six_times(directories, "elsewhere", age=pl.Series("age", np.arange(420)))
    alone, _ = run(directories)
    assert (alone["interval"]["resampled"], alone["interval"]["drawn"]) == ("rows", 420)
    assert together["metrics"]["accuracy"]["value"] == alone["metrics"]["accuracy"]["value"]
    assert width_of(together) > 1.8 * width_of(alone)


def test_a_column_that_is_not_there_is_the_users_error_with_the_choices(place):
    with pytest.raises(InputError, match=r"evaluate.slices: no column 'regoin'; there are: x, region, age"):
        run(place(), slices=("regoin",))


def test_calibration_bins_hold_every_row_and_a_calibrated_model_is_close(place):
    document, _ = run(place(rows=4000))
    bins = document["calibration"]["bins"]
    assert sum(entry["rows"] for entry in bins) == 4000
    assert len(bins) == 10
    assert all(entry["low"] <= entry["mean_predicted"] <= entry["high"] for entry in bins)
    assert document["calibration"]["expected_calibration_error"] < 0.03
    assert np.sum(document["confusion"]) == 4000
    assert (document["confusion"][0][0] + document["confusion"][1][1]) / 4000 == pytest.approx(
        document["metrics"]["accuracy"]["value"]
    )


def test_residuals_are_counted_and_never_listed(place):
    document, _ = run(place("regression"), "regression")
    residuals = document["residuals"]
    assert sum(residuals["histogram"]["counts"]) == 800
    assert np.sum(residuals["predicted_vs_actual"]["counts"]) == 800
    assert len(residuals["histogram"]["edges"]) == len(residuals["histogram"]["counts"]) + 1
    assert list(residuals["quantiles"].values()) == sorted(residuals["quantiles"].values())


def test_a_model_of_other_classes_than_the_test_rows_is_refused_in_words(place, tmp_path):
    write_model(tmp_path / "other", "binary-classification", classes=("no", "maybe"))
    with pytest.raises(FourscoreError, match="the model knows the classes no, maybe, the test set has no, yes"):
        run({**place(), "model": tmp_path / "other"})


def test_an_empty_test_set_is_said_in_words(place):
    with pytest.raises(FourscoreError, match="the test set has no rows"):
        run(place(table=rows_of("binary-classification", 1, 2).clear()))


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [("region", "n", "region:n"), ("a/b", "<x>=é", "a_b:_x___"), ("c", "", "c:_"), ("c", "v" * 300, "c:" + "v" * 80)],
)
def test_metric_names_hold_only_what_trackers_accept(column, value, expected):
    assert metric_suffix(column, value) == expected
