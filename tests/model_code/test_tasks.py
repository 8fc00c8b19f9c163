"""Tasks: what each can have as its target, that scaling can be undone, and that nobody else asks which task it is."""

import ast
import datetime as dt
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model_code import tasks
from model_code.tasks import heads, labels

ROOT = Path(__file__).parents[2]


def fitting(values):
    """The tasks that can have these values as their target, in the order in which they are tried."""
    raw, names = pl.Series("y", values, strict=False), []
    for name in tasks.names():
        reader = labels.get(name)
        try:
            reader.count(reader.read(raw), raw)
        except labels.Unfit:
            continue
        names.append(name.partition("-")[0])
    return names


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["yes", "no"] * 20, ["binary"]),
        ([True, False] * 20, ["binary"]),
        ([0, 1] * 20, ["binary", "regression"]),
        ([0, 1, 2] * 20, ["regression", "multiclass"]),
        (["a", "b", " c ", "c"] * 20, ["multiclass"]),
        ([i / 3 for i in range(60)], ["regression"]),
        ([f"id{i}" for i in range(60)], []),
        ([1.5, float("inf"), 3.0] * 20, ["multiclass"]),
        ([dt.date(2020, 1, 1 + i % 28) for i in range(28)], []),
    ],
)
def test_a_target_fits_the_tasks_that_can_have_it(values, expected):
    assert fitting(values) == expected


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=2, max_size=30))
def test_a_standardised_target_comes_back_in_its_own_units(values):
    truth = np.array(values)
    head = heads.create("regression", truth, ())
    if head.spread > 1e-3:
        back = head(head.target(truth).reshape(-1, 1, 1)).numpy()
        assert np.allclose(
            back, truth, atol=1e-5 * (abs(float(head.centre)) + float(head.spread) + np.abs(truth).max())
        )


@pytest.mark.parametrize(("name", "width"), [("binary-classification", 1), ("multiclass-classification", 2)])
def test_probabilities_add_up_to_one_and_are_averaged_over_the_members(name, width):
    head = heads.create(name, np.array([0, 1]), ["a", "b"])
    raw = torch.randn(5, 3, width)
    prediction = head(raw)
    assert head.width == width
    assert prediction.shape == (5, 2)
    assert torch.allclose(prediction.sum(dim=1), torch.ones(5, dtype=torch.float64))
    assert torch.allclose(prediction, torch.stack([head(raw[:, [i]]) for i in range(3)]).mean(dim=0))


def test_truth_is_an_index_or_a_finite_number_and_else_missing():
    classes = labels.get("multiclass-classification").truth(pl.Series(["b", "x", None, "a"]), ["a", "b"])
    assert classes.to_list() == [1, None, None, 0]
    numbers = labels.get("regression").truth(pl.Series([1.0, float("nan"), float("inf"), None]), [])
    assert numbers.to_list() == [1.0, None, None, None]


def test_nothing_outside_of_the_tasks_asks_which_task_it_is():
    """No module names a task: what differs between them is said by the task's own object."""
    asking = []
    for layer in ("pipelines", "infra", "steps", "model_code"):
        for path in (ROOT / layer).rglob("*.py"):
            if path.parent.name == "tasks":
                continue
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                is_name = isinstance(node, ast.Constant) and node.value in tasks.names()
                if is_name or (isinstance(node, ast.Attribute) and node.attr == "is_classification"):
                    asking.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert asking == []
