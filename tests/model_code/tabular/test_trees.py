"""The architecture trees: answers of the exported tensors are LightGBM's, and a training that ends when it should."""

from dataclasses import asdict, replace
from functools import partial

import lightgbm
import numpy as np
import polars as pl
import pytest
import torch

from model_code import archive, export, onnx_runtime, runtime
from model_code.fitting import Dataset, predict, train_on
from model_code.parallel import limit_threads
from model_code.tabular import Tabular, trees
from model_code.tabular.encoding import describe, encode
from model_code.tabular.tree_network import TreeNetwork
from model_code.tabular.trees import Trees, TreesConfig
from model_code.tasks import heads
from model_code.training import OUT_OF_TIME, Options

CPU = torch.device("cpu")
TASKS = {"binary-classification": ["n", "y"], "multiclass-classification": ["a", "b", "c"], "regression": []}


def table(task="binary-classification", rows=1_500, seed=0):
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(rows, 3))
    place = generator.integers(0, 60, rows)
    signal = x[:, 0] * (x[:, 1] > 0) + np.sin(place) + generator.normal(size=rows) * 0.3
    classes = TASKS[task]
    truth = np.digitize(signal, [0.0, 1.0][: len(classes) - 1]) if classes else signal * 100 + 5_000
    frame = pl.DataFrame({f"x{i}": x[:, i] for i in range(3)} | {"place": [f"p{i}" for i in place]})
    frame = frame.with_columns(x1=pl.when(pl.int_range(rows) % 7 == 0).then(None).otherwise(pl.col("x1")))
    columns = [{"name": name, "type": "category" if name == "place" else "float"} for name in frame.columns]
    schema = describe(frame, columns) | {"task": task, "classes": classes}
    return Dataset(encode(frame, schema), truth, schema, heads.create(task, truth, classes))


def random_rows(rows):
    """Rows with missing values in all columns, ten names that ``table`` does not have, and values far from its own."""
    generator = np.random.default_rng(1)
    x = generator.standard_t(3, size=(rows, 3))
    x[generator.random(x.shape) < 0.1] = np.nan
    names = pl.Series([*(f"p{i}" for i in range(70)), None])
    place = names.gather(generator.integers(0, 71, rows))
    return pl.DataFrame({f"x{i}": x[:, i] for i in range(3)} | {"place": place}, nan_to_null=True)


def fit(data, config=None, **options):
    rows = np.arange(len(data.truth))
    training, validation = rows[rows % 5 > 0], rows[rows % 5 == 0]
    architecture = Trees(len(rows), config=config or TreesConfig(patience=20, rounds=200))
    return train_on(data, architecture, training, validation, Options(seed=0, device=CPU, **options)), validation


