"""The plan says what the test rows can show before there are any: by the files, by the labels, or why it cannot."""

import shutil
from pathlib import Path

import pytest

from infra.backends.local import LocalBackend
from infra.runs.records import RunRecord
from pipelines.prospects import tight_promises
from pipelines.request import Request, check, prepare
from steps.errors import InputError

GOOD = Path(__file__).parents[1] / "wrong_inputs/good"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return shutil.copytree(GOOD, tmp_path_factory.mktemp("prospects") / "p")


def remarks(folder, until=None, **settings):
    """What a plan says of a promise of recall; the stages up to ``until`` run first."""
    settings = {"success": "[{metric: recall, at_least: 0.9}]"} | {k.replace("__", "."): v for k, v in settings.items()}
    request = Request(folder / "problem.yaml", folder / ".fourscore", settings, until=until, tracking=False)
    prepared = prepare(request)
    if until:
        stages = [planned.record() for planned in prepared.plan.steps]
        record = RunRecord("r", stages=stages, status="running", started="")
        LocalBackend(prepared.store).run(prepared.plan, record, lambda *_: None)
        prepared = prepare(request)
    return [text.partition("): ")[2] for text in tight_promises(prepared)]


def test_the_rows_of_a_file_are_counted_and_their_share_is_estimated(folder):
    assert remarks(folder) == [
        "about 16 positive test rows cannot reach it, not even without an error; 29 without one would"
    ]
    assert remarks(folder, label__positive='"no"')[0].startswith("about 14 positive")
    assert remarks(folder, data__sample_rows="75")[0].startswith("about 8 positive")


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        (
            {"label__rule": "CASE WHEN age > 40 THEN 'old' ELSE 'young' END"},
            "rows are counted when label.rule has labelled them",
        ),
        ({"data__query": "SELECT * FROM people"}, "rows are counted when data.query has made them"),
        ({"label__positive": "perhaps"}, "the classes are counted when the rows are labelled"),
    ],
)
def test_where_nothing_can_be_counted_the_promise_says_what_it_wants_and_why_that_is_all(folder, settings, why):
    assert remarks(folder, **settings) == [f"wants 29 positive test rows or more; {why}"]


def test_labels_are_counted_and_divided_rows_are_known(folder):
    assert remarks(folder, "label")[0].startswith("about 16 positive")
    assert remarks(folder, "split")[0].partition(" ")[0].isdigit()


def test_a_column_that_was_read_without_an_order_divides_nothing_by_time(folder):
    remarks(folder, "label", data__columns__city="{}")
    settings = {"split": "{by: time, column: city}", "data.columns.city": "{}"}
    with pytest.raises(InputError, match=r"split.column: 'city' was read as category; give data.columns.city a type"):
        check(prepare(Request(folder / "problem.yaml", folder / ".fourscore", settings, tracking=False)))
