"""The leak checks: what must be stopped is stopped with its columns named, and honest data passes."""

import datetime as dt
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from tables import SHARED, read_json, run_stage, write_table

from steps import documents
from steps.errors import GateRefused, InputError
from steps.label import LabelConfig, label
from steps.split import SplitConfig, split
from steps.splitting import leaks
from steps.splitting.leaks import Parts, find_leaks
from steps.tables.schema import TableSchema, Target

BINARY, MULTICLASS, REGRESSION = "binary-classification", "multiclass-classification", "regression"
random = np.random.default_rng(1)
ROWS = 3000
NOISE = random.normal(size=(ROWS, 3))
FRAME = pl.DataFrame(
    {
        "a": NOISE[:, 0],
        "b": NOISE[:, 1],
        "c": random.choice(["x", "y", "z"], ROWS),
        "number": np.exp(NOISE @ [1, 0.5, 1]),
        "flag": np.where(NOISE @ [1, 0.5, 2] > 0.3, "yes", "no"),
        "kind": random.choice(["p", "q", "r", "s"], ROWS),
    }
)


def divide(place: Path, frame: pl.DataFrame, target: str, task: str, *, columns=None, label_config=None, **config):
    """Label and split a frame; returns the findings as (check, level, columns) and the reasons of a refusal."""
    table = write_table(place / "table", frame, **(columns or {}))
    labels = LabelConfig(target=target, task=task, **(label_config or {}))
    labeled = run_stage(label, place / "one", labels, table=table)["labeled"]
    reasons: tuple[str, ...] = ()
    try:
        run_stage(split, place / "two", SplitConfig(**config), labeled=labeled)
    except GateRefused as error:
        reasons = tuple(error.reasons)
    findings = read_json(place / "two" / "division" / "split.json")["findings"]
    return [(finding["check"], finding["level"], finding["columns"]) for finding in findings], reasons


def features(frame, *but):
    return frame.drop({"number", "flag", "kind"} - set(but))


@pytest.mark.parametrize(
    ("leak", "target", "task"),
    [
        (pl.col("flag").replace_strict({"yes": 1, "no": 0}), "flag", BINARY),
        (pl.col("flag") + pl.lit("!"), "flag", BINARY),
        (pl.when(pl.col("flag") == "yes").then(pl.col("a").abs() + 0.1).otherwise(0.0), "flag", BINARY),
        (pl.when(pl.col("flag") == "yes").then(pl.col("a")), "flag", BINARY),
        (pl.when(pl.int_range(pl.len()) % 400 == 0).then(pl.lit("no")).otherwise("flag"), "flag", BINARY),
        (pl.col("kind").replace_strict({"p": 4, "q": 2, "r": 9, "s": 1}), "kind", MULTICLASS),
        (pl.col("kind") + pl.col("c"), "kind", MULTICLASS),
        (pl.col("number") * 3 - 7, "number", REGRESSION),
        (pl.col("number").log(), "number", REGRESSION),
        (pl.col("number").round(2), "number", REGRESSION),
        (-pl.col("number").rank(), "number", REGRESSION),
    ],
)
def test_a_column_that_is_nearly_the_target_is_refused(tmp_path, leak, target, task):
    frame = features(FRAME.with_columns(leak=leak), target)
    findings, reasons = divide(tmp_path, frame, target, task)
    assert ("near target", "refused", ["leak"]) in findings
    assert len(reasons) == 1
    assert reasons[0].startswith(f"column 'leak' alone predicts '{target}' with ")
    assert "data.columns.leak: {role: ignore} or {available: later}; a column that legitimately" in reasons[0]
    assert "goes under split.allow_proxies: {leak: " in reasons[0]


