"""The train step: what it writes, that it is deterministic, how it chooses, and what it says to wrong input."""

import hashlib
import itertools
import json
import shutil
import time
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from model_code import fitting, parallel, serving, yardsticks
from model_code.calibration import Calibration
from model_code.tabular import mlp
from pipelines.problem.loading import load
from pipelines.training import TRAINING
from steps import documents
from steps.core import execute, step
from steps.errors import FourscoreError, InputError
from steps.journal import Journal, read_events
from steps.splitting import folds as splitting
from steps.splitting.folds import folds
from steps.tables.names import ROW
from steps.tables.schema import Column, TableSchema, Target
from steps.train import TrainConfig, train
from steps.training import calibrating, candidates
from steps.training import scale as scales

TYPES = {
    pl.Float64: "float",
    pl.Int64: "integer",
    pl.Boolean: "boolean",
    pl.String: "category",
    pl.Datetime: "datetime",
}
QUICK = {"budget": {"epochs": 4}, "folds": 2, "device": "cpu", "choose": "best"}


def table(rows=240, seed=0):
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=rows), rng.normal(size=rows)
    place = rng.integers(0, 4, rows)
    return pl.DataFrame(
        {
            "x": pl.Series([None if i % 11 == 0 else v for i, v in enumerate(x)], dtype=pl.Float64),
            "z 0": z,
            "place": [["north", "ü", "<b>", "a=b"][i] for i in place],
            "open": pl.Series(rng.random(rows) < 0.5),
            "day": pl.Series([i * 86_400_000_000 for i in range(rows)], dtype=pl.Datetime("us")),
            "team": [f"t{i % 12}" for i in range(rows)],
            "score": x * 2 + (place == 1) * 3 + np.sin(3 * z) + rng.normal(size=rows) * 0.1,
        }
    )


def classes_of(frame, names):
    edges = np.quantile(frame["score"].to_numpy(), np.linspace(0, 1, len(names) + 1)[1:-1])
    return frame.with_columns(score=pl.Series([names[i] for i in np.digitize(frame["score"].to_numpy(), edges)]))


def stored(folder, frame, task, classes=(), **roles):
    """A train_set directory."""
    folder.mkdir(parents=True)
    frame = frame.select(
        pl.int_range(1, frame.height + 1).alias("_row"), pl.all(), pl.lit("column").alias("_label_source")
    )
    columns = [Column(name="_row", type="integer", role="ignore")]
    for name in frame.columns[1:-2]:
        kind = TYPES.get(frame.schema[name].base_type(), "category")
        columns.append(Column(name=name, type=kind, role=roles.get(name, "feature")))
    frame.write_parquet(folder / "data.parquet")
    documents.write(
        folder,
        TableSchema(
            rows=frame.height,
            digest="d",
            columns=tuple(columns),
            target=Target(name="score", task=task, classes=classes),
        ),
    )
    return folder


