"""Pieces of the text of categories: words that values share answer for values that training never had."""

from functools import partial

import numpy as np
import polars as pl
import pytest
import torch

from model_code import export, families, runtime
from model_code.fitting import Dataset, predict, train_on
from model_code.tabular import Tabular, pieces
from model_code.tabular.reading import read
from model_code.tasks import heads
from model_code.training import Options

GRADES, FIELDS = ["Junior", "Senior", "Chief", "Deputy", "Acting"], [f"Field{chr(65 + i)}ology" for i in range(20)]


@pytest.fixture(scope="module")
def jobs():
    """Job titles of a grade and a field, either of which adds to the pay."""
    random = np.random.default_rng(0)
    grade, field = random.integers(0, 5, 900), random.integers(0, 20, 900)
    titles = [
        f"{FIELDS[f]} Officer, {GRADES[g]}" if f % 2 else f"{GRADES[g]} {FIELDS[f]}"
        for g, f in zip(grade, field, strict=True)
    ]
    pay = 10.0 * grade + random.permutation(20)[field] + random.normal(size=900)
    return pl.DataFrame({"title": titles}), pay


@pytest.fixture(scope="module")
def described(jobs):
    return {**Tabular().describe(jobs[0], [{"name": "title", "type": "category"}]), "classes": []}


def test_words_are_pieces_in_small_letters_and_codes_have_beginnings():
    assert pieces.pieces_of("Senior Engineer II, senior") == ["senior", "engineer", "ii"]
    assert pieces.pieces_of("90210") == ["90210", "9*", "90*", "902*"]
    assert pieces.pieces_of("--") == []


def test_a_column_has_pieces_where_many_values_share_words(described):
    entry = described["inputs"][0]
    assert entry["slots"] == 3
    assert entry["pieces"] == sorted(word.lower() for word in [*GRADES, *FIELDS, "Officer"])


@pytest.mark.parametrize(
    "values",
    [
        pytest.param([f"Part {i}" for i in range(40)], id="few values"),
        pytest.param([f"X{i}" for i in range(190)], id="few codes"),
        pytest.param([f"a{i} b{i}" for i in range(500)], id="nothing shared"),
        pytest.param([str(i) for i in range(1, 999)], id="numbers"),
        pytest.param([None] * 10, id="nothing at all"),
    ],
)
def test_a_column_has_no_pieces_where_they_would_say_nothing(values):
    assert pieces.describe(pl.Series(values * 3, dtype=pl.String)) == {}


def test_codes_of_one_word_share_their_beginnings():
    described = pieces.describe(pl.Series([f"{i}{j:03}" for i in range(3) for j in range(100)] * 3))
    assert {"0*", "1*", "2*", "00*", "000*"} <= {*described["pieces"]}


def test_places_of_pieces_follow_those_of_values_and_are_equal_in_training_and_serving(described):
    _, category = Tabular().encode(
        pl.DataFrame({"title": ["Senior FieldAology", "Senior Poet", None, "senior"]}), described
    )
    place = described["inputs"][0]["pieces"].index
    assert category[0, 0] >= 0
    assert category[:, 1:].tolist() == [
        [place("senior"), place("fieldaology"), -1],
        [place("senior"), -1, -1],
        [-1, -1, -1],
        [place("senior"), -1, -1],
    ]
    assert category[1:, 0].tolist() == [-1, -1, -1]


# Both get the same columns of words; trees grow for longer.
@pytest.mark.parametrize("architecture", ["linear", pytest.param("trees", marks=pytest.mark.slow)])
def test_titles_that_training_never_had_are_answered_by_their_words(jobs, tmp_path, architecture):
    frame, pay = jobs
    new = frame["title"].is_in(frame["title"].unique().sort().sample(20, seed=1).to_list()).to_numpy()
    train = frame.filter(~new)
    family = Tabular()
    schema = {**family.describe(train, [{"name": "title", "type": "category"}]), "classes": [], "task": "regression"}
    head = heads.create("regression", pay[~new], [])
    training = Dataset(family.encode(train, schema), pay[~new], schema, head)
    options = Options(seed=0, device=torch.device("cpu"), stop_after=60)
    fitted = train_on(
        training, families.architecture(family, architecture, train.height), np.arange(train.height), None, options
    )
    unseen = Dataset(family.encode(frame.filter(new), schema), pay[new], schema, head)
    answers = predict(unseen, fitted, np.arange(new.sum()))
    assert np.corrcoef(answers, pay[new])[0, 1] > 0.9
    export.export(fitted.model, tmp_path, partial(family.random_inputs, schema))
    assert np.allclose(runtime.load(tmp_path / "model.pt2")(*unseen.inputs), answers, atol=1e-4)


def test_a_new_value_of_known_words_is_not_remarked_on(described):
    frame = pl.DataFrame({"title": ["Chief Poet", "Poet of Verses"]})
    [remark] = read(frame, described).remarks
    assert remark.values == {"Poet of Verses": 1}
