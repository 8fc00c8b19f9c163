"""The summary: one flat document that a machine reads."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from reported import STAGES, make_run

from pipelines.pages.report.gather import gather
from pipelines.pages.report.page import write_report
from pipelines.summary import summary


def test_the_summary_is_one_flat_document_that_a_machine_reads(workspace):
    run = make_run(workspace)
    write_report(workspace, run)
    (workspace / "runs" / f"{run}.tracking.json").write_text(
        json.dumps({"model": {"name": "flights", "version": "3", "alias": "candidate"}})
    )
    document = json.loads(json.dumps(summary(gather(workspace, run, history=False))))
    assert (document["run"], document["verdict"]) == (run, "pass")
    assert [stage["name"] for stage in document["stages"]] == list(STAGES)
    assert set(document["stages"][0]) == {"name", "status", "seconds", "key", "reason"}
    assert document["metrics"]["data/rows"] == 327_346
    assert document["thresholds"][0] == {
        "metric": "roc_auc", "wanted": "roc_auc >= 0.65 (95 % bound)", "slice": None, "value": 0.692, "interval": [0.68, 0.704], "met": True,
    }  # fmt: skip
    assert document["yardsticks"]["constant"]["roc_auc"] == 0.5
    assert (document["model"]["name"], document["model"]["version"]) == ("flights", "3")
    assert document["model"]["path"].endswith("/model")
    assert document["report"].endswith("flights-1.html")


def test_a_rehearsal_has_no_verdict(workspace):
    document = summary(gather(workspace, make_run(workspace, smoke=True), history=False))
    assert (document["verdict"], document["status"], document["smoke"]) == ("rehearsal", "pass", True)


@pytest.mark.parametrize(
    ("status", "last_status", "verdict"),
    [("rejected", "refused", "rejected"), ("error", "failed", "error"), ("interrupted", "stopped", "error")],
)
def test_the_summary_of_a_run_that_stopped_says_so(workspace, status, last_status, verdict):
    document = summary(gather(workspace, make_run(workspace, last="split", status=status, last_status=last_status)))
    assert document["verdict"] == verdict
    ended = "stopped" if last_status == "stopped" else "failed"
    assert [stage["status"] for stage in document["stages"]] == ["ran"] * 4 + [ended] + ["skipped"] * 3
    assert document["thresholds"] == []
    assert document["model"]["path"] is None
    assert document["report"] is None


def test_a_summary_imports_nothing_heavy():
    code = "import sys, pipelines.summary, pipelines.pages.report.gather; print([m for m in ('jinja2', 'matplotlib', 'numpy', 'polars', 'mlflow') if m in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )
