"""The division: what stays together, what never moves, and what is refused."""

import datetime as dt

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from tables import metrics, read_json, run_stage, write_table

from steps import documents
from steps.errors import GateRefused, InputError
from steps.split import SplitConfig, split
from steps.splitting.division import by_class, by_group, by_row, by_time
from steps.tables.names import LABEL_SOURCE
from steps.tables.schema import TableSchema, Target

CLASSES = ("no", "yes")
random = np.random.default_rng(0)
ROWS = 4000
FRAME = pl.DataFrame(
    {
        "a": random.normal(size=ROWS),
        "b": random.integers(0, 50, ROWS),
        "c 0 'ü": random.choice(["x", "y", None, "<b>"], ROWS),
        "customer": random.integers(0, 400, ROWS),
        "day": [dt.date(2013, 1, 1) + dt.timedelta(int(i)) for i in random.integers(0, 100, ROWS)],
        "later": random.normal(size=ROWS),
        "y": random.choice(CLASSES, ROWS, p=[0.7, 0.3]),
        LABEL_SOURCE: ["column:y"] * ROWS,
    }
)
COLUMNS = {"customer": {"role": "ignore"}, "day": {"role": "time"}, "later": {"available": "later"}}


@pytest.fixture
def divided(workspace):
    """Split a labelled frame; returns both parts, split.json and the metrics."""
    count = iter(range(100))

    def divide(frame=FRAME, columns=COLUMNS, target=None, **config):
        place = workspace / str(next(count))
        target = target or Target(name="y", task="binary-classification", classes=CLASSES)
        labeled = write_table(
            place / "labeled", frame, target, **{name: item for name, item in columns.items() if name in frame.columns}
        )
        out = run_stage(split, place, SplitConfig(**config), labeled=labeled)
        parts = [pl.read_parquet(out[name] / "data.parquet", glob=False) for name in ("train_set", "test_set")]
        return *parts, read_json(out["division"] / "split.json"), metrics(out["journal"])

    return divide


def test_the_parts_hold_every_row_once_in_order_with_schemas_of_their_own(divided, workspace):
    train, test, report, logged = divided()
    assert sorted([*train["_row"], *test["_row"]]) == list(range(1, ROWS + 1))
    assert train["_row"].is_sorted()
    assert test["_row"].is_sorted()
    for name, part in (("train", train), ("test", test)):
        schema = documents.read(TableSchema, workspace / "0" / f"{name}_set")
        assert schema.rows == part.height == report["rows"][name]["rows"] == logged[f"data/rows_{name}"]
        assert schema.digest == report["rows"][name]["digest"]
        assert next(c.missing for c in schema.columns if c.name.startswith("c 0")) == part["c 0 'ü"].null_count()
    assert (
        documents.read(TableSchema, workspace / "0" / "train_set").digest
        != documents.read(TableSchema, workspace / "0" / "test_set").digest
    )
    assert abs(report["test_fraction"]["found"] - 0.2) < 4 * report["test_fraction"]["standard_error"]
    assert report["hashed"] == ["a", "b", "c 0 'ü"], "only what a model may see"


def test_a_column_may_have_the_name_under_which_the_division_travels(divided):
    train, test, *_ = divided(FRAME.with_columns(pl.lit("x").alias("_in_test")))
    assert set(train["_in_test"]) == set(test["_in_test"]) == {"x"}
    assert sorted([*train["_row"], *test["_row"]]) == list(range(1, ROWS + 1))


def test_the_same_rows_give_the_same_bytes(divided, workspace):
    divided()
    divided()
    for name in ("train_set/data.parquet", "test_set/schema.json", "division/split.json"):
        assert (workspace / "0" / name).read_bytes() == (workspace / "1" / name).read_bytes()


def test_a_seed_gives_another_division_and_a_larger_fraction_keeps_the_test_rows(divided):
    rows = {
        name: set(divided(**config)[1]["_row"])
        for name, config in {"zero": {}, "one": {"seed": 1}, "more": {"test_fraction": 0.4}}.items()
    }
    assert rows["zero"] != rows["one"]
    assert rows["zero"] < rows["more"]


def test_a_key_decides_instead_of_the_features(divided):
    frame = FRAME.with_columns(id=pl.int_range(pl.len()))
    changed = frame.with_columns(pl.col("a") + 1)
    ids = [set(divided(item, {**COLUMNS, "id": {"role": "key"}}, key=["id"])[1]["id"]) for item in (frame, changed)]
    assert ids[0] == ids[1]


def test_groups_stay_whole(divided):
    train, test, report, _ = divided(columns={**COLUMNS, "customer": {"role": "group"}}, by="group")
    assert not set(train["customer"]) & set(test["customer"])
    assert report["column"] == "customer"
    assert report["units"] == FRAME["customer"].n_unique()


def test_by_time_every_test_row_is_later_than_every_training_row(divided):
    train, test, report, _ = divided(by="time")
    assert train["day"].max() < test["day"].min()
    assert str(test["day"].min()) == report["boundary"]
    assert abs(report["test_fraction"]["found"] - 0.2) < 0.01


