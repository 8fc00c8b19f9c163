"""The model card says of comparisons no more than their rows can show."""

from __future__ import annotations

from steps.cards.modelcard import _comparison


def test_a_comparison_without_a_difference_or_an_interval_is_not_called_a_verdict():
    found = {"metric": "roc_auc", "better": "neither", "difference": dict.fromkeys(("value", "low", "high"))}
    assert _comparison("linear", found).startswith("It cannot be compared with linear: the difference in roc_auc")
    found = {**found, "difference": {"value": 0.1, "low": None, "high": None}}
    assert _comparison("linear", found).startswith("Beside linear: difference in roc_auc 0.1, without an interval")
    found = {**found, "difference": {"value": 0.1, "low": -0.1, "high": 0.3}}
    assert _comparison("linear", found).startswith("Neither better nor worse than linear")
