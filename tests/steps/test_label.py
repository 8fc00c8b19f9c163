"""The label stage: where labels come from, what they are called, and what is refused."""

import datetime as dt

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tables import metrics, read_json, run_stage, write_table

from model_code.tasks.labels import class_names, ordered_classes
from steps import documents
from steps.errors import GateRefused, InputError
from steps.journal import check_metric_name
from steps.label import LabelConfig, label
from steps.labeling.classes import choose_positive, class_metrics
from steps.labeling.rules import apply_rule
from steps.tables.names import LABEL_SOURCE
from steps.tables.schema import TableSchema

BINARY, MULTICLASS, REGRESSION = "binary-classification", "multiclass-classification", "regression"


@pytest.fixture
def labelled(workspace):
    """Label a frame; returns the labelled frame, its schema, labels.json and the metrics."""
    count = iter(range(100))

    def make(frame, **config):
        place = workspace / str(next(count))
        table = write_table(place / "table", pl.DataFrame(frame, strict=False))
        out = run_stage(label, place, LabelConfig(**{"target": "y", "task": BINARY, **config}), table=table)
        data = pl.read_parquet(out["labeled"] / "data.parquet", glob=False)
        return (
            data,
            documents.read(TableSchema, out["labeled"]),
            read_json(out["labeled"] / "labels.json"),
            metrics(out["journal"]),
        )

    return make


@pytest.mark.parametrize(
    "rule",
    [
        "CASE WHEN a >= 0.5 THEN 'late' ELSE 'in time' END",
        "IF(a >= 0.5, 'late', 'in time')",
        "UPPER(CASE WHEN a >= 0.5 THEN 'late' ELSE 'in time' END)",
        "CAST(CASE WHEN a >= 0.5 THEN 1 ELSE 0 END AS VARCHAR)",
    ],
)
def test_a_label_stays_with_its_row_in_a_table_of_several_row_groups(tmp_path, rule):
    """Polars may give values that do not depend on a column's order in any order."""
    rows = 400_000
    frame = pl.DataFrame({"_row": range(1, rows + 1), "a": [(row * 7919) % 1000 / 1000 for row in range(rows)]})
    frame.write_parquet(tmp_path / "data.parquet", row_group_size=1 << 17)
    for _ in range(5):
        values, alone = apply_rule(tmp_path / "data.parquet", rule, ["a"])
        assert values.str.to_lowercase().is_in(["late", "1"]).equals(frame["a"] >= 0.5)
        assert alone


def test_columns_and_targets_may_have_the_names_that_labels_travel_under(labelled):
    data, *_ = labelled({"_label": range(20), "a": range(20), "y": [True, False] * 10})
    assert data.columns == ["_row", "_label", "a", "y", LABEL_SOURCE]
    data, *_ = labelled({"a": range(20)}, target="_label", rule="a > 9")
    assert data["_label"].to_list() == ["false"] * 10 + ["true"] * 10


def test_classes_can_be_left_out_with_their_rows(labelled):
    frame = {"y": ["a"] * 8 + ["b"] * 7 + ["c"] * 2 + [None]}
    data, schema, report, _ = labelled(frame, unlabeled="drop", leave_out=["c"])
    assert (data.height, schema.target.classes) == (15, ("a", "b"))
    assert (report["left_out"], report["rows_unlabeled"], report["rows_labeled"]) == ({"c": 2}, 1, 17)
    assert "rows of classes left out: 'c' (2)" in report["notes"]
    with pytest.raises(InputError, match=r"label.leave_out: no row has the class 'd'"):
        labelled(frame, unlabeled="drop", leave_out=["d"])
    with pytest.raises(InputError, match=r"label.leave_out: the labels are numbers"):
        labelled({"y": range(20)}, task=REGRESSION, leave_out=["3"])


@pytest.mark.parametrize("name", ["_row", LABEL_SOURCE])
def test_a_target_may_not_have_a_name_that_every_table_has(labelled, name):
    with pytest.raises(InputError, match=f"target '{name}' is a reserved column name"):
        labelled({"a": range(20)}, target=name, rule="a > 9")


