"""The page: whatever the run left, it shows that truly, and nothing in it can act."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

import pytest
from browser import CHROMIUM, QUIET
from full_disk import nothing_can_be_written
from reported import (
    ALLOWED,
    EVALUATION,
    Page,
    dependence_of,
    documents,
    estimate,
    evaluation,
    hostile_run,
    importance_of,
    make_run,
    page_of,
    page_of_run,
    text_of,
)

from infra.runs.records import StageRecord, load, save
from infra.store.local import LocalStore
from infra.store.manifest import Manifest
from pipelines.pages.report.gather import gather
from pipelines.pages.report.page import render, write_report
from steps.errors import InputError
from steps.evaluation.thresholds import Threshold
from steps.journal import Journal


def test_the_verdict_comes_first_and_then_promises_with_their_results(workspace):
    text = text_of(write_report(workspace, make_run(workspace)).read_text(encoding="utf-8"))
    assert "Pass: the model kept both promises on the held-out test set." in text
    assert text.index("Pass: the model") < text.index("at least 0.65") < text.index("The data")
    assert "0.680 to 0.704" in text
    assert "65,471 (20 %)" in text
    assert "12 test rows have an equal row in the training part" in text
    assert "fourscore approve flights-1 --reason" in text


@pytest.mark.parametrize(
    ("bound", "value", "half", "required", "result"),
    [
        (0.65, 0.692, 0.012, "at least 0.65", "0.6920.680 to 0.704"),
        (1234567, 1250000.0, 40_000, "at least 1,234,567", "1,250,0001,210,000 to 1,290,000"),
        (1250000, 1300000.0, 4_000, "at least 1,250,000", "1,300,0001,296,000 to 1,304,000"),
        (1250000.5, 1300000.0, 0, "at least 1,250,000.5", "1,300,0001,300,000 to 1,300,000"),
        (0.00001, 0.0000234, 0.000004, "at least 0.00001", "0.00002340.0000194 to 0.0000274"),
        (0.00001, 0.0000234, 0, "at least 0.00001", "0.00002340.0000234 to 0.0000234"),
        (-0.5, 0.1, 0.2, "at least \N{MINUS SIGN}0.5", "0.10\N{MINUS SIGN}0.10 to 0.30"),
        (1e-12, 0.1, 0.2, "at least 1e-12", "0.10\N{MINUS SIGN}0.10 to 0.30"),
        (1e300, 0.1, 0.2, "at least 1e+300", "0.10\N{MINUS SIGN}0.10 to 0.30"),
    ],
)
def test_a_promise_and_its_result_keep_their_digits_whatever_their_size(
    workspace, bound, value, half, required, result
):
    threshold = Threshold(metric="r2", at_least=bound)
    line = {**threshold.model_dump(), "wanted": threshold.requirement, "met": True, **estimate(value, half)}
    files = documents(**{"evaluate/evaluation/evaluation.json": evaluation(thresholds=[line])})
    text = text_of(render(gather(workspace, make_run(workspace, files=files))))
    assert f"{required}judged on the lower end of the 95 % interval {result} \N{CHECK MARK} kept" in text


def test_a_comparison_without_a_difference_or_an_interval_is_called_neither_better_nor_worse(workspace):
    undefined = {"metric": "roc_auc", "difference": {}, "better": "neither"}
    vague = {"metric": "roc_auc", "difference": {"value": 0.192, "low": None, "high": None}, "better": "neither"}
    files = documents(**{EVALUATION: evaluation(comparisons={"champion": undefined, "constant": vague})})
    text = page_of(workspace, files=files)
    assert "Cannot be compared with the current champion: the difference in ROC AUC is not defined" in text
    assert "Compared with a constant prediction: ROC AUC +0.192, without an interval" in text
    assert "cannot be compared with the current champion\N{EN DASH}" in text
    assert not re.search("(?i)no clear difference|worse than", text)


def test_a_comparison_is_shown_as_it_is_judged(workspace):
    worse = {"metric": "roc_auc", "difference": estimate(-0.03), "better": "hist_gradient_boosting"}
    files = documents(**{EVALUATION: evaluation(comparisons={"hist_gradient_boosting": worse})})
    assert "No clear difference from gradient boosting: ROC AUC" in page_of(workspace)
    assert "Worse than gradient boosting: ROC AUC" in page_of(workspace, run="b", files=files)


def test_a_run_of_which_nothing_is_left_but_its_record_has_a_report(workspace):
    run = make_run(workspace)
    shutil.rmtree(workspace / "store")
    text = text_of(render(gather(workspace, run)))
    assert "Not reached in this run: data, checks, labels, split and leaks, training." in text


def test_documents_that_cannot_be_read_are_named_and_do_not_stop_the_report(workspace):
    for run, empty in (
        ("empty", lambda content: {}),
        ("null", dict.fromkeys),
        ("later", lambda content: {"format": 9}),
    ):
        files = {path: empty(content) for path, content in documents().items()}
        facts = gather(workspace, make_run(workspace, run, files=files, problem={}))
        assert len(facts.rotten) == len(files)
        assert "evaluation.json" in text_of(render(facts))
    assert "evaluation.json has format 9; this version of Fourscore reads formats up to 1" in text_of(render(facts))


def test_a_stage_that_the_report_has_never_seen_appears_with_its_status_time_notes_and_documents(workspace):
    run = make_run(workspace)
    store, key = LocalStore(workspace), "e" * 64
    directory = workspace / "store" / key
    (directory / "drift").mkdir(parents=True)
    (directory / "drift/drift.json").write_text('{"largest_shift": 0.25, "columns": [{"name": "a<b>", "shift": 0.1}]}')
    with Journal(directory / "journal.jsonl") as log:
        log.note("compared with last week")
    store.publish(directory, Manifest(key, "monitor", {}, "pass", reasons=[], seconds=7.0))
    record = load(workspace, run)
    record.stages.append(StageRecord("monitor", key, "ran", 7.0, "", "journal.jsonl"))
    save(workspace, record)
    text = page_of_run(workspace, run)
    assert "monitorran7.0 s" in text
    assert "monitor: compared with last week" in text
    assert "drift/drift.jsonlargest shift0.25" in text
    assert "a<b>0.1" in text


def test_nothing_that_comes_from_data_can_become_markup(workspace):
    facts = gather(workspace, hostile_run(workspace))
    assert facts.rotten == ()
    html = render(facts)
    page = Page(html)
    assert {tag for tag, _ in page.tags} <= ALLOWED
    for tag, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on")], (tag, attributes)
        assert all(
            (value or "").startswith(("#", "data:")) for name, value in attributes.items() if name in ("href", "src")
        ), (tag, attributes)
    assert "<script>document.title" in page.text
    assert "{{ 7 * 7 }}" in page.text
    assert "49{% raw %}" not in page.text
    for invisible in ("\u202e", "\x00", "\x02"):
        assert invisible not in html
    assert "⟨U+202E⟩" in page.text
    assert "مرحبا بالعالم" in page.text


def test_long_names_are_cut_so_that_the_page_stays_small(workspace):
    html = render(gather(workspace, hostile_run(workspace)))
    assert "x" * 1000 not in html
    assert len(html.encode()) < 1_500_000


def test_the_page_asks_for_nothing_and_forbids_everything(workspace):
    html = render(gather(workspace, make_run(workspace)))
    page = Page(html)
    policy = next(
        attributes["content"]
        for tag, attributes in page.tags
        if attributes.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:")
    assert not re.findall(r"(?:src|href)=[\"'](?!#|data:)", html)
    assert "url(http" not in html
    assert "@import" not in html


def test_every_link_in_the_contents_leads_somewhere(workspace):
    for run in (make_run(workspace), make_run(workspace, "short", last="ingest", status="error", last_status="failed")):
        page = Page(render(gather(workspace, run)))
        links = {attributes["href"][1:] for tag, attributes in page.tags if tag == "a"}
        assert links <= {attributes.get("id") for _, attributes in page.tags}
        assert links


def test_the_same_run_gives_the_same_bytes(workspace):
    run = make_run(workspace)
    assert write_report(workspace, run).read_bytes() == write_report(workspace, run).read_bytes()
    assert [path.name for path in (workspace / "reports").iterdir()] == ["flights-1.html"]


def test_a_report_of_an_unknown_run_lists_the_known_ones(workspace):
    make_run(workspace)
    with pytest.raises(InputError, match="flights-1"):
        write_report(workspace, "nothing")


def test_a_report_is_not_replaced_by_one_that_knows_less(workspace):
    run = make_run(workspace)
    good = write_report(workspace, run).read_bytes()
    shutil.rmtree(workspace / "store")
    assert write_report(workspace, run).read_bytes() == good
    os.utime(workspace / "reports/flights-1.html", (0, 0))  # of an attempt before
    assert "is no longer in the store" in text_of(write_report(workspace, run).read_text(encoding="utf-8"))


def test_a_report_that_cannot_be_replaced_is_located(workspace):
    run = make_run(workspace)
    (workspace / "reports").mkdir()
    with nothing_can_be_written(), pytest.raises(OSError, match="File too large"):
        write_report(workspace, run)
    (workspace / f"reports/{run}.html").write_text("the report")
    with nothing_can_be_written():
        assert write_report(workspace, run).read_text() == "the report"


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium or chrome on this machine")
def test_a_real_browser_runs_nothing_asks_for_nothing_and_complains_of_nothing(workspace, tmp_path):
    path = write_report(workspace, hostile_run(workspace))
    log = tmp_path / "net.json"
    command = [
        CHROMIUM, *QUIET, f"--user-data-dir={tmp_path / 'profile'}", f"--log-net-log={log}",
        "--enable-logging=stderr", "--v=0", "--virtual-time-budget=3000", "--dump-dom", path.as_uri(),
    ]  # fmt: skip
    browser = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    page = Page(browser.stdout)
    assert "<title>owned" not in browser.stdout
    assert {tag for tag, _ in page.tags} <= ALLOWED
    assert not [line for line in browser.stderr.splitlines() if "CONSOLE" in line]
    assert "outside.example" not in log.read_text(
        errors="replace"
    )  # the browser's own calls home are there, ours are not


def test_rules_and_disturbances_are_shown_with_what_became_of_them(workspace):
    rule = {
        "rule": "a larger income does not lower the prediction",
        "rows": 2000,
        "followed": 1990,
        "at_least": 0.99,
        "met": True,
    }
    cases = {
        "rule": "3 cases get the right answer",
        "rows": 3,
        "followed": 2,
        "at_least": 1,
        "met": False,
        "against": [2],
        "of_cases": True,
    }
    change = {"missing": "income", "value": 0.61, "other_decisions": 0.125}
    robustness = {"metric": "roc_auc", "rows": 2000, "value": 0.69, "noise": 0.01, "changes": [change]}
    run = make_run(
        workspace, files=documents(**{EVALUATION: evaluation(behaviour=[rule, cases], robustness=robustness)})
    )
    text = page_of_run(workspace, run)
    assert "A larger income does not lower the prediction 99 % of the rows1,990 of 2,000" in text
    assert "3 cases get the right answeragainst it: cases 2 all of the cases2 of 3" in text
    assert "No value of income0.61012 %" in text


def test_what_the_columns_are_worth_is_shown_with_the_time_that_it_took(workspace):
    files = documents(
        **{
            EVALUATION: evaluation(
                importance=importance_of([f"column {i}" for i in range(20)]),
                dependence=dependence_of(("distance", "day", "origin"), ("on time", "late")),
            )
        }
    )
    run = make_run(workspace, files=files, metrics={"framework/importance_seconds": 0.84})
    text = page_of_run(workspace, run)
    assert "By how much ROC AUC falls on 4,096 test rows" in text
    assert "It took 0.8 s." in text
    assert "column 0, column 1which go together0.0600.050 to 0.070" in text
    assert "7 more columns or groups" in text
    assert "did not suffice: 1 column." in text
    assert "In 150 test rows the column gets one value after the other" in text
    assert "distanceThe mean is between 0.200 and 0.580." in text
