import numpy as np
import polars as pl
import pytest

from pipelines.propose import nominal
from pipelines.propose.proposal import propose
from steps.tables.schema import Column

ROWS = 6000


@pytest.fixture(scope="module")
def stores():
    """Sales of 200 stores, with the hour, a number of the house that says nothing, and one that is the same all day."""
    random = np.random.default_rng(0)
    store, hour, house = random.integers(0, 200, ROWS), random.integers(0, 24, ROWS), random.integers(1, 250, ROWS)
    year, day = random.integers(1950, 2020, ROWS), np.repeat(random.integers(0, 900, ROWS // 24), 24)
    of_day = np.repeat(random.normal(size=ROWS // 24), 24)
    sales = random.normal(size=200)[store] + np.sin(hour / 4) + (year - 1985) / 20 + of_day
    return {
        "store": random.permutation(200)[store] + 1,
        "year_built": year,
        "hour": hour,
        "house": house,
        "day": day,
        "target": nominal.targets_of(sales + random.normal(size=ROWS) / 2, 0),
    }


@pytest.mark.parametrize(
    ("column", "name", "things"),
    [
        ("store", "store", True),
        ("store", "x7", True),
        ("year_built", "x7", False),
        ("year_built", "type", False),
        ("hour", "x7", False),
        ("house", "house_number", False),
        ("house", "code", False),
        ("day", "x7", False),
    ],
)
def test_numbers_name_things_where_their_order_says_less_of_the_target_than_they_do(stores, column, name, things):
    fold = nominal.fold_of(None, ROWS)
    assert (nominal.naming(name, stores[column].astype(float), stores["target"], fold) is not None) == things


def test_numbers_that_only_mark_a_group_name_nothing(stores):
    random = np.random.default_rng(0)
    group = random.integers(0, 300, ROWS)
    income = random.permutation(300)[group].astype(float)
    target = nominal.targets_of(random.normal(size=300)[group] + random.normal(size=ROWS), 0)
    assert nominal.naming("city", income, target, nominal.fold_of(None, ROWS))
    assert nominal.naming("city", income, target, nominal.fold_of(group, ROWS)) is None


@pytest.mark.parametrize(
    ("name", "distinct", "may"),
    [
        ("store", 50, True),
        ("store", 900, False),
        ("store", 3, False),
        ("n_stores", 50, False),
        ("itemPrice", 50, False),
    ],
)
def test_names_of_amounts_and_values_that_hardly_repeat_are_not_looked_at(name, distinct, may):
    column = Column(name=name, type="integer", role="feature", missing=0)
    assert nominal.may_name_things(column, distinct, 1000) == may


def test_numbers_of_stores_become_a_category_and_the_person_may_say_otherwise(tmp_path, stores):
    frame = pl.DataFrame({"store": stores["store"], "year": stores["year_built"], "sales": stores["target"][:, 0]})
    frame.write_csv(tmp_path / "sales.csv")
    proposal = propose(tmp_path / "problem", [str(tmp_path / "sales.csv")], "sales")
    assert [(c.type, c.role) for c in proposal.columns[:2]] == [("category", "feature"), ("integer", "feature")]
    assert "200 whole numbers that name things: one by one they explain" in proposal.columns[0].note
    assert any("if they are amounts: --set data.columns.store.type=integer" in text for text in proposal.guessed)
    declared = propose(
        tmp_path / "again", [str(tmp_path / "sales.csv")], "sales", settings={"data.columns.store.type": "integer"}
    )
    assert declared.columns[0].type == "integer"
