"""The evidence: where a run ran."""

from __future__ import annotations

from types import SimpleNamespace

from reported import PROBLEM, documents, make_run, page_of, page_of_run, profiles, text_of

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


def test_columns_have_their_distribution_in_both_parts_and_drift_beside_chance(workspace):
    text = page_of(workspace)
    assert "Training part2013-01-01 to 2013-10-19Test part2013-10-20 to 2013-12-31" in text.replace(
        "Test part 2", "Test part2"
    )
    apart = text[text.index("Columns that differ between training and test part") : text.index("Drift is the share")]
    assert "wind_speedfloat, feature 0.2 % / 1.8 %340 to 2,226.4710.36" in apart
    assert "31 %chance: 2.0 %" in apart
    assert "origin" not in apart
    assert "origincategory, feature 0 %3" in text
    assert "The test part is later, so some change is to be expected" in text
    assert (
        "The test part differs from the training part beyond chance in wind_speed (31 % of the rows); see the data."
        in text
    )


def test_reports_of_earlier_runs_have_their_columns_without_distributions(workspace):
    files = documents()
    del files["split/division/columns.json"]
    text = page_of(workspace, files=files)
    assert "wind_speedfloat, feature 0.5 %" in text
    assert "Drift is" not in text
    files["split/division/columns.json"] = profiles({"name": "origin", "drift": 0.1, "noise": 0.2})
    alike = page_of(workspace, run="alike", files=files)
    assert "No column differs between training and test part by more than chance." in alike


def test_the_leaderboard_has_scores_seconds_milliseconds_and_weights_the_best_first(workspace):
    run = make_run(workspace, metrics={"framework/fold_seconds.mlp": 75.4, "application/ms_per_1000_rows.mlp": 3.25})
    text = page_of_run(workspace, run)
    board = text[text.index("Training, all folds") :]
    assert "mlp chosen 0.69400.6900 to 0.6980 75 s3.25 ms61,442" in board
    assert "linear tried 0.66400.6600 to 0.6680 \N{EN DASH}\N{EN DASH}181" in board
    assert board.index("mlp chosen") < board.index("linear tried") < board.index("trees skipped")


def test_an_auditor_reads_who_made_it_with_what_and_whether_it_is_in_use(workspace):
    text = page_of(workspace)
    assert (
        "Made bynot recordedRegistered asflights; its version was not known yet when this page was writtenApprovalnot promoted"
        in text
    )
    origin = {"Fourscore": "0.1.0", "Run by": "ada <b>", "Problem file's commit": "abc, changed since"}
    run = make_run(workspace, "audited", provenance=origin)
    (workspace / "runs/audited.tracking.json").write_text('{"model": {"name": "flights", "version": "7"}}')
    (workspace / "champions").mkdir()
    (workspace / "champions/flights.json").write_text('{"run": "audited", "since": "2026-01-02T03:04:05+00:00"}')
    text = page_of_run(workspace, run)
    for part in (
        "Run byada <b>",
        "commitabc, changed since",
        "flights, version 7",
        "champion since 2026-01-02T03:04:05",
    ):
        assert part in text


def test_intended_users_other_uses_and_the_licence_of_the_data_are_said_or_not_recorded(workspace):
    assert page_of(workspace).count("not recorded") == 4, "three of the problem, and who made the run"
    uses = {"intended_users": "desk", "out_of_scope": "crew <b>rosters</b>", "data_license": "CC0-1.0"}
    text = page_of(workspace, run="said", problem={**PROBLEM, **uses})
    for name, value in zip(("Intended users", "Out of scope", "Licence of the data"), uses.values(), strict=True):
        assert f"{name}{value}" in text
