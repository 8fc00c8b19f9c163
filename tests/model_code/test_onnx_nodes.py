"""Translations of operators to ONNX: onnxruntime answers as torch does, in value, type and shape, on hard operands too."""

import numpy as np
import onnxruntime
import pytest
from aten_cases import CASES, answer_of_torch, as_graph, assert_equal
from onnx import checker, helper

from model_code.onnx_nodes import TRANSLATIONS, Nodes, Value
from model_code.operators import OPERATORS

ALL = [(name, case) for name in CASES for case in CASES[name]]


def described(name, array):
    kind = helper.np_dtype_to_tensor_dtype(array.dtype)
    return helper.make_tensor_value_info(name, kind, [None] * array.ndim)


def answer_of_onnxruntime(name, arguments, keywords, expected):
    feeds, nodes = {}, Nodes()

    def value(item):
        if isinstance(item, list) and any(isinstance(part, np.ndarray) for part in item):
            return [value(part) for part in item]
        if not isinstance(item, np.ndarray):
            return as_graph(item)
        feeds[f"x{len(feeds)}"] = item
        return Value(f"x{len(feeds) - 1}", item.dtype, item.shape)

    arguments = [value(argument) for argument in arguments]
    keywords = {key: value(argument) for key, argument in keywords.items()}
    result = TRANSLATIONS[f"torch.ops.aten.{name}"](nodes, *arguments, **keywords)
    nodes.nodes.append(helper.make_node("Identity", [result], ["y"]))
    inputs = [described(*feed) for feed in feeds.items()]
    graph = helper.make_graph(nodes.nodes, "one", inputs, [described("y", expected)], nodes.constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    checker.check_model(model, full_check=True)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # of graphs without inputs' sizes there are warnings
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, feeds)[0]


@pytest.mark.parametrize(("name", "case"), ALL)
def test_a_translated_operator_answers_as_torch_does(name, case):
    expected = answer_of_torch(name, *case)
    if expected is not None:
        assert_equal(answer_of_onnxruntime(name, *case, expected), expected)


def test_every_operator_that_is_served_has_a_translation():
    assert TRANSLATIONS.keys() == OPERATORS.keys()
