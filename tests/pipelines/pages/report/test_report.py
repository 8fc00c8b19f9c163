"""The report of a run: whatever the run left, the page says it truly, and nothing in it can act."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from infra.runs.records import RunRecord, StageRecord, save
from infra.sources import champion as champions
from infra.sources.champion import Champion
from infra.store.local import LocalStore, Manifest
from pipelines.pages.report import gather, numbers, render, words, write_report
from pipelines.pages.report.gather import changes
from pipelines.summary import summary
from steps.errors import InputError
from steps.evaluation.thresholds import Threshold
from steps.journal import Journal

STAGES = ("define", "ingest", "validate", "label", "split", "train", "evaluate", "register")
HOSTILE = (
    "<script>document.title='owned'</script>",
    '"><img src=x onerror="document.title=\'owned\'">',
    "' onmouseover='document.title=1' x='",
    "]]></style></svg><script>document.title='owned'</script>",
    "<img src=http://outside.example/a.png><link rel=stylesheet href=http://outside.example/a.css>",
    "{{ 7 * 7 }}{% raw %}",
    "javascript:document.title='owned'",
    "\u202eevil\u202c",
    "مرحبا بالعالم",
    "--><b>bold</b><!--",
    "$\\frac{1}{0}$ `code` \x02\x03\x00",
    "line\none\ttwo",
    "x" * 20_000,
)


def estimate(value: float, half: float = 0.012) -> dict[str, float]:
    return {"value": value, "low": value - half, "high": value + half}


def evaluation(**changed: object) -> dict[str, object]:
    """What evaluate writes for the flights: a pass, close to gradient boosting, one poor slice, one small one."""

    def metrics(auc: float) -> dict[str, dict[str, float]]:
        return {
            "roc_auc": estimate(auc),
            "average_precision": estimate(auc - 0.26),
            "log_loss": estimate(1.2 - auc),
            "accuracy": estimate(0.78, 0.005),
        }

    bins = [
        {
            "low": i / 10,
            "high": (i + 1) / 10,
            "mean_predicted": i / 10 + 0.05,
            "observed": i / 10 + 0.03,
            "rows": 900 - 80 * i,
        }
        for i in range(10)
    ]
    return {
        "task": "binary-classification",
        "target": "late",
        "classes": ["on time", "late"],
        "rows": 65_471,
        "verdict": "pass",
        "reasons": [],
        "headline": "roc_auc",
        "metrics": metrics(0.692),
        "thresholds": [
            {
                "metric": "roc_auc",
                "wanted": "roc_auc >= 0.65 (95 % bound)",
                "slice": None,
                "on": "interval",
                "met": True,
                **estimate(0.692),
            },
            {
                "metric": "brier",
                "wanted": "brier <= 0.18 (value)",
                "slice": "origin=JFK",
                "on": "value",
                "met": True,
                **estimate(0.153, 0.004),
            },
        ],
        "yardsticks": {
            "constant": {**metrics(0.5), "roc_auc": estimate(0.5, 0)},
            "hist_gradient_boosting": metrics(0.695),
            "linear": metrics(0.661),
        },
        "champion": {"metrics": metrics(0.671)},
        "comparisons": {
            "constant": {"metric": "roc_auc", "difference": estimate(0.192, 0.012), "better": "model"},
            "hist_gradient_boosting": {"metric": "roc_auc", "difference": estimate(-0.003, 0.008), "better": "neither"},
            "linear": {"metric": "roc_auc", "difference": estimate(0.031, 0.006), "better": "model"},
            "champion": {"metric": "roc_auc", "difference": estimate(0.021, 0.006), "better": "model"},
        },
        "slices": {
            "origin": [
                {"value": name, "rows": rows, "small": rows < 100, "metrics": {"roc_auc": estimate(auc, half)}}
                for name, rows, auc, half in (
                    ("EWR", 24_000, 0.701, 0.011),
                    ("JFK", 22_000, 0.688, 0.012),
                    ("LGA", 19_400, 0.655, 0.013),
                    ("HPN", 71, 0.49, 0.2),
                )
            ],
            "carrier": [
                {
                    "value": "OO",
                    "rows": 3,
                    "small": True,
                    "metrics": {"roc_auc": {"value": None, "low": None, "high": None}},
                }
            ],
        },
        "calibration": {"bins": bins, "expected_calibration_error": 0.021},
        "confusion": [[47_000, 4_471], [9_000, 5_000]],
        "residuals": None,
        "interval": {
            "method": "percentile bootstrap",
            "level": 0.95,
            "resamples": 1000,
            "seed": 0,
            "resampled": "blocks of time_hour",
        },
        **changed,
    }


def training() -> dict[str, object]:
    fold = {
        "epochs": 31,
        "stopped": "no better for 8 epochs",
        "train_loss": [0.6 / e**0.2 for e in range(1, 40)],
        "validation_loss": [0.62 / e**0.15 for e in range(1, 40)],
    }
    candidates = [
        {
            "name": "linear",
            "status": "tried",
            "config": {},
            "weights": 181,
            "score": 0.664,
            "low": 0.66,
            "high": 0.668,
            "unmet": ["roc_auc >= 0.67"],
            "folds": [fold] * 3,
        },
        {
            "name": "mlp",
            "status": "chosen",
            "config": {},
            "weights": 61_442,
            "score": 0.694,
            "low": 0.69,
            "high": 0.698,
            "unmet": [],
            "folds": [fold] * 3,
        },
        {"name": "trees", "status": "skipped", "reason": "does not fit in the budget of 10 minutes"},
    ]
    return {"format": 1, "metric": "roc_auc", "chosen": "mlp", "why": "better than linear by 0.03 in roc_auc", "choose": "best", "candidates": candidates,
            "final": {"rows": 261_875, "epochs": 31, "train_loss": [0.5]}, "folds": [{"training_rows": 200, "validation_rows": 100}] * 3, "divided_by": "time", "seed": 0, "device": "cpu", "threads": 1}  # fmt: skip


def documents(**changed: object) -> dict[str, dict[str, object]]:
    """stage/artifact/file -> content of a run that went well."""
    columns = [
        {
            "name": "_row",
            "type": "integer",
            "role": "ignore",
            "available": "at-prediction",
            "timezone": None,
            "missing": 0,
        },
        {
            "name": "origin",
            "type": "category",
            "role": "feature",
            "available": "at-prediction",
            "timezone": None,
            "missing": 0,
        },
        {
            "name": "wind_speed",
            "type": "float",
            "role": "feature",
            "available": "at-prediction",
            "timezone": None,
            "missing": 1634,
        },
        {
            "name": "time_hour",
            "type": "datetime",
            "role": "time",
            "available": "at-prediction",
            "timezone": "America/New_York",
            "missing": 0,
        },
        {
            "name": "arr_delay",
            "type": "integer",
            "role": "feature",
            "available": "later",
            "timezone": None,
            "missing": 9430,
        },
    ]
    schema = {"rows": 327_346, "digest": "ab" * 32, "columns": columns, "target": None}
    results = [
        {"type": "expect_table_row_count_to_be_between", "column": None, "kwargs": {"min_value": 1}, "severity": "critical", "notes": "Always expected.",
         "evaluated": True, "success": True, "wanted": "at least 1 row", "observed": "327346 rows", "failing": 0, "rows": [], "values": None},
        {"type": "expect_column_values_to_be_between", "column": "wind_speed", "kwargs": {"min_value": 0, "max_value": 150}, "severity": "warning", "notes": None,
         "evaluated": True, "success": False, "wanted": "values between 0 and 150", "observed": "1 of 325712 values outside", "failing": 1, "rows": [8137], "values": None},
    ]  # fmt: skip
    return {
        "define/card/problem.json": {},
        "ingest/table/schema.json": schema,
        "ingest/table/ingest.json": {
            "sources": [
                {"name": "flights", "files": ["flights.csv.gz"], "format": "csv", "delimiter": ",", "rows": 336_776}
            ]
        },
        "validate/validation/results.json": {
            "passed": True,
            "rows": 327_346,
            "expectations": 2,
            "failed": {"critical": 0, "warning": 1, "info": 0},
            "results": results,
        },
        "label/labeled/schema.json": {
            **schema,
            "target": {"name": "late", "task": "binary-classification", "classes": ["on time", "late"]},
        },
        "label/labeled/labels.json": {
            "source": "rule",
            "rule": "arr_delay >= 15",
            "rows": 336_776,
            "rows_labeled": 327_346,
            "rows_unlabeled": 9430,
            "unlabeled": "drop",
            "unlabeled_rows": [472, 478],
            "coverage": 0.972,
            "provenance": {"rule": 327_346},
            "notes": [],
            "classes": [
                {"class": "on time", "rows": 249_714, "share": 0.763},
                {"class": "late", "rows": 77_632, "share": 0.237},
            ],
            "positive": {"class": "late", "how": "declared"},
        },
        "split/test_set/schema.json": {**schema, "rows": 65_471, "digest": "cd" * 32},
        "split/division/split.json": {
            "by": "time",
            "column": "time_hour",
            "hashed": [],
            "stratify": "hash",
            "seed": 0,
            "test_fraction": {"wanted": 0.2, "found": 0.2001, "standard_error": None},
            "rows": {"train": {"rows": 261_875, "digest": "ef" * 32}, "test": {"rows": 65_471, "digest": "cd" * 32}},
            "units": 6922,
            "boundary": "2013-10-20T17:00",
            "balance": [{"class": "late", "train": 0.24, "test": 0.22, "standard_errors": None}],
            "notes": [],
            "findings": [
                {
                    "level": "warning",
                    "check": "duplicates",
                    "columns": [],
                    "numbers": {},
                    "text": "12 test rows have an equal row in the training part",
                }
            ],
        },
        "train/model/training.json": training(),
        "train/model/schema.json": {"format": 1, "task": "binary-classification", "architecture": "mlp"},
        "evaluate/evaluation/evaluation.json": evaluation(),
        "register/registration/registration.json": {"name": "flights"},
        **changed,
    }


PROBLEM = {
    "name": "flights",
    "question": "Will a flight arrive 15 or more minutes late?",
    "decision": "Whether the desk calls connecting passengers the evening before.",
    "owner": "head of operations",
    "cost_of_error": "A missed late flight costs 90 rebookings; a false alarm costs one call each.",
    "task": "binary-classification",
    "target": "late",
    "success": [{"metric": "roc_auc", "at_least": 0.65, "at_most": None, "on": "interval", "slice": None}],
    "split": {"by": "time", "column": "time_hour", "seed": 0, "allow_proxies": {}},
    "train": {"seed": 0},
}


def make_run(
    workspace: Path,
    run: str = "flights-1",
    *,
    files: dict[str, dict[str, object]] | None = None,
    last: str = "register",
    last_status: str = "ran",
    **fields: object,
) -> str:
    """Lay out a workspace as the local backend leaves it; stages after ``last`` are skipped."""
    files = documents() if files is None else files
    records = []
    for position, name in enumerate(STAGES):
        reached = position <= STAGES.index(last)
        status = last_status if name == last else "ran" if reached else "skipped"
        key = f"{run}-{name}".encode().hex().ljust(64, "0")[:64]
        records.append(
            StageRecord(
                name,
                key,
                status,
                1.5 * position + 0.1 if reached else 0.0,
                "not in the store yet",
                f"store/{key}/journal.jsonl",
            )
        )
        if not reached or status == "failed":
            continue
        directory = workspace / "store" / key
        directory.mkdir(parents=True)
        with Journal(directory / "journal.jsonl") as log:
            log.metric("data/rows", 327_346)
            log.metric(f"framework/{name}_seconds", 1.5)
        for path, content in files.items():
            if path.startswith(f"{name}/"):
                file = directory / path.removeprefix(f"{name}/")
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(json.dumps(content))
        reasons = ["column 'alive' is the target"] if status == "refused" else []
        manifest = Manifest(key, name, {}, reasons=reasons, seconds=1.5 * position + 0.1)
        LocalStore(workspace).publish(directory, manifest)
    defaults = {
        "problem_name": "flights", "problem_path": "/examples/flights/problem.yaml", "problem": PROBLEM, "overrides": {}, "smoke": False,
        "status": "pass", "started": "2025-06-01T10:00:00+00:00", "finished": "2025-06-01T10:01:10+00:00", "versions": {"torch": "2.13.0", "polars": "2.1.0"},
    }  # fmt: skip
    (workspace / "runs").mkdir(exist_ok=True)
    save(workspace, RunRecord(run=run, stages=records, **{**defaults, **fields}))
    return run


class Page(HTMLParser):
    """Every tag with its attributes, and the text, of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data: str) -> None:
        self.text += data


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", Page(html).text)


