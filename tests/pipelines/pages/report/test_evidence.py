"""The evidence: where a run ran."""

from __future__ import annotations

from types import SimpleNamespace

from reported import make_run, text_of

from pipelines.pages.report.evidence import use
from pipelines.pages.report.page import write_report


def test_the_lineage_says_where_it_ran(workspace):
    arn = "arn:aws:sagemaker:eu-central-1:123456789012:"
    cloud = {
        "on": "sagemaker", "stack": "dev", "store": "s3://lake/team/", "execution": f"{arn}pipeline/flights/execution/abc",
        "package": f"{arn}model-package/flights/7", "jobs": {"prepare": "Succeeded", "rejected": "NotExecuted"},
    }  # fmt: skip
    text = text_of(write_report(workspace, make_run(workspace, **cloud)).read_text(encoding="utf-8"))
    assert "Amazon SageMaker, stack dev" in text
    for value in (cloud["store"], cloud["execution"], cloud["package"], "prepare Succeeded, rejected NotExecuted"):
        assert value in text
    local = text_of(write_report(workspace, make_run(workspace, "flights-2")).read_text(encoding="utf-8"))
    assert "one machine" in local
    assert "Pipeline execution" not in local


def test_the_speed_of_both_runtimes_and_their_difference_are_shown():
    metrics = {"predict_rows_per_second": 9_000.0, "onnx_rows_per_second": 54_000.0, "onnx_largest_difference": 3.2e-9}
    facts = dict(use(SimpleNamespace(metrics={f"application/{name}": value for name, value in metrics.items()})))
    assert facts == {
        "Batch throughput": "9,000 rows per second",
        "Batch throughput by onnxruntime": "54,000 rows per second",
        "Largest difference of model.onnx from model.pt2 on the test rows": "3e-09",
    }
