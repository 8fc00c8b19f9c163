"""new: what is guessed from the data, what is asked, and that what is written runs."""

import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from stages import run_stages

from pipelines.__main__ import Commands
from pipelines.commands.running import new
from pipelines.problem.loading import load, problem_of
from pipelines.problem.yaml_lines import read
from pipelines.propose.proposal import Unreadable, as_document, describe, propose, write, write_incomplete
from steps import documents
from steps.errors import InputError
from steps.tables.schema import TableSchema

DATA = Path(__file__).parents[4] / "shared/data"


@pytest.fixture
def customers(tmp_path):
    """A table with everything that is guessed about: ids, codes, constants, dates, text, a near target."""
    path = tmp_path / "in put" / "custömers.csv"
    path.parent.mkdir()
    lines = ["customerID,zip code,country,joined,spent,plan,comment,left_on,age,churn"]
    for number in range(200):
        churned = number % 4 == 0
        lines.append(
            f"C{number:04},0{number % 7}12,CH,2020-01-{number % 28 + 1:02},{number * 1.5},{'basic' if number % 3 else 'pro'},"
            f"wrote about thing {number},{'gone' if churned else 'here'},{number % 60 + 18},{'yes' if churned else 'no'}"
        )
    path.write_text("\n".join(lines) + "\n")
    return path


def roles(proposal):
    return {column.name: (column.type, column.role) for column in proposal.columns}


def test_ids_codes_constants_and_text_are_no_features_and_each_says_why(tmp_path, customers):
    proposal = propose(tmp_path / "p", [str(customers)], "churn")
    columns = roles(proposal)
    assert columns["customerID"] == ("text", "key")
    assert columns["zip code"] == ("category", "feature")
    assert columns["country"][1] == "ignore"
    assert columns["comment"] == ("text", "ignore")
    assert columns["joined"] == ("date", "feature")
    assert columns["spent"] == ("float", "feature")
    assert all(column.note for column in proposal.columns if column.role != "feature")
    text = describe(proposal)
    assert "leading zeros" in text
    assert "split by time: --split time:joined" in text
    assert "column 'left_on' alone predicts 'churn'" in text


def test_columns_that_are_the_same_but_for_a_few_rows_are_left_out_and_say_how_many(tmp_path):
    path = tmp_path / "d.csv"
    rows = [
        f"{n % 97},{n < 4},{'A' if n % 500 else 'B'},{n / 10 if n % 700 == 5 else ''},{n // 1990},{n % 2}"
        for n in range(2000)
    ]
    path.write_text("age,flag,letter,seldom,tail,y\n" + "\n".join(rows) + "\n")
    notes = {c.name: (c.role, c.note) for c in propose(tmp_path / "p", [str(path)], "y").columns}
    assert notes["flag"] == (
        "ignore",
        "the same value everywhere but in 4 of 2,000 rows, of which nothing can be learned",
    )
    assert notes["letter"][1] == notes["flag"][1]
    assert notes["seldom"] == ("ignore", "3 values in 2,000 rows, of which nothing can be learned")
    assert notes["tail"] == notes["age"] == ("feature", "")


@pytest.mark.parametrize(
    ("values", "task", "metric"),
    [
        (["yes", "no"], "binary-classification", "roc_auc"),
        ([1, 2], "binary-classification", "roc_auc"),
        (["a", "b", "c"], "multiclass-classification", "accuracy"),
        ([0, 1, 2], "multiclass-classification", "accuracy"),
        ([1, 2, 3], "multiclass-classification", "accuracy"),
        ([1.0, 2.0, 3.0], "multiclass-classification", "accuracy"),
        ([3, 4, 5], "regression", "r2"),
        ([1, 2, 4], "regression", "r2"),
        ([0.1, 0.2, 0.5], "regression", "r2"),
    ],
)
def test_the_task_follows_from_the_target(tmp_path, values, task, metric):
    path = tmp_path / "d.csv"
    path.write_text("x,y\n" + "".join(f"{number * 37 % 101},{values[number % len(values)]}\n" for number in range(60)))
    proposal = propose(tmp_path / "p", [str(path)], "y")
    assert proposal.task == task
    assert proposal.success[0]["metric"] == metric