def test_the_verdict_comes_first_and_says_what_was_promised_and_what_came(workspace):
    text = text_of(write_report(workspace, make_run(workspace)).read_text(encoding="utf-8"))
    assert "Pass: both promises are kept on the sealed test set." in text
    assert text.index("Pass: both") < text.index("at least 0.65") < text.index("The data")
    assert "0.680 to 0.704" in text
    assert "65,471 (20 %)" in text
    assert "12 test rows have an equal row in the training part" in text
    assert "fourscore promote flights-1 --yes" in text


@pytest.mark.parametrize(
    ("bound", "value", "half", "wanted", "found"),
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
def test_a_promise_and_what_came_keep_their_digits_whatever_their_size(workspace, bound, value, half, wanted, found):
    threshold = Threshold(metric="r2", at_least=bound)
    line = {"metric": "r2", "wanted": threshold.wanted, "on": "interval", "met": True, **estimate(value, half)}
    files = documents(**{"evaluate/evaluation/evaluation.json": evaluation(thresholds=[line])})
    text = text_of(render(gather(workspace, make_run(workspace, files=files))))
    assert f"{wanted}for the lower end of the interval {found} \N{CHECK MARK} kept" in text


def test_a_model_is_called_candidate_registered_or_champion_only_where_it_is(workspace):
    run = make_run(workspace)
    assert "It is a candidate (flights)." in text_of(render(gather(workspace, run)))
    state = {"model": {"name": "flights", "version": "3", "alias": "candidate"}}
    (workspace / "runs" / f"{run}.tracking.json").write_text(json.dumps(state))
    assert "registered as a candidate (flights, version 3)" in text_of(render(gather(workspace, run)))
    champions.write(workspace, Champion("flights", run, "key", "digest", "3", "2025-06-02T10:00:00+00:00"))
    text = text_of(render(gather(workspace, run)))
    assert "It is the champion: later runs are compared with it." in text
    assert "fourscore promote" not in text
    text = text_of(render(gather(workspace, make_run(workspace, "early", last="evaluate"))))
    assert "It is no candidate yet: run it without --until." in text
    assert "fourscore promote" not in text


def test_a_tie_is_called_a_tie_and_a_better_yardstick_is_said_to_be_better(workspace):
    worse = {
        "hist_gradient_boosting": {
            "metric": "roc_auc",
            "difference": estimate(-0.03),
            "better": "hist_gradient_boosting",
        }
    }
    tie = render(gather(workspace, make_run(workspace)))
    beaten = render(
        gather(
            workspace,
            make_run(
                workspace,
                "b",
                files=documents(**{"evaluate/evaluation/evaluation.json": evaluation(comparisons=worse)}),
            ),
        )
    )
    assert "A tie with gradient boosting" in tie
    assert "which may be chance" in tie
    assert "Worse than gradient boosting" in beaten
    assert "prefer it unless" in beaten


@pytest.mark.parametrize("better", ["neither", None])
def test_a_comparison_that_is_undefined_or_has_no_interval_is_not_called_a_tie(workspace, better):
    unsaid = {
        "linear": {"metric": "roc_auc", "difference": dict.fromkeys(("value", "low", "high")), "better": better},
        "constant": {
            "metric": "roc_auc",
            "difference": {"value": 0.192, "low": None, "high": None},
            "better": better,
        },
        "champion": {"metric": "roc_auc", "difference": None, "better": better},
    }
    files = documents(**{"evaluate/evaluation/evaluation.json": evaluation(comparisons=unsaid)})
    text = text_of(render(gather(workspace, make_run(workspace, files=files))))
    not_defined = "the difference in ROC AUC is not defined on these rows."
    assert f"It cannot be compared with the linear model: {not_defined}" in text
    assert f"It cannot be compared with the current champion: {not_defined}" in text
    beside = "Beside always giving the same answer: ROC AUC +0.192, without an interval, so whether it is chance"
    assert f"{beside} cannot be said." in text
    assert "cannot be compared with the current champion\N{EN DASH}" in text
    assert "without an interval beside a constant answer+0.192" in text
    assert not re.search("(?i)a tie with|worse than", text)


def test_a_rejected_model_is_said_to_be_rejected_with_the_reason_and_what_to_do(workspace):
    threshold = {
        "metric": "roc_auc",
        "wanted": "roc_auc >= 0.7 (95 % bound)",
        "slice": None,
        "on": "interval",
        "met": False,
        "reason": "the value is 0.692",
        **estimate(0.692),
    }
    files = documents(
        **{
            "evaluate/evaluation/evaluation.json": evaluation(
                verdict="rejected", reasons=["roc_auc >= 0.7: not met"], thresholds=[threshold]
            )
        }
    )
    text = text_of(render(gather(workspace, make_run(workspace, files=files, status="rejected"))))
    assert "Rejected: the promise is not kept." in text
    assert "not kept" in text
    assert "Do not use this model" in text


@pytest.mark.parametrize(
    ("last", "status", "last_status", "message", "said"),
    [
        ("validate", "rejected", "refused", "column 'a': wanted no missing", "Stopped by the validate gate"),
        ("split", "rejected", "refused", "column 'alive' is the target", "Stopped by the split gate"),
        ("ingest", "error", "failed", "no file flights.csv", "the run broke in stage ingest"),
        ("train", "interrupted", "failed", "interrupted in stage train", "the run was interrupted in stage train"),
        ("train", "killed", "failed", "the process was killed", "the run was killed in stage train"),
        ("define", "running", "ran", "", "Still running"),
        ("split", "pass", "ran", "", "the run ended after stage split, as it was asked to"),
    ],
)
def test_a_run_that_stopped_early_says_why_and_what_to_do_next(workspace, last, status, last_status, message, said):
    run = make_run(workspace, last=last, last_status=last_status, status=status, message=message)
    text = text_of(render(gather(workspace, run)))
    assert said in text
    assert "What to do next" in text or status == "running"
    assert "Not reached in this run" in text
    assert message.partition("\n")[0] in text or last_status == "refused"


def test_a_run_of_which_nothing_is_left_but_its_record_has_a_report(workspace):
    run = make_run(workspace)
    shutil.rmtree(workspace / "store")
    text = text_of(render(gather(workspace, run)))
    assert "Not reached in this run, and so not on this page: data, checks, labels, split and leaks, training." in text


def test_documents_with_every_field_missing_or_null_do_not_stop_the_report(workspace):
    for run, empty in (("empty", lambda content: {}), ("null", dict.fromkeys)):
        files = {path: empty(content) for path, content in documents().items()}
        assert "</html>" in render(gather(workspace, make_run(workspace, run, files=files, problem={})))


def test_a_row_split_of_rows_that_carry_a_time_is_called_flattering(workspace):
    by_row = {"split/division/split.json": {"by": "row", "rows": {"train": 8, "test": 2}}}
    assert "A row split flatters" in render(gather(workspace, make_run(workspace, files=documents(**by_row))))
    assert "A row split flatters" not in render(gather(workspace, make_run(workspace, "by-time")))


def test_a_promise_that_was_made_easier_since_the_previous_run_is_pointed_out(workspace):
    make_run(workspace, "before")
    easier = {**PROBLEM, "success": [{**PROBLEM["success"][0], "at_least": 0.6}]}
    facts = gather(workspace, make_run(workspace, "after", problem=easier, started="2025-06-02T10:00:00+00:00"))
    assert [(change.old, change.new) for change in facts.changes] == [(0.65, 0.6)]
    text = text_of(render(facts))
    assert "A promise was made easier since the previous run." in text
    assert "0.65 became 0.6" in text


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ({"on": "interval"}, {"on": "value"}, "roc auc at least judged on: interval became value."),
        ({}, {"on": "value"}, "roc auc at least judged on: interval became value."),
        ({"on": "value"}, {"on": "interval"}, ""),
        ({"beat": ["champion"]}, {"beat": []}, "evaluate.must beat: champion became no promise at all."),
        ({"beat": ["champion", "linear"]}, {"beat": ["linear"]}, "evaluate.must beat: champion, linear became linear."),
        ({"beat": ["champion"]}, {"beat": ["linear"]}, "evaluate.must beat: champion became linear."),
        ({"beat": ["linear"]}, {"beat": ["linear", "champion"]}, ""),
        ({"beat": ["linear", "champion"]}, {"beat": ["champion", "linear"]}, ""),
        ({"beat": []}, {"beat": ["champion"]}, ""),
    ],
)
def test_a_bar_that_is_easier_to_clear_at_the_same_height_and_a_dropped_rival_are_pointed_out(
    workspace, before, after, said
):
    def problem(changed):
        changed = dict(changed)
        beaten = changed.pop("beat", [])
        return {
            **PROBLEM,
            "success": [{"metric": "roc_auc", "at_least": 0.65, **changed}],
            "evaluate": {"must_beat": beaten},
        }

    make_run(workspace, "before", problem=problem(before))
    run = make_run(workspace, "after", problem=problem(after), started="2025-06-02T10:00:00+00:00")
    text = text_of(render(gather(workspace, run)))
    assert ("A promise was made easier since the previous run." in text) is bool(said)
    assert said in text