def test_a_column_becomes_class_names_with_their_provenance(labelled):
    data, schema, report, logged = labelled({"a": range(20), "y": [True, False] * 10})
    assert data.columns == ["_row", "a", "y", LABEL_SOURCE]
    assert data["y"].to_list() == ["true", "false"] * 10
    assert set(data[LABEL_SOURCE]) == {"column:y"}
    assert schema.target.classes == ("false", "true")
    assert [column.name for column in schema.features()] == ["a"]
    assert report["provenance"] == {"column:y": 20}
    assert logged["data/label_coverage"] == 1
    assert logged["data/class_share.true"] == 0.5


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        ([0, 1], ("0", "1")),
        ([1.0, 0.0], ("0", "1")),
        ([2, 10], ("2", "10")),
        (["no", "yes"], ("no", "yes")),
        (["Yes ", "No"], ("No", "Yes")),
        (["n", "y"], ("n", "y")),
        (["'-1'", "'1'"], ("'-1'", "'1'")),
        (["<b>", "ünï 'q'"], ("<b>", "ünï 'q'")),
    ],
)
def test_two_classes_are_ordered_with_the_positive_one_last(labelled, values, classes):
    _, schema, report, _ = labelled({"a": range(20), "y": values * 10})
    assert schema.target.classes == classes
    assert report["positive"]["class"] == classes[-1]


def test_the_rarer_class_is_positive_where_names_say_nothing(labelled):
    _, schema, report, _ = labelled({"y": [">50K"] * 6 + ["<=50K"] * 14})
    assert schema.target.classes == ("<=50K", ">50K")
    assert report["positive"]["how"] == "guessed: the rarer class"


def test_a_declared_positive_class_wins_and_says_so(labelled):
    _, schema, report, _ = labelled({"y": ["no", "yes"] * 10}, positive="no")
    assert schema.target.classes == ("yes", "no")
    assert report["positive"] == {"class": "no", "how": "declared in label.positive"}
    with pytest.raises(InputError, match=r"'nope' is not a class.*'no'"):
        labelled({"y": ["no", "yes"] * 10}, positive="nope")


def test_many_classes_are_in_numeric_order_where_they_are_numbers(labelled):
    assert labelled({"y": [10, 9, 100] * 6}, task=MULTICLASS)[1].target.classes == ("9", "10", "100")
    assert labelled({"y": ["b", "a", "10"] * 6}, task=MULTICLASS)[1].target.classes == ("10", "a", "b")


def test_a_rule_makes_the_label_and_its_columns_stay(labelled):
    data, schema, report, _ = labelled(
        {"delay": [None, 14, 15, 99] * 5}, rule="delay >= 15", target="late", unlabeled="drop"
    )
    assert data["late"].to_list() == ["false", "true", "true"] * 5
    assert data["delay"].to_list() == [14, 15, 99] * 5
    assert data["_row"].to_list()[:4] == [2, 3, 4, 6]
    assert set(data[LABEL_SOURCE]) == {"rule"}
    assert report["rows_unlabeled"] == 5
    assert report["unlabeled_rows"] == [1, 5, 9, 13, 17]
    assert schema.rows == 15
    assert {column.name: column.missing for column in schema.columns} == {"delay": 0, "late": 0}


@pytest.mark.parametrize(
    "rule",
    [
        "CASE WHEN a > 9 THEN 'x' ELSE 'y' END",
        "a IN (1, 2, 3, 4, 5)",
        "a BETWEEN 2 AND 11",
        "a % 2",
    ],
)
def test_rules_speak_sql(labelled, rule):
    assert len(labelled({"a": range(20)}, rule=rule)[1].target.classes) == 2


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("delya >= 15", "delya.*columns are: a"),
        ("a >", "not a SQL expression that works here"),
        ("a > 1), (a < 3", "makes 2 columns"),
        ("a > 1; DROP TABLE rows", "not a SQL expression"),
        ("no_such_function(a)", "not a SQL expression"),
        ("max(a) > 3", "gives 1 values for 2 rows"),
        ("a > 'x'", "not a SQL expression"),
    ],
)
def test_a_wrong_rule_says_what_is_wrong_with_it(labelled, rule, message):
    with pytest.raises(InputError, match=message):
        labelled({"a": range(20)}, rule=rule)


