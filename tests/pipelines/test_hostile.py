"""Hostile names, values, classes and answers from `new` to MLflow, in a real browser: none runs, fetches or gets lost."""

import html
import json
import re

import numpy as np
import polars as pl
import pytest
from browser import CHROMIUM
from cli import fourscore
from devtools import Browser
from hostile import hostile_texts
from served import running_ui

from infra.runs import records
from infra.tracking.state import read_state
from pipelines.pages.report.markup import data

TEXTS = [text for text in hostile_texts() if text.strip() and text not in ("\x00", "\ud800", "NaN", "None", "null")]
"""All that can be a name and a value: blanks and words for no value are none, and `new` says so; zero bytes are refused."""
ANSWERS = ("question", "decision", "owner", "cost_of_error", "intended_users", "out_of_scope", "data_license")
QUICK = ("--set", 'train.candidates=["linear"]', "--set", "train.folds=2", "--set", "train.budget.epochs=3")
QUICK += ("--set", "evaluate.resamples=100")


def quoted(text):
    """Return a text as YAML reads it."""
    return '"' + "".join(c if ord(c) > 0xFFFF else json.dumps(c)[1:-1] for c in text) + '"'


def run(folder, *options, names=(), values=(), classes=("no", "yes"), answers=()):
    """Propose a problem for a table of texts, answer its questions, run it, and return the run's record."""
    draw, rows = np.random.default_rng(0), max(12 * max(len(classes), len(values)), 240)
    target = np.arange(rows) % len(classes)
    table = {name: draw.normal(size=rows) for name in names} | {"level": target + draw.normal(size=rows)}
    table |= {"value": [values[i % len(values)] for i in draw.permutation(rows)]} if values else {}
    table["target"] = [classes[i] for i in target]
    pl.DataFrame(table).write_parquet(folder / "table.parquet")
    new = fourscore("new", "hostile", "--data", "table.parquet", "--target", "target", "--yes", cwd=folder)
    assert new.returncode == 0, new.stderr
    answered = {name: "\n\n".join(answers[i :: len(ANSWERS)]) for i, name in enumerate(ANSWERS)} if answers else {}
    settings = [part for name, text in answered.items() for part in ("--set", f"{name}={quoted(text)}")]
    settings += ["--set", "evaluate.slices=[value]"] if values else []
    result = fourscore("run", "hostile/problem.yaml", *QUICK, *settings, *options, "--json", cwd=folder)
    assert result.returncode in (0, 3), result.stderr
    workspace = folder / ".fourscore"
    return workspace, records.load(workspace, json.loads(result.stdout)["run"])


def lost(workspace, record, names=(), values=(), classes=()):
    """Return the texts that the model of a run does not know; values lose the blanks around them."""
    schema = json.loads((workspace / "store" / record.stage("train").key / "model/schema.json").read_text())
    places = (
        (names, {column["name"] for column in schema["inputs"]}),
        (values, {value for column in schema["inputs"] for value in column.get("vocabulary", ())}),
        (classes, set(schema["classes"])),
    )
    return [text for texts, present in places for text in texts if text not in present and text.strip() not in present]


def visible(text):
    """Return a text as a page shows it."""
    return " ".join(html.unescape(re.sub("<[^>]*>", "", data(text))).split())


def faults(browser, own):
    """Return what ran in a browser, or went out of it."""
    ran = [event["params"] for event in browser.events if event["method"] == "Page.javascriptDialogOpening"]
    ran += ["owned"] if browser.value("document.title") == "owned" else []
    return ran + [url for url in browser.requests() if not url.startswith((*own, "data:", "blob:", "about:"))]


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium or chrome on this machine")
def test_a_report_of_hostile_texts_shows_them_all_and_obeys_none(tmp_path):
    texts = TEXTS[::16]
    hostile = {"names": texts, "values": texts, "classes": texts[:2]}
    workspace, record = run(tmp_path, "--no-tracking", **hostile, answers=texts)
    assert lost(workspace, record, **hostile) == []
    log, report = tmp_path / "net.json", workspace / f"reports/{record.run}.html"
    with Browser(tmp_path, f"--log-net-log={log}") as browser:
        browser.open(report.as_uri(), "hostile")
        page = " ".join(browser.value("document.body.textContent").split())
        assert faults(browser, ("file:",)) == []
    assert [text for text in texts if visible(text) not in page] == []
    assert "evil.example" not in log.read_text(errors="replace")


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium or chrome on this machine")
@pytest.mark.parametrize(
    "hostile", [{"names": TEXTS}, {"values": TEXTS, "classes": TEXTS}], ids=["names", "values and classes"]
)
def test_no_page_of_mlflow_obeys_a_hostile_text(tmp_path, hostile):
    workspace, record = run(tmp_path, **hostile, answers=TEXTS)
    assert lost(workspace, record, **hostile) == []
    state, log = read_state(workspace, record.run), tmp_path / "net.json"
    parent = f"experiments/{state['experiment']}/runs"
    pages = [parent, "models", *(f"{parent}/{child}" for child in state["children"].values())]
    files = ("report.html", "model_card.md", "card.md", "evaluation.json", "problem.json", "results.json")
    pages += [
        f"{parent}/{state['parent']}/{tab}" for tab in ("", "model-metrics", *(f"artifacts/{file}" for file in files))
    ]
    pages += [f"{parent}/{state['children']['ingest']}/artifacts/tables/columns.json"]
    if state["model"]:
        model = f"models/{state['model']['name']}"
        pages += [model, f"{model}/versions/{state['model']['version']}"]
    with running_ui(workspace) as (_, _, port, link), Browser(tmp_path, f"--log-net-log={log}") as browser:
        browser.open(link, "Experiments")
        own = (f"http://127.0.0.1:{port}/",)
        for page in pages:
            browser.open(f"{own[0]}#/{page}", "Model training")
            browser.rest()
            assert faults(browser, own) == [], page
    assert "evil.example" not in log.read_text(errors="replace")