def test_changes_name_fields_once_and_thresholds_by_what_they_ask():
    old = {
        "task": "regression",
        "success": [{"metric": "rmse", "at_most": 2.0}],
        "train": {"task": "regression", "seed": 0},
    }
    new = {
        "task": "regression",
        "success": [{"metric": "rmse", "at_most": 3.0}, {"metric": "r2", "at_least": 0.1}],
        "train": {"task": "x", "seed": 1},
    }
    found = {change.path: (change.old, change.new) for change in changes(old, new)}
    assert found == {
        "success: rmse at_most": (2.0, 3.0),
        "success: r2 at_least": (None, 0.1),
        "success: r2 at_least judged on": (None, "interval"),
        "train.seed": (0, 1),
    }
    loosened = [change.path for change in changes(old, new) if words.is_loosened(change)]
    assert loosened == ["success: rmse at_most"]


def test_every_opening_of_the_sealed_test_set_is_counted(workspace):
    run = make_run(workspace)
    key = gather(workspace, run).stage("split").record.key
    (workspace / "seals").mkdir()
    readings = [{"time": "2025-06-01", "run": f"r{i}", "step": "evaluate", "key": str(i)} for i in range(4)]
    (workspace / "seals" / f"{key}.jsonl").write_text("".join(json.dumps(reading) + "\n" for reading in readings))
    assert "has been opened 4 times, for 4 versions of the pipeline" in text_of(render(gather(workspace, run)))


