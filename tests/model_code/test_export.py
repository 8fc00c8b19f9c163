"""The exported graph: the same answers as the module, any number of rows, the same bytes each time, no pickle."""

import json
import shutil
import zipfile
from dataclasses import replace
from functools import cache, partial

import numpy as np
import polars as pl
import pytest
import torch

from model_code import archive, export, families, onnx_runtime, runtime, serving, tasks
from model_code.fitting import Dataset, Model, train_on
from model_code.tabular import Tabular
from model_code.tasks import heads
from model_code.training import Options

FRAME = pl.DataFrame(
    {
        "size": [float(i) if i % 7 else None for i in range(60)],
        "open": [i % 3 == 0 for i in range(60)],
        "place": [["north", "süd", "<b>"][i % 3] for i in range(60)],
        "day": pl.Series([i * 86_400_000_000 for i in range(60)], dtype=pl.Datetime("us")),
    }
)
COLUMNS = [
    {"name": "size", "type": "float"},
    {"name": "open", "type": "boolean"},
    {"name": "place", "type": "category"},
    {"name": "day", "type": "datetime", "timezone": None},
]
TABULAR = Tabular()
OPTIONS = Options(seed=0, device=torch.device("cpu"), stop_after=20)
CASES = [(a, t) for a in TABULAR.architectures for t in tasks.names()]


def built(architecture="mlp", task="binary-classification", columns=COLUMNS):
    classes = {"binary-classification": ["no", "yes"], "multiclass-classification": ["a", "b", "c"]}.get(task, [])
    schema = serving.model_schema(
        "tabular",
        TABULAR.describe(FRAME, columns),
        task=task,
        target="y",
        classes=classes,
        architecture=architecture,
    )
    inputs = TABULAR.encode(FRAME, schema)
    torch.manual_seed(0)
    kind = families.architecture(TABULAR, architecture, FRAME.height)
    if isinstance(kind, families.Solver):
        truth = np.arange(60) % len(classes) if classes else np.linspace(7.0, 13.0, 60)
        dataset = Dataset(inputs, truth, schema, heads.create(task, truth, classes))
        return train_on(dataset, kind, np.arange(60), None, OPTIONS).model.eval(), schema
    preprocessor = kind.preprocessor(inputs, schema)
    with torch.no_grad():
        prepared = preprocessor(*map(torch.from_numpy, inputs))
    head = heads.create(task, np.array([7.0, 13.0]) if not classes else np.array([0, 1]), classes)
    network = kind.network(preprocessor, prepared, head.width)
    for parameter in network.parameters():  # not as at the start, where much is zero
        torch.nn.init.normal_(parameter, std=0.3)
    return Model(preprocessor, network, head).eval(), schema


