"""Tasks: what each can have as its target, that scaling can be undone, and that nobody else asks which task it is."""

import ast
import datetime as dt
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_code import tasks
from model_code.tasks import Unfit

ROOT = Path(__file__).parents[2]


def fitting(values):
    """The tasks that can have these values as their target, in the order in which they are tried."""
    raw, found = pl.Series("y", values, strict=False), []
    for name in tasks.names():
        task = tasks.get(name)
        try:
            task.check(task.labels(raw), raw)
        except Unfit:
            continue
        found.append(name.partition("-")[0])
    return found


@pytest.mark.parametrize(
    ("values", "wanted"),
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
def test_a_target_fits_the_tasks_that_can_have_it(values, wanted):
    assert fitting(values) == wanted


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=2, max_size=30))
def test_what_was_scaled_for_a_network_comes_back_in_its_own_units(values):
    task = tasks.get("regression")
    truth = np.array(values)
    centre, spread = task.scale(truth)
    if spread > 1e-3:
        back = task.unscaled(task.scaled(truth, centre, spread).astype(np.float64), centre, spread)
        assert np.allclose(back, truth, atol=1e-5 * (abs(centre) + spread) + 1e-5 * np.abs(truth).max())


@pytest.mark.parametrize("name", ["binary-classification", "multiclass-classification"])
def test_classes_are_not_scaled_and_a_constant_says_their_shares(name):
    task, truth = tasks.get(name), np.array([0, 1, 1, 1])
    assert task.scaled(truth, *task.scale(truth)) is truth
    assert task.constant(truth, ["a", "b"]).tolist() == [0.25, 0.75]


def test_truth_is_an_index_or_a_finite_number_and_else_missing():
    classes = tasks.get("multiclass-classification").truth(pl.Series(["b", "x", None, "a"]), ["a", "b"])
    assert classes.to_list() == [1, None, None, 0]
    numbers = tasks.get("regression").truth(pl.Series([1.0, float("nan"), float("inf"), None]), [])
    assert numbers.to_list() == [1.0, None, None, None]


def test_nothing_outside_of_the_tasks_asks_which_task_it_is():
    """No module names a task: what differs between them is said by the task's own object."""
    asking = []
    for layer in ("pipelines", "infra", "steps", "model_code"):
        for path in (ROOT / layer).rglob("*.py"):
            if path.parent.name == "tasks":
                continue
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                named = isinstance(node, ast.Constant) and node.value in tasks.names()
                if named or (isinstance(node, ast.Attribute) and node.attr == "is_classification"):
                    asking.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert asking == []