def test_a_small_test_set_and_small_slices_are_named_as_limits(workspace):
    files = documents(**{"evaluate/evaluation/evaluation.json": evaluation(rows=431)})
    text = text_of(render(gather(workspace, make_run(workspace, files=files))))
    assert "The test set is small (431 rows)" in text
    assert "2 slices have too few rows to say much: origin = HPN and carrier = OO" in text


@pytest.mark.parametrize(("rows", "off"), [(20, False), (2000, True)])
def test_probabilities_are_called_off_only_where_chance_does_not_explain_it(workspace, rows, off):
    bins = [
        {"low": i / 10, "high": (i + 1) / 10, "mean_predicted": i / 10 + 0.05, "observed": i / 10 + 0.13, "rows": rows}
        for i in range(10)
    ]
    judged = evaluation(rows=10 * rows, calibration={"bins": bins, "expected_calibration_error": 0.08})
    files = documents(**{"evaluate/evaluation/evaluation.json": judged})
    text = text_of(render(gather(workspace, make_run(workspace, files=files))))
    assert ("Its probabilities are off by 8.0 % on average: use them to rank, not as chances." in text) is off
    assert ("Off by 8.0 % on average, which may be chance." in text) is not off


def test_a_training_that_its_budget_cut_short_is_a_limit(workspace):
    path = "train/model/training.json"
    plain = documents()
    assert "time budget" not in text_of(render(gather(workspace, make_run(workspace, files=plain))))
    cut = {**training(), "budget_bound": True, "budget_cut": ["mlp was skipped"]}
    text = text_of(render(gather(workspace, make_run(workspace, "flights-2", files={**plain, path: cut}))))
    assert "The time budget of training was too small: mlp was skipped. Another machine" in text


