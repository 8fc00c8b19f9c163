"""Sentences about an evaluation: no more than its rows can show."""

from __future__ import annotations

import pytest

from steps.evaluation.document import Comparison, Estimate, Evaluation, SliceResult, ThresholdResult
from steps.evaluation.sentences import (
    comparison_sentence,
    description,
    is_clearly_weaker,
    judged_on,
    limits,
    promise_kept,
    requirement,
    reservations,
    weakest,
)


def threshold(**changes):
    fields = {"metric": "rmse", "wanted": "rmse <= 2 (95 % bound)", "at_most": 2, "met": True, **changes}
    return ThresholdResult(**fields)


def evaluation(**changes):
    estimate = Estimate(value=1.5, low=1.2, high=1.9)
    fields = {
        "task": "regression",
        "target": "y",
        "rows": 500,
        "verdict": "pass",
        "headline": "rmse",
        "metrics": {"rmse": estimate},
        "thresholds": [threshold()],
        "interval": {"method": "b", "level": 0.95, "resamples": 9, "seed": 0, "resampled": "rows", "drawn": 500},
        "data": {"train_rows": 1, "train_digest": "a", "test_rows": 500, "test_digest": "b"},
    }
    return Evaluation(**{**fields, **changes})


@pytest.mark.parametrize(
    ("better", "difference", "sentence"),
    [
        ("model", (0.1, 0.05, 0.15), "Better than the linear model: ROC AUC +0.10 (95 % interval +0.05 to +0.15)."),
        ("neither", (0.1, -0.1, 0.3), "No clear difference from the linear model: ROC AUC +0.10 (95 % interval"),
        ("neither", (0, 0, 0), "Identical to the linear model on these rows."),
        ("linear", (-0.1, -0.2, -0.05), "Worse than the linear model: ROC AUC \N{MINUS SIGN}0.10 (95 % interval"),
        ("neither", (0.1, None, None), "Compared with the linear model: ROC AUC +0.100, without an interval"),
        ("neither", (None, None, None), "Cannot be compared with the linear model: the difference in ROC AUC is"),
    ],
)
def test_a_comparison_says_no_more_than_its_interval_shows(better, difference, sentence):
    value, low, high = difference
    comparison = Comparison(metric="roc_auc", better=better, difference=Estimate(value=value, low=low, high=high))
    assert comparison_sentence("linear", comparison).startswith(sentence)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        (
            {"outcome": "not worse", "margin": 0.02},
            "Not worse than the current champion by more than 0.02: ROC AUC 0.000",
        ),
        (
            {"outcome": "cannot tell", "rows_to_decide": 4200},
            "; about 4,200 test rows would tell, if the difference stays.",
        ),
    ],
)
def test_where_nothing_is_clear_a_comparison_says_what_it_excludes_or_how_many_rows_would_tell(fields, sentence):
    difference = Estimate(value=0.0001, low=-0.01, high=0.01)
    text = comparison_sentence(
        "champion", Comparison(metric="roc_auc", better="neither", difference=difference, **fields)
    )
    assert sentence in text


def compared(**better):
    """An evaluation with a comparison for each name, and who is better in it."""
    pairs = {"model": 0.2, "neither": 0.0}
    return evaluation(
        comparisons={
            name: Comparison(
                metric="rmse",
                better=who,
                difference=Estimate(
                    value=pairs.get(who, -0.2), low=pairs.get(who, -0.2) - 0.1, high=pairs.get(who, -0.2) + 0.1
                ),
            )
            for name, who in better.items()
        }
    )


@pytest.mark.parametrize(
    ("better", "alternatives"),
    [
        ({"constant": "model", "linear": "model", "champion": "model"}, ()),
        ({"constant": "neither", "hist_gradient_boosting": "neither"}, ()),
        ({"hist_gradient_boosting": "hist_gradient_boosting"}, ("hist_gradient_boosting",)),
        ({"linear": "neither", "champion": "neither"}, ("linear", "champion")),
    ],
)
def test_a_pass_is_reserved_where_something_simpler_or_the_champion_does_as_well(better, alternatives):
    judged = compared(**better)
    assert judged.alternatives == alternatives
    assert judged.grade == ("reserved" if alternatives else "pass")
    assert len(reservations(judged)) == len(alternatives)
    assert description(judged).startswith("Pass, but " if alternatives else "RMSE 1.50")
    assert judged.model_copy(update={"verdict": "rejected"}).grade == "rejected"


@pytest.mark.parametrize(
    ("met", "sentence"),
    [
        ([True], "kept its promise"),
        ([True, True], "kept both promises"),
        ([True] * 3, "kept all 3 promises"),
        ([False], "did not keep its promise"),
        ([True, False, False], "did not keep 2 of 3 promises"),
    ],
)
def test_promises_are_counted_in_words(met, sentence):
    assert promise_kept(evaluation(thresholds=[threshold(met=one) for one in met])) == sentence


def test_a_promise_says_which_number_has_to_meet_it():
    assert (requirement(threshold()), judged_on(threshold())) == (
        "at most 2",
        "judged on the upper end of the 95 % interval",
    )
    assert judged_on(threshold(on="value")) == "judged on the estimate"
    assert requirement(threshold(at_most=None)) == "rmse <= 2 (95 % bound)"  # a document of an early version


def test_the_registry_gets_one_line():
    assert description(evaluation()) == "RMSE 1.50 (1.20 to 1.90) on 500 test rows; 1 of 1 promise kept"


def test_segments_are_ordered_by_the_direction_of_the_metric_and_small_ones_left_out():
    parts = [
        SliceResult(value=name, rows=90, small=name == "tiny", metrics={"rmse": Estimate(value=value)})
        for name, value in (("good", 1.0), ("bad", 3.0), ("tiny", 9.0))
    ]
    assert [part.value for _, part, _ in weakest(evaluation(slices={"region": parts}))] == ["bad", "good"]


def test_a_segment_that_is_weaker_only_by_itself_and_not_among_so_many_is_no_headline():
    parts = [
        SliceResult(
            value=name, rows=rows, small=False, weaker=weaker, metrics={"rmse": Estimate(value=3, low=2, high=4)}
        )
        for name, rows, weaker in (("big", 900, False), ("clear", 90, True), ("early", 95, None))
    ]
    judged = evaluation(slices={"region": parts})
    assert [is_clearly_weaker(judged, part) for part in parts] == [False, True, True]
    assert [part.value for _, part, _ in weakest(judged)] == ["early", "clear", "big"]


@pytest.mark.parametrize(
    ("headline", "value", "constant", "nearly"),
    [
        ("roc_auc", 0.996, 0.5, True),
        ("roc_auc", 0.97, 0.5, False),
        ("r2", 0.995, 0.0, True),
        ("r2", None, 0.0, False),
        ("accuracy", 0.995, 0.6, True),
        ("accuracy", 0.995, 0.99, False),  # a constant prediction is nearly as good
        ("rmse", 0.999, 3.0, False),
    ],
)
def test_a_model_that_is_nearly_perfect_says_so_as_its_first_limit(headline, value, constant, nearly):
    judged = evaluation(
        headline=headline,
        metrics={headline: Estimate(value=value)},
        yardsticks={"constant": {headline: Estimate(value=constant)}},
        rows=20,
    )
    assert judged.is_nearly_perfect() == nearly
    first = next(limits(judged.model_copy(update={"nearly_perfect": nearly})))
    assert first.startswith("The model is nearly perfect (") == nearly