@pytest.mark.parametrize(
    ("innocent", "target", "task"),
    [
        (pl.int_range(pl.len()).cast(pl.String) + "-id", "flag", BINARY),
        (pl.int_range(pl.len()), "flag", BINARY),
        (pl.lit(None, dtype=pl.String), "flag", BINARY),
        (pl.lit(5.0), "kind", MULTICLASS),
        (pl.when(pl.int_range(pl.len()) % 10 == 0).then(pl.lit("no")).otherwise("flag"), "flag", BINARY),
        (pl.col("number") * (1 + 0.3 * pl.col("b")), "number", REGRESSION),
        (pl.int_range(pl.len()), "number", REGRESSION),
        (pl.lit(float("inf")), "number", REGRESSION),
    ],
)
def test_noise_identifiers_constants_and_strong_columns_pass(tmp_path, innocent, target, task):
    _, reasons = divide(tmp_path, features(FRAME.with_columns(innocent=innocent), target), target, task)
    assert reasons == ()


def test_a_sum_of_columns_that_is_the_target_is_refused_with_exactly_those_columns(tmp_path):
    frame = features(FRAME, "number").with_columns(
        part=pl.col("number") * 0.3 + pl.col("b"), rest=pl.col("number") * 0.7 - pl.col("b")
    )
    findings, reasons = divide(tmp_path, frame, "number", REGRESSION)
    assert ("sum is target", "refused", ["part", "rest"]) in findings
    assert "a weighted sum of 'part' and 'rest' gives 'number' with R2 1.0" in reasons[0]


def test_flags_that_add_up_to_a_class_are_refused(tmp_path):
    late = pl.col("flag") == "yes"
    frame = features(FRAME, "flag").with_columns(
        one=late & (pl.col("c") == "x"), two=late & (pl.col("c") == "y"), three=late & (pl.col("c") == "z")
    )
    findings, _ = divide(tmp_path, frame, "flag", BINARY)
    assert ("sum is target", "refused", ["one", "two", "three"]) in findings


def test_a_proxy_that_is_allowed_is_recorded_with_its_reason(tmp_path):
    frame = features(FRAME.with_columns(leak=pl.col("flag")), "flag")
    findings, reasons = divide(tmp_path, frame, "flag", BINARY, allow_proxies={"leak": "known the day before"})
    assert reasons == ()
    assert ("near target", "allowed", ["leak"]) in findings
    assert "known the day before" in (tmp_path / "two/division/split.json").read_text()


def test_a_leak_that_is_declared_later_or_ignored_is_no_leak(tmp_path):
    frame = features(FRAME.with_columns(leak=pl.col("flag"), other=pl.col("flag")), "flag")
    findings, reasons = divide(
        tmp_path, frame, "flag", BINARY, columns={"leak": {"available": "later"}, "other": {"role": "ignore"}}
    )
    assert reasons == ()
    assert findings == [("available later", "note", ["leak"])]


def test_the_column_that_a_rule_reads_is_found(tmp_path):
    frame = features(FRAME, "number").rename({"number": "delay"})
    findings, _ = divide(tmp_path, frame, "late", BINARY, label_config={"rule": "delay >= 1.5"})
    assert ("near target", "refused", ["delay"]) in findings


def test_few_rows_that_a_number_happens_to_separate_are_a_question_not_a_refusal(tmp_path):
    frame = pl.DataFrame(
        {
            "petal": [*np.linspace(1, 2, 50), *np.linspace(3, 7, 100)],
            "noise": random.normal(size=150),
            "y": ["s"] * 50 + ["v"] * 100,
        }
    )
    findings, reasons = divide(tmp_path, frame, "y", BINARY)
    assert reasons == ()
    assert ("near target", "warning", ["petal"]) in findings
    copied = frame.with_columns(petal=pl.col("y").replace_strict({"s": 3, "v": 8}))
    assert divide(tmp_path / "copied", copied, "y", BINARY)[1], "few values that separate are a copy also with few rows"