def test_a_rule_that_looks_at_other_rows_is_reported(labelled):
    assert "looks at other rows" in labelled({"a": range(20)}, rule="a > avg(a) OVER ()")[2]["notes"][0]
    assert labelled({"a": range(20)}, rule="a > 4")[2]["notes"] == []


def test_a_rule_cannot_take_the_name_of_a_column(labelled):
    with pytest.raises(InputError, match="'y' is a column already"):
        labelled({"y": range(20)}, rule="y > 3")


def test_a_wrong_target_lists_columns_and_near_matches(labelled):
    with pytest.raises(InputError, match=r"no such column; did you mean 'Survived'.*columns are: Survived, age"):
        labelled({"Survived": [0, 1], "age": [1, 2]}, target="survived")


def test_unlabeled_rows_are_refused_unless_dropped_is_declared(labelled):
    frame = {"y": ["a", "b", None, " "] * 5}
    with pytest.raises(GateRefused, match=r"10 of 20 rows have no label \(rows 3, 4, 7.*label.unlabeled: drop"):
        labelled(frame)
    data, _, report, logged = labelled(frame, unlabeled="drop")
    assert data.height == 10
    assert report["coverage"] == logged["data/label_coverage"] == 0.5


def test_a_gate_that_refuses_leaves_its_report(workspace):
    table = write_table(workspace / "table", pl.DataFrame({"y": ["a", "b", None] * 5}))
    with pytest.raises(GateRefused, match=r"66.7% of the rows have a label.*minimum_coverage is 90.0%"):
        run_stage(
            label,
            workspace / "out",
            LabelConfig(target="y", task=BINARY, unlabeled="drop", minimum_coverage=0.9),
            table=table,
        )
    assert read_json(workspace / "out" / "labeled" / "labels.json")["coverage"] == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("values", "task", "message"),
    [
        (["x"] * 20, BINARY, "same value in all 20"),
        ([3.5] * 20, REGRESSION, "same value in all 20"),
        ([None] * 20, BINARY, "none of the 20 rows"),
        (["a", "b", "c", "d"] * 5, BINARY, "4 classes.*multiclass-classification"),
        (["a", "b"] * 10, MULTICLASS, "binary-classification"),
        (["a"] * 18 + ["b"] * 2, BINARY, r"too few rows of 'b' \(2\)"),
        (["a", "b"] * 9 + ["c"] + ["d"], MULTICLASS, "too few rows of 'c'.*'d'"),
        ([f"id{i}" for i in range(40)], MULTICLASS, "40 different values in 40 rows.*identifier"),
        ([i / 3 for i in range(40)], BINARY, "task: regression"),
        (list(range(40)), MULTICLASS, "task: regression"),
        ([True, False] * 10, REGRESSION, "true or false.*binary-classification"),
        (["1", "2", "x", "4"] * 5, REGRESSION, r"not a number in 5 of 20 rows \(rows 3, 7, 11, 15, 19\)"),
        ([1.0, -1e300, 3.0, 4.0] * 5, REGRESSION, r"huge or infinite in 5 of 20 rows \(rows 2, 6"),
        ([1.0, float("inf"), 3.0, 4.0] * 5, REGRESSION, r"infinite in 5 of 20 rows \(rows 2, 6"),
        ([dt.date(2013, 1, 1 + i) for i in range(20)], REGRESSION, "holds dates"),
    ],
)
def test_labels_that_do_not_fit_the_task_are_refused(labelled, values, task, message):
    with pytest.raises(InputError, match=message):
        labelled({"a": range(len(values)), "y": values}, task=task)