def run(folder, train_set, task, listener=None, **config):
    """Execute the step; the directories that it wrote."""
    directories = {"train_set": train_set, **{name: folder / name for name in ("model", "yardsticks", "checkpoints")}}
    for name in ("model", "yardsticks", "checkpoints"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    with Journal(folder / "journal.jsonl", listener) as log:
        execute(step(train), directories, TrainConfig.model_validate({"task": task, **QUICK, **config}), log)
    return directories


def record(directories):
    return json.loads((directories["model"] / "training.json").read_bytes())


def digests(*folders):
    return {
        str(p.relative_to(f)): hashlib.sha256(p.read_bytes()).hexdigest()
        for f in folders
        for p in sorted(f.rglob("*"))
        if p.is_file()
    }


CASES = {"binary-classification": ("no", "yes"), "multiclass-classification": ("a", "b", "c"), "regression": ()}


MULTICLASS = pytest.param("multiclass-classification", marks=pytest.mark.slow)
"""A training more: two classes and a number stay in the fast suite, and several classes in tests of less."""
TASKS = [MULTICLASS if task == "multiclass-classification" else task for task in CASES]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """By task: the table, the train_set directory and what one training wrote, shared by the tests that change none."""

    @cache
    def train_once(task):
        folder = tmp_path_factory.mktemp(task)
        frame = classes_of(table(), CASES[task]) if CASES[task] else table()
        train_set = stored(folder / "train_set", frame, task, CASES[task], team="ignore")
        return frame, train_set, run(folder / "run", train_set, task)

    return train_once


@pytest.fixture
def no_export(monkeypatch):
    """Train for the record alone: export takes half of so short a training, and other tests look at what it writes."""
    monkeypatch.setattr("model_code.export.export", lambda *arguments: None)


@pytest.mark.parametrize("task", TASKS)
def test_each_task_ends_with_a_served_model_and_its_yardsticks(trained, task):
    frame, _, outputs = trained(task)
    predictor = serving.load(outputs["model"])
    assert [entry["name"] for entry in predictor.schema["inputs"]] == ["x", "z 0", "place", "open", "day"]
    prediction = predictor.predict(frame)
    assert prediction.shape == ((240, len(CASES[task])) if CASES[task] else (240,))
    chosen = record(outputs)["chosen"]
    assert yardsticks.names(outputs["yardsticks"]) == (
        "constant",
        *(name for name in ("linear", "trees") if name != chosen),
    )
    for name in yardsticks.names(outputs["yardsticks"]):
        assert yardsticks.predict(outputs["yardsticks"], name, frame).shape == prediction.shape


@pytest.mark.parametrize("task", TASKS)
def test_what_the_folds_predicted_of_classes_is_published_beside_the_yardsticks(trained, task):
    frame, _, outputs = trained(task)
    file = outputs["yardsticks"] / "folds.parquet"
    assert file.is_file() == bool(CASES[task])
    if CASES[task]:
        predicted = pl.read_parquet(file)
        assert predicted.columns == [ROW, "truth", *(f"p{index}" for index in range(len(CASES[task])))]
        assert predicted[ROW].n_unique() == predicted.height
        assert predicted[ROW].is_between(1, frame.height).all()
        np.testing.assert_allclose(predicted.select(pl.sum_horizontal(pl.col("^p[0-9]+$"))).to_series(), 1, atol=1e-5)


@pytest.mark.parametrize("task", TASKS)
def test_a_model_of_numbers_brings_prediction_intervals_and_one_of_classes_none(trained, task):
    frame, _, directories = trained(task)
    predictor = serving.load(directories["model"])
    if task != "regression":
        assert "intervals" not in predictor.schema
        return
    answers = predictor.answers(frame, 0.9)
    assert answers.columns == ["prediction", "prediction_low", "prediction_high"]
    inside = (answers["prediction_low"] <= frame["score"]) & (frame["score"] <= answers["prediction_high"])
    assert inside.mean() > 0.85
    assert predictor.answers(frame).columns == ["prediction"]


def test_declared_costs_ship_the_threshold_that_decides(tmp_path, trained):
    frame, train_set, _ = trained("binary-classification")
    costs = {"miss": 50, "false_alarm": 2}
    directories = run(tmp_path, train_set, "binary-classification", candidates=("linear",), costs=costs)
    predictor = serving.load(directories["model"])
    assert 0 < predictor.schema["threshold"] < 0.4
    answers = predictor.answers(frame)
    acting = answers["probability_yes"] >= predictor.schema["threshold"]
    assert (answers["prediction"] == "yes").equals(acting, check_names=False)
    assert acting.mean() > (answers["probability_yes"] >= 0.5).mean()


def test_a_promise_of_recall_ships_a_threshold_that_keeps_it_with_room(tmp_path, trained):
    frame, train_set, _ = trained("binary-classification")
    success = ({"metric": "recall", "at_least": 0.8},)
    directories = run(tmp_path, train_set, "binary-classification", candidates=("linear",), success=success)
    answers = serving.load(directories["model"]).answers(frame)
    assert (answers["prediction"] == "yes").filter(frame["score"] == "yes").mean() > 0.9
    assert record(directories)["candidates"][0]["unmet"] == []


def test_candidates_that_cannot_keep_a_column_monotone_are_left_out(tmp_path, trained):
    frame, _, _ = trained("regression")
    train_set = stored(tmp_path / "set", frame, "regression")
    schema = documents.read(TableSchema, train_set)
    columns = tuple(c.model_copy(update={"monotone": "decreasing"} if c.name == "x" else {}) for c in schema.columns)
    documents.write(train_set, schema.model_copy(update={"columns": columns}))
    directories = run(tmp_path, train_set, "regression", candidates=("linear", "trees"))
    training = record(directories)
    assert training["chosen"] == "trees"
    assert training["candidates"][0]["reason"] == "cannot keep predictions monotone in x"
    assert not training["budget_bound"]
    moved = frame.clear().vstack(pl.concat([frame[:1]] * 50)).with_columns(x=np.linspace(-3, 3, 50))
    assert (serving.load(directories["model"]).answers(moved)["prediction"].diff().drop_nulls() <= 1e-9).all()


@pytest.mark.parametrize(("spread", "scale"), [(0.4, "log"), (0.0, None)])
def test_the_logarithm_of_a_skewed_target_is_learned_where_that_helps(tmp_path, monkeypatch, spread, scale):
    """With noise that grows with the amount it helps; a sum of skewed columns is learned as it is. Every second row says so."""
    monkeypatch.setattr(scales, "MOST_ROWS", 800)
    random = np.random.default_rng(0)
    frame = table(3000).with_columns(amount=np.exp(random.normal(size=3000) / 2))
    noise = np.exp(spread * random.normal(size=3000) + frame["z 0"])
    frame = frame.with_columns(score=(frame["amount"] * noise) if spread else frame["amount"] * 2 + frame["z 0"].abs())
    train_set = stored(tmp_path / "set", frame[::2], "regression")
    directories = run(tmp_path, train_set, "regression", candidates=("trees",))
    assert record(directories)["target_scale"] == scale
    new = frame[1::2]
    answers = serving.load(directories["model"]).answers(new, 0.9)
    assert answers["prediction"].mean() == pytest.approx(new["score"].mean(), rel=0.1)
    linear = yardsticks.predict(directories["yardsticks"], "linear", new)
    assert linear.mean() == pytest.approx(new["score"].mean(), rel=0.15), "it was no candidate, and has its own factor"
    inside = (answers["prediction_low"] <= new["score"]) & (new["score"] <= answers["prediction_high"])
    # each of the two folds learns from half of the rows, so that its errors are a little larger
    assert 0.87 < inside.mean() < 0.95


@pytest.mark.parametrize("task", ["binary-classification", MULTICLASS])
def test_a_calibration_that_helps_is_part_of_the_exported_graph(tmp_path, monkeypatch, trained, task):
    frame, train_set, plain = trained(task)
    assert record(plain)["calibration"] is None
    monkeypatch.setattr(calibrating, "ENOUGH", -np.inf)
    directories = run(tmp_path, train_set, task, candidates=("linear",))
    fit = record(directories)["calibration"]
    answers = serving.load(directories["model"]).predict(frame)
    monkeypatch.setattr(calibrating, "ENOUGH", np.inf)
    for name in ("model", "yardsticks"):  # the fits stay, which no calibration changes
        shutil.rmtree(tmp_path / name)
    before = serving.load(run(tmp_path, train_set, task, candidates=("linear",))["model"]).predict(frame)
    assert answers == pytest.approx(Calibration(fit["scale"], fit["shift"]).apply(before), abs=1e-6)
    assert answers != pytest.approx(before, abs=1e-3)


@pytest.mark.parametrize("task", ["binary-classification", MULTICLASS])
def test_classifiers_of_the_same_rows_are_alike_byte_for_byte(tmp_path, trained, task):
    """The interrupted training below shows the same of a regression."""
    _, train_set, first = trained(task)
    second = run(tmp_path, train_set, task)
    assert digests(first["model"], first["yardsticks"]) == digests(second["model"], second["yardsticks"])


@pytest.mark.usefixtures("no_export")
def test_the_journal_has_curves_speed_and_memory_and_the_record_has_no_times(tmp_path):
    outputs = run(
        tmp_path / "run", stored(tmp_path / "train_set", table(), "regression"), "regression", candidates=["linear"]
    )
    events = list(read_events(tmp_path / "run" / "journal.jsonl"))
    metrics = {e["name"] for e in events if e["kind"] == "metric"}
    assert metrics >= {
        "model/train_loss",
        "model/validation_loss",
        "framework/samples_per_second",
        "framework/peak_memory_mb",
        "framework/train_seconds",
    }
    steps = {name: [e["step"] for e in events if e.get("name") == name] for name in metrics}
    fold = record(outputs)["candidates"][0]["folds"][0]
    assert steps["model/train_loss"] == list(range(1, len(fold["train_loss"]) + 1)), "of the first fold"
    assert steps["model/validation_loss"] == list(range(1, len(fold["validation_loss"]) + 1))
    curves = {"train_loss.linear.fold1", "train_loss.linear.fold2", "validation_loss.linear.fold1"}
    curves |= {"validation_loss.linear.fold2", "train_loss.linear.whole"}
    assert {f"model/{curve}" for curve in curves} <= metrics
    framework = {name.partition(".")[0] for name in metrics if name.startswith("framework/")}
    assert len(framework) >= 8, framework
    (dataset,) = (e for e in events if e["kind"] == "dataset")
    assert (dataset["name"], dataset["context"]) == ("training_set", "training")
    assert len(dataset["schema"]) == dataset["columns"]
    assert "seconds" not in json.dumps(record(outputs))
    notes = [e["text"] for e in events if e["kind"] == "note"]
    assert [note.rpartition(" ")[0] for note in notes[:2]] == [
        "linear: fold 1 of 2, R\N{SUPERSCRIPT TWO}",
        "linear: fold 2 of 2, R\N{SUPERSCRIPT TWO}",
    ]


@pytest.mark.usefixtures("no_export")
def test_fits_at_the_same_time_change_no_byte_of_the_record(tmp_path, monkeypatch):
    """The record has the losses of every epoch and round, and the file of the folds every prediction."""
    task, results = "binary-classification", []
    train_set = stored(tmp_path / "train_set", classes_of(table(120), CASES[task]), task, CASES[task])
    for cores in (1, 3):
        monkeypatch.setattr(parallel, "cores", lambda cores=cores: cores)
        events = []
        options = {"folds": 3, "candidates": ["mlp", "trees"], "budget": {"epochs": 2}}
        run(tmp_path / str(cores), train_set, task, events.append, **options)
        results.append(digests(tmp_path / str(cores) / "model", tmp_path / str(cores) / "yardsticks"))
        together = {event["what"] for event in events if event["kind"] == "progress" and " and " in event["what"]}
        assert ("mlp, folds 1 and 2 and 3 of 3" in together) == (cores == 3)
    assert results[0] == results[1]


@pytest.mark.usefixtures("no_export")
def test_an_interrupt_while_two_fits_run_ends_both_and_the_next_call_goes_on(tmp_path, monkeypatch):
    """The next test shows that a training that goes on ends with the same model."""
    train_set = stored(tmp_path / "train_set", table(120), "regression")
    monkeypatch.setattr(parallel, "cores", lambda: 2)

    def interrupt(event):
        if event["kind"] == "progress" and event["what"].startswith("mlp, folds"):
            raise KeyboardInterrupt

    options = {"folds": 2, "candidates": ["mlp"]}
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, train_set, "regression", interrupt, **options)
    assert not (tmp_path / "model" / "training.json").exists()
    assert record(run(tmp_path, train_set, "regression", **options))["chosen"] == "mlp"


