"""Figures: small, and with words for those who do not see them."""

from __future__ import annotations

import re
from base64 import b64decode

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
    figures = re.findall(r'<img class="figure" alt="([^"]+)" src="data:image/svg\+xml;base64,([^"]+)">', html)
    assert len(figures) == 5
    for description, image in figures:
        assert len(description) > len("Calibration. ")
        assert len(image) < 60_000
        assert b64decode(image).endswith(b"</svg>\n")