def test_declared_classes_must_be_the_ones_found(labelled):
    frame = {"y": ["low", "mid", "high"] * 6}
    assert labelled(frame, task=MULTICLASS, classes=("low", "mid", "high"))[1].target.classes == ("low", "mid", "high")
    with pytest.raises(InputError, match=r"other labels in the data: 'high'"):
        labelled(frame, task=MULTICLASS, classes=("low", "mid"))
    with pytest.raises(InputError, match="classes without rows: 'top'"):
        labelled(frame, task=MULTICLASS, classes=("low", "mid", "high", "top"))


def test_a_regression_target_becomes_a_number_and_nan_is_missing(labelled):
    data, schema, report, logged = labelled({"y": [1, 2, 3, 4] * 5}, task=REGRESSION)
    assert data["y"].dtype == pl.Float64
    assert schema.target.classes == ()
    assert report["summary"]["mean"] == logged["data/target_mean"] == 2.5
    assert labelled({"y": ["1.5", " 2 ", "3"] * 5}, task=REGRESSION)[0]["y"].to_list()[:3] == [1.5, 2, 3]
    assert labelled({"y": [1.0, 2.0, float("nan")] * 5}, task=REGRESSION, unlabeled="drop")[0].height == 10


def test_the_same_table_gives_the_same_bytes(workspace):
    table = write_table(workspace / "table", pl.DataFrame({"a": range(300), "y": ["u", "v", "w"] * 100}))
    config = LabelConfig(target="y", task=MULTICLASS)
    first, second = (run_stage(label, workspace / name, config, table=table)["labeled"] for name in ("one", "two"))
    for name in ("data.parquet", "schema.json", "labels.json"):
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_the_share_of_each_of_many_classes_is_a_metric_only_on_request(labelled):
    columns = {"y": ["a"] * 10 + ["b"] * 20 + ["c"] * 70}
    few = {"data/classes": 3, "data/smallest_class_share": 0.1, "data/largest_class_share": 0.7}
    logged = labelled(columns, task=MULTICLASS)[-1]
    assert logged.items() >= few.items()
    assert not [name for name in logged if name.startswith("data/class_share.")]
    assert labelled(columns, task=MULTICLASS, class_metrics=True)[-1]["data/class_share.b"] == 0.2


@given(st.dictionaries(st.text(max_size=8), st.integers(1, 9), min_size=2, max_size=6))
def test_metric_names_of_classes_are_valid_and_distinct(counts):
    """Property: whatever a class is called, its share has a metric name that trackers take, and no two classes share one."""
    shares = class_metrics(counts)
    assert len(shares) == len(counts)
    assert sum(shares.values()) == pytest.approx(1)
    for name in shares:
        check_metric_name(name)
        assert name.isascii()


@given(st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6).map(round).map(float)), min_size=1))
def test_whole_floats_are_named_as_integers(values):
    """Property: an integer column read as float keeps its class names."""
    as_float = class_names(pl.Series(values, dtype=pl.Float64))
    as_int = class_names(pl.Series([None if value is None else int(value) for value in values], dtype=pl.Int64))
    assert as_float.to_list() == as_int.to_list()


def test_the_choice_of_the_positive_class_does_not_depend_on_the_order_of_rows():
    for names in (["yes", "no"], ["0", "1"], ["alive", "dead"], ["A", "B"]):
        choice = choose_positive({names[0]: 5, names[1]: 5}, None)
        assert (
            choose_positive(dict.fromkeys(ordered_classes(names), 5), None)[0]
            == choose_positive(dict.fromkeys(ordered_classes(names[::-1]), 5), None)[0]
        )
        assert choice[0] in names


def test_classes_that_are_spellings_of_one_word_are_warned_of(labelled):
    _, schema, report, _ = labelled({"y": ["Yes", "yes", "no"] * 10}, task=MULTICLASS)
    assert len(schema.target.classes) == 3
    assert report["notes"][0].startswith("classes that differ in case or blanks only count as different: 'Yes', 'yes'")