def test_interrupted_and_run_again_it_ends_with_the_same_model(tmp_path, trained):
    """Interrupted once its first checkpoint is there; tests/model_code/test_training.py kills a real process."""
    _, train_set, whole = trained("regression")

    def interrupt(event):
        if list((tmp_path / "checkpoints").rglob("latest.pt")):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, train_set, "regression", listener=interrupt)
    assert not (tmp_path / "model" / "model.pt2").exists()
    for name in ("model", "yardsticks"):  # what was not published is not kept
        shutil.rmtree(tmp_path / name)
    again = run(tmp_path, train_set, "regression")
    assert digests(again["model"], again["yardsticks"]) == digests(whole["model"], whole["yardsticks"])


def test_for_other_promises_only_the_fits_are_made_that_are_not_there(tmp_path, trained):
    _, train_set, whole = trained("binary-classification")

    def fits(**settings):
        listened = []
        for name in ("model", "yardsticks"):
            shutil.rmtree(tmp_path / name, ignore_errors=True)
        outputs = run(tmp_path, train_set, "binary-classification", listened.append, **settings)
        progress = [event["what"] for event in listened if event["kind"] == "progress"]
        names = {what.partition(",")[0] for what in progress if not what.endswith("finished")}
        reused = any("fits of an earlier run are used" in event.get("text", "") for event in listened)
        return names, reused, outputs

    easy = [{"metric": "roc_auc", "at_least": 0.51}]
    assert fits(choose="first", success=easy)[:2] == ({"linear", "trees"}, False), "trees as a yardstick"
    names, reused, outputs = fits()
    assert (names, reused) == ({"trees", "mlp"}, True)
    assert digests(outputs["model"], outputs["yardsticks"]) == digests(whole["model"], whole["yardsticks"])
    assert fits(costs={"miss": 9, "false_alarm": 1})[:2] == (set(), True)