def test_columns_that_say_the_same_are_a_note(tmp_path):
    frame = features(FRAME, "flag").with_columns(
        word=pl.col("c").replace_strict({"x": "third", "y": "first", "z": "second"}), shuffled=pl.col("c").shuffle(1)
    )
    assert divide(tmp_path, frame, "flag", BINARY)[0] == [("redundant", "note", ["c", "word"])]


def test_equal_rows_on_both_sides_are_refused_under_a_key_and_reported_by_time(tmp_path):
    frame = pl.concat([features(FRAME, "flag")] * 2).with_columns(id=pl.int_range(2 * ROWS), at=pl.int_range(2 * ROWS))
    columns = {"id": {"role": "key"}, "at": {"role": "time"}}
    findings, reasons = divide(
        tmp_path / "key", frame, "flag", BINARY, columns={**columns, "at": {"role": "ignore"}}, key=["id"]
    )
    assert ("duplicates", "refused", []) in findings
    assert (
        "have an equal row in the training part (same features); at most 1.00% are allowed; leave split.key out"
        in reasons[0]
    )
    assert (
        divide(
            tmp_path / "many",
            frame,
            "flag",
            BINARY,
            columns={**columns, "at": {"role": "ignore"}},
            key=["id"],
            duplicates_at_most=1,
        )[1]
        == ()
    )
    assert ("duplicates", "warning", []) in divide(
        tmp_path / "time", frame, "flag", BINARY, columns=columns, by="time"
    )[0]
    assert divide(tmp_path / "row", frame, "flag", BINARY, columns={**columns, "at": {"role": "ignore"}}) == ([], ())


def test_groups_on_both_sides_are_refused_by_row_and_noted_by_time(tmp_path):
    frame = features(FRAME, "flag").with_columns(customer=pl.int_range(pl.len()) % 300, day=pl.int_range(pl.len()))
    columns = {"customer": {"role": "group"}, "day": {"role": "time"}}
    findings, reasons = divide(tmp_path / "row", frame, "flag", BINARY, columns=columns)
    assert ("groups", "refused", ["customer"]) in findings
    assert "split.by: group with column: customer" in reasons[0]
    assert ("groups", "note", ["customer"]) in divide(
        tmp_path / "time", frame, "flag", BINARY, columns=columns, by="time"
    )[0]
    assert divide(tmp_path / "group", frame, "flag", BINARY, columns=columns, by="group")[1] == ()


def test_a_row_division_of_data_with_a_time_is_a_warning_that_it_flatters(tmp_path):
    frame = features(FRAME, "flag").with_columns(
        day=pl.lit(dt.date(2013, 1, 1)) + pl.duration(days=pl.int_range(pl.len()) % 90)
    )
    findings, reasons = divide(tmp_path, frame, "flag", BINARY, columns={"day": {"role": "time"}})
    assert findings == [("times", "warning", ["day"])]
    assert reasons == ()


def test_a_test_part_that_is_not_later_is_caught_whoever_made_it(tmp_path):
    target = Target(name="flag", task=BINARY, classes=("no", "yes"))
    frame = features(FRAME, "flag").with_columns(day=pl.int_range(pl.len()))
    parts = [
        write_table(tmp_path / name, part, target, day={"role": "time"})
        for name, part in (("late", frame.tail(1000)), ("early", frame.head(1000)))
    ]
    findings = find_leaks(Parts(parts[0], parts[1], documents.read(TableSchema, parts[0]), by="time", column="day"))
    assert [(finding.check, finding.level) for finding in findings] == [("times", "refused")]


@pytest.mark.parametrize(
    ("config", "columns"),
    [
        ({"by": "group", "column": "at"}, {"at": {"role": "group"}}),
        ({"by": "time", "column": "at"}, {"at": {"role": "time"}}),
        ({"by": "row", "key": ("at",)}, {"at": {"role": "key"}}),
    ],
)
def test_data_without_a_feature_is_refused_with_what_each_column_is(tmp_path, config, columns):
    frame = FRAME.select(
        "flag", at=pl.int_range(pl.len()) % 300, said=pl.int_range(pl.len()).cast(pl.String), sold=pl.col("a")
    )
    columns = {**columns, "said": {"type": "text"}, "sold": {"available": "later"}}
    with pytest.raises(InputError, match=r"no column is a feature to learn from") as caught:
        divide(tmp_path, frame, "flag", BINARY, columns=columns, **config)
    assert f"at (role {columns['at']['role']}), said (type text), sold (available later)" in str(caught.value)
    assert "flag (the target)" in str(caught.value)


