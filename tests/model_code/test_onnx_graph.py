"""The graph as model.onnx: standard operators, weights inside, and the same bytes each time."""

from functools import partial

import numpy as np
import onnx
import polars as pl
import pytest
import torch

from model_code import archive, export, families, onnx_graph, onnx_runtime, runtime
from model_code.fitting import Dataset, train_on
from model_code.tabular import Tabular
from model_code.tasks import heads
from model_code.training import Options

TABULAR = Tabular()


def write_trees(folder, frame, target, classes):
    columns = [{"name": name, "type": "float" if name[0] == "n" else "category"} for name in frame.columns]
    task = "multiclass-classification" if classes else "regression"
    schema = TABULAR.describe(frame, columns) | {"task": task, "classes": classes}
    dataset = Dataset(TABULAR.encode(frame, schema), target, schema, heads.create(task, target, classes))
    options = Options(seed=0, device=torch.device("cpu"), stop_after=10)
    kind = families.architecture(TABULAR, "trees", frame.height)
    model = train_on(dataset, kind, np.arange(frame.height), None, options).model
    export.export(model, folder, partial(TABULAR.random_inputs, schema))
    return schema


@pytest.fixture(scope="module")
def trees(tmp_path_factory):
    """The folder and schema of trees of three classes that were grown on four columns."""
    chance = np.random.default_rng(0)
    numbers = chance.normal(size=(600, 3))
    numbers[chance.random((600, 3)) < 0.1] = np.nan
    words = np.array(["red", "green", "blue"])[chance.integers(0, 3, 600)]
    frame = pl.DataFrame({f"n{i}": numbers[:, i] for i in range(3)} | {"w": words}, nan_to_null=True)
    target = (np.nan_to_num(numbers[:, 0] * numbers[:, 1]) > 0).astype(np.int64) + (words == "red")
    folder = tmp_path_factory.mktemp("trees")
    return folder, write_trees(folder, frame, target, ["a", "b", "c"])


def test_trees_are_one_operator_that_answers_as_the_walk_does(trees):
    folder, schema = trees
    kinds = [node.op_type for node in onnx.load(folder / onnx_runtime.MODEL).graph.node]
    assert kinds.count("TreeEnsemble") == 1
    assert "GatherElements" not in kinds
    inputs = TABULAR.random_inputs(schema, 3_000)
    by_numpy = runtime.load(folder / archive.MODEL)(*inputs)
    assert np.allclose(onnx_runtime.load(folder / onnx_runtime.MODEL)(*inputs), by_numpy, rtol=1e-9, atol=1e-9)


def test_a_tree_without_branches_is_a_leaf(tmp_path):
    frame = pl.DataFrame({"n0": [1.0] * 20})
    schema = write_trees(tmp_path, frame, np.linspace(0.0, 1.0, 20), [])
    answers = onnx_runtime.load(tmp_path / onnx_runtime.MODEL)(*TABULAR.encode(frame, schema))
    assert answers == pytest.approx(np.full(20, 0.5))


def test_the_file_has_standard_operators_and_nothing_outside_of_it(trees):
    model = onnx.load(trees[0] / onnx_runtime.MODEL, load_external_data=False)
    assert {node.domain for node in model.graph.node} == {"", "ai.onnx.ml"}
    assert not any(onnx.external_data_helper.uses_external_data(tensor) for tensor in model.graph.initializer)
    assert not model.functions
    assert {node.doc_string or "".join(node.metadata_props) for node in model.graph.node} == {
        ""
    }  # no path of the machine


def test_inputs_are_those_of_the_archive_for_any_number_of_rows(trees):
    inputs = onnx.load(trees[0] / onnx_runtime.MODEL).graph.input
    described = {
        value.name: [size.dim_param or size.dim_value for size in value.type.tensor_type.shape.dim] for value in inputs
    }
    assert described == {"inputs_0": ["rows", 3], "inputs_1": ["rows", 1]}


def test_the_same_program_gives_the_same_bytes(trees):
    content = (trees[0] / archive.MODEL).read_bytes()
    again = onnx_graph.translate(runtime.decode(*archive.read(content)))
    assert again == (trees[0] / onnx_runtime.MODEL).read_bytes()


def test_operands_without_a_translation_are_named():
    step = runtime.Step("torch.ops.aten.searchsorted.Tensor", ("rows", "rows"), {}, "place")
    rows = {"dtype": 8, "sizes": [{"as_expr": "s0"}]}
    program = runtime.Program(("rows",), {}, (step,), "place", {"rows": rows, "place": rows | {"dtype": 5}})
    with pytest.raises(ValueError, match=r"searchsorted\.Tensor has no translation to ONNX .* along its rows"):
        onnx_graph.translate(program)