def test_hard_columns_do_no_harm(tmp_path):
    """All missing, constant, one value per row, a category that only one fold has, infinities."""
    frame = table(60).with_columns(
        void=pl.lit(None, dtype=pl.Float64),
        blank=pl.lit(None, dtype=pl.String),
        same=pl.lit(1.0),
        name=pl.Series([f"n{i}" for i in range(60)]),
        once=pl.Series(["rare"] + ["usual"] * 59),
        huge=pl.Series([float("inf"), -1e300] * 30),
    )
    frame = frame.select(pl.exclude("score"), "score")
    outputs = run(tmp_path / "run", stored(tmp_path / "train_set", frame, "regression"), "regression")
    assert np.isfinite(serving.load(outputs["model"]).predict(frame)).all()


def test_a_table_whose_features_say_nothing_still_gives_a_model(tmp_path):
    frame = table(40).select(same=pl.lit(1), name=pl.int_range(40), score="score")
    train_set = stored(tmp_path / "train_set", frame, "regression", name="key")
    outputs = run(tmp_path / "run", train_set, "regression", key=["name"])
    prediction = serving.load(outputs["model"]).predict(frame)
    assert np.ptp(prediction) == 0
    assert record(outputs)["chosen"] == "linear"


def test_a_class_that_is_missing_from_a_fold_or_from_all_rows_is_no_obstacle(tmp_path):
    frame = table(40).with_columns(score=pl.Series(["b"] + ["a"] * 20 + ["c"] * 19))
    train_set = stored(tmp_path / "train_set", frame, "multiclass-classification", ("a", "b", "c", "d"))
    outputs = run(tmp_path / "run", train_set, "multiclass-classification")
    assert serving.load(outputs["model"]).predict(frame).shape == (40, 4)
    assert pl.read_parquet(outputs["yardsticks"] / "folds.parquet").columns == [ROW, "truth", "p0", "p1", "p2", "p3"]