def test_exact_stratification_gives_each_class_its_share(divided):
    _, test, report, _ = divided(stratify="exact")
    for name in CLASSES:
        assert (test["y"] == name).sum() == round(0.2 * (FRAME["y"] == name).sum())
    assert report["stratify"] == "exact"


def test_a_class_that_misses_in_one_part_is_reported(divided):
    frame = FRAME.with_columns(y=pl.when(pl.int_range(pl.len()) == 7).then(pl.lit("rare")).otherwise("y"))
    target = Target(name="y", task="multiclass-classification", classes=(*CLASSES, "rare"))
    assert "'rare'" in divided(frame, target=target)[2]["notes"][0]


def test_a_regression_reports_how_the_means_differ(divided):
    frame = FRAME.with_columns(y=pl.col("b") * 1.0 + random.normal(size=ROWS) * 20)
    report = divided(frame, target=Target(name="y", task="regression"))[2]
    assert abs(report["balance"][0]["standard_errors"]) < 4


@pytest.mark.parametrize(
    ("config", "columns", "message"),
    [
        ({"by": "group", "column": "custmer"}, {}, "no column 'custmer'; did you mean 'customer'"),
        ({"by": "group"}, {}, "one column of role group; no column has it"),
        ({"by": "time", "column": "c 0 'ü"}, {}, "rows have no time"),
        ({"by": "group", "column": "c 0 'ü"}, {}, r"rows have no group \(rows "),
        ({"by": "time", "column": "y"}, {}, "holds text, which has no order"),
        ({"key": ["nope"]}, {}, "split.key: the table has no column 'nope'"),
        ({"key": ["c 0 'ü"]}, {}, "a key identifies every row, and it is missing"),
        (
            {},
            {name: {"role": "ignore"} for name in FRAME.columns if name[0] != "_"},
            "the table has none; write split.key",
        ),
        ({"allow_proxies": {"nope": "why"}}, {}, "allow_proxies: the table has no column 'nope'"),
        ({"test_fraction": 1e-9}, {}, "test part would be empty"),
    ],
)
def test_a_division_that_cannot_be_made_says_why(divided, config, columns, message):
    with pytest.raises(InputError, match=message):
        divided(columns={**COLUMNS, **columns}, **config)


def test_exact_needs_classes(divided):
    frame = FRAME.with_columns(y=pl.col("b") * 1.0)
    with pytest.raises(InputError, match="a regression has no classes"):
        divided(frame, target=Target(name="y", task="regression"), stratify="exact")


def test_one_class_in_a_part_is_refused(divided):
    with pytest.raises(InputError, match=r"test part would hold only class 'no'.*split by row or group"):
        divided(
            FRAME.with_columns(y=pl.when(pl.col("day") < dt.date(2013, 2, 1)).then("y").otherwise(pl.lit("no"))),
            by="time",
        )


def test_one_class_in_a_part_by_chance_names_a_seed_that_works(divided):
    frame = FRAME.head(12).with_columns(y=pl.when(pl.int_range(12) < 6).then(pl.lit("yes")).otherwise(pl.lit("no")))
    for seed in range(30):
        try:
            divided(frame, seed=seed)
        except InputError as error:
            works = int(str(error).split("split.seed: ")[1].split(",")[0])
            divided(frame, seed=works)
            return
    pytest.fail("no seed was refused")


def test_one_group_or_one_moment_cannot_be_divided(divided):
    with pytest.raises(InputError, match="all rows are in one group"):
        divided(FRAME.with_columns(customer=1), by="group", column="customer")
    with pytest.raises(InputError, match="all rows have the same time"):
        divided(FRAME.with_columns(day=dt.date(2013, 1, 1)), by="time")


def test_too_few_groups_name_a_seed_that_works(divided):
    frame = FRAME.with_columns(customer=pl.int_range(pl.len()) % 2)
    columns = {**COLUMNS, "customer": {"role": "group"}}
    refused = [seed for seed in range(8) if not _divides(divided, frame, columns, seed)]
    assert refused
    with pytest.raises(InputError, match=r"part would be empty: .* in 2 groups.*; write split.seed: \d+, or") as caught:
        divided(frame, columns, by="group", seed=refused[0])
    works = int(str(caught.value).split("split.seed: ")[1].split(",")[0])
    assert "only 2 groups" in divided(frame, columns, by="group", seed=works)[2]["notes"][0]


def _divides(divided, frame, columns, seed):
    try:
        divided(frame, columns, by="group", seed=seed)
    except InputError:
        return False
    return True


@pytest.mark.parametrize(
    "config",
    [
        {"by": "time", "stratify": "exact"},
        {"by": "group", "key": ["a"]},
        {"test_fraction": 0},
        {"test_fractoin": 0.2},
    ],
)
def test_fields_that_do_not_fit_together_are_refused_at_once(config):
    with pytest.raises(ValidationError):
        SplitConfig(**config)