def numbers_to_classes(tmp_path, name):
    path = tmp_path / "d.csv"
    path.write_text(f"x,{name}\n" + "".join(f"{number * 37 % 101},{number % 3}\n" for number in range(60)))
    return str(path)


def test_whole_numbers_may_be_a_quantity_instead_if_the_person_says_so(tmp_path):
    data = numbers_to_classes(tmp_path, "species")
    text = describe(propose(tmp_path / "p", [data], "species"))
    assert "look like codes of classes, 0 to 2 (named like a class, counted from 0 on, about equally frequent)" in text
    assert "if they are a quantity: --task regression" in text
    assert propose(tmp_path / "p", [data], "species", task="regression").success[0]["metric"] == "r2"


@pytest.mark.parametrize("name", ["visits", "number_of_children", "quality", "doctorVisits"])
def test_whole_numbers_that_are_named_like_a_quantity_may_be_classes_if_the_person_says_so(tmp_path, name):
    data = numbers_to_classes(tmp_path, name)
    assert "if they are classes: --task multiclass-classification" in describe(propose(tmp_path / "p", [data], name))
    assert propose(tmp_path / "p", [data], name, task="multiclass-classification").success[0]["at_least"] == 0.4


def test_what_is_written_loads_reads_the_same_table_and_passes_its_own_suite(tmp_path, customers):
    directory = tmp_path / "the problem"
    proposal = propose(directory, [str(customers)], "churn", ignore=["left_on"], split="time:joined")
    write(proposal)
    loaded = load(directory / "problem.yaml")
    assert loaded.problem.data.sources["custömers"].path == "../in put/custömers.csv"
    assert loaded.problem.split.by == "time"
    assert loaded.problem.data.columns["left_on"].role == "ignore"
    assert loaded.problem.label.positive == "yes"
    assert loaded.problem.train.choose == "best"
    table = run_to_validate(directory, tmp_path / "run")
    assert documents.read(TableSchema, table).rows == 200
    assert {c.name: c.type for c in documents.read(TableSchema, table).columns}["zip code"] == "category"


def run_to_validate(directory, place):
    """Ingest and validate what was proposed; every expectation passes, warnings too."""
    folders = run_stages(directory, place, until="validate")
    results = json.loads((folders["validation"] / "results.json").read_text())
    assert [result for result in results["results"] if not result["success"]] == []
    return folders["table"]


def test_every_field_that_may_be_written_is_shown(tmp_path, customers):
    write(propose(tmp_path / "p", [str(customers)], "churn"))
    text = (tmp_path / "p/problem.yaml").read_text()
    for field in (
        "test_fraction",
        "unlabeled",
        "candidates",
        "minutes",
        "resamples",
        "allow_proxies",
        "query",
        "available",
    ):
        assert f"{field}:" in text
    top = [line.partition(":")[0] for line in text.splitlines() if line[:1].isalpha()]
    assert top == [
        "name", "question", "decision", "owner", "cost_of_error", "task", "target", "success", "data", "expectations",
        "label", "split", "train", "evaluate", "register",
    ]  # fmt: skip


def test_rows_without_a_target_are_dropped_and_said(tmp_path):
    path = tmp_path / "d.csv"
    path.write_text(
        "x,y\n" + "".join(f"{number * 37 % 101},{'' if number % 10 == 0 else number % 2}\n" for number in range(100))
    )
    proposal = propose(tmp_path / "p", [str(path)], "y")
    assert proposal.label["unlabeled"] == "drop"
    assert "10 of 100 rows have no 'y'" in describe(proposal)
    write(proposal)
    run_to_validate(tmp_path / "p", tmp_path / "run")


def test_a_class_that_is_written_like_a_missing_value_is_pointed_out(tmp_path):
    path = tmp_path / "d.csv"
    path.write_text("x,y\n" + "".join(f"{n},{('Yes', 'NA')[n % 2]}\n" for n in range(60)))
    with pytest.raises(InputError, match="one value only, and 30 rows count as missing"):
        propose(tmp_path / "p", [str(path)], "y")


def test_nothing_is_overwritten(tmp_path, customers):
    proposal = propose(tmp_path / "p", [str(customers)], "churn")
    write(proposal)
    with pytest.raises(InputError, match="exists and is not overwritten"):
        propose(tmp_path / "p", [str(customers)], "churn")
    with pytest.raises(InputError, match="exists and is not overwritten"):
        write(proposal)