@pytest.mark.usefixtures("no_export")
def test_folds_by_time_with_one_class_late_choose_the_cheapest(tmp_path):
    frame = table(60).with_columns(score=pl.Series(["no", "yes"] * 15 + ["no"] * 30))
    train_set = stored(tmp_path / "train_set", frame, "binary-classification", ("no", "yes"))
    outputs = run(tmp_path / "run", train_set, "binary-classification", by="time", column="day", folds=1)
    assert record(outputs)["chosen"] == "linear"


@pytest.mark.usefixtures("no_export")
@pytest.mark.parametrize(("by", "column"), [("group", "team"), ("time", "day")])
def test_folds_follow_the_split(tmp_path, by, column):
    outputs = run(
        tmp_path / "run",
        stored(tmp_path / "train_set", table(), "regression"),
        "regression",
        by=by,
        column=column,
        candidates=["linear"],
    )
    assert record(outputs)["divided_by"] == by
    assert record(outputs)["resampled"].endswith(column)
    assert len(record(outputs)["folds"]) == 2


class Enough(Exception):
    """The rows are in folds; no model is needed."""


def folds_of(folder, train_set, monkeypatch, **config):
    """The pairs of positions that the step divides its rows into."""
    calls = []

    def divide(*arguments, **keywords):
        calls.append(folds(*arguments, **keywords))
        raise Enough

    monkeypatch.setattr(splitting, "folds", divide)
    with pytest.raises(Enough):
        run(folder, train_set, candidates=["linear"], **config)
    return calls[0]


@pytest.mark.parametrize("task", ["binary-classification", "regression"])
def test_rows_with_equal_features_are_never_on_both_sides_of_a_fold_whatever_their_target(tmp_path, monkeypatch, task):
    frame = pl.concat([table(60)] * 4).with_columns(score=table(240)["score"])
    frame = classes_of(frame, CASES[task]) if CASES[task] else frame
    train_set = stored(tmp_path / "train_set", frame, task, CASES[task], day="ignore")
    features = frame.select("x", "z 0", "place", "open", "team").rows()
    pairs = folds_of(tmp_path / "run", train_set, monkeypatch, task=task)
    assert len(pairs) == 2
    for training, validation in pairs:
        assert not {features[i] for i in training} & {features[i] for i in validation}


