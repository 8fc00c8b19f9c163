"""onnxruntime as the second runtime: what it refuses is an error of the caller, in a sentence."""

import numpy as np
import onnx
import pytest
from onnx import helper

from model_code import onnx_runtime


def write_sum(folder, *, weights=None):
    kind = onnx.TensorProto.DOUBLE
    rows = [helper.make_tensor_value_info(name, kind, ["rows", 2]) for name in ("x", "y")]
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "weights"], ["y"])], "sum", rows[:1], rows[1:], [weights or _tensor([1.0, 2.0])]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    (folder / onnx_runtime.MODEL).write_bytes(model.SerializeToString())
    return folder / onnx_runtime.MODEL


def _tensor(values):
    return onnx.numpy_helper.from_array(np.array(values), "weights")


def test_a_graph_answers_arrays_with_an_array(tmp_path):
    graph = onnx_runtime.load(write_sum(tmp_path))
    assert graph(np.zeros((3, 2))).tolist() == [[1.0, 2.0]] * 3
    assert graph(np.zeros((0, 2))).shape == (0, 2)


def test_inputs_of_another_model_are_refused(tmp_path):
    graph = onnx_runtime.load(write_sum(tmp_path))
    for inputs in [(np.zeros((3, 3)),), (np.zeros((3, 2), np.float32),), (), (np.zeros((3, 2)),) * 2]:
        with pytest.raises(ValueError, match=r"model\.onnx does not run on these inputs"):
            graph(*inputs)


def test_a_file_that_is_no_model_is_refused(tmp_path):
    (tmp_path / onnx_runtime.MODEL).write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"model\.onnx: onnxruntime does not read it"):
        onnx_runtime.load(tmp_path / onnx_runtime.MODEL)


@pytest.mark.parametrize("relative", [True, False])
def test_weights_in_another_file_are_refused(tmp_path, monkeypatch, relative):
    monkeypatch.chdir(tmp_path)
    place = tmp_path / "weights"
    place.write_bytes(np.zeros(2).tobytes())
    tensor = _tensor([1.0, 2.0])
    onnx.external_data_helper.set_external_data(tensor, place.name if relative else str(place), offset=0, length=16)
    tensor.ClearField("raw_data")
    with pytest.raises(ValueError, match="onnxruntime does not read it"):
        onnx_runtime.load(write_sum(tmp_path, weights=tensor))


def test_a_model_without_the_file_has_the_other_runtime(tmp_path):
    assert not onnx_runtime.is_possible(tmp_path)
    write_sum(tmp_path)
    assert onnx_runtime.is_possible(tmp_path)
