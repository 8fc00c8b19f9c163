"""The notebook API runs what the command runs, and answers frames as predict answers files."""

import doctest
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from cli import fourscore

from pipelines import api
from steps.errors import InputError

PAGE = Path(__file__).parents[2] / "docs" / "notebook.md"
FAST = {"train.candidates": ["linear"], "evaluate.resamples": 100}


def make_frame(rows=400, seed=0):
    random = np.random.default_rng(seed)
    colour = random.choice(["red", "green", "blue"], rows)
    size = random.normal(size=rows)
    bought = np.where(size + (colour == "red") + random.normal(size=rows) > 0.5, "yes", "no")
    when = pd.Timestamp("2024-01-01") + pd.to_timedelta(random.integers(0, 500_000, rows), unit="min")
    return pd.DataFrame({"colour": pd.Categorical(colour), "size": size, "when": when, "bought": bought})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("notebook")


@pytest.fixture(scope="module")
def problem(folder):
    return api.propose(make_frame(), target="bought", directory=folder / "shop")


@pytest.fixture(scope="module")
def run(problem, folder):
    return api.run(problem, workspace=folder / "work", settings=FAST, tracking=False)


def test_the_page_says_what_happens(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    results = doctest.testfile(str(PAGE), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert results.attempted > 10
    assert results.failed == 0


def test_a_problem_of_a_frame_is_that_of_its_parquet_file(problem, folder):
    (folder / "copy").mkdir()
    pl.from_pandas(make_frame()).write_parquet(folder / "copy/data.parquet")
    fourscore("new", "copy", "--data", "copy/data.parquet", "--target", "bought", "--yes", cwd=folder)
    of_command = (folder / "copy/problem.yaml").read_text().replace("name: copy", "name: shop")
    assert of_command == problem.path.read_text()
    assert set(problem.columns["name"]) == {"colour", "size", "when", "bought"}


def test_a_run_of_the_api_is_that_of_the_command(run, problem, folder):
    settings = [part for key, value in FAST.items() for part in ("--set", f"{key}={json.dumps(value)}")]
    command = ("run", str(problem.path), "--workspace", "work", *settings, "--no-tracking", "--json")
    outcome = json.loads(fourscore(*command, cwd=folder).stdout)
    assert (outcome["run"], outcome["reused"]) == (run.name, True)
    assert outcome["verdict"] == run.verdict == "pass"
    assert run.summary["metrics"] == outcome["metrics"]


def test_the_rows_of_the_problem_in_a_frame_are_the_same_run(run, problem, folder):
    again = api.run(problem, data=make_frame(), workspace=folder / "work", settings=FAST, tracking=False)
    assert again.name == run.name


def test_other_rows_are_another_run_of_the_same_problem(run, problem, folder):
    other = api.run(problem, data=make_frame(seed=1), workspace=folder / "work", settings=FAST, tracking=False)
    assert other.name != run.name
    assert other.verdict == "pass"


def test_results_are_frames_with_intervals(run):
    metrics = run.metrics.set_index(["model", "metric"])
    assert {"model", "constant"} <= set(run.metrics["model"])
    low, value, high = metrics.loc[("model", "roc_auc"), ["low", "value", "high"]]
    assert low < value < high
    assert run.thresholds["met"].tolist() == [True] * len(run.thresholds)
    assert run.stages["status"].isin(["ran", "cached"]).all()


def test_a_notebook_shows_the_report_in_a_frame_where_no_script_runs(run):
    page = run.report._repr_html_()
    assert page.startswith("<iframe sandbox srcdoc=")
    assert page.count('"') == 8  # the page's own quotes are escaped
    assert "PASS" in run._repr_html_()


def test_text_of_the_data_becomes_no_markup(tmp_path):
    frame = make_frame().rename(columns={"size": "<script>size"})
    problem = api.propose(frame, target="bought", directory=tmp_path / "shop")
    assert "<script>" not in problem._repr_html_()


def test_frames_of_pandas_and_polars_get_the_answers_of_the_command(run, folder):
    frame = make_frame(50, seed=2).drop(columns="bought").set_index(np.arange(100, 150))
    answers = api.load(run.name, folder / "work").predict(frame)
    assert answers.index.tolist() == frame.index.tolist()
    pl.from_pandas(frame).write_parquet(folder / "fresh.parquet")
    of_polars = run.predict(pl.read_parquet(folder / "fresh.parquet"))
    command = ("predict", run.name, "fresh.parquet", "answers.parquet", "--workspace", "work")
    assert fourscore(*command, cwd=folder).returncode == 0
    of_command = pl.read_parquet(folder / "answers.parquet").drop("row")
    assert of_polars.equals(of_command)
    assert pl.from_pandas(answers).equals(of_command)


def test_values_unlike_training_are_answered_with_a_warning(run):
    frame = make_frame(3).drop(columns="bought").astype({"colour": str}).assign(colour="violet")
    with pytest.warns(UserWarning, match="colour.*violet"):
        assert len(run.predict(frame)) == 3


def test_missing_columns_are_named(run):
    with pytest.raises(InputError, match="size"):
        run.predict(make_frame(3).drop(columns="size"))


def test_a_problem_is_replaced_only_on_request(tmp_path):
    frame = make_frame()
    problem = api.propose(frame, target="bought", directory=tmp_path / "shop")
    problem.path.write_text(problem.path.read_text() + "# my own words\n")
    with pytest.raises(InputError, match="overwrite=True"):
        api.propose(frame, target="bought", directory=tmp_path / "shop")
    assert "my own words" in problem.path.read_text()
    with pytest.raises(InputError, match="bougth"):
        api.propose(frame, target="bougth", directory=tmp_path / "shop", overwrite=True)
    assert "my own words" in problem.path.read_text()
    api.propose(frame, target="bought", directory=tmp_path / "shop", overwrite=True)
    assert "my own words" not in problem.path.read_text()


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "two columns are named 'a'"),
        (pd.DataFrame([[1, 2]], columns=["a", 7]), "not 7"),
        (pd.DataFrame([[1]], columns=pd.MultiIndex.from_tuples([("a", "b")])), r"not \('a', 'b'\)"),
    ],
)
def test_frames_that_are_no_tables_are_refused(frame, message, tmp_path):
    with pytest.raises(InputError, match=message):
        api.propose(frame, target="a", directory=tmp_path / "odd")
    assert not (tmp_path / "odd").exists()


def test_a_named_index_is_said_to_be_no_column(tmp_path):
    with pytest.warns(UserWarning, match="reset_index"):
        api.propose(make_frame().rename_axis("id"), target="bought", directory=tmp_path / "shop")


def test_a_gate_that_refuses_is_a_result(problem, folder):
    strict = shutil.copytree(problem.path.parent, folder / "strict")
    suite = strict / "expectations.json"
    suite.write_text(suite.read_text().replace('"warning"', '"critical"'))
    frame = make_frame().assign(size=lambda rows: rows["size"] * 1e9)
    refused = api.run(strict / "problem.yaml", data=frame, workspace=folder / "work", settings=FAST, tracking=False)
    assert refused.verdict == "rejected"
    assert "size" in refused.message
    assert refused.metrics.empty