def hostile_run(workspace: Path) -> str:
    """Hostile text wherever text can come from data or from a problem file."""
    columns = [{"name": text, "type": text, "role": "feature", "timezone": text, "missing": 3} for text in HOSTILE]
    results = [
        {"type": text, "column": text, "kwargs": {text: text}, "severity": text, "notes": text, "evaluated": True, "success": False, "wanted": text,
         "observed": text, "failing": 2, "rows": [1, 2], "values": [text]} for text in HOSTILE
    ]  # fmt: skip
    part = {"rows": 500, "small": False, "metrics": {"roc_auc": estimate(0.6)}}
    judged = evaluation(
        classes=list(HOSTILE), task=HOSTILE[0], target=HOSTILE[1], notes=list(HOSTILE), confusion=[[300 if i == j else 7 for i in HOSTILE] for j in HOSTILE],
        slices={text: [{"value": text, **part}] for text in HOSTILE}, yardsticks={text: {"roc_auc": estimate(0.5)} for text in HOSTILE},
        comparisons={text: {"metric": "roc_auc", "difference": estimate(0.1), "better": text} for text in HOSTILE},
        thresholds=[{"metric": text, "wanted": text, "slice": text, "on": "value", "met": False, "reason": text, **estimate(0.6)} for text in HOSTILE],
        interval={"method": HOSTILE[0], "resampled": HOSTILE[1]},
    )  # fmt: skip
    files = documents(**{
        "ingest/table/ingest.json": {"query": HOSTILE[3], "sources": {text: {"files": [{"file": text, text: text}]} for text in HOSTILE}, **{text: [{text: text}] for text in HOSTILE}},
        "validate/validation/results.json": {"rows": 5, "results": results},
        "label/labeled/schema.json": {"rows": 500, "digest": HOSTILE[0], "columns": columns},
        "label/labeled/labels.json": {"source": HOSTILE[0], "rule": HOSTILE[1], "notes": list(HOSTILE), "classes": [{"class": text, "rows": 50} for text in HOSTILE], **dict(zip(HOSTILE, HOSTILE, strict=True))},
        "split/division/split.json": {"by": HOSTILE[0], "column": HOSTILE[1], "notes": list(HOSTILE), "findings": [{"level": text, "text": text} for text in HOSTILE]},
        "train/model/training.json": {**training(), "chosen": HOSTILE[0], "why": HOSTILE[1], "candidates": [{**training()["candidates"][1], "name": text, "status": text, "unmet": [text]} for text in HOSTILE]},
        "evaluate/evaluation/evaluation.json": judged,
        "register/registration/registration.json": {"name": HOSTILE[1], "tags": {f"{HOSTILE[1]}_digest": HOSTILE[1]}},
    })  # fmt: skip
    problem = dict.fromkeys(("question", "decision", "owner", "cost_of_error", "task", "target"), HOSTILE[1])
    split = {"by": "row", "allow_proxies": dict(zip(HOSTILE, HOSTILE, strict=True))}
    make_run(
        workspace,
        "earlier",
        problem_name=HOSTILE[0],
        problem={"question": HOSTILE[3]},
        started="2025-01-01T00:00:00+00:00",
    )
    return make_run(
        workspace, "hostile", files=files, problem_name=HOSTILE[0], problem={**problem, "split": split}, message="\n".join(HOSTILE[:6]),
        overrides={HOSTILE[0]: HOSTILE[1]}, versions={HOSTILE[0]: HOSTILE[3]},
    )  # fmt: skip