def test_the_rows_of_a_sample_do_not_depend_on_what_the_columns_are_called(tmp_path):
    plain = FRAME.select(a=pl.int_range(pl.len()), b="c", c="flag")
    renamed = plain.rename({"a": "_chosen", "b": "_" * 8, "c": "__"})
    samples = []
    for frame in (plain, renamed):
        frame.write_parquet(tmp_path / "data.parquet")
        samples.append(leaks._sample(tmp_path / "data.parquet", frame.columns, 100))
    assert samples[1].columns == renamed.columns
    assert samples[0].rows() == samples[1].rows()
    assert samples[0].height == 100


@pytest.mark.parametrize(
    ("leak", "target", "task"),
    [
        (pl.col("number") + 0.05 * pl.col("a"), "number", REGRESSION),
        (pl.col("number") * (1 + 0.02 * pl.col("b")), "number", REGRESSION),
        ((pl.col("flag") == "yes").cast(pl.Float64) + 0.2 * pl.col("b"), "flag", BINARY),
        (pl.when(pl.int_range(pl.len()) % 200 == 0).then(pl.lit("no")).otherwise("flag"), "flag", BINARY),
    ],
)
def test_a_column_that_is_the_target_but_for_small_amounts_is_refused_unless_there_is_a_reason(
    tmp_path, leak, target, task
):
    frame = features(FRAME.with_columns(leak=leak), target)
    findings, reasons = divide(tmp_path / "one", frame, target, task)
    assert ("near target", "refused", ["leak"]) in findings
    assert len(reasons) == 1
    findings, reasons = divide(tmp_path / "two", frame, target, task, allow_proxies={"leak": "measured before"})
    assert ("near target", "allowed", ["leak"]) in findings
    assert not reasons


SALARY = pl.DataFrame(
    {
        "gross": 3000 + 400 * NOISE[:, 0],
        "taxes": 900 + 250 * NOISE[:, 1],
        "bonus": np.abs(120 * NOISE[:, 2]),
        "age": random.integers(20, 60, ROWS),
        "city": random.choice(["Graz", "Lyon"], ROWS),
    }
)


@pytest.mark.parametrize(
    ("target", "parts"),
    [
        (pl.col("gross") - pl.col("taxes"), ["gross", "taxes"]),
        (pl.col("gross") - pl.col("taxes") + 0.5 * pl.col("bonus").shuffle(1), ["gross", "taxes"]),
        (
            pl.col("gross") + pl.col("bonus") - pl.col("taxes") + 2 * pl.col("age").shuffle(1),
            ["gross", "taxes", "bonus"],
        ),
        ((pl.col("gross") + pl.col("taxes")) * 12 + 300 * pl.col("bonus").shuffle(2) / 120, ["gross", "taxes"]),
    ],
)
def test_a_target_that_is_a_sum_of_few_columns_but_for_small_amounts_is_refused(tmp_path, target, parts):
    frame = SALARY.with_columns(net=target)
    findings, reasons = divide(tmp_path / "one", frame, "net", REGRESSION)
    assert ("sum is target", "refused", parts) in findings
    assert len(reasons) == 1
    reason = dict.fromkeys(parts, "known a month before")
    findings, reasons = divide(tmp_path / "two", frame, "net", REGRESSION, allow_proxies=reason)
    assert ("sum is target", "allowed", parts) in findings
    assert not reasons


