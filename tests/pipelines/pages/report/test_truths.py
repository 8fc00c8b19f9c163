"""Statements of the report that were once untrue, each on the page."""

from __future__ import annotations

import re

import pytest
from page_numbers import unsourced
from reported import EVALUATION, PROBLEM, Page, documents, estimate, evaluation, make_run, page_of, text_of

from pipelines.pages.report.gather import gather
from pipelines.pages.report.page import render

SPLIT, LABELED = "split/division/split.json", "label/labeled/schema.json"


def judged(**changes):
    return documents(**{EVALUATION: evaluation(**changes)})


def test_of_numbers_the_means_in_both_parts_are_shown_and_not_shares_of_classes(workspace):
    files = documents()
    files[SPLIT] |= {"balance": [{"class": None, "train": 151.82, "test": 153.5, "standard_errors": -0.2}]}
    files["label/labeled/labels.json"] |= {"task": "regression", "target": "progression", "classes": []}
    text = page_of(workspace, files=files)
    assert "mean of progression151.82153.50.2" in text
    assert "%" not in text[text.index("Target in the two parts") : text.index("Chosen: ")]
    assert "Standard errors apart" in text


def test_of_classes_the_shares_are_shown(workspace):
    assert "Target in the two parts" in (text := page_of(workspace))
    assert "late24 %22 %" in text


def test_columns_whose_names_begin_with_an_underscore_are_listed_and_counted(workspace):
    files = documents()
    columns = [
        {"name": name, "type": "float", "role": "feature", "available": "at-prediction", "timezone": None, "missing": 0}
        for name in ("_id", "_price", "__proto__", "_")
    ]
    for path in ("ingest/table/schema.json", LABELED):
        files[path] |= {"columns": [*files[path]["columns"], *columns]}
    text = page_of(workspace, files=files)
    for column in columns:
        assert f"{column['name']}float, feature" in text
    assert "8columns, 6 of them used" in text, "all but the row number"
    assert "_row" not in text


BETTER = {"metric": "accuracy", "difference": estimate(-0.079, 0.01), "better": "hist_gradient_boosting"}
TIED = {"metric": "roc_auc", "difference": estimate(0.001, 0.01), "better": "neither"}
LOWER = {"metric": "rmse", "difference": estimate(3.25, 0.5), "better": "linear"}


@pytest.mark.parametrize(
    ("task", "comparisons", "clause"),
    [
        ("multiclass-classification", {"hist_gradient_boosting": BETTER},
         "gradient boosting does better (+7.9 points of accuracy)"),
        ("binary-classification", {"champion": TIED}, "it is no better than the current champion"),
        ("regression", {"linear": LOWER}, "the linear model does better (RMSE \N{MINUS SIGN}3.2)"),
        ("binary-classification", {"linear": TIED}, "it is not clearly better than the linear model, which is simpler"),
        ("binary-classification", {"hist_gradient_boosting": TIED}, ""),
        ("binary-classification", {"champion": {**TIED, "outcome": "not worse", "margin": 0.01}},
         "it is not worse than the current champion, but not clearly better either"),
        ("binary-classification", {"champion": {**TIED, "outcome": "cannot tell", "rows_to_decide": 9000}},
         "it is not clearly better than the current champion (about 9,000 test rows would tell)"),
    ],
)  # fmt: skip
def test_a_pass_says_at_once_who_does_better(workspace, task, comparisons, clause):
    metrics = {comparison["metric"]: estimate(0.8) for comparison in comparisons.values()}
    headline = next(iter(metrics))
    rivals = {"yardsticks": {}, "champion": None, "slices": {}}
    files = judged(task=task, headline=headline, metrics=metrics, comparisons=comparisons, **rivals)
    text = page_of(workspace, files=files)
    assert (f"Pass, but {clause}: the model kept both promises" in text) is bool(clause)
    assert (f"Consider before approving it: {clause}." in text) is bool(clause)
    assert ("Pass: the model kept both promises" in text) is not bool(clause)


def test_a_report_begins_with_what_nobody_has_written_yet(workspace):
    todo = {"decision": "to be written: the decision", "owner": "To be written: the role"}
    text = page_of(workspace, problem={**PROBLEM, **todo})
    box = "Nobody answers for this run yet. Still to be written in the problem file: decision and owner."
    assert text.index(box) < text.index("Pass, but nobody answers for it yet: the model kept both", 200)
    assert "Pass: the model" not in text
    assert "Write the decision and owner of the problem, then run it again" in text
    assert "fourscore approve" not in text
    assert "Registered as a candidate" not in text
    assert "Nobody answers" not in page_of(workspace, run="answered")


