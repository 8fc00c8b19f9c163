"""Operators: each answers as torch does, in value, type and shape, on ordinary and on hard operands."""

import numpy as np
import pytest
import torch
from aten_cases import CASES, PLACES, ROW, A, answer_of_torch, as_graph, assert_equal

from model_code.archive_grammar import NODE
from model_code.operators import DTYPES, OPERATORS


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(("name", "case"), [(name, case) for name in CASES for case in CASES[name]])
def test_an_operator_answers_as_torch_does(name, case):
    arguments, keywords = case
    expected = answer_of_torch(name, arguments, keywords)
    result = OPERATORS[f"torch.ops.aten.{name}"](
        *map(as_graph, arguments), **{k: as_graph(v) for k, v in keywords.items()}
    )
    if expected is None:
        return
    assert_equal(np.asarray(result), expected)


def test_every_operator_of_the_grammar_is_compared_with_torch():
    assert NODE["target"] == OPERATORS.keys() == {f"torch.ops.aten.{name}" for name in CASES}


def test_the_types_of_tensors_are_those_of_torch():
    for number, dtype in DTYPES.items():
        assert torch.zeros(1, dtype=getattr(torch, dtype.name)).numpy().dtype == dtype, number


@pytest.mark.parametrize("name", ["embedding", "gather", "index_select"])
def test_a_negative_index_is_refused_as_torch_does(name):
    arguments = {"embedding": (A, PLACES - 1)}.get(name, (A, 0, ROW - 1))
    with pytest.raises(IndexError, match="index -1 is negative"):
        OPERATORS[f"torch.ops.aten.{name}.default"](*arguments)


def test_a_slice_cannot_go_backwards_and_a_type_must_be_that_of_the_graph():
    with pytest.raises(ValueError, match="step -1 is not positive"):
        OPERATORS["torch.ops.aten.slice.Tensor"](A, 0, None, None, -1)
    with pytest.raises(TypeError, match="float32 values where the graph has float64"):
        OPERATORS["torch.ops.aten._assert_tensor_metadata.default"](A, dtype=8)


@pytest.mark.parametrize("indices", [[A > 0], [ROW[:3], ROW[:3]]], ids=["mask", "two axes"])
def test_only_one_axis_is_looked_up_by_whole_numbers(indices):
    with pytest.raises(ValueError, match="by one index of whole numbers"):
        OPERATORS["torch.ops.aten.index.Tensor"](A, indices)