ALLOWED = {
    "a", "b", "bdi", "body", "br", "circle", "clippath", "code", "dd", "defs", "desc", "div", "dl", "dt",
    "figcaption", "figure", "footer", "g", "h1", "h2", "h3", "head", "header", "html", "i", "image", "li", "line",
    "link", "main", "meta", "nav", "p", "path", "pre", "rect", "section", "small", "span", "style", "svg", "table",
    "tbody", "td", "text", "th", "thead", "title", "tr", "tspan", "ul", "use",
}  # fmt: skip


def test_nothing_that_comes_from_data_can_become_markup(workspace):
    html = render(gather(workspace, hostile_run(workspace)))
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


def test_the_lineage_says_where_it_ran(workspace):
    arn = "arn:aws:sagemaker:eu-central-1:123456789012:"
    there = {
        "on": "sagemaker", "stack": "dev", "store": "s3://lake/team/", "execution": f"{arn}pipeline/flights/execution/abc",
        "package": f"{arn}model-package/flights/7", "jobs": {"prepare": "Succeeded", "rejected": "NotExecuted"},
    }  # fmt: skip
    text = text_of(write_report(workspace, make_run(workspace, **there)).read_text(encoding="utf-8"))
    assert "Amazon SageMaker, stack dev" in text
    for said in (there["store"], there["execution"], there["package"], "prepare Succeeded, rejected NotExecuted"):
        assert said in text
    here = text_of(write_report(workspace, make_run(workspace, "flights-2")).read_text(encoding="utf-8"))
    assert "one machine" in here
    assert "pipeline execution" not in here


