"""The report of a run: whatever the run left, the page says it truly, and nothing in it can act."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path

import pytest

from infra.runs import RunRecord, StageRecord, save
from pipelines.report import gather, render, write_report
from pipelines.report import numbers, words
from pipelines.report.gather import changes
from pipelines.summary import summary
from steps.errors import InputError
from steps.journal import Journal

STAGES = ("define", "ingest", "validate", "label", "split", "train", "evaluate", "register")
HOSTILE = (
    "<script>document.title='owned'</script>",
    "\"><img src=x onerror=\"document.title='owned'\">",
    "' onmouseover='document.title=1' x='",
    "]]></style></svg><script>document.title='owned'</script>",
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
        return {"roc_auc": estimate(auc), "average_precision": estimate(auc - 0.26), "log_loss": estimate(1.2 - auc), "accuracy": estimate(0.78, 0.005)}

    bins = [{"low": i / 10, "high": (i + 1) / 10, "mean_predicted": i / 10 + 0.05, "observed": i / 10 + 0.03, "rows": 900 - 80 * i} for i in range(10)]
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
            {"metric": "roc_auc", "wanted": "roc_auc >= 0.65 (95 % bound)", "slice": None, "on": "interval", "met": True, **estimate(0.692)},
            {"metric": "brier", "wanted": "brier <= 0.18 (value)", "slice": "origin=JFK", "on": "value", "met": True, **estimate(0.153, 0.004)},
        ],
        "yardsticks": {"constant": {**metrics(0.5), "roc_auc": estimate(0.5, 0)}, "hist_gradient_boosting": metrics(0.695), "linear": metrics(0.661)},
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
                for name, rows, auc, half in (("EWR", 24_000, 0.701, 0.011), ("JFK", 22_000, 0.688, 0.012), ("LGA", 19_400, 0.655, 0.013), ("HPN", 71, 0.49, 0.2))
            ],
            "carrier": [{"value": "OO", "rows": 3, "small": True, "metrics": {"roc_auc": {"value": None, "low": None, "high": None}}}],
        },
        "calibration": {"bins": bins, "expected_calibration_error": 0.021},
        "confusion": [[47_000, 4_471], [9_000, 5_000]],
        "residuals": None,
        "interval": {"method": "percentile bootstrap", "level": 0.95, "resamples": 1000, "seed": 0, "resampled": "blocks of time_hour"},
        **changed,
    }


def training() -> dict[str, object]:
    fold = {"epochs": 31, "stopped": "no better for 8 epochs", "train_loss": [0.6 / e**0.2 for e in range(1, 40)], "validation_loss": [0.62 / e**0.15 for e in range(1, 40)]}
    candidates = [
        {"name": "linear", "status": "tried", "config": {}, "weights": 181, "score": 0.664, "low": 0.66, "high": 0.668, "unmet": ["roc_auc >= 0.67"], "folds": [fold] * 3},
        {"name": "mlp", "status": "chosen", "config": {}, "weights": 61_442, "score": 0.694, "low": 0.69, "high": 0.698, "unmet": [], "folds": [fold] * 3},
        {"name": "trees", "status": "skipped", "reason": "does not fit in the budget of 10 minutes"},
    ]
    return {"format": 1, "metric": "roc_auc", "chosen": "mlp", "why": "better than linear by 0.03 in roc_auc", "choose": "best", "candidates": candidates,
            "final": {"rows": 261_875, "epochs": 31, "train_loss": [0.5]}, "folds": [{"training_rows": 200, "validation_rows": 100}] * 3, "divided_by": "time", "seed": 0, "device": "cpu", "threads": 1}  # fmt: skip


def documents(**changed: object) -> dict[str, dict[str, object]]:
    """stage/artifact/file -> content of a run that went well."""
    columns = [
        {"name": "_row", "type": "integer", "role": "ignore", "available": "at-prediction", "timezone": None, "missing": 0},
        {"name": "origin", "type": "category", "role": "feature", "available": "at-prediction", "timezone": None, "missing": 0},
        {"name": "wind_speed", "type": "float", "role": "feature", "available": "at-prediction", "timezone": None, "missing": 1634},
        {"name": "time_hour", "type": "datetime", "role": "time", "available": "at-prediction", "timezone": "America/New_York", "missing": 0},
        {"name": "arr_delay", "type": "integer", "role": "feature", "available": "later", "timezone": None, "missing": 9430},
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
        "ingest/table/ingest.json": {"sources": [{"name": "flights", "files": ["flights.csv.gz"], "format": "csv", "delimiter": ",", "rows": 336_776}]},
        "validate/validation/results.json": {"passed": True, "rows": 327_346, "expectations": 2, "failed": {"critical": 0, "warning": 1, "info": 0}, "results": results},
        "label/labeled/schema.json": {**schema, "target": {"name": "late", "task": "binary-classification", "classes": ["on time", "late"]}},
        "label/labeled/labels.json": {
            "source": "rule", "rule": "arr_delay >= 15", "rows": 336_776, "rows_labeled": 327_346, "rows_unlabeled": 9430, "unlabeled": "drop",
            "unlabeled_rows": [472, 478], "coverage": 0.972, "provenance": {"rule": 327_346}, "notes": [],
            "classes": [{"class": "on time", "rows": 249_714, "share": 0.763}, {"class": "late", "rows": 77_632, "share": 0.237}],
            "positive": {"class": "late", "how": "declared"},
        },
        "split/test_set/schema.json": {**schema, "rows": 65_471, "digest": "cd" * 32},
        "split/division/split.json": {
            "by": "time", "column": "time_hour", "key": [], "stratify": "hash", "seed": 0, "test_fraction": {"wanted": 0.2, "found": 0.2001, "expected_error": None},
            "rows": {"train": 261_875, "test": 65_471}, "units": None, "boundary": "2013-10-20T17:00", "class_shares": {"late": {"train": 0.24, "test": 0.22}},
            "notes": [], "findings": [{"level": "warning", "kind": "duplicates", "text": "12 test rows have an equal row in the training part"}],
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


def make_run(workspace: Path, run: str = "flights-1", *, files: dict[str, dict[str, object]] | None = None, last: str = "register", last_status: str = "ran", **fields: object) -> str:
    """Lay out a workspace as the local backend leaves it; stages after ``last`` are skipped."""
    files = documents() if files is None else files
    records = []
    for position, name in enumerate(STAGES):
        reached = position <= STAGES.index(last)
        status = last_status if name == last else "ran" if reached else "skipped"
        key = f"{run}-{name}".encode().hex().ljust(64, "0")[:64]
        records.append(StageRecord(name, key, status, 1.5 * position + 0.1 if reached else 0.0, "not in the store yet", f"store/{key}/journal.jsonl"))
        if not reached or status == "failed":
            continue
        directory = workspace / "store" / key
        directory.mkdir(parents=True)
        manifest = {"key": key, "step": name, "seconds": 1.5 * position + 0.1, "reasons": ["column 'alive' is the target"] if status == "refused" else [], "files": {}}
        (directory / "manifest.json").write_text(json.dumps(manifest))
        with Journal(directory / "journal.jsonl") as log:
            log.metric("data/rows", 327_346)
            log.metric(f"framework/{name}_seconds", 1.5)
        for path, content in files.items():
            if path.startswith(f"{name}/"):
                file = directory / path.removeprefix(f"{name}/")
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(json.dumps(content))
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
