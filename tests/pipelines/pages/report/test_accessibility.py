"""The page for everybody: by axe, at two widths, in both colour schemes, folded and unfolded."""

from __future__ import annotations

import pytest
from browser import CHROMIUM, HAS_AXE, HAS_PDF, SCHEMES, audit, printed
from reported import EVALUATION, corpus, documents, evaluation, importance_of, make_run

from pipelines.pages.report.gather import gather
from pipelines.pages.report.page import render


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    workspace = tmp_path_factory.mktemp("workspace") / ".fourscore"
    return {run: render(gather(workspace, run)) for run in corpus(workspace)}


def test_every_report_is_one_small_file(pages):
    sizes = {run: len(page.encode()) for run, page in pages.items() if run != "hostile"}
    assert max(sizes.values()) < 300_000, sizes


def test_a_table_of_two_hundred_columns_makes_no_large_report(tmp_path):
    files = documents(**{EVALUATION: evaluation(importance=importance_of([f"column {i}" for i in range(120)]))})
    profiles, columns, results = (
        files[place][field]
        for place, field in (
            ("split/division/columns.json", "columns"),
            ("ingest/table/schema.json", "columns"),
            ("validate/validation/results.json", "results"),
        )
    )
    profile, check = next(p for p in profiles if p.get("train")), next(r for r in results if r["success"])
    for name in [f"column {i}" for i in range(201)]:
        profiles.append({**profile, "name": name})
        columns.append({**columns[0], "name": name})
        results.append({**check, "column": name})
    workspace = tmp_path / ".fourscore"
    html = render(gather(workspace, make_run(workspace, "wide", files=files)))
    assert len(html.encode()) < 250_000
    assert all(f"column {i}" in html for i in range(201))


def chosen(*runs: str) -> object:
    return pytest.param(runs, id=" ".join(runs) or "all", marks=[] if runs else pytest.mark.slow)


@pytest.mark.skipif(not (CHROMIUM and HAS_AXE), reason="no chromium or no axe on this machine")
@pytest.mark.parametrize("scheme", [pytest.param(SCHEMES[0], marks=pytest.mark.slow), SCHEMES[1]])
@pytest.mark.parametrize("runs", [chosen("hostile"), chosen()])
def test_axe_finds_nothing_and_nothing_is_cut_off(pages, tmp_path, scheme, runs):
    assert audit({run: pages[run] for run in runs or pages}, scheme, tmp_path) == []


@pytest.mark.skipif(not (CHROMIUM and HAS_PDF), reason="no chromium or no pdftotext on this machine")
def test_what_is_folded_is_printed_and_each_sheet_has_the_run_and_its_number(pages, tmp_path):
    text = printed(pages["passed"], tmp_path)
    sheets = text.split("\f")[:-1]
    assert len(sheets) > 4
    for number, sheet in enumerate(sheets, start=1):
        assert f"Page {number} of {len(sheets)}" in sheet
        assert "Fourscore report, run passed" in sheet
    assert "Keys of the stages" in text
    assert "at least 1 row" in text, "a check that passed"