def test_a_report_of_an_unknown_run_lists_those_there_are(workspace):
    make_run(workspace)
    with pytest.raises(InputError, match="flights-1"):
        write_report(workspace, "nothing")


@pytest.mark.parametrize(
    ("stage", "name", "said"),
    [
        ("evaluate", "evaluation/evaluation.json", "evaluation.json was changed after it was published"),
        ("validate", "validation/results.json", "results.json was changed after it was published"),
        ("train", "journal.jsonl", "journal.jsonl was changed after it was published"),
        ("split", "manifest.json", "manifest.json is no manifest"),
    ],
)
def test_a_report_of_files_that_were_changed_says_so_and_gives_no_verdict(workspace, stage, name, said):
    run = make_run(workspace)
    directory = gather(workspace, run).stage(stage).directory
    (directory / name).write_text(
        (directory / name).read_text().replace("0", "1").replace("{", "[", name == "manifest.json")
    )
    facts = gather(workspace, run)
    (rotten,) = facts.rotten
    assert said in rotten
    text = text_of(render(facts))
    assert "No verdict: files of this run are not what it published." in text
    assert said in text
    assert "Pass:" not in text
    assert said in summary(gather(workspace, run, history=False))["message"]


def test_a_report_of_a_run_whose_execution_is_gone_says_so(workspace):
    run = make_run(workspace)
    shutil.rmtree(gather(workspace, run).stage("evaluate").directory)
    facts = gather(workspace, run)
    assert facts.document("evaluation") == {}
    assert "is no longer in the store" in text_of(render(facts))


def test_a_report_is_not_replaced_by_one_that_knows_less(workspace):
    run = make_run(workspace)
    good = write_report(workspace, run).read_bytes()
    shutil.rmtree(workspace / "store")
    assert write_report(workspace, run).read_bytes() == good
    os.utime(workspace / "reports/flights-1.html", (0, 0))  # of an attempt before
    assert "is no longer in the store" in text_of(write_report(workspace, run).read_text(encoding="utf-8"))


def test_a_report_that_cannot_be_replaced_is_located(workspace):
    run = make_run(workspace)
    (workspace / f"reports/.{run}.html.{os.getpid()}.tmp").mkdir(parents=True)  # root too cannot write there
    with pytest.raises(IsADirectoryError):
        write_report(workspace, run)
    (workspace / f"reports/{run}.html").write_text("the report")
    assert write_report(workspace, run).read_text() == "the report"


def test_what_is_in_no_manifest_is_no_fact(workspace):
    files = documents()
    del files["register/registration/registration.json"]
    run = make_run(workspace, files=files)
    added = gather(workspace, run).stage("register").directory / "registration/registration.json"
    added.parent.mkdir(exist_ok=True)
    added.write_text('{"name": "smuggled"}')
    assert gather(workspace, run).document("registration") == {}