def test_a_target_that_many_columns_give_together_is_learned_rather_than_refused(tmp_path):
    values = np.random.default_rng(3).normal(size=(ROWS, 12))
    frame = pl.DataFrame({f"x{index}": values[:, index] for index in range(11)})
    frame = frame.with_columns(y=pl.Series(values[:, :11].sum(axis=1) + 0.2 * values[:, 11]))
    findings, reasons = divide(tmp_path, frame, "y", REGRESSION)
    assert not reasons
    assert "sum is target" not in {check for check, _, _ in findings}


def test_a_trend_over_years_and_months_is_no_leak(tmp_path):
    month = np.arange(ROWS) // 10
    frame = pl.DataFrame({"year": 2000 + month // 12, "month": month % 12 + 1, "a": NOISE[:, 0], "c": FRAME["c"]})
    frame = frame.with_columns(sales=pl.Series(100 + 3 * month + 20 * NOISE[:, 1]))
    findings, reasons = divide(tmp_path, frame, "sales", REGRESSION)
    assert "sum is target" not in {check for check, _, _ in findings}
    assert not reasons


def test_few_rows_of_a_rare_class_may_be_separated_by_chance(tmp_path):
    frame = features(FRAME).with_columns(rare=pl.when(pl.int_range(pl.len()) % 300 == 0).then(1).otherwise(0))
    frame = frame.with_columns(odd=pl.col("rare") * 3 + pl.col("a").shuffle(5))
    assert divide(tmp_path, frame, "rare", BINARY)[1] == ()


def test_near_copies_across_the_parts_are_counted_and_named(tmp_path):
    frame = features(FRAME, "flag").with_columns(pl.col("a", "b").round(6), day=pl.int_range(pl.len()))
    again = frame.sample(200, seed=1).with_columns(day=pl.col("day") + 5000)
    findings, _ = divide(tmp_path, pl.concat([frame, again]), "flag", BINARY)
    assert ("near copies", "warning", []) in findings
    copies = next(
        finding
        for finding in read_json(tmp_path / "two" / "division" / "split.json")["findings"]
        if finding["check"] == "near copies"
    )
    assert 30 < copies["numbers"]["all_but_one"] < 100
    assert "equal a training row in all features but one ('day')" in copies["text"]


def test_rows_that_are_equal_after_rounding_are_counted(tmp_path):
    frame = features(FRAME, "flag").with_columns(pl.col("a", "b").round_sig_figs(3))
    again = frame.sample(400, seed=1).with_columns(pl.col("a", "b") * 1.0001)
    divide(tmp_path, pl.concat([frame, again]), "flag", BINARY)
    findings = read_json(tmp_path / "two" / "division" / "split.json")["findings"]
    text, numbers = next((f["text"], f["numbers"]) for f in findings if f["check"] == "near copies")
    assert 80 < numbers["rounded"] < 200
    assert "equal a training row once numbers are rounded" in text


def test_features_of_few_values_agree_by_chance_and_that_is_only_a_note(tmp_path):
    frame = pl.DataFrame({name: random.integers(0, 3, ROWS) for name in "abcdefgh"})
    frame = frame.with_columns(y=pl.when(pl.col("a") + NOISE[:, 0] > 1).then(pl.lit("yes")).otherwise(pl.lit("no")))
    findings, _ = divide(tmp_path, frame, "y", BINARY, duplicates_at_most=1)
    assert ("near copies", "note", []) in findings


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("customer_id", 80),
        ("CustomerID", 80),
        ("account", 80),
        ("Patient", 8),
        ("user", 80),
        ("session id", 80),
        ("KundenNr", 80),
    ],
)
def test_a_repeating_id_that_is_a_feature_is_warned_of(tmp_path, name, values):
    who = pl.Series(random.integers(0, values, ROWS)).cast(pl.String)
    findings, reasons = divide(tmp_path, features(FRAME, "flag").with_columns(who.alias(name)), "flag", BINARY)
    assert ("ids", "warning", [name]) in findings
    assert not reasons