def write_model(folder, **case):
    folder.mkdir(exist_ok=True)
    model, schema = built(**case)
    export.export(model, folder, partial(TABULAR.random_inputs, schema))
    (folder / "schema.json").write_text(json.dumps(schema))
    return model, schema


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A function from an architecture and a task to the directory, module and schema of an exported model."""

    @cache
    def export_once(architecture, task):
        folder = tmp_path_factory.mktemp("model")
        return folder, *write_model(folder, architecture=architecture, task=task)

    return lambda architecture="mlp", task="binary-classification": export_once(architecture, task)


@pytest.mark.parametrize(("architecture", "task"), CASES)
def test_served_answers_are_those_of_the_module_for_any_number_of_rows(exported, architecture, task):
    folder, model, schema = exported(architecture, task)
    predictor, as_onnx = serving.load(folder), onnx_runtime.load(folder / onnx_runtime.MODEL)
    hard = FRAME.with_columns(
        size=pl.Series([None, float("inf"), -1e30] * 20), place=pl.Series(["new", None, "süd"] * 20)
    )
    for frame in (hard.head(0), hard.head(1), hard):
        prediction = predictor.predict(frame)
        by_onnxruntime = as_onnx(*TABULAR.encode(frame, schema))
        with torch.no_grad():
            expected = model(*map(torch.from_numpy, TABULAR.encode(frame, schema))).numpy()
        assert prediction.shape == expected.shape
        assert prediction.dtype == np.float64
        assert np.allclose(prediction, expected, atol=1e-6)
        assert np.allclose(by_onnxruntime, expected, atol=1e-9 if architecture == "trees" else 1e-6)
        if schema["classes"]:
            assert np.allclose(prediction.sum(axis=1), 1)


@pytest.mark.parametrize("architecture", TABULAR.architectures)
def test_a_table_with_nothing_to_learn_from_is_exported_all_the_same(tmp_path, architecture):
    frame = pl.DataFrame({"size": [1.0] * 20})
    columns = [{"name": "size", "type": "float"}]
    schema = TABULAR.describe(frame, columns) | {"task": "regression", "classes": []}
    truth = np.arange(20.0)
    dataset = Dataset(TABULAR.encode(frame, schema), truth, schema, heads.create("regression", truth, []))
    kind = families.architecture(TABULAR, architecture, 20)
    model = train_on(dataset, kind, np.arange(20), None, replace(OPTIONS, epochs=1)).model
    export.export(model, tmp_path, partial(TABULAR.random_inputs, schema))
    assert runtime.load(tmp_path / "model.pt2")(*dataset.inputs) == pytest.approx(np.full(20, 9.5), abs=3)


def test_a_network_of_another_family_answers_as_its_module(tmp_path):
    from numbers_family.network import AsTuple, PlainNetwork

    torch.manual_seed(0)
    head = heads.create("regression", np.array([7.0, 13.0]), [])
    model = Model(AsTuple(), PlainNetwork(4, head.width), head).eval()
    export.export(model, tmp_path, lambda rows: (np.ones((rows, 4), np.float32),))
    inputs = np.random.default_rng(0).normal(size=(300, 4)).astype(np.float32)
    expected = model(torch.from_numpy(inputs)).detach().numpy()
    assert np.allclose(runtime.load(tmp_path / archive.MODEL)(inputs), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("columns", [COLUMNS[:1], COLUMNS[2:3]], ids=["numbers only", "categories only"])
@pytest.mark.parametrize("architecture", TABULAR.architectures)
def test_tables_of_one_kind_of_column_export_too(tmp_path, architecture, columns):
    write_model(tmp_path, architecture=architecture, columns=columns)
    assert serving.load(tmp_path).predict(FRAME.head(3)).shape == (3, 2)


def test_the_same_model_gives_the_same_bytes_without_paths(exported, tmp_path):
    write_model(tmp_path)
    for name in (archive.MODEL, onnx_runtime.MODEL):
        assert (exported()[0] / name).read_bytes() == (tmp_path / name).read_bytes()
    with zipfile.ZipFile(tmp_path / archive.MODEL) as file:
        content = b"".join(file.read(member) for member in file.infolist())
    assert b"model_code/" not in content
    assert b".py" not in content


def test_a_folder_that_is_no_model_says_what_is_missing(exported, tmp_path):
    with pytest.raises(ValueError, match=r"no model\.pt2; a model directory has"):
        serving.load(tmp_path)
    shutil.copy(exported()[0] / archive.MODEL, tmp_path)
    (tmp_path / "schema.json").write_text('{"format": 9}')
    with pytest.raises(ValueError, match="format 9; this version reads format 1"):
        serving.load(tmp_path)


def test_large_inputs_go_through_in_chunks_to_the_same_answers(exported):
    predictor = serving.load(exported(task="regression")[0])
    times = serving.CHUNK // FRAME.height + 2
    answers = predictor.predict(pl.concat([FRAME] * times))
    assert np.allclose(answers, np.tile(predictor.predict(FRAME), times), rtol=1e-6)


def test_onnxruntime_answers_more_rows_than_one_chunk_of_verified_files(exported):
    folder, many = exported(task="regression")[0], pl.concat([FRAME] * (serving.CHUNK // FRAME.height + 2))
    by_numpy = serving.load(folder).predict(many)
    assert np.allclose(serving.load(folder, verified=True).predict(many), by_numpy, rtol=1e-5)
    assert np.allclose(serving.load_onnx(folder).predict(many), by_numpy, rtol=1e-5)
    schema = serving.load(folder).schema
    predictor = serving.Predictor(schema, lambda *arrays: np.zeros(len(arrays[0])), lambda: lambda *_: np.ones(1))
    assert predictor.predict(many[: serving.CHUNK]).max() == 0
    assert predictor.predict(many).min() == 1


def test_answers_are_class_names_with_their_probabilities(exported):
    answers = serving.load(exported(task="multiclass-classification")[0]).answers(FRAME)
    assert answers.columns == ["prediction", "probability_a", "probability_b", "probability_c"]
    best = answers.select(pl.concat_list(pl.exclude("prediction")).list.arg_max()).to_series()
    assert answers["prediction"].to_list() == ["abc"[i] for i in best]


def test_a_network_with_an_operator_that_is_not_served_is_refused_at_export(tmp_path):
    class Cumulative(torch.nn.Module):
        def forward(self, numbers):
            return numbers.cumsum(1)

    with pytest.raises(export.ExportError, match=r"calls aten\.cumsum\.default, which models are not served with"):
        export.export(Cumulative(), tmp_path, lambda rows: (np.ones((rows, 3)),))
    assert not list(tmp_path.iterdir())


def test_rounding_of_large_numbers_that_cancel_is_no_difference(tmp_path):
    torch.manual_seed(0)
    network = torch.nn.Linear(200, 1, bias=False)
    torch.nn.init.normal_(network.weight, std=1_000)
    random = np.random.default_rng(0)
    export.export(network, tmp_path, lambda rows: (random.standard_normal((rows, 200)).astype(np.float32),))
    assert (tmp_path / archive.MODEL).is_file()


def test_inputs_of_another_model_are_refused_with_what_the_graph_takes(exported):
    graph = runtime.load(exported()[0] / archive.MODEL)
    with pytest.raises(ValueError, match=r"inputs_0 is float64\(2, 9\), not float64\('rows', 3\)"):
        graph(np.zeros((2, 9)), np.zeros((2, 1), np.int64))
    with pytest.raises(ValueError, match=r"model\.pt2 does not run on these inputs"):
        graph(np.zeros((2, 3)))