@pytest.mark.parametrize("objective", ["binary", "multiclass", "regression"])
def test_random_rows_are_answered_as_lightgbm_answers_them(objective):
    generator = np.random.default_rng(1)
    values = generator.normal(size=(3_000, 6)).round(1)
    values[generator.random(values.shape) < 0.1] = np.nan
    values[:, 5] = np.where(np.isnan(values[:, 5]), 0, values[:, 5])
    target = np.nan_to_num(values[:, 0]) * np.nan_to_num(values[:, 1], nan=2) + (values[:, 5] > 0)
    width = 3 if objective == "multiclass" else 1
    truth = target if objective == "regression" else np.digitize(target, [0.3, 1.0][: 2 if width == 3 else 1])
    parameters = {"objective": objective, "num_class": width, "verbose": -1, "num_threads": 1}
    booster = lightgbm.train(parameters, lightgbm.Dataset(values, truth), 50)
    rows = generator.normal(size=(4_000, 6)).round(1)  # rounded: many lie exactly on a threshold
    rows[generator.random(rows.shape) < 0.1] = np.nan
    rows[:, 5] = np.nan_to_num(rows[:, 5])
    expected = booster.predict(rows, raw_score=True).reshape(len(rows), width)
    network = TreeNetwork(booster.model_to_string(), width)
    walked = np.concatenate([network.walk(torch.from_numpy(part)).numpy()[:, 0] for part in np.split(rows, 4)])
    np.testing.assert_allclose(walked, expected, rtol=0, atol=1e-9)
    np.testing.assert_allclose(network(torch.from_numpy(rows)).numpy()[:, 0], expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("task", ["binary-classification", "regression"])
@pytest.mark.parametrize(("direction", "sign"), [("increasing", 1), ("decreasing", -1)])
def test_predictions_are_monotone_in_a_column_that_says_so(task, direction, sign):
    """x0 raises the target; where predictions must fall with it, they stay level."""
    data = table(task)
    inputs = [entry | ({"monotone": direction} if entry["name"] == "x0" else {}) for entry in data.schema["inputs"]]
    fitted, _ = fit(replace(data, schema=data.schema | {"inputs": inputs}))
    numeric, category = (array[:300] for array in data.inputs)
    answers = []
    for value in np.linspace(-4, 4, 41):
        moved = numeric.copy()
        moved[:, 0] = value
        prediction = fitted.model(torch.from_numpy(moved), torch.from_numpy(category)).numpy()
        answers.append(prediction[:, 1] if prediction.ndim == 2 else prediction)
    steps = np.diff(np.stack(answers), axis=0)
    assert (sign * steps >= -1e-9).all()
    assert (np.abs(steps).sum() > 1) == (direction == "increasing")


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_a_million_rows_are_answered_by_both_files_as_lightgbm_answers_them(task, tmp_path):
    rows, parts = 1_000_000, 20
    data = table(task)
    model = fit(data, TreesConfig(rounds=40 // data.head.width))[0].model
    export.export(model, tmp_path, partial(Tabular().random_inputs, data.schema))
    graphs = [runtime.load(tmp_path / archive.MODEL), onnx_runtime.load(tmp_path / onnx_runtime.MODEL)]
    inputs = encode(random_rows(rows), data.schema)
    for part in np.array_split(np.arange(rows), parts):
        arrays = [array[part] for array in inputs]
        values = model.preprocessor(*map(torch.from_numpy, arrays))[0].numpy()
        expected = model.network.booster.predict(values, num_threads=1)
        if task == "regression":
            expected = expected * data.head.spread.item() + data.head.centre.item()
        if task == "binary-classification":
            expected = np.stack([1 - expected, expected], axis=1)
        for graph in graphs:
            np.testing.assert_allclose(graph(*arrays), expected, rtol=1e-12, atol=1e-12)


def test_a_tree_that_splits_on_a_set_of_categories_is_refused():
    codes = np.arange(600)[:, None] % 9.0
    data = lightgbm.Dataset(codes, np.isin(codes[:, 0], [1, 4, 8]), categorical_feature=[0])
    text = lightgbm.train({"objective": "binary", "verbose": -1}, data, 3).model_to_string()
    with pytest.raises(ValueError, match="set of categories"):
        TreeNetwork(text, 1)


@pytest.mark.parametrize("task", TASKS)
def test_trees_learn_an_interaction_and_a_column_of_many_names(task):
    data = table(task)
    fitted, validation = fit(data)
    prediction, truth = predict(data, fitted, validation), data.truth[validation]
    if data.schema["classes"]:
        assert (prediction.argmax(axis=1) == truth).mean() > {2: 0.85, 3: 0.7}[prediction.shape[1]]
    else:
        assert 1 - np.var(truth - prediction) / np.var(truth) > 0.75
    assert fitted.fit.stopped == "validation loss no longer improves"
    assert len(fitted.fit.validation_loss) == fitted.fit.epochs + 20 == len(fitted.fit.train_loss)
    assert fitted.fit.validation_loss[fitted.fit.epochs - 1] == min(fitted.fit.validation_loss)


def entangled():
    """Numbers that depend on three columns together, without noise, so that large trees are best."""
    data = table("regression")
    truth = np.sin(2 * np.nan_to_num(data.inputs[0])).prod(axis=1)
    return replace(data, truth=truth, head=heads.create("regression", truth, []))


def tuned(data, rows=None, **options):
    architecture, every = Trees(rows or len(data.truth)), np.arange(len(data.truth))
    options = Options(**{"seed": 0, "device": CPU, "tune": True} | options)
    fitted = train_on(data, architecture, every[every % 3 > 0], every[every % 3 == 0], options)
    return architecture, fitted


def test_settings_that_are_clearly_better_on_the_first_fold_are_those_of_all_later_fits():
    data = entangled()
    architecture, fitted = tuned(data)
    assert architecture.describe()["num_leaves"] == 48
    every = np.arange(len(data.truth))
    plain = Trees(len(every), config=architecture.config)
    options = Options(seed=0, device=CPU)
    same = train_on(data, plain, every[every % 3 > 0], every[every % 3 == 0], options)
    np.testing.assert_array_equal(predict(data, fitted, every), predict(data, same, every))
    assert fitted.fit.validation_loss == same.fit.validation_loss


def test_settings_stay_as_they_are_where_others_are_not_clearly_better_or_cost_too_much():
    standard = asdict(TreesConfig())
    assert tuned(table())[0].describe() == standard
    assert tuned(entangled(), rows=20_000)[0].describe() == standard
    assert tuned(entangled(), tune=False)[0].describe() == standard


def test_of_many_rows_trees_that_go_on_for_long_are_larger_and_fewer(monkeypatch):
    monkeypatch.setattr(trees, "MANY_ROWS", 1_000)
    assert tuned(table(), rows=50_000)[0].describe() == asdict(TreesConfig()), "they end early"
    monkeypatch.setattr(trees, "SLOW", 60)
    architecture, fitted = tuned(entangled(), rows=50_000)
    assert architecture.describe() == asdict(TreesConfig()) | trees.LARGE
    assert fitted.fit.epochs > 0
    assert tuned(entangled(), rows=50_000, tune=False)[0].describe() == asdict(TreesConfig())


def test_the_network_has_the_trees_of_the_best_round_only():
    data = table()
    fitted, _ = fit(data)
    assert fitted.model.network.roots.numel() == fitted.fit.epochs


def test_threads_change_nothing():
    data, config = table(), TreesConfig(rounds=30)  # where cores are busy, threads wait for each other in each round
    with limit_threads(1):
        (one, validation) = fit(data, config)
    with limit_threads(2):
        (two, _) = fit(data, config)
    np.testing.assert_array_equal(predict(data, one, validation), predict(data, two, validation))


def test_growing_ends_when_its_time_is_over_and_says_so():
    fitted, _ = fit(table(), seconds=0.0)
    assert fitted.fit.stopped == OUT_OF_TIME
    assert fitted.fit.epochs == 1


def test_progress_is_reported_and_an_exception_from_there_ends_the_training(monkeypatch):
    monkeypatch.setattr(trees, "PAUSE", 0.0)
    reports = []

    def report(rounds, most):
        reports.append((rounds, most))
        if rounds == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(table(), TreesConfig(rounds=200, patience=200), report=report)
    assert reports == [(1, 200), (2, 200), (3, 200)]


@pytest.mark.parametrize("task", TASKS)
def test_the_smallest_table_gets_a_model(task):
    data = table(task, rows=12)
    fitted, validation = fit(data)
    assert np.isfinite(predict(data, fitted, validation)).all()


def test_a_class_that_a_fold_has_no_row_of_is_answered_with_next_to_nothing():
    data = table("multiclass-classification")
    rows = np.flatnonzero(data.truth != 2)
    fitted = train_on(data, Trees(len(rows)), rows, None, Options(seed=0, device=CPU, stop_after=30))
    assert predict(data, fitted, np.arange(100))[:, 2].max() < 0.01


def test_many_classes_get_fewer_rounds_that_each_learn_more():
    few, many = (Trees(1_000)._parameters(classes, classes, 0) for classes in (3, 26))
    assert (few["learning_rate"], many["learning_rate"]) == (0.05, pytest.approx(0.163, abs=0.001))
    assert Trees(1_000)._rounds(26, Options(seed=0, device=CPU)) == 153