def test_several_sources_are_joined_on_what_they_share(tmp_path):
    (tmp_path / "a.csv").write_text(
        "id,place,y\n" + "".join(f"{n},{'EWR' if n % 3 else 'JFK'},{n % 2}\n" for n in range(60))
    )
    (tmp_path / "b.csv").write_text("place,wind\nEWR,1.5\nJFK,7\n")
    proposal = propose(tmp_path / "p", [f"flights={tmp_path}/a.csv", f"weather={tmp_path}/b.csv"], "y")
    assert list(proposal.sources) == ["flights", "weather"]
    assert roles(proposal)["wind"] == ("float", "feature")
    write(proposal)
    assert documents.read(TableSchema, run_to_validate(tmp_path / "p", tmp_path / "run")).rows == 60


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"target": "churned"}, r"--target churned: the data has no such column; did you mean 'churn'"),
        ({"target": "churn", "ignore": ["agee"]}, r"--ignore agee: .*did you mean 'age'"),
        ({"target": "churn", "split": "time"}, "use row, group:COLUMN or time:COLUMN"),
        ({"target": "churn", "split": "time:when"}, "--split when: the data has no such column"),
        ({"target": "churn", "task": "ranking"}, "--task ranking: use one of"),
        ({"target": "churn", "task": "regression"}, "a regression predicts a number"),
        ({"target": "age", "task": "binary-classification"}, "60 classes .*needs 2"),
        ({"target": "country"}, "one value only; there is nothing to learn"),
        ({"target": "joined"}, "holds dates"),
        ({"target": "CHURN"}, "did you mean 'churn'"),
        ({"target": "churn", "ignore": ["churn"]}, "--ignore churn: it is the target"),
        ({"target": "churn", "split": "group:churn"}, "--split group:churn: it is the target"),
        ({"target": "churn", "split": "group:plan", "ignore": ["plan"]}, "--ignore plan: it divides the rows"),
        ({"target": "comment"}, "200 different values in 200 rows, too many for classes"),
    ],
)
def test_what_cannot_be_learned_is_refused(tmp_path, customers, options, match):
    with pytest.raises(InputError, match=match):
        propose(tmp_path / "p", [str(customers)], **options)


def test_where_no_feature_is_left_each_column_is_named_with_the_reason(tmp_path):
    lines = "".join(f"{n},x,note {n},00{n % 3},{n},{n % 2}\n" for n in range(60))
    (tmp_path / "d.csv").write_text("row,same,comment,zip,mine,y\n" + lines)
    with pytest.raises(InputError, match="no column is left that could be a feature") as caught:
        propose(tmp_path / "p", [str(tmp_path / "d.csv")], "y", ignore=["mine", "zip"])
    assert str(caught.value).splitlines()[1:] == [
        "  row (integer): counts the rows: an id",
        "  same (category): the same value everywhere",
        "  comment (text): different in every row: an id or free text, not a feature",
        "  zip (category): ignored by --ignore",
        "  mine (category): ignored by --ignore",
    ]
    (tmp_path / "one.csv").write_text("y\n" + "0\n1\n" * 30)
    with pytest.raises(InputError, match=r"a feature .*there is only 'y'"):
        propose(tmp_path / "p", [str(tmp_path / "one.csv")], "y")


def test_names_that_yaml_would_misread_survive(tmp_path):
    path = tmp_path / "d.csv"
    names = ["on", "a: b", "x.box", "#3", "null", "<b>ü</b>", "y"]
    path.write_text(
        ",".join(names) + "\n" + "".join(f"{n},{n % 5},{n / 3},{n % 4},z{n % 3},{n * n},{n % 2}\n" for n in range(60))
    )
    write(propose(tmp_path / "Ünsinn: 1", [str(path)], "y"))
    loaded = load(tmp_path / "Ünsinn: 1" / "problem.yaml")
    assert list(loaded.problem.data.columns) == names


def test_the_document_for_machines_holds_what_the_text_says(tmp_path, customers):
    document = json.loads(json.dumps(as_document(propose(tmp_path / "p", [str(customers)], "churn"))))
    assert document["task"] == "binary-classification"
    assert {column["name"] for column in document["columns"]} >= {"churn", "age"}


