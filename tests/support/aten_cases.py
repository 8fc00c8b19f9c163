"""Calls of each operator that exported graphs may have, on ordinary and on hard operands, and what torch answers."""

import numpy as np
import torch

CHANCE = np.random.default_rng(0)
A, B = (CHANCE.normal(size=(3, 4)).astype(np.float32) * 3 for _ in range(2))
HARD = np.array([[np.nan, np.inf, -np.inf, 0.0], [-0.0, 1e30, -1e30, 1e-30]])
WIDE = CHANCE.normal(size=(2, 3, 4))
WHOLE = CHANCE.integers(-9, 9, (3, 4))
SMALL = WHOLE.astype(np.int32)
MASK = CHANCE.random((3, 4)) < 0.5
NUMBER = np.array(2.5)
PLACES = np.array([[0, 2, 1, 1], [2, 2, 0, 1]])
ROW = PLACES[0]
KNOTS = np.sort(CHANCE.normal(size=(3, 9)))
NONE = np.zeros((0, 4), np.float32)


def call(*arguments, **keywords):
    return arguments, keywords


CASES = {
    "_assert_tensor_metadata.default": [call(A, dtype=torch.float32)],
    "add.Scalar": [call(WHOLE, 1.5)],
    "add.Tensor": [
        call(A, B),
        call(A, WIDE),
        call(WHOLE, A),
        call(A, NUMBER),
        call(SMALL, 1),
        call(MASK, MASK),
        call(MASK, 2),
    ],
    "baddbmm.default": [call(WIDE[:, :1, :3], WIDE.swapaxes(1, 2), WIDE[:, :, :3])],
    "bitwise_not.default": [call(MASK), call(WHOLE)],
    "bmm.default": [call(WIDE, WIDE.swapaxes(1, 2))],
    "cat.default": [call([A, B], 1), call([A, WHOLE]), call([A, NONE])],
    "clamp.Tensor": [call(A, B, B + 1), call(HARD, None, HARD[0])],
    "clamp.default": [call(A, -1, 1), call(HARD, None, 2.5), call(WHOLE, 0.5), call(WHOLE, -1)],
    "contiguous.default": [call(A.T), call(NUMBER)],
    "cos.default": [call(A), call(WHOLE)],
    "detach_.default": [call(A)],
    "div.Tensor": [call(A, B), call(WHOLE, 7), call(HARD, HARD[::-1].copy()), call(SMALL, WIDE)],
    "embedding.default": [call(A, PLACES), call(A, PLACES, 1)],
    "exp.default": [call(A), call(HARD)],
    "expand.default": [call(A, [2, -1, 4]), call(A[:1], [5, -1])],
    "flatten.using_ints": [call(WIDE, 1), call(WIDE), call(WIDE, 0, 1)],
    "gather.default": [call(A, 1, PLACES), call(A, 0, PLACES), call(WIDE, -1, PLACES[:, :3, None])],
    "index.Tensor": [call(A, [PLACES]), call(A, [None, ROW]), call(WIDE, [None, None, PLACES])],
    "index_select.default": [call(A, 0, ROW), call(WIDE, -1, ROW)],
    "isfinite.default": [call(HARD), call(WHOLE)],
    "isnan.default": [call(HARD), call(WHOLE)],
    "lift_fresh_copy.default": [call(NUMBER)],
    "linear.default": [call(A, B), call(A, B, B[:, 0]), call(WIDE, WIDE[0])],
    "log.default": [call(A), call(HARD), call(WHOLE)],
    "lt.Tensor": [call(A, B), call(WHOLE, NUMBER), call(HARD, HARD[::-1].copy())],
    "matmul.default": [call(WIDE, WIDE[0].T), call(A, B[0])],
    "mean.dim": [call(WIDE, [1]), call(A, [0, 1], True), call(A, None)],
    "mul.Scalar": [call(WHOLE, 2)],
    "mul.Tensor": [call(A, B), call(A, 0.1), call(MASK, A), call(HARD, 0), call(WHOLE, NUMBER)],
    "nan_to_num.default": [call(HARD), call(HARD, 1.0, 2.0, 3.0), call(HARD.astype(np.float32))],
    "relu.default": [call(HARD), call(WHOLE)],
    "remainder.Scalar": [call(WIDE, 0.7), call(WHOLE, -4), call(HARD, 2.0), call(A, 3)],
    "rsub.Scalar": [call(A, 1), call(WHOLE, 0.5)],
    "searchsorted.Tensor": [
        call(KNOTS, KNOTS[:, ::2].copy(), right=True),
        call(KNOTS[0], WIDE),
        call(KNOTS, np.zeros((3, 0))),
        call(KNOTS[:2], HARD),
    ],
    "select.int": [call(WIDE, 2, 0), call(WIDE, -2, -1)],
    "sigmoid.default": [call(A), call(HARD), call(WHOLE * 50)],
    "sin.default": [call(WIDE)],
    "slice.Tensor": [call(WIDE, 1, 1, 2**63 - 1), call(A), call(A, -1, -3, None, 2), call(A, 0, 9, 1)],
    "softmax.int": [call(A, -1), call(HARD, 1), call(WIDE * 400, 1), call(WHOLE, 0, torch.float64)],
    "squeeze.dim": [call(A[:1], 0), call(A, 0), call(A[:, :1], -1)],
    "stack.default": [call([A, B]), call([A, B], -1), call([WHOLE, A], 1)],
    "sub.Tensor": [call(A, B), call(WHOLE, 1), call(HARD, HARD)],
    "sum.dim_IntList": [call(WIDE, [1]), call(SMALL, [0], True), call(MASK, [1]), call(A, None), call(A, [])],
    "t.default": [call(A), call(ROW)],
    "tanh.default": [call(HARD)],
    "to.dtype": [call(A, torch.float64), call(MASK, torch.float32), call(WHOLE, torch.bool), call(A, torch.int64)],
    "transpose.int": [call(WIDE, 0, 1), call(WIDE, -1, 0)],
    "unsqueeze.default": [call(A, -1), call(A, 1)],
    "view.default": [call(A, [2, -1]), call(WIDE, [24])],
    "where.ScalarOther": [call(MASK, WHOLE, -1), call(MASK, WHOLE, 0.5)],
    "where.ScalarSelf": [call(MASK, 0.0, A), call(MASK, 0.0, WIDE)],
    "where.self": [call(MASK, A, B), call(MASK, WHOLE, A), call(MASK, NUMBER, A)],
}
NUMBERS = {torch.bool: 12, torch.int64: 5, torch.float32: 7, torch.float64: 8}


def as_torch(value):
    if isinstance(value, list):
        return [as_torch(item) for item in value]
    return torch.from_numpy(value) if isinstance(value, np.ndarray) else value


def as_graph(value):
    return NUMBERS[value] if isinstance(value, torch.dtype) else value


def answer_of_torch(name, arguments, keywords):
    """Return torch's answer as an array, None where the operator only checks."""
    packet, overload = name.split(".")
    answer = getattr(getattr(torch.ops.aten, packet), overload)(*map(as_torch, arguments), **keywords)
    return answer if answer is None else answer.numpy()


def assert_equal(result, expected):
    assert (result.dtype, result.shape) == (expected.dtype, expected.shape)
    assert np.allclose(result, expected, rtol=1e-6, atol=1e-6, equal_nan=True)