@pytest.mark.parametrize(
    ("name", "values"), [("plan_id", 4), ("zip_code", 80), ("patient", 2), ("paid", 80), ("use", 80)]
)
def test_a_category_is_not_warned_of_for_its_name(tmp_path, name, values):
    frame = features(FRAME, "flag").with_columns(pl.Series(name, random.integers(0, values, ROWS)).cast(pl.String))
    findings, _ = divide(tmp_path, frame, "flag", BINARY)
    assert "ids" not in {check for check, _, _ in findings}


# Public data, where it is at hand: what must be stopped and what must not.


def _csv(name, **options):
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{path} is not here")
    frame = pl.read_csv(path, infer_schema_length=None, null_values=["", "?", " ?", "NA"], **options)
    return frame.with_columns(pl.col(pl.String).str.strip_chars())


def _last(frame):
    return frame.columns[-1]


@pytest.mark.parametrize(
    ("name", "options", "drop", "target", "task", "stopped"),
    [
        ("titanic/titanic.csv", {}, [], "survived", BINARY, [["alive"]]),
        ("titanic/titanic.csv", {}, ["alive"], "survived", BINARY, []),
        ("bike_sharing/hour.csv", {}, ["instant", "dteday"], "cnt", REGRESSION, [["casual", "registered"]]),
        ("bike_sharing/day.csv", {}, ["instant", "dteday"], "cnt", REGRESSION, [["casual", "registered"]]),
        ("bike_sharing/hour.csv", {}, ["casual", "registered"], "cnt", REGRESSION, []),
        ("adult/adult-train.csv", {"has_header": False, "n_rows": 32561}, [], None, BINARY, []),
        ("telco_churn/Telco-Customer-Churn.csv", {}, ["customerID"], "Churn", BINARY, []),
        ("churn_modelling/Churn_Modelling.csv", {}, [], "Exited", BINARY, []),
        ("california_housing/housing.csv", {}, [], "median_house_value", REGRESSION, []),
        ("abalone/abalone.csv", {"has_header": False}, [], None, REGRESSION, []),
        ("diamonds/diamonds.csv", {}, [], "price", REGRESSION, []),
        ("wine_quality/winequality-white.csv", {"has_header": False}, [], None, REGRESSION, []),
        ("letter/LetterRecognition.csv", {}, [], "lettr", MULTICLASS, []),
        ("mammography/mammography.csv", {"has_header": False}, [], None, BINARY, []),
        ("german_credit/german.csv", {"has_header": False}, [], None, BINARY, []),
    ],
)
def test_public_data_is_judged_rightly(tmp_path, name, options, drop, target, task, stopped):
    frame = _csv(name, **options).drop(drop)
    findings, reasons = divide(tmp_path, frame, target or _last(frame), task)
    assert [columns for _, level, columns in findings if level == "refused"] == stopped
    assert len(reasons) == len(stopped)


@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("iris", MULTICLASS),
        ("breast_cancer", BINARY),
        ("diabetes", REGRESSION),
        ("wine", MULTICLASS),
        ("digits", MULTICLASS),
    ],
)
def test_easy_teaching_data_passes(tmp_path, name, task):
    from sklearn import datasets

    bunch = getattr(datasets, f"load_{name}")()
    frame = pl.DataFrame(
        {**{str(column): bunch.data[:, i] for i, column in enumerate(bunch.feature_names)}, "y": bunch.target}
    )
    findings, _ = divide(tmp_path, frame, "y", task)
    assert {level for _, level, _ in findings} <= {"note"}


