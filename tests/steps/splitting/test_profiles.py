"""The columns in numbers: histograms of both parts, drift, and what chance alone makes of it."""

import datetime as dt

import numpy as np
import polars as pl
import pytest
from tables import write_table

from steps import documents
from steps.splitting import profiles
from steps.splitting.division import by_row, by_time
from steps.splitting.profiles import BINS, CATEGORIES, profile
from steps.tables.schema import TableSchema, Target

ROWS = 1500
TARGET = Target(name="y", task="binary-classification", classes=("no", "yes"))
random = np.random.default_rng(0)
FRAME = pl.DataFrame(
    {
        "number": random.normal(size=ROWS),
        "few": random.integers(1, 13, ROWS),
        "kind": random.choice([*"abcdefghijklmnopqrst", None], ROWS),
        "flag": random.choice([True, False], ROWS),
        "constant": np.ones(ROWS),
        "nothing": pl.Series([None] * ROWS, dtype=pl.Float64),
        "note": ["free text"] * ROWS,
        "day": [dt.date(2013, 1, 1) + dt.timedelta(i // 10) for i in range(ROWS)],
        "id": np.arange(ROWS),
        "y": random.choice(["no", "yes"], ROWS),
    }
)
ROLES = {"id": {"role": "key"}, "note": {"type": "text"}, "day": {"role": "time"}}


@pytest.fixture
def profiled(tmp_path):
    """Write a table, divide it by the hash of its id, or by time, and return what is published by column."""

    def profiled(frame=FRAME, time=None, seed=0):
        labeled = tmp_path / "labeled"
        if not labeled.is_dir():
            write_table(labeled, frame, TARGET, **{name: item for name, item in ROLES.items() if name in frame.columns})
        data = labeled / "data.parquet"
        divided = by_time(data, time, 0.2) if time else by_row(data, ["id"], 0.2, seed)
        published = profile(data, documents.read(TableSchema, labeled), divided)
        return published, {column.name: column for column in published.columns}

    return profiled


def test_each_column_has_histograms_of_both_parts_that_count_every_row_once(profiled):
    published, columns = profiled()
    train, test = published.rows
    assert train + test == ROWS
    for name in ("number", "few", "kind", "flag", "constant", "day", "y"):
        column = columns[name]
        assert sum(column.train) + column.missing[0] == train, name
        assert sum(column.test) + column.missing[1] == test, name
    assert [len(columns[name].train) for name in ("number", "few", "kind", "flag", "constant")] == [
        BINS,
        12,
        CATEGORIES,
        2,
        1,
    ]
    rows = [a + b for a, b in zip(columns["kind"].train, columns["kind"].test, strict=True)][:-1]
    assert rows == sorted(rows, reverse=True), "the most frequent category comes first, rare ones together are last"
    assert columns["kind"].distinct == 20
    assert columns["nothing"].missing == published.rows
    assert published.columns[0].name == "y", "the target comes first"


def test_values_of_single_rows_are_not_published(profiled):
    published, columns = profiled(
        FRAME.with_columns(number=pl.when(pl.col("id") == 7).then(987654.25).otherwise("number"))
    )
    assert "987654" not in published.model_dump_json()
    assert columns["number"].low < columns["number"].median < columns["number"].high < 3
    assert columns["kind"].low is None
    for name in ("id", "note"):
        assert columns[name].train == ()
    assert columns["id"].distinct == ROWS


def test_a_shift_between_the_parts_is_beyond_chance_and_a_division_by_chance_is_not(profiled):
    frame = FRAME.with_columns(number=pl.col("number") + pl.col("id") / 500)
    _, columns = profiled(frame, time="day")
    assert columns["number"].has_drifted
    assert columns["number"].drift > 0.5
    assert not columns["flag"].has_drifted
    assert columns["day"].drift is None, "it divides, so it tells nothing"
    divisions = [profiled(frame, seed=seed)[1].values() for seed in range(20)]
    assert sum(any(column.has_drifted for column in columns) for columns in divisions) <= 3


def test_the_first_and_the_last_day_of_each_part_are_published(profiled):
    published, _ = profiled(time="day")
    assert published.time == "day"
    periods = {part: (period.first, period.last) for part, period in published.periods.items()}
    assert periods == {"train": ("2013-01-01", "2013-04-30"), "test": ("2013-05-01", "2013-05-30")}


def test_of_many_rows_every_second_one_is_read_and_of_many_columns_the_first(profiled, monkeypatch):
    monkeypatch.setattr(profiles, "MOST_ROWS", ROWS // 2)
    monkeypatch.setattr(profiles, "MOST_COLUMNS", 4)
    published, columns = profiled()
    assert (published.every, sum(published.rows), published.more) == (2, ROWS // 2, len(FRAME.columns) - 4)
    assert sum(columns["number"].train) == published.rows[0]


def test_too_few_units_have_no_noise(profiled):
    frame = FRAME.with_columns(day=pl.lit(dt.date(2013, 1, 1)) + pl.duration(days=pl.col("id") // 300))
    _, columns = profiled(frame, time="day")
    assert columns["number"].noise is None
    assert columns["number"].drift > 0
    assert not columns["number"].has_drifted


def test_infinite_values_are_outside_of_every_range_that_is_published(profiled):
    infinite = [float("inf")] * (ROWS // 2) + [-float("inf")] * (ROWS - ROWS // 2)
    frame = FRAME.with_columns(
        constant=pl.Series(infinite), number=pl.when(pl.col("id") < 100).then(float("inf")).otherwise("number")
    )
    _, columns = profiled(frame)
    assert columns["constant"].low is columns["constant"].high is None
    assert -4 < columns["number"].low < columns["number"].high < 4


def test_values_of_training_rows_are_samples_only_where_they_are_asked_for(profiled, tmp_path):
    published, _ = profiled()
    assert not any(column.samples for column in published.columns)
    labeled = tmp_path / "labeled"
    divided = by_row(labeled / "data.parquet", ["id"], 0.2, 0)
    published = profile(labeled / "data.parquet", documents.read(TableSchema, labeled), divided, 3)
    samples = {column.name: column.samples for column in published.columns}
    assert len(samples["number"]) == 3
    assert set(samples["number"]) <= {str(value) for value in FRAME["number"].filter(~divided.in_test)}
    assert sorted(samples["y"]) == ["no", "yes"]
    assert (samples["id"], samples["nothing"]) == ((), ())
