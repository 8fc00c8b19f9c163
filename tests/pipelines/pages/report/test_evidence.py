"""The evidence: where a run ran."""

from __future__ import annotations

from reported import make_run, text_of

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
