"""Figures: small, and with words for those who do not see them."""

from __future__ import annotations

import re

from reported import documents, evaluation, make_run

from pipelines.pages.report.gather import gather
from pipelines.pages.report.page import render


def test_every_figure_is_small_and_has_words_for_those_who_do_not_see_it(workspace):
    residuals = {
        "quantiles": {"0.5": 0.0},
        "histogram": {"edges": [float(i) for i in range(31)], "counts": list(range(30))},
        "predicted_vs_actual": {
            "edges_predicted": [float(i) for i in range(21)],
            "edges_actual": [2.0 * i for i in range(21)],
            "counts": [[i * j for i in range(20)] for j in range(20)],
        },
    }
    html = render(
        gather(
            workspace,
            make_run(
                workspace, files=documents(**{"evaluate/evaluation/evaluation.json": evaluation(residuals=residuals)})
            ),
        )
    )
    figures = re.findall(r'<svg [^>]*role="img".*?</svg>', html, flags=re.DOTALL)
    assert len(figures) == 5
    for figure in figures:
        assert len(figure) < 60_000
        title, description = re.search(
            r"<title id=\"(\w+)\">[^<]+</title><desc id=\"(\w+)\">[^<]+</desc>", figure
        ).groups()
        assert f'aria-labelledby="{title} {description}"' in figure
    identifiers = re.findall(r' id="([^"]+)"', html)
    shared = {name for name in identifiers if identifiers.count(name) > 1}
    assert not shared - set(re.findall(r' id="(f\w+)"', html))