@pytest.mark.skipif(not DATA.is_dir(), reason="the shared data sets are not here")
@pytest.mark.parametrize(
    ("file", "target", "task", "keys"),
    [
        ("adult/adult-train.csv", "column_15", "binary-classification", set()),
        ("telco_churn/Telco-Customer-Churn.csv", "Churn", "binary-classification", {"customerID"}),
        ("churn_modelling/Churn_Modelling.csv", "Exited", "binary-classification", {"RowNumber", "CustomerId"}),
        ("california_housing/california_housing.zip", "MedHouseVal", "regression", set()),
        ("abalone/abalone.csv", "column_9", "regression", set()),
        ("wine_quality/winequality-*.csv", "column_12", "regression", set()),
        ("letter/LetterRecognition.csv", "lettr", "multiclass-classification", set()),
        ("bike_sharing/hour.csv", "cnt", "regression", {"instant"}),
        ("mammography/mammography.csv", "column_7", "binary-classification", set()),
        ("german_credit/german.csv", "column_21", "binary-classification", set()),
        ("bl_books/BL-Flickr-Images-Book.csv", "Issuance type", "binary-classification", {"Identifier"}),
    ],
)
def test_real_data_needs_no_hand_but_the_target(tmp_path, file, target, task, keys):
    proposal = propose(tmp_path / "p", [str(DATA / file)], target)
    assert proposal.task == task
    assert {column.name for column in proposal.columns if column.role == "key"} == keys
    write(proposal)
    run_to_validate(tmp_path / "p", tmp_path / "run")


def test_a_header_cannot_steer_the_terminal_that_shows_what_was_found(tmp_path):
    path = tmp_path / "data.csv"
    rows = "".join(f"{number % 7}.5,{number % 2}\n" for number in range(40))
    path.write_text("a\x1b]0;PWNED\x07,y\n" + rows)
    text = describe(propose(tmp_path / "p", [str(path)], "y"))
    assert r"a\x1b]0;PWNED\x07" in text
    assert not {"\x1b", "\x07"} & set(text)


@pytest.fixture
def small(tmp_path):
    def write_file(text, name="people.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write_file


def rows_of(count=60, line="{n},{m},{c},{y}\n"):
    return "".join(line.format(n=n * 37 % 101, m=n * 1.5, c="abc"[n % 3], y=("yes", "no")[n % 2]) for n in range(count))


def test_every_setting_of_a_problem_can_be_given_and_is_written(tmp_path, small):
    path = small("About these people\nand more, here\nage;income;place;bought\n" + rows_of(line="{n};{m};{c};{y}\n"))
    settings = {
        "data.sources.people.skip": "2",
        "data.sources.people.delimiter": "';'",
        "data.columns.age.type": "float",
        "data.columns.place.role": "key",
        "owner": "sales",
        "train.budget.epochs": "3",
        "split.test_fraction": "0.3",
        "sagemaker.max_dollars": "5",
    }
    write(propose(tmp_path / "p", [str(path)], "bought", settings=settings))
    problem = load(tmp_path / "p/problem.yaml").problem
    assert (problem.data.sources["people"].skip, problem.data.sources["people"].delimiter) == (2, ";")
    assert (problem.data.columns["age"].type, problem.data.columns["place"].role) == ("float", "key")
    assert (problem.owner, problem.train.budget.epochs, problem.split.test_fraction) == ("sales", 3, 0.3)
    assert problem.sagemaker.max_dollars == 5
    run_to_validate(tmp_path / "p", tmp_path / "run")


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"data.sources.people.skipp": "2"}, r"--set data.sources.people.skipp=2: unknown key .*did you mean 'skip'"),
        ({"label.target": "x"}, "--set label.target=x: label.target: it follows from target"),
        ({"split.test_fraction": "much"}, "--set split.test_fraction=much: .*number"),
    ],
)
def test_a_wrong_setting_is_refused_before_the_data_is_read(tmp_path, settings, match):
    with pytest.raises(InputError, match=match):
        propose(tmp_path / "p", [str(tmp_path / "people.csv")], "y", settings=settings)


