"""A workspace as runs leave it, for tests of what is written from it: report and summary."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from html.parser import HTMLParser
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import polars as pl

from infra.runs.records import RunRecord, StageRecord, save
from infra.store.local import LocalStore
from infra.store.manifest import Manifest
from pipelines.pages.report.gather import Facts, Stage, gather
from pipelines.pages.report.page import render
from pipelines.training import TRAINING
from steps.cards.document import ProblemCard
from steps.evaluation import curves
from steps.evaluation.document import Evaluation
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


def evaluation(**changes: object) -> dict[str, object]:
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
                "at_least": 0.65,
                "slice": None,
                "on": "interval",
                "met": True,
                **estimate(0.692),
            },
            {
                "metric": "brier",
                "wanted": "brier <= 0.18 (value)",
                "at_most": 0.18,
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
            "resampled": "blocks of time by time_hour",
            "drawn": 80,
        },
        "data": {"train_rows": 261_875, "train_digest": "ef", "test_rows": 65_471, "test_digest": "cd"},
        **changes,
    }


def search(*texts: str) -> dict[str, object]:
    """Return a search that names a weak segment for each text."""
    weak = [{"where": {text: text, f"{text} ": text}, "rows": 500, "estimate": estimate(0.6)} for text in texts]
    return {"metric": "roc_auc", "columns": 18, "paired": 18, "tried": 2889, "least_rows": 655, "weak": weak}


def fairness(*texts: str) -> dict[str, object]:
    """Return for each text as a column two groups with a gap in two things that are compared."""
    groups = [{"value": text, "rows": 500, "measures": {"recall": estimate(0.6)}} for text in texts[:2]]
    gap = {"highest": texts[0], "lowest": texts[1], "difference": estimate(0.1)}
    return {text: {"groups": groups, "gaps": {"recall": gap, text: None}} for text in texts}


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


def documents(**changes: object) -> dict[str, dict[str, object]]:
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
        "define/card/problem.json": {name: PROBLEM[name] for name in ProblemCard.model_fields if name in PROBLEM},
        "ingest/table/schema.json": schema,
        "ingest/table/ingest.json": {
            "sources": {
                "flights": {
                    "files": [{"file": "flights.csv.gz", "format": "csv", "bytes": 9_000_000, "delimiter": ","}],
                    "rows": 336_776,
                }
            }
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
            "target": "late",
            "task": "binary-classification",
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
        "split/division/columns.json": profiles(
            {"name": "origin", "distinct": 3, "drift": 0.004, "noise": 0.01},
            {
                "name": "wind_speed",
                "distinct": 34,
                "missing": [462, 1172],
                "low": 0.0,
                "median": 10.36,
                "high": 2226.47,
                "drift": 0.31,
                "noise": 0.02,
            },
            {"name": "time_hour", "distinct": 6922, "low": "2013-01-04", "median": "2013-07-04", "high": "2013-12-28"},
            {"name": "arr_delay", "distinct": 577, "drift": 0.2, "noise": None},
        ),
        "train/model/training.json": training(),
        "train/model/schema.json": {
            "format": 1,
            "task": "binary-classification",
            "target": "late",
            "classes": ["on time", "late"],
            "architecture": "mlp",
            "inputs": [{"name": "origin", "type": "category"}],
        },
        "evaluate/evaluation/evaluation.json": evaluation(),
        "register/registration/registration.json": registration("flights"),
        **changes,
    }


def profiles(*columns: dict[str, object]) -> dict[str, object]:
    """What split publishes of columns: all of the same shape."""
    shape = {"train": [40 * i for i in range(1, 21)], "test": [10 * i for i in range(20, 0, -1)]}
    periods = {
        "train": {"first": "2013-01-01", "last": "2013-10-19"},
        "test": {"first": "2013-10-20", "last": "2013-12-31"},
    }
    listed = [{**shape, **column} for column in columns]
    return {"rows": [261_875, 65_471], "columns": listed, "time": "time_hour", "periods": periods}


def registration(name: str, **tags: str) -> dict[str, object]:
    return {
        "name": name,
        "verdict": "pass",
        "alias": "candidate",
        "tags": tags,
        "metrics": {},
        "inputs": [],
        "outputs": [],
        "description": "a model",
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
    metrics: Mapping[str, float] = MappingProxyType({}),
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
                outputs=list(list(TRAINING)[position].outputs),
                gate=list(TRAINING)[position].gate,
            )
        )
        if not reached or status == "failed":
            continue
        directory = workspace / "store" / key
        directory.mkdir(parents=True)
        with Journal(directory / "journal.jsonl") as log:
            log.metric("data/rows", 327_346)
            log.metric(f"framework/{name}_seconds", 1.5)
            for metric, value in metrics.items() if name == "train" else ():
                log.metric(metric, value)
        for path, content in files.items():
            if path.startswith(f"{name}/"):
                file = directory / path.removeprefix(f"{name}/")
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(json.dumps(content))
                if file.name == "schema.json" and file.parent.name != "model":
                    (file.parent / "data.parquet").touch()
        reasons = ["column 'alive' is the target"] if status == "refused" else []
        manifest = Manifest(key, name, {}, "pass", reasons=reasons, seconds=1.5 * position + 0.1)
        LocalStore(workspace).publish(directory, manifest)
    defaults = {
        "problem_name": "flights", "problem_path": "/examples/flights/problem.yaml", "problem": PROBLEM, "overrides": {}, "smoke": False,
        "status": "pass", "started": "2025-06-01T10:00:00+00:00", "finished": "2025-06-01T10:01:10+00:00", "versions": {"torch": "2.13.0", "polars": "2.1.0"},
    }  # fmt: skip
    (workspace / "runs").mkdir(exist_ok=True)
    save(workspace, RunRecord(run=run, stages=records, **{**defaults, **fields}))
    return run


RESIDUALS = {
    "quantiles": {"0.05": -9.0, "0.25": -3.0, "0.5": 0.0, "0.75": 3.0, "0.95": 9.0},
    "histogram": {"edges": [i - 15.0 for i in range(31)], "counts": list(range(30))},
    "predicted_vs_actual": {
        "edges_predicted": [float(i) for i in range(21)],
        "edges_actual": [2.0 * i for i in range(21)],
        "counts": [[i * j for i in range(20)] for j in range(20)],
    },
}


def curves_of(names: Sequence[str]) -> dict[str, Any]:
    """Return the curves and the stretches of time of a model that ranks rows by noise and truth, or predicts numbers so."""
    random = np.random.default_rng(0)
    truth = random.integers(0, max(2, len(names)), 600)
    times = pl.Series(names[0] if names else "day", np.arange(600) * 86_400_000).cast(pl.Datetime("ms"))
    noisy = np.eye(max(2, len(names)))[truth] + random.random((600, max(2, len(names))))
    prediction = noisy / noisy.sum(axis=1, keepdims=True) if names else truth + random.normal(size=600)
    fields = curves.document(truth, prediction, names, times)
    return Evaluation.model_validate({**evaluation(), **fields}).model_dump(include=set(fields))


def importance_of(names: Sequence[str]) -> dict[str, Any]:
    """Return what columns are worth, each a little less than the one before, the first two together."""
    groups = [names[:2], *([name] for name in names[2:])]
    columns = [
        {"columns": group, "fall": estimate(0.06 / (1 + position), 0.01)} for position, group in enumerate(groups)
    ]
    return {"metric": "roc_auc", "rows": 4096, "repeats": 1, "columns": columns, "left_out": ["remote"]}


def dependence_of(names: Sequence[str], classes: Sequence[str]) -> list[dict[str, Any]]:
    """Return how predictions follow a number, a date and a category, each for one or several classes."""
    grid = [i / 19 for i in range(20)]
    values = list(classes) if len(classes) > 2 else ["EWR", "JFK", "LGA"]
    kinds: list[dict[str, Any]] = [
        {"numbers": grid},
        {"numbers": [1.7e9 + 1e7 * i for i in grid], "is_date": True},
        {"values": values},
    ]
    drawn = classes[1:] if len(classes) == 2 else (classes[:4] or [""])
    parts = []
    for column, kind in zip(names, kinds, strict=False):
        count = len(kind.get("values", grid))
        lines = [{"name": name, "y": [0.2 + 0.1 * k + 0.02 * i for i in range(count)]} for k, name in enumerate(drawn)]
        single = [[0.1 + 0.05 * k + 0.01 * i for i in range(count)] for k in range(15 if len(drawn) == 1 else 0)]
        parts.append({"column": column, **kind, "lines": lines, "single": single, "rows": 150})
    return parts


def corpus(workspace: Path) -> list[str]:
    """Lay out a run of each kind that a report can be of; return their names."""
    letters = [chr(65 + i) for i in range(26)]
    unmet = {**evaluation()["thresholds"][0], "met": False, "reason": "the lower end of its interval is 0.680"}
    of_many = evaluation(
        task="multiclass-classification", classes=letters,
        confusion=[[120 if i == j else (i * j) % 3 for i in range(26)] for j in range(26)], **curves_of(letters),
        importance=importance_of(["x", "y"]), dependence=dependence_of(["x", "day", "z"], letters[:12]),
    )  # fmt: skip
    of_numbers = evaluation(
        task="regression", classes=[], confusion=None, calibration=None, residuals=RESIDUALS, **curves_of(())
    )
    return [
        make_run(workspace, "passed", files=documents(**{EVALUATION: evaluation(
            **curves_of(("on time", "late")), importance=importance_of([f"column {i}" for i in range(20)]),
            dependence=dependence_of(("distance", "day", "origin"), ("on time", "late")),
        )})),
        make_run(workspace, "rejected", status="rejected", files=documents(**{
            EVALUATION: evaluation(verdict="rejected", reasons=["roc_auc is 0.692, not 0.7"], thresholds=[unmet])
        })),
        make_run(workspace, "refused", last="split", last_status="refused", status="rejected"),
        make_run(workspace, "failed", last="ingest", last_status="failed", status="error", message="no such file"),
        make_run(workspace, "letters", files=documents(**{EVALUATION: of_many})),
        make_run(workspace, "numbers", files=documents(**{EVALUATION: of_numbers})),
        make_run(workspace, "simulated", on="sagemaker-local", smoke=True),
        hostile_run(workspace),
    ]  # fmt: skip


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


def page_of(workspace: Path, **arguments: object) -> str:
    """Return the text of the page of a run."""
    return text_of(render(gather(workspace, make_run(workspace, **arguments))))


def page_of_run(workspace: Path, run: str) -> str:
    return text_of(render(gather(workspace, run)))


def stage(facts: Facts, name: str) -> Stage:
    return next(stage for stage in facts.stages if stage.record.name == name)


EVALUATION = "evaluate/evaluation/evaluation.json"


ALLOWED = {
    "a", "b", "bdi", "body", "br", "circle", "code", "dd", "details", "div", "dl", "dt", "figcaption", "figure", "footer",
    "h1", "h2", "h3", "head", "header", "html", "i", "li", "line", "link", "main", "meta", "nav", "p", "path", "polyline",
    "pre", "rect", "section", "small", "span", "style", "summary", "svg", "table", "tbody", "td", "text", "th", "thead",
    "title", "tr", "ul",
}  # fmt: skip


def hostile_run(workspace: Path) -> str:
    """Lay out a run with hostile text wherever text can come from data or from a problem file."""
    columns = [{"name": text, "type": "category", "timezone": text, "missing": 3} for text in HOSTILE]
    results = [
        {
            "type": text, "column": text, "kwargs": {text: text}, "severity": "critical", "notes": text, "success": False,
            "wanted": text, "observed": text, "failing": 2, "rows": [1, 2], "values": [text],
        }
        for text in HOSTILE
    ]  # fmt: skip
    part = {"rows": 500, "small": False, "metrics": {"roc_auc": estimate(0.6)}}
    judged = evaluation(
        classes=list(HOSTILE),
        task=HOSTILE[0],
        target=HOSTILE[1],
        notes=list(HOSTILE),
        **curves_of(HOSTILE),
        search=search(*HOSTILE),
        importance=importance_of(list(HOSTILE)),
        fairness=fairness(*HOSTILE),
        diagnosis={"steps": [{"advice": text, "evidence": text} for text in HOSTILE]},
        dependence=dependence_of(HOSTILE, HOSTILE),
        confusion=[[300 if i == j else 7 for i in HOSTILE] for j in HOSTILE],
        slices={text: [{"value": text, **part}] for text in HOSTILE},
        yardsticks={text: {"roc_auc": estimate(0.5)} for text in HOSTILE},
        comparisons={text: {"metric": "roc_auc", "difference": estimate(0.1), "better": text} for text in HOSTILE},
        thresholds=[
            {
                "metric": text,
                "wanted": text,
                "slice": text,
                "on": "value",
                "met": False,
                "reason": text,
                **estimate(0.6),
            }
            for text in HOSTILE
        ],
        interval={**evaluation()["interval"], "method": HOSTILE[0], "resampled": HOSTILE[1]},
    )
    ingested = {
        text: {"files": [{"file": text, "format": text, "bytes": 1, "quote": text}], "rows": 3} for text in HOSTILE
    }
    good = documents()
    files = documents(
        **{
            "ingest/table/ingest.json": {"query": HOSTILE[3], "sources": ingested},
            "validate/validation/results.json": {**good["validate/validation/results.json"], "results": results},
            "label/labeled/schema.json": {"rows": 500, "digest": HOSTILE[0], "columns": columns},
            "label/labeled/labels.json": {
                **good["label/labeled/labels.json"],
                "source": HOSTILE[0],
                "rule": HOSTILE[1],
                "notes": list(HOSTILE),
                "classes": [{"class": text, "rows": 50, "share": 0.1} for text in HOSTILE],
                "positive": {"class": HOSTILE[1], "how": HOSTILE[3]},
            },
            "split/division/split.json": {
                **good["split/division/split.json"],
                "column": HOSTILE[1],
                "hashed": list(HOSTILE),
                "notes": list(HOSTILE),
                "findings": [{"check": text, "level": "warning", "text": text} for text in HOSTILE],
                "balance": [{"class": text, "train": 0.1, "test": 0.1} for text in HOSTILE],
            },
            "split/division/columns.json": profiles(
                *(
                    {"name": text, "low": text, "median": text, "high": text, "drift": 0.3, "noise": 0.1}
                    for text in HOSTILE
                )
            ),
            "train/model/training.json": {
                **training(),
                "chosen": HOSTILE[0],
                "why": HOSTILE[1],
                "metric": HOSTILE[3],
                "candidates": [{**training()["candidates"][1], "name": text, "unmet": [text]} for text in HOSTILE],
            },
            "evaluate/evaluation/evaluation.json": judged,
            "register/registration/registration.json": registration(HOSTILE[1], **{f"{HOSTILE[1]}_digest": HOSTILE[1]}),
        }
    )
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
        workspace,
        "hostile",
        files=files,
        problem_name=HOSTILE[0],
        problem={**problem, "split": split},
        message="\n".join(HOSTILE[:6]),
        overrides={HOSTILE[0]: HOSTILE[1]},
        provenance=dict.fromkeys((*HOSTILE, "Run by"), HOSTILE[3]),
        versions={HOSTILE[0]: HOSTILE[3]},
    )