def test_the_summary_is_one_flat_document_that_a_machine_reads(workspace):
    run = make_run(workspace)
    write_report(workspace, run)
    (workspace / "runs" / f"{run}.tracking.json").write_text(
        json.dumps({"model": {"name": "flights", "version": "3", "alias": "candidate"}})
    )
    found = json.loads(json.dumps(summary(gather(workspace, run, history=False))))
    assert (found["run"], found["verdict"]) == (run, "pass")
    assert [stage["name"] for stage in found["stages"]] == list(STAGES)
    assert set(found["stages"][0]) == {"name", "status", "seconds", "key", "reason"}
    assert found["metrics"]["data/rows"] == 327_346
    assert found["thresholds"][0] == {
        "metric": "roc_auc", "wanted": "roc_auc >= 0.65 (95 % bound)", "slice": None, "value": 0.692, "interval": [0.692 - 0.012, 0.692 + 0.012], "met": True,
    }  # fmt: skip
    assert found["yardsticks"]["constant"]["roc_auc"] == 0.5
    assert (found["model"]["name"], found["model"]["version"]) == ("flights", "3")
    assert found["model"]["path"].endswith("/model")
    assert found["report"].endswith("flights-1.html")


@pytest.mark.parametrize(
    ("status", "last_status", "verdict"),
    [("rejected", "refused", "rejected"), ("error", "failed", "error"), ("interrupted", "failed", "error")],
)
def test_the_summary_of_a_run_that_stopped_says_so(workspace, status, last_status, verdict):
    found = summary(gather(workspace, make_run(workspace, last="split", status=status, last_status=last_status)))
    assert found["verdict"] == verdict
    assert [stage["status"] for stage in found["stages"]] == ["ran"] * 4 + ["failed"] + ["skipped"] * 3
    assert found["thresholds"] == []
    assert found["model"]["path"] is None
    assert found["report"] is None


def test_a_summary_imports_nothing_heavy():
    code = "import sys, pipelines.summary, pipelines.pages.report; print([m for m in ('jinja2', 'matplotlib', 'numpy', 'polars', 'mlflow') if m in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0, "0"),
        (1234567, "1,234,567"),
        (-0.25, "\N{MINUS SIGN}0.250"),
        (0.0001234, "0.000123"),
        (12.3456, "12.3"),
        (0.00000012, "0.000000120"),
        (float("nan"), "\N{EN DASH}"),
        (None, "\N{EN DASH}"),
    ],
)
def test_numbers_read_well(value, said):
    assert numbers.number(value) == said


@pytest.mark.parametrize(
    ("part", "whole", "said"),
    [(0, 10, "0 %"), (1, 100_000, "< 0.1 %"), (99_999, 100_000, "> 99.9 %"), (1, 3, "33 %"), (1, 0, "\N{EN DASH}")],
)
def test_a_share_that_is_not_nothing_never_reads_as_nothing(part, whole, said):
    assert numbers.percent(part, whole) == said


def test_an_interval_is_shown_with_as_many_digits_as_it_deserves():
    assert numbers.interval({"value": 0.8731, "low": 0.8612, "high": 0.8841}) == "0.861 to 0.884"
    assert numbers.interval({"value": 54.3, "low": 50.1, "high": 58.2}) == "50.1 to 58.2"
    assert numbers.interval({"value": 1.0, "low": None, "high": None}) == ""
    assert numbers.interval({"value": 0.00002, "low": 0.00001, "high": 0.00003}) == "0.000010 to 0.000030"


def test_a_number_of_a_person_keeps_its_digits():
    said = [0.65, 0.00001, 1234567.25, -1250000.0, 3, 1e-5, 0.1234567, "interval", None]
    assert [numbers.exact(each) for each in said] == [
        "0.65", "0.00001", "1,234,567.25", "\N{MINUS SIGN}1,250,000", "3", "0.00001", "0.1234567", "interval", "\N{EN DASH}",
    ]  # fmt: skip


CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome", "chrome") if (found := shutil.which(name))),
    None,
)


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium or chrome on this machine")
def test_a_real_browser_runs_nothing_asks_for_nothing_and_complains_of_nothing(workspace, tmp_path):
    path = write_report(workspace, hostile_run(workspace))
    log = tmp_path / "net.json"
    quiet = [
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-extensions",
    ]
    command = [
        CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", *quiet, f"--user-data-dir={tmp_path / 'profile'}", f"--log-net-log={log}",
        "--enable-logging=stderr", "--v=0", "--virtual-time-budget=3000", "--dump-dom", path.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    page = Page(done.stdout)
    assert "<title>owned" not in done.stdout
    assert {tag for tag, _ in page.tags} <= ALLOWED
    assert not [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert "outside.example" not in log.read_text(
        errors="replace"
    )  # the browser's own calls home are there, ours are not