@pytest.mark.parametrize(
    ("target", "columns"),
    [
        (pl.col("pieces") * pl.col("price"), ["pieces", "price"]),
        (pl.col("price") / pl.col("pieces"), ["pieces", "price"]),
        (pl.col("pieces") * pl.col("price") * pl.col("rate"), ["pieces", "price", "rate"]),
        (pl.col("pieces") * pl.col("price") * (1 + pl.col("b") / 300), ["pieces", "price"]),
        (pl.col("price") - pl.col("pieces"), ["pieces", "price"]),
    ],
)
def test_a_product_a_quotient_or_a_difference_of_columns_is_refused(tmp_path, target, columns):
    random = np.random.default_rng(2)
    frame = features(FRAME, "number").with_columns(
        pieces=pl.Series(random.integers(1, 40, FRAME.height)),
        price=pl.Series(random.lognormal(2, 1, FRAME.height)),
        rate=pl.Series(random.uniform(0.5, 2, FRAME.height)),
    )
    findings, reasons = divide(tmp_path, frame.with_columns(total=target), "total", REGRESSION)
    assert len(reasons) == 1
    assert [names for check, level, names in findings if level == "refused"] == [columns]


@pytest.mark.parametrize("by", ["row", "time"])
@pytest.mark.parametrize(("target", "task"), [("number", REGRESSION), ("flag", BINARY), ("kind", MULTICLASS)])
def test_the_target_of_a_later_row_is_refused_and_that_of_an_earlier_one_is_not(tmp_path, target, task, by):
    frame = features(FRAME, target).with_columns(
        when=pl.int_range(pl.len()), next=pl.col(target).shift(-1), before=pl.col(target).shift(1)
    )
    options = {"by": by, **({"column": "when"} if by == "time" else {}), "columns": {"when": {"role": "time"}}}
    findings, reasons = divide(tmp_path, frame, target, task, **options)
    assert [(check, names) for check, level, names in findings if level == "refused"] == [("later target", ["next"])]
    assert f"column 'next' is the '{target}' of the next row in 100.0% of the rows" in reasons[0]


def test_a_target_that_hardly_changes_is_not_taken_for_that_of_a_later_row(tmp_path):
    frame = features(FRAME).with_columns(
        state=pl.when(pl.int_range(pl.len()) % 400 < 200).then(pl.lit("a")).otherwise(pl.lit("b"))
    )
    findings, _ = divide(tmp_path, frame.with_columns(next=pl.col("state").shift(-1)), "state", BINARY)
    assert "later target" not in {check for check, _, _ in findings}


@pytest.mark.parametrize(
    ("target", "task"),
    [
        (pl.when(pl.col("a") > pl.col("b")).then(pl.lit("yes")).otherwise(pl.lit("no")), BINARY),
        (pl.when(pl.col("a") > 2 * pl.col("b")).then(pl.lit("yes")).otherwise(pl.lit("no")), BINARY),
        (pl.max_horizontal("a", "b"), REGRESSION),
        (pl.min_horizontal("a", "b"), REGRESSION),
        (pl.col("a") * pl.col("b"), REGRESSION),
        (pl.col("a") / pl.col("b"), REGRESSION),
    ],
)
def test_a_target_that_two_columns_make_is_refused(tmp_path, target, task):
    random = np.random.default_rng(4)
    columns = {name: random.uniform(1, 9, 900) * random.choice([-1, 1], 900) for name in ("a", "b", "c", "d")}
    columns |= {} if task == REGRESSION else {name: np.abs(values) for name, values in columns.items()}
    findings, reasons = divide(tmp_path, pl.DataFrame(columns).with_columns(y=target), "y", task)
    assert len(reasons) == 1
    assert [(check, sorted(names)) for check, level, names in findings if level == "refused"] == [
        ("pair is target", ["a", "b"])
    ]


def test_a_class_that_two_columns_decide_but_for_noise_is_learned_rather_than_refused(tmp_path):
    random = np.random.default_rng(4)
    a, b, noise = random.normal(size=(3, 900))
    frame = pl.DataFrame({"a": a, "b": b, "y": np.where(a - b + noise / 4 > 0, "yes", "no")})
    findings, _ = divide(tmp_path, frame, "y", BINARY)
    assert {level for _, level, _ in findings} <= {"note"}
