"""new: ids that repeat, order in time, leaks and classes lead to a split, a role or a question; and a run accepts it."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from stages import run_stages

from pipelines.propose.proposal import describe, propose, write
from steps import documents
from steps.splitting.document import SplitReport

ROWS = 480


def propose_for(place: Path, frame: pl.DataFrame, target: str, **options):
    """Return the proposal for a table, the roles of its columns, and what a person reads."""
    place.mkdir(exist_ok=True)
    frame.write_csv(place / "table.csv")
    proposal = propose(place / "problem", [str(place / "table.csv")], target, **options)
    return proposal, {column.name: (column.type, column.role) for column in proposal.columns}, describe(proposal)


def run_to_split(place: Path, proposal) -> SplitReport:
    """Write a proposal and run it up to the split, which refuses nothing."""
    write(proposal)
    return documents.read(SplitReport, run_stages(proposal.draft.options.directory, place / "run")["division"])


def customers(values: int = 80) -> pl.DataFrame:
    """Rows of customers whose answers are alike."""
    random = np.random.default_rng(0)
    who = random.permutation(ROWS) % values
    leaning = random.normal(size=values)
    age = 20 + 50 * random.random(values)
    bought = leaning[who] + random.normal(size=ROWS) > 0
    return pl.DataFrame(
        {
            "who": who + 5000,
            "age": age[who].round(0).astype(int),
            "income": random.normal(40000, 9000, ROWS).round(2),
            "bought": np.where(bought, "yes", "no"),
        }
    )


@pytest.mark.parametrize(
    ("name", "spelling"),
    [
        ("customer_id", pl.col("who")),
        ("CustomerID", pl.format("A{}", "who")),
        ("Account No", pl.format("00{}", "who")),
        ("patient", pl.col("who")),
        ("session_id", pl.format("{}-x", "who")),
    ],
)
def test_an_id_that_repeats_keeps_its_rows_together_and_is_no_feature(tmp_path, name, spelling):
    frame = customers().with_columns(spelling.alias(name)).drop("who")
    proposal, roles, text = propose_for(tmp_path, frame, "bought")
    assert roles[name][1] == "group"
    assert f"{name!r} is named like an id and repeats (80 values in 480 rows)" in text
    assert f"(--split group:{name})" in text
    assert "rows drawn by chance" in text
    report = run_to_split(tmp_path, proposal)
    assert (report.by, report.column, report.units) == ("group", name, 80)
    assert {finding.level for finding in report.findings} <= {"note"}


def test_another_id_of_the_same_rows_is_left_out(tmp_path):
    frame = customers().with_columns(pl.format("ACC{}", "who").alias("account")).rename({"who": "customer_id"})
    _, roles, text = propose_for(tmp_path, frame, "bought")
    assert roles["customer_id"] == ("integer", "group")
    assert roles["account"] == ("category", "ignore")
    assert "divides the rows as 'customer_id' does" in text


def test_of_nested_ids_the_coarser_one_keeps_rows_together(tmp_path):
    visit = pl.int_range(ROWS) // 2
    frame = customers().with_columns(visit.alias("session_id"), (visit // 5 + 7).alias("patient"))
    _, roles, _ = propose_for(tmp_path, frame.drop("who"), "bought")
    assert roles["patient"][1] == "group"
    assert roles["session_id"][1] == "ignore"


def test_whoever_asks_for_rows_gets_rows_and_the_question(tmp_path):
    frame = customers().rename({"who": "customer_id"})
    proposal, roles, text = propose_for(tmp_path, frame, "bought", split="row")
    assert roles["customer_id"] == ("integer", "ignore")
    assert "Then --split group:customer_id keeps the rows of each together" in text
    assert run_to_split(tmp_path, proposal).by == "row"


@pytest.mark.parametrize(
    "change",
    [
        pl.when(pl.int_range(pl.len()) % 50 > 0).then(pl.col("who")),  # some rows have no customer
        pl.col("who") % 8,  # too few customers for a split by group
    ],
)
def test_where_a_split_by_group_would_not_do_it_is_asked_about(tmp_path, change):
    frame = customers().with_columns(change.alias("customer_id")).drop("who")
    proposal, roles, text = propose_for(tmp_path, frame, "bought")
    assert roles["customer_id"][1] == "ignore"
    assert "--split group:customer_id" in text
    assert run_to_split(tmp_path, proposal).by == "row"


def test_users_and_films_cross_so_users_stay_together_and_films_are_asked_about(tmp_path):
    frame = (
        customers()
        .with_columns(pl.Series("movieId", np.random.default_rng(1).integers(0, 60, ROWS)))
        .rename({"who": "userId"})
    )
    _, roles, text = propose_for(tmp_path, frame, "bought")
    assert roles["userId"][1] == "group"
    assert roles["movieId"] == ("category", "feature")
    assert "--split group:movieId" in text


@pytest.mark.parametrize("name", ["plan_id", "paid", "zip_code", "number"])
def test_a_number_that_is_no_id_is_a_feature(tmp_path, name):
    frame = customers().with_columns((pl.col("who") % 7).alias(name)).drop("who")
    proposal, roles, _ = propose_for(tmp_path, frame, "bought")
    assert roles[name] == ("integer", "feature")
    assert proposal.draft.content["split"]["by"] == "row"


def test_an_id_without_repetition_stays_a_key(tmp_path):
    frame = customers().with_columns(
        pl.int_range(1, ROWS + 1).alias("order"), (pl.int_range(ROWS) * 7 % 5003).alias("id")
    )
    _, roles, text = propose_for(tmp_path, frame.drop("who"), "bought")
    assert roles["order"] == ("integer", "key")
    assert roles["id"] == ("integer", "key")
    assert "counts the rows: an id" in text


def hourly() -> pl.DataFrame:
    """Hours in a random order, with a demand that drifts."""
    hours = np.arange(1200)
    drift = np.cumsum(np.random.default_rng(0).normal(size=1200)) * 4
    return pl.DataFrame(
        {
            "yr": hours // (24 * 25),
            "mnth": hours // (24 * 12) % 12 + 1,
            "day": hours // 24 % 12 + 1,
            "hr": hours % 24,
            "temp": np.random.default_rng(1).normal(size=1200).round(3),
            "demand": (100 + drift + 10 * np.random.default_rng(2).normal(size=1200)).round(2),
        }
    )


def test_a_moment_in_several_columns_proposes_a_split_by_time_that_runs(tmp_path):
    shuffled = hourly().sample(fraction=1, shuffle=True, seed=1)
    _, _, text = propose_for(tmp_path / "one", shuffled, "demand")
    assert "'yr', 'mnth', 'day' and 'hr' together say when a row was made" in text
    assert "on later rows the mean does better" in text
    query = 'SELECT *, "yr" * 10000000 + "mnth" * 100000 + "day" * 100 + "hr" AS moment FROM "table"'
    assert f"--set data.query='{query}' --split time:moment" in text
    proposal, _, _ = propose_for(
        tmp_path / "two", shuffled, "demand", split="time:moment", settings={"data.query": query}
    )
    report = run_to_split(tmp_path / "two", proposal)
    assert (report.by, report.column) == ("time", "moment")


@pytest.mark.parametrize(
    ("column", "option"),
    [
        (pl.int_range(1, 1201).alias("instant"), "--split time:instant"),
        ((pl.int_range(1200) // 3 * 0.5).alias("t"), "--split time:t"),
        (pl.lit(4).alias("same"), "ROW_NUMBER() OVER () AS row_number"),
        ((pl.date(2023, 1, 1) + pl.duration(hours=pl.int_range(1200))).cast(pl.Date).alias("at"), "--split time:at"),
    ],
)
def test_rows_that_resemble_the_row_before_propose_a_split_by_what_orders_them(tmp_path, column, option):
    frame = hourly().select(column, "temp", "demand")
    _, _, text = propose_for(tmp_path, frame, "demand")
    assert "the 'demand' of consecutive rows is alike (autocorrelation 0." in text
    assert option in text


def test_classes_in_long_runs_are_an_order_in_time_too(tmp_path):
    state = np.repeat(np.random.default_rng(1).integers(0, 2, 60), 20)
    frame = pl.DataFrame(
        {"x": np.random.default_rng(1).normal(size=1200).round(4), "state": np.where(state == 1, "up", "down")}
    )
    _, _, text = propose_for(tmp_path, frame, "state")
    assert "the 'state' of consecutive rows is alike" in text


@pytest.mark.parametrize("sort", [False, True])
def test_rows_in_no_order_or_sorted_by_class_are_not_asked_about_time(tmp_path, sort):
    frame = (
        customers()
        .rename({"who": "stock"})
        .with_columns(year=pl.Series(np.random.default_rng(1).integers(1990, 2020, ROWS)))
    )
    _, _, text = propose_for(tmp_path, frame.sort("bought") if sort else frame, "bought")
    assert "time" not in text.replace("time:", "")


def test_what_the_leak_gate_refuses_is_left_out_so_that_the_proposal_runs(tmp_path):
    frame = (
        customers()
        .drop("who")
        .with_columns(
            casual=pl.Series(np.random.default_rng(1).integers(0, 300, ROWS)),
            registered=pl.Series(np.random.default_rng(7).integers(0, 900, ROWS)),
        )
    )
    frame = frame.with_columns(
        cnt=pl.col("casual") + pl.col("registered"), copy=(pl.col("casual") + pl.col("registered")) * 2.5
    )
    proposal, roles, text = propose_for(tmp_path, frame, "cnt")
    assert [roles[name][1] for name in ("casual", "registered", "copy")] == ["ignore"] * 3
    assert "column 'copy' alone predicts 'cnt' (R2 1.000), so it is left out: is it known" in text
    assert "a weighted sum of 'casual' and 'registered' is 'cnt', so they are left out: are they known" in text
    assert {finding.level for finding in run_to_split(tmp_path, proposal).findings} <= {"note"}


@pytest.mark.parametrize(
    ("spelling", "listed"),
    [
        ("Churned", "'Churned'"),
        ("churned ", None),  # blanks at the ends are no part of a value
        ("CHURNED", "'CHURNED'"),
        ("churned\u00a0", None),
    ],
)
def test_classes_that_are_spellings_of_one_word_are_asked_about(tmp_path, spelling, listed):
    answer = pl.when(pl.int_range(pl.len()) % 9 == 0).then(pl.lit(spelling)).otherwise(pl.lit("churned"))
    frame = (
        customers()
        .drop("who")
        .with_columns(pl.when(pl.col("bought") == "yes").then(answer).otherwise(pl.lit("stayed")).alias("state"))
    )
    proposal, _, text = propose_for(tmp_path / "one", frame.drop("bought"), "state")
    if listed is None:
        assert proposal.task == "binary-classification"
        return
    assert f"count as different: 'churned' ({frame['state'].eq('churned').sum():,}), {listed}" in text
    query = text.split("--set data.query='")[1].split("'\n")[0].replace("'\"'\"'", "'")
    proposal, _, text = propose_for(tmp_path / "two", frame.drop("bought"), "state", settings={"data.query": query})
    assert proposal.task == "binary-classification"
    assert "count as different" not in text


def plans(word: str, *classes: str, rows: int = 300) -> pl.DataFrame:
    """Rows of which a fifth hold a word that usually means 'no value', as their plan."""
    values = [word, *classes, *classes, *classes]
    random = np.random.default_rng(0)
    return pl.DataFrame(
        {
            "age": random.integers(18, 80, rows),
            "income": random.normal(40000, 9000, rows).round(2),
            "plan": [values[index % len(values)] for index in range(rows)],
        }
    )


@pytest.mark.parametrize(
    ("word", "classes", "task"),
    [
        ("None", ("Basic", "Gold"), "multiclass-classification"),
        ("NA", ("EU", "APAC"), "multiclass-classification"),
        ("null", ("left", "right"), "multiclass-classification"),
        ("N/A", ("x",), "binary-classification"),
        ("None", ("Diabetes",), "binary-classification"),
    ],
)
def test_a_frequent_word_of_the_target_is_a_class_and_asked_about(tmp_path, word, classes, task):
    frame = plans(word, *classes).with_columns(
        pl.when(pl.int_range(pl.len()) % 11 == 0)
        .then(pl.lit(word))
        .otherwise(pl.col("age").cast(pl.String))
        .alias("age")
    )
    proposal, roles, text = propose_for(tmp_path, frame, "plan")
    count = frame["plan"].eq(word).sum()
    assert proposal.task == task
    assert f"{count} of 300 rows have {word!r} as 'plan'" in text
    assert "it is taken for a class" in text
    assert roles["age"] == ("integer", "feature")
    rows = run_to_split(tmp_path, proposal).rows
    assert rows["train"].rows + rows["test"].rows == 300


def test_a_word_of_the_target_means_no_value_if_a_person_says_so(tmp_path):
    settings = {"data.columns.plan": '{type: category, missing: ["None"]}'}
    proposal, _, text = propose_for(tmp_path, plans("None", "Basic", "Gold"), "plan", settings=settings)
    assert proposal.task == "binary-classification"
    assert "cells 'None' count as missing: 43 in 'plan' (their rows have no label)" in text
    run_to_split(tmp_path, proposal)


@pytest.mark.parametrize(("word", "classes"), [("?", ("a", "b")), ("NA", ("1.5", "2.5", "7")), ("NA", ("yes", "no"))])
def test_other_words_of_the_target_count_as_missing_and_that_is_said(tmp_path, word, classes):
    _, _, text = propose_for(tmp_path, plans(word, *classes), "plan")
    assert f"cells {word!r} count as missing: " in text
    assert "in 'plan' (their rows have no label)" in text


@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet"])
def test_words_that_count_as_missing_are_named_with_their_columns(tmp_path, suffix):
    country = np.array(["DE", "NA", "US", "FR"])[np.arange(300) % 4]
    frame = plans("silver", "basic").with_columns(pl.Series("country", country))
    income = pl.when(pl.int_range(pl.len()) % 9 == 0).then(pl.lit("n/a")).otherwise(pl.col("income").cast(pl.String))
    frame = frame.with_columns(income.alias("income")) if suffix != "parquet" else frame
    path = tmp_path / f"d.{suffix}"
    frame.write_parquet(path) if suffix == "parquet" else frame.write_csv(
        path, separator="," if suffix == "csv" else "\t"
    )
    text = describe(propose(tmp_path / "p", [str(path)], "plan"))
    assert "cells 'NA' count as missing: 75 in 'country'; if NA is a value: --set data.sources.d.missing='[" in text
    if suffix != "parquet":
        assert "cells 'n/a' count as missing: 34 in 'income'" in text
    setting = text.split("--set data.sources.d.missing='")[1].split("'\n")[0]
    text = describe(propose(tmp_path / "q", [str(path)], "plan", settings={"data.sources.d.missing": setting}))
    assert "count as missing: 75" not in text


def test_several_words_in_several_spellings_become_classes_by_one_query(tmp_path):
    answers = ["Yes", "yes", "YES", "no", "No's", "no's"]
    frame = plans("x", "y").with_columns(pl.Series("plan", [answers[index % 6] for index in range(300)]))
    _, _, text = propose_for(tmp_path / "one", frame, "plan")
    query = shlex.split(text.split("If so: ")[1].split("\n")[0])[1].removeprefix("data.query=")
    proposal, _, _ = propose_for(tmp_path / "two", frame, "plan", settings={"data.query": query})
    assert proposal.task == "multiclass-classification"
    assert run_to_split(tmp_path / "two", proposal).balance[0].train > 0
    labelled = pl.read_parquet(tmp_path / "two" / "run" / "labeled" / "data.parquet")
    assert labelled["plan"].n_unique() == 3


def test_categories_of_a_feature_that_are_spellings_of_one_word_are_asked_about(tmp_path):
    answers = ["Yes", "yes", "no", "N o", "N  O"]
    places = ["Bern", "bern", "Basel"]
    frame = plans("x", "y").with_columns(
        answer=pl.Series([answers[index % 5] for index in range(300)]),
        place=pl.Series([places[index % 3] for index in range(300)]),
    )
    _, _, text = propose_for(tmp_path / "one", frame, "plan")
    assert "values of 'answer' that differ in case or blanks only count as different: " in text
    assert "'Yes' (60), 'yes' (60)" in text
    assert "values of 'place' that differ in case or blanks only count as different: 'Bern' (100), 'bern' (100)" in text
    query = shlex.split(text.split("If so: ")[1].split("\n")[0])[1].removeprefix("data.query=")
    proposal, _, text = propose_for(tmp_path / "two", frame, "plan", settings={"data.query": query})
    assert "count as different" not in text
    run_to_split(tmp_path / "two", proposal)
    table = pl.read_parquet(tmp_path / "two" / "run" / "table" / "data.parquet")
    assert (table["answer"].n_unique(), table["place"].n_unique()) == (3, 2)


@pytest.mark.parametrize("expression", ["plan AS y", "UPPER(plan) AS y", "CONCAT(plan, '!') AS y"])
def test_words_that_count_as_missing_are_named_though_a_query_renames_their_column(tmp_path, expression):
    frame = plans("NA", "Basic", "Gold")
    settings = {"data.query": f'SELECT age, income, {expression} FROM "table"'}  # noqa: S608 - a test's own
    _, _, text = propose_for(tmp_path, frame, "y", settings=settings)
    assert f"cells 'NA' count as missing: {frame['plan'].eq('NA').sum()} in 'plan'" in text


def test_a_spelling_with_few_rows_is_asked_about_before_it_is_left_out(tmp_path):
    answers = ["yes"] * 150 + ["Yes"] * 3 + ["no"] * 147
    _, _, text = propose_for(tmp_path, plans("x").with_columns(plan=pl.Series(answers)), "plan")
    assert "'yes' (150), 'Yes' (3); are they one word?" in text
    assert "classes of 'plan' with fewer than 5 rows are left out" in text