def test_with_a_key_the_rows_of_one_key_are_never_on_both_sides_of_a_fold(tmp_path, monkeypatch):
    frame = classes_of(table(), ("no", "yes"))
    train_set = stored(tmp_path / "train_set", frame, "binary-classification", ("no", "yes"), team="key")
    pairs = folds_of(tmp_path / "run", train_set, monkeypatch, task="binary-classification", key=["team"])
    assert len(pairs) == 2
    for training, validation in pairs:
        assert not set(frame["team"][training]) & set(frame["team"][validation])


def test_the_key_of_the_split_is_the_key_of_the_folds():
    path = Path(__file__).parents[2] / "examples" / "diabetes" / "problem.yaml"
    configs = load(path, {"split.key": "[bmi, age]"}).configs(TRAINING)
    assert configs["train"].key == configs["split"].key == ("bmi", "age")
    with pytest.raises(InputError, match=r"train\.key: it follows from split\.key"):
        load(path, {"train.key": "[age]"})


@pytest.mark.usefixtures("no_export")
def test_first_stops_at_the_candidate_that_reaches_the_thresholds(tmp_path):
    train_set = stored(tmp_path / "train_set", table(), "regression")
    easy = run(tmp_path / "easy", train_set, "regression", choose="first", success=[{"metric": "rmse", "at_most": 100}])
    assert [c["name"] for c in record(easy)["candidates"]] == ["linear"]
    assert "reaches all thresholds" in record(easy)["why"]
    hard = run(
        tmp_path / "hard", train_set, "regression", choose="first", success=[{"metric": "r2", "at_least": 0.9999}]
    )
    assert [c["name"] for c in record(hard)["candidates"]] == ["linear", "trees", "mlp", "blend"]
    assert "none reaches all thresholds" in record(hard)["why"]
    assert "r2 >= 0.9999 (95 % bound): not met on the validation folds" in record(hard)["candidates"][0]["unmet"][0]


@pytest.mark.parametrize(("quality", "rows"), [("standard", 100), ("best", 240)])
def test_a_fit_learns_from_so_many_rows_and_says_so(tmp_path, monkeypatch, quality, rows):
    monkeypatch.setattr(candidates, "MOST_ROWS", 100)
    train_set = stored(tmp_path / "train_set", table(), "regression", team="ignore")
    outputs = run(tmp_path / "run", train_set, "regression", candidates=["linear"], quality=quality)
    assert record(outputs)["final"]["rows"] == rows
    notes = [e["text"] for e in read_events(tmp_path / "run" / "journal.jsonl") if e["kind"] == "note"]
    assert any("at most 100 of 240 rows" in note for note in notes) is (quality == "standard")
    assert yardsticks.names(outputs["yardsticks"]) == ("constant", "trees"), "that was no candidate"


@pytest.mark.usefixtures("no_export")
def test_a_network_goes_on_from_the_last_fold_for_a_third_of_its_epochs(tmp_path):
    train_set = stored(tmp_path / "train_set", table(), "regression", team="ignore")
    budget = {"minutes": 30, "epochs": 6}
    outputs = run(tmp_path / "run", train_set, "regression", candidates=["mlp"], folds=1, budget=budget)
    (candidate,), final = record(outputs)["candidates"], record(outputs)["final"]
    assert (final["rows"], final["continues_fold"]) == (240, True)
    assert final["epochs"] == max(round(candidate["folds"][0]["epochs"] / 3), 1)
    assert final["train_loss"][0] < candidate["folds"][0]["train_loss"][0]


@pytest.mark.usefixtures("no_export")
def test_a_yardstick_that_the_budget_does_not_allow_is_left_out_and_that_is_said(tmp_path):
    train_set = stored(tmp_path / "train_set", table(), "regression", team="ignore")
    outputs = run(tmp_path / "run", train_set, "regression", candidates=["linear"], budget={"minutes": 1e-6})
    assert yardsticks.names(outputs["yardsticks"]) == ("constant",)
    notes = [e["text"] for e in read_events(tmp_path / "run" / "journal.jsonl") if e["kind"] == "note"]
    assert "yardstick trees: no time is left for it" in notes


