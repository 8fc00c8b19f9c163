"""Figures: small, in the colours of the page, with round ticks, and with words for those who do not see them."""

from __future__ import annotations

import re
from datetime import datetime

import pytest
from reported import EVALUATION, RESIDUALS, curves_of, documents, evaluation, make_run, text_of

from pipelines.pages.report.figures import Axis, Dates, curves
from pipelines.pages.report.gather import gather
from pipelines.pages.report.page import render


def test_every_figure_is_small_and_has_words_for_those_who_do_not_see_it(workspace):
    files = documents(**{EVALUATION: evaluation(residuals=RESIDUALS)})
    html = render(gather(workspace, make_run(workspace, files=files)))
    figures = re.findall(r'<svg class="plot \w*" role="img" aria-label="([^"]+)".*?</svg>', html, re.DOTALL)
    assert len(figures) == 5
    for description in figures:
        assert len(description) > len("Calibration. ")
    assert max(map(len, re.findall(r'<svg class="plot.*?</svg>', html, re.DOTALL))) < 20_000
    assert "#" not in re.search(r'<svg class="plot.*?</svg>', html, re.DOTALL)[0], (
        "colours are those of the style sheet"
    )


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        (0, 1, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        (-2_600, 1_900, ["\N{MINUS SIGN}2,000", "\N{MINUS SIGN}1,000", "0", "1,000"]),
        (0.4871, 0.5012, ["0.490", "0.495", "0.500"]),
        (1e9, 3e9, ["1e+09", "1.5e+09", "2e+09", "2.5e+09", "3e+09"]),
    ],
)
def test_ticks_are_round_numbers_with_as_many_decimals_as_tell_them_apart(low, high, labels):
    axis = Axis(low, high, 0, 100)
    assert [axis.label(tick) for tick in axis.ticks()] == labels


def test_curves_side_by_side_have_the_same_scale():
    ends = (0.2, 0.9)
    high, low = (curves("Loss", [("rows", [1, 2], ys)], "epoch", "loss", ends=ends) for ys in ((0.9, 0.8), (0.3, 0.2)))
    labels = [re.findall(r'text-anchor="end">([^<]+)<', plot) for plot in (high, low)]
    assert labels[0] == labels[1]


def test_values_that_are_all_the_same_are_drawn():
    assert "polyline" in curves("Loss", [("rows", [1, 2, 3], [0.5, 0.5, 0.5])], "epoch", "loss")


@pytest.mark.parametrize(
    ("first", "last", "labels"),
    [
        ("2013-10-14", "2013-12-31", ["2013-11", "2013-12"]),
        ("2013-01-01", "2013-12-31", ["2013-01", "2013-03", "2013-05", "2013-07", "2013-09", "2013-11"]),
        ("2013-05-02", "2013-05-09", ["05-02", "05-04", "05-06", "05-08"]),
        ("1995-06-01", "2020-06-01", ["2000", "2005", "2010", "2015", "2020"]),
    ],
)
def test_ticks_of_dates_are_beginnings_of_days_months_or_years(first, last, labels):
    axis = Dates(*(datetime.fromisoformat(f"{day}T00:00+00:00").timestamp() for day in (first, last)), 0, 100)
    assert [axis.label(tick) for tick in axis.ticks()] == labels


def test_the_ranking_of_two_classes_is_drawn_with_the_point_where_the_model_acts(workspace):
    scores = {
        name: {"value": value, "low": value, "high": value} for name, value in (("recall", 0.6), ("specificity", 0.8))
    }
    judged = evaluation(**curves_of(("on time", "late")))
    files = documents(**{EVALUATION: {**judged, "metrics": {**judged["metrics"], **scores}}})
    html = render(gather(workspace, make_run(workspace, files=files)))
    [roc] = re.findall(r'<svg[^>]*aria-label="ROC curve.*?</svg>', html, re.DOTALL)
    assert roc.count("<circle") == 1
    assert "Area under the curve: " in (text := text_of(html))
    assert "The first 10 % hold" in text
    assert "by on time; each point stands for 30 rows or more" in text
    assert len(html.encode()) < 300_000