def test_axes_end_where_the_metric_ends_and_a_constant_prediction_does_not_stretch_them(workspace):
    near_one = {name: {"roc_auc": estimate(value, 0.009)} for name, value in (("linear", 0.985), ("champion", 0.99))}
    files = judged(
        metrics={"roc_auc": estimate(0.991, 0.009)},
        yardsticks={"constant": {"roc_auc": estimate(0.5, 0)}, "linear": near_one["linear"]},
        champion={"metrics": near_one["champion"]},
        thresholds=[],
        slices={},
    )
    html = render(gather(workspace, make_run(workspace, files=files)))
    low, high = re.search(r'class="ends"><span>([\d.]+)</span><span>.*?</span><span>([\d.]+)</span>', html).groups()
    assert float(high) == 1
    assert 0.97 < float(low) < 0.976
    assert "A constant prediction lies outside the scale." in text_of(html)
    bars = [attributes for tag, attributes in Page(html).tags if tag == "circle" and attributes.get("class") == "dot"]
    assert len(bars) >= 3


@pytest.fixture
def carriers():
    """One carrier of few rows far below the rest but perhaps by chance, one of many rows that is worse beyond chance."""
    segments = [
        {
            "value": name,
            "rows": rows,
            "small": False,
            "metrics": {"roc_auc": {"value": value, "low": low, "high": high}},
        }
        for name, rows, value, low, high in (
            ("HA", 61, 0.467, 0.197, 0.708),
            ("UA", 11_646, 0.641, 0.595, 0.681),
            ("YV", 900, 0.61, 0.58, 0.66),
            ("DL", 9_000, 0.72, 0.70, 0.74),
        )
    ]
    return {"carrier": segments}


def test_a_segment_is_a_headline_only_where_it_is_worse_beyond_chance_and_by_its_rows(workspace, carriers):
    text = page_of(workspace, files=judged(slices=carriers))
    card = "weakest segment: carrier = UA0.64111,646 rows (18 %), 95 % interval 0.595 to 0.681"
    assert card in text
    table = text[text.index("Where the model is weakest") :]
    assert "2 segments are weaker beyond chance and come first" in table
    order = [table.index(f"carrier = {name}") for name in ("UA", "YV", "HA", "DL")]
    assert order == sorted(order)
    alone = {"carrier": [segment for segment in carriers["carrier"] if segment["value"] in ("HA", "DL")]}
    text = page_of(workspace, run="chance", files=judged(slices=alone))
    assert "weakest segment:" not in text
    assert "None is weaker beyond chance; the weakest come first." in text


def test_segments_by_a_feature_are_said_to_be(workspace, carriers):
    note = "is a feature of the model: within one of its segments the model gains nothing from it"
    assert note not in page_of(workspace, files=judged(slices=carriers))
    text = page_of(workspace, run="feature", files=judged(slices={"origin": carriers["carrier"]}))
    assert f"origin {note}" in text
    assert "origin is a feature of the model0" not in text
    assert "95 % interval 0.595 to 0.681; origin is a feature of the model" in text


def test_several_classes_are_shown_one_by_one_with_what_a_person_must_see(workspace):
    scores = {"precision": estimate(0.9), "recall": estimate(0.62, 0.04), "f1": estimate(0.74)}
    classes = [{"name": name, "rows": 120, "predicted": 91, **scores} for name in ("<b>oak</b>", "elm", "ash")]
    points = [{"threshold": 0.3, "abstained": 0.0, "accuracy": estimate(0.81)}]
    points += [{"level": 0.95, "threshold": 0.711, "abstained": 0.1234, "accuracy": estimate(0.951)}]
    names = [entry["name"] for entry in classes]
    files = judged(
        task="multiclass-classification", headline="accuracy", metrics={"accuracy": estimate(0.81)}, classes=names,
        per_class=classes, class_averages={"macro": scores, "weighted": scores}, abstention=points,
        confusion=[[9, 1, 1]] * 3, yardsticks={}, champion=None, comparisons={}, slices={},
    )  # fmt: skip
    facts = gather(workspace, make_run(workspace, files=files))
    text = text_of(html := render(facts))
    assert "<b>oak</b>12091" in text
    assert "Recall is lowest for <b>oak</b> (0.620 (0.580 to 0.660)), ash (" in text
    assert "To be right on 95 % of the rows that it decides, the model leaves 12.3 % of all rows to a person" in text
    strangers = " ".join(unsourced(html, facts)[1])
    assert not any(words in strangers for words in ("oak", "to a person", "mean of the classes"))