def test_a_blend_is_chosen_where_it_is_clearly_better_and_exported_as_one_graph(tmp_path, monkeypatch):
    monkeypatch.setattr("model_code.tabular.trees.MOST_ROWS", 0)  # small trees alone would be as good
    frame = table()
    train_set = stored(tmp_path / "train_set", frame, "regression", team="ignore")
    outputs = run(tmp_path / "run", train_set, "regression", candidates=["linear", "trees"])
    *members, blend = record(outputs)["candidates"]
    assert [(c["name"], c["status"]) for c in members] == [("linear", "tried"), ("trees", "tried")]
    assert (blend["name"], blend["status"]) == ("blend", "chosen")
    assert blend["score"] > max(c["score"] for c in members)
    assert sum(blend["config"].values()) == pytest.approx(1)
    assert (record(outputs)["final"]["epochs"], record(outputs)["final"]["unit"]) == (2, "member")
    predictor = serving.load(outputs["model"])
    assert predictor.schema["architecture"] == "blend"
    linear = yardsticks.predict(outputs["yardsticks"], "linear", frame)
    trees = (predictor.predict(frame) - blend["config"]["linear"] * linear) / blend["config"]["trees"]
    assert 0 < np.corrcoef(trees, frame["score"].to_numpy())[0, 1] < 1
    notes = [e["text"] for e in read_events(tmp_path / "run" / "journal.jsonl") if e["kind"] == "note"]
    assert any(n.startswith("blend of ") and n.endswith("ms for 1,000 rows") for n in notes)


@pytest.mark.usefixtures("no_export")
@pytest.mark.parametrize(("limit", "expected"), [(241, mlp.SMALL), (240, mlp.LARGE)])
def test_folds_and_the_final_fit_have_one_config_that_the_record_tells(tmp_path, monkeypatch, limit, expected):
    """Each fold has fewer rows than the limit from which on another config is taken, the whole part has not."""
    calls = []

    def watched(network, rows, validation, objective, recipe, options):
        calls.append((len(rows), network, recipe))
        return fit(network, rows, validation, objective, recipe, options)

    fit = fitting.fit
    monkeypatch.setattr(mlp, "MANY_ROWS", limit)
    monkeypatch.setattr(fitting, "fit", watched)
    train_set = stored(tmp_path / "train_set", table(), "regression")
    outputs = run(tmp_path / "run", train_set, "regression", candidates=["mlp"], budget={"epochs": 2})
    assert [rows < 240 for rows, _, _ in calls] == [True, True, False]
    for rows, network, recipe in calls:
        assert (network.members, network.head.shape[1]) == (expected.members, expected.hidden)
        assert (recipe.batch_size, recipe.epochs) == (expected.batch_size, 2 if rows < 240 else 1)
    (candidate,) = record(outputs)["candidates"]
    assert {name: candidate["config"][name] for name in ("members", "hidden", "batch_size")} == {
        name: getattr(expected, name) for name in ("members", "hidden", "batch_size")
    }
    assert candidate["weights"] == sum(p.numel() for p in calls[-1][1].parameters())


@pytest.mark.usefixtures("no_export")
def test_a_candidate_that_does_not_fit_in_the_budget_is_skipped_with_the_reason(tmp_path):
    train_set = stored(tmp_path / "train_set", table(), "regression")
    outputs = run(tmp_path / "run", train_set, "regression", budget={"minutes": 1e-9})
    linear, *_, mlp = record(outputs)["candidates"]
    assert (linear["status"], mlp["status"]) == ("chosen", "skipped")
    assert "does not fit in the budget" in mlp["reason"]
    assert record(outputs)["budget_bound"]
    assert record(outputs)["budget_cut"] == [
        "linear stopped after step 1 on fold 1 of 2",
        "linear stopped after step 1 on fold 2 of 2",
        "trees was skipped",
        "mlp was skipped",
    ]