def test_a_file_without_a_header_gets_names(tmp_path, small):
    path = small(rows_of())
    with pytest.raises(InputError, match=r"no header was found .--names a,b,c gives one"):
        propose(tmp_path / "p", [str(path)], "bought")
    write(propose(tmp_path / "p", [str(path)], "bought", names="age, income,place,bought"))
    assert list(load(tmp_path / "p/problem.yaml").problem.data.columns) == ["age", "income", "place", "bought"]
    run_to_validate(tmp_path / "p", tmp_path / "run")


def test_what_is_known_is_written_where_reading_fails_and_the_next_try_begins_there(tmp_path, small):
    path = small("age,income,place,bought\n" + rows_of(30) + "1,2,a,yes,5,6\n" + rows_of(30))
    with pytest.raises(Unreadable, match=r"4 columns, but line 32 has 6") as caught:
        propose(tmp_path / "p", [str(path)], "bought", settings={"owner": "sales"})
    file = write_incomplete(caught.value)
    text = file.read_text()
    assert text.startswith("# Incomplete: ")
    problem = load_incomplete(file)
    assert (problem.owner, problem.target, list(problem.data.columns)) == (
        "sales", "bought", ["age", "income", "place", "bought"],
    )  # fmt: skip
    file.write_text(text.replace("people: {path: ../people.csv", "people: {path: ../people.csv, drop_rows: [31]"))
    write(propose(tmp_path / "p", [str(path)], "bought"))
    assert load(file).problem.data.sources["people"].drop_rows == (31,)
    run_to_validate(tmp_path / "p", tmp_path / "run")
    with pytest.raises(InputError, match="exists and is not overwritten"):
        propose(tmp_path / "p", [str(path)], "bought")


def load_incomplete(file):
    """The problem of a file beside which there is no suite yet."""
    document = read(file)
    return problem_of(document)


def test_an_ignored_column_is_not_parsed(tmp_path, small):
    rows = "".join(f"{n % 7},{'inf' if n % 9 == 0 else n},{n % 2}\n" for n in range(60))
    path = small("age,ratio,y\n" + rows)
    proposal = propose(tmp_path / "p", [str(path)], "y", ignore=["ratio"])
    assert roles(proposal)["ratio"] == ("category", "ignore")
    lists = small("\n".join(f'{{"a": {n % 7}, "tags": ["x"], "y": {n % 2}}}' for n in range(60)), "d.ndjson")
    assert roles(propose(tmp_path / "p", [str(lists)], "y", ignore=["tags"]))["tags"] == ("category", "ignore")


def test_a_missing_column_of_doubtful_text_leads_to_the_encoding(tmp_path, small):
    path = small(("возраст,доход,город,купил\n" + rows_of()).encode("cp1251"))
    with pytest.raises(InputError, match=r"was read as cp1252.*--set data.sources.people.encoding"):
        propose(tmp_path / "p", [str(path)], "купил")
    settings = {"data.sources.people.encoding": "cp1251"}
    assert propose(tmp_path / "p", [str(path)], "купил", settings=settings).target == "купил"


class Terminal(io.BytesIO):
    """What a person types."""

    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("typed", "task"),
    [(b"\ny\n", "multiclass-classification"), (b"regression\ny\n", "regression"), (None, "multiclass-classification")],
)
def test_a_target_that_may_be_classes_or_amounts_is_asked_about_and_said_first(tmp_path, typed, task):
    path = tmp_path / "d.csv"
    rows = [(number * 37 % 101, number % 3 + 1) for number in range(90) if number % 3 or number % 2]
    path.write_text("x,ticket\n" + "".join(f"{x - 60 * y},{y}\n" for x, y in rows))
    words = ["new", str(tmp_path / "p"), "--data", str(path), "--target", "ticket"]
    result = CliRunner().invoke(Commands(name="fourscore", commands=[new]), words, input=typed and Terminal(typed))
    assert result.exit_code == 0, result.output
    decide = result.stderr.partition("For you to decide:\n")[2].partition("\n")[0]
    assert "classes or amounts? The 3 values of 'ticket', 1 to 3, could be either" in decide
    assert f"\ntask: {task}\n" in (tmp_path / "p/problem.yaml").read_text()