def test_the_column_of_a_time_is_not_used_by_row(divided):
    """So that ``--set split.by=row`` on a problem that is divided by time shows what that flatters."""
    report = divided(columns={**COLUMNS, "day": {"role": "ignore"}}, by="row", column="day")[2]
    assert report["column"] is None
    assert [(item["check"], item["level"]) for item in report["findings"]][-1] == ("times", "warning")


def test_a_refusal_leaves_both_parts_and_the_findings(workspace):
    frame = FRAME.with_columns(copy=pl.col("y") + "!")
    labeled = write_table(
        workspace / "labeled", frame, Target(name="y", task="binary-classification", classes=CLASSES), **COLUMNS
    )
    with pytest.raises(GateRefused, match="'copy' alone predicts 'y'"):
        run_stage(split, workspace, SplitConfig(), labeled=labeled)
    assert read_json(workspace / "division" / "split.json")["findings"]
    assert (workspace / "test_set" / "schema.json").exists()


# Properties of the division itself.

table = st.lists(st.tuples(st.integers(0, 6), st.sampled_from(["x", "y", None])), min_size=1, max_size=60)
quick = settings(deadline=None, max_examples=60)


def _write(place, rows):
    path = place.mktemp("rows") / "data.parquet"
    pl.DataFrame(rows, schema={"a": pl.Int64, "b": pl.String}, orient="row").with_row_index("_row").write_parquet(path)
    return path


@quick
@given(table, table, st.randoms(), st.floats(0.05, 0.95), st.integers(0, 5))
def test_appending_or_reordering_never_moves_a_row(tmp_path_factory, rows, more, shuffle, fraction, seed):
    """Property: a row's part depends on nothing but the row."""
    before = by_row(_write(tmp_path_factory, rows), ["a", "b"], fraction, seed).in_test
    part_of = dict(zip(rows, before.tolist(), strict=True))
    mixed = rows + more
    shuffle.shuffle(mixed)
    after = by_row(_write(tmp_path_factory, mixed), ["b", "a"], fraction, seed).in_test
    assert all(part_of.get(row, part) == part for row, part in zip(mixed, after.tolist(), strict=True))


@quick
@given(table, st.floats(0.05, 0.95), st.integers(0, 5), st.data())
def test_equal_rows_never_straddle(tmp_path_factory, rows, fraction, seed, data):
    """Property: rows with equal columns are in one part, also when each class gets its share."""
    path = _write(tmp_path_factory, rows)
    truth = np.array(data.draw(st.lists(st.integers(0, 2), min_size=len(rows), max_size=len(rows))))
    for division in (by_row(path, ["a", "b"], fraction, seed), by_class(path, ["a", "b"], fraction, seed, truth)):
        parts: dict[object, set[bool]] = {}
        for row, part in zip(rows, division.in_test.tolist(), strict=True):
            parts.setdefault(row, set()).add(part)
        assert all(len(item) == 1 for item in parts.values())
        assert division.units == len(parts)


@quick
@given(st.lists(st.integers(0, 8), min_size=30, max_size=80), st.floats(0.2, 0.8), st.integers(0, 3))
def test_a_group_is_never_divided(tmp_path_factory, groups, fraction, seed):
    """Property: rows of a group are in one part, or the division is refused."""
    path = _write(tmp_path_factory, [(group, None) for group in groups])
    try:
        in_test = by_group(path, "a", fraction, seed).in_test
    except InputError:
        return
    assert not set(np.array(groups)[in_test]) & set(np.array(groups)[~in_test])


@quick
@given(st.lists(st.integers(-5, 20), min_size=2, max_size=80), st.floats(0.05, 0.95))
def test_time_is_cut_once_as_near_to_the_fraction_as_equal_times_allow(tmp_path_factory, times, fraction):
    """Property: everything in the test part is later, and no other cut is nearer to the fraction."""
    if len(set(times)) < 2:
        return
    in_test = by_time(_write(tmp_path_factory, [(time, None) for time in times]), "a", fraction).in_test
    values = np.array(times)
    assert values[~in_test].max() < values[in_test].min()
    possible = [(values >= cut).mean() for cut in sorted(set(times))[1:]]
    assert abs(in_test.mean() - fraction) == pytest.approx(min(abs(share - fraction) for share in possible))


@quick
@given(st.integers(0, 1000), st.sampled_from([0.1, 0.2, 0.5]))
def test_fractions_and_shares_are_within_sampling_error(tmp_path_factory, seed, fraction):
    """Property: with 20,000 different rows the test part is as large as the binomial law says."""
    path = _write(tmp_path_factory, [(i, "x") for i in range(20_000)])
    division = by_row(path, ["a", "b"], fraction, seed)
    assert abs(division.fraction - fraction) < 5.5 * (fraction * (1 - fraction) / 20_000) ** 0.5
    assert division.expected_error(fraction) == pytest.approx((fraction * (1 - fraction) / 20_000) ** 0.5)
