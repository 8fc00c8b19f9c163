"""The page of monitoring says the state first, is one file that loads nothing, and shows data as text."""

import re

import pytest
from browser import CHROMIUM, HAS_AXE, SCHEMES, audit

from pipelines.pages.monitoring.page import Facts, render
from steps.evaluation.document import Estimate, ThresholdResult
from steps.monitoring.document import (
    Baseline,
    Block,
    Comparison,
    Performance,
    PromiseInUse,
    Proposal,
    Reference,
    Series,
    Traffic,
    Window,
)
from steps.monitoring.judging import judge

HOSTILE = '<img src=x onerror=alert(1)>"&\u202e{{7*7}}'


def facts(column="income", effects=(0.0, 0.1, 0.6), outcome="kept"):
    promise = ThresholdResult(
        metric="roc_auc", wanted="roc_auc >= 0.8", at_least=0.8, value=0.9, low=0.88, high=0.92, met=True
    )
    p_values = tuple(1e-9 if effect > 0.3 else 1.0 for effect in effects)
    series = Series(
        measure="distribution",
        column=column,
        role="feature",
        margin=0.2,
        effects=effects,
        beyond=p_values,
        half=p_values,
    )
    windows = tuple(
        Window(start=f"2026-03-{day + 1:02}T00:00+00:00", rows=100 + day, requests=10, seconds=0.02)
        for day in range(len(effects))
    )
    comparison = Comparison(hours=24, windows=windows, series=(series,))
    block = Block(
        first="2026-03-01", last="2026-03-03", rows=300, promises=(PromiseInUse(promised=promise, result=promise, outcome=outcome),),
        metrics={"roc_auc": Estimate(value=0.9, low=0.88, high=0.92)},
    )  # fmt: skip
    return Facts(
        run="credit-monitoring-1",
        trained="credit-1",
        command="fourscore run problem.yaml",
        traffic=Traffic(
            files=1, requests=30, rows=300, unreadable={column: 3}, broken_lines=1, broken=(f"{column}:1: x",)
        ),
        baseline=Baseline(columns=(Reference(name=column, kind="number", rows=1000, counts=(500, 500), edges=(0.0,)),)),
        comparison=comparison,
        performance=Performance(labels=300, joined=300, blocks=(block, block), notes=("2 labels do not count",)),
        judgement=judge(comparison, 0.25),
        proposal=Proposal(
            retrain=True, columns=(column,), reasons=(f"Since then {column} differs.",), advice=("Look first.",)
        ),
    )


def test_the_state_comes_first_then_the_proposal_and_its_reasons():
    page = render(facts())
    text = re.sub(r"<[^>]+>", " ", page.partition("<main>")[2])
    order = [
        "Alarm: requests",
        "is distributed differently than in training",
        "Proposal: train again",
        "Promises in use",
        "Episodes",
        "Columns",
    ]
    places = [text.find(part) for part in order]
    assert -1 not in places
    assert places == sorted(places)
    assert "0.900 (0.880 to 0.920)" in text


@pytest.mark.parametrize("effects", [(), (None,), (0.0, None, 0.1)])
def test_pages_of_few_windows_are_complete(effects):
    quiet = facts(effects=tuple(effect or 0.0 for effect in effects))
    page = render(quiet)
    assert "Quiet: requests and answers look like training." in page
    assert page.rstrip().endswith("</html>")


def test_data_never_becomes_markup_and_nothing_is_loaded():
    page = render(facts(column=HOSTILE))
    assert "<img" not in page
    assert "{{7*7}}" in page
    assert "\u202e" not in page
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert "<script" not in page


@pytest.mark.skipif(not (CHROMIUM and HAS_AXE), reason="no chromium or no axe on this machine")
@pytest.mark.parametrize("scheme", [pytest.param(SCHEMES[0], marks=pytest.mark.slow), SCHEMES[1]])
def test_axe_finds_nothing_and_nothing_is_cut_off(tmp_path, scheme):
    pages = {
        "alarm": facts(),
        "quiet": facts(effects=(0.0, 0.1)),
        "hostile": facts(column=HOSTILE * 3, outcome="broken"),
    }
    assert audit({name: render(page) for name, page in pages.items()}, scheme, tmp_path) == []