@pytest.mark.usefixtures("no_export")
def test_the_budget_is_kept_though_candidates_alone_take_longer(tmp_path, monkeypatch):
    """By a clock that goes on by a second at each look at it."""
    clock = itertools.count()
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(clock)))
    train_set = stored(tmp_path / "train_set", table(), "regression")
    budget = {"minutes": 200 / 60, "epochs": 1000}
    outputs = run(tmp_path, train_set, "regression", candidates=["mlp", "trees"], budget=budget, folds=5)
    events = read_events(tmp_path / "journal.jsonl")
    (seconds,) = (e["value"] for e in events if e.get("name") == "framework/train_seconds")
    assert 100 < seconds < 1.1 * 200
    assert [(c["name"], c["status"]) for c in record(outputs)["candidates"]] == [
        ("mlp", "chosen"),
        ("trees", "skipped"),
    ]
    assert record(outputs)["budget_cut"][0].startswith("mlp stopped after epoch ")


@pytest.mark.usefixtures("no_export")
def test_a_candidate_that_can_not_catch_up_is_given_up_after_the_first_fold(tmp_path):
    frame = table().with_columns(score=pl.col("z 0") * 2 + pl.col("x").fill_null(0))
    train_set = stored(tmp_path / "train_set", frame, "regression")
    outputs = run(tmp_path / "run", train_set, "regression", candidates=["linear", "trees"])
    linear, trees = record(outputs)["candidates"]
    assert (linear["status"], trees["status"]) == ("chosen", "given up")
    assert trees["reason"].startswith("given up after fold 1 of 2: worse than linear by ")
    assert not record(outputs)["budget_bound"]


def test_a_budget_that_was_enough_left_no_trace_in_the_result(tmp_path, trained):
    _, train_set, outputs = trained("regression")
    more = run(tmp_path, train_set, "regression", budget={"minutes": 99, "epochs": 4})
    assert (record(outputs)["budget_bound"], record(outputs)["budget_cut"]) == (False, [])
    assert digests(outputs["model"]) == digests(more["model"])


@pytest.mark.usefixtures("no_export")
def test_left_to_itself_it_takes_the_first_that_is_good_enough(tmp_path):
    train_set = stored(tmp_path / "train_set", table(), "regression")
    plain = TrainConfig(task="regression").choose
    outputs = run(tmp_path / "run", train_set, "regression", choose=plain, success=[{"metric": "rmse", "at_most": 100}])
    assert record(outputs)["choose"] == "first"
    assert [c["name"] for c in record(outputs)["candidates"]] == ["linear"]


WRONG = {
    "there is no feature column to learn from": lambda: (table().select("score"), "regression", ()),
    "the training part has 5 rows": lambda: (table(5), "regression", ()),
    "'score' has one value only in the training part": lambda: (
        table().with_columns(score=pl.lit(3.0)),
        "regression",
        (),
    ),
    "training rows do not hold a finite number": lambda: (
        table().with_columns(score=pl.lit(float("inf"))),
        "regression",
        (),
    ),
    "one value only in the training part; there is nothing to learn": lambda: (
        table().with_columns(score=pl.lit("a")),
        "binary-classification",
        ("a", "b"),
    ),
    "do not hold one of the classes a, b": lambda: (
        table().with_columns(score=pl.lit("x")),
        "binary-classification",
        ("a", "b"),
    ),
}


@pytest.mark.parametrize("message", WRONG)
def test_what_can_not_be_learned_from_is_said_in_words(tmp_path, message):
    frame, task, classes = WRONG[message]()
    with pytest.raises(InputError, match=message):
        run(tmp_path / "run", stored(tmp_path / "train_set", frame, task, classes), task)


def test_a_diverged_training_stops_with_a_message(tmp_path, monkeypatch):
    from model_code.tasks.heads import Value

    monkeypatch.setattr(Value, "loss", lambda self, raw, target: raw.mean() * float("nan"))
    with pytest.raises(
        FourscoreError, match=r"training stopped: the training loss became nan in epoch 1, step 1 .*try a smaller"
    ):
        run(tmp_path / "run", stored(tmp_path / "train_set", table(), "regression"), "regression", candidates=("mlp",))


def test_wrong_configs_say_what_is_possible():
    with pytest.raises(ValueError, match="unknown candidate 'mpl'; known are: linear, trees, mlp"):
        TrainConfig(task="regression", candidates=("mpl",))
    with pytest.raises(ValueError, match="by 'group' wants the column of the group"):
        TrainConfig(task="regression", by="group")
    with pytest.raises(ValueError, match="named twice"):
        TrainConfig(task="regression", candidates=("mlp", "mlp"))
