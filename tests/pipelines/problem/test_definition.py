"""A problem file is read into types; every complaint names file, line and what would work (see also the cabinet)."""

import contextlib
import json
import shutil
from pathlib import Path

import pytest
from cli import fourscore
from hypothesis import given
from hypothesis import strategies as st
from problem_reference import REFERENCE, SCHEMA, reference, schema, text

from pipelines.problem.loading import load
from pipelines.problem.yaml_lines import read
from pipelines.training import TRAINING
from steps.errors import InputError

ROOT = Path(__file__).parents[3]
GOOD = ROOT / "tests/wrong_inputs/good"


@pytest.fixture
def problem(tmp_path):
    shutil.copytree(GOOD, tmp_path / "p")
    return tmp_path / "p/problem.yaml"


def test_what_stages_share_is_written_once_and_given_to_each(problem):
    configs = load(problem).configs(TRAINING)
    assert configs["label"].task == configs["train"].task == configs["evaluate"].task == "binary-classification"
    assert configs["label"].target == configs["define"].target == "bought"
    assert configs["evaluate"].success == configs["define"].success
    assert configs["register"].name == "people"


@pytest.mark.parametrize(
    ("setting", "changes"),
    [
        ({"success.0.at_least": "0.51"}, False),
        ({"evaluate.must_beat": "[linear]"}, False),
        ({"evaluate.slices": "[age]"}, False),
        ({"costs": "{miss: 5, false_alarm: 1}"}, True),
        ({"decision_threshold": "0.3"}, True),
        ({"train.seed": "1"}, True),
    ],
)
def test_a_promise_changes_the_config_of_training_only_where_the_choice_reads_it(problem, setting, changes):
    best = {"train.choose": "best"}
    before, after = load(problem, best).configs(TRAINING), load(problem, best | setting).configs(TRAINING)
    assert (before["train"] != after["train"]) is changes
    assert before["evaluate"] != after["evaluate"] or "train.seed" in setting


def test_a_time_split_reaches_the_folds_and_the_intervals(problem):
    configs = load(problem, {"split.by": "time", "split.column": "joined"}).configs(TRAINING)
    for stage in ("train", "evaluate"):
        assert (configs[stage].by, configs[stage].column) == ("time", "joined")


def test_an_override_is_typed_checked_and_recorded(problem):
    loaded = load(problem, {"split.test_fraction": "0.25"})
    assert loaded.problem.split.test_fraction == 0.25
    assert loaded.document.overrides == {"split.test_fraction": "0.25"}
    with pytest.raises(InputError, match=r"--set split\.test_fraction=much: .*number"):
        load(problem, {"split.test_fraction": "much"})


def test_an_override_can_name_an_element_of_a_list(problem):
    assert load(problem, {"success.0.at_least": "0.6"}).problem.success[0].at_least == 0.6
    with pytest.raises(InputError, match="'3' is not an index of a list of 1"):
        load(problem, {"success.3.at_least": "0.6"})


def test_words_that_yaml_takes_for_true_and_false_are_keys_and_named_as_values(problem):
    text = problem.read_text()
    problem.write_text(text + "\nsagemaker: {train: {spot: yes}}\n")
    content = load(problem, {"success.0": "{metric: roc_auc, at_least: 0.6, on: value}"}).problem
    assert content.success[0].on == "value"
    assert content.sagemaker.train.spot
    problem.write_text(text.replace("owner: ", "owner: yes # "))
    with pytest.raises(InputError, match=r"yes and on for True; quote the word"):
        load(problem)
    problem.write_text(text)
    with pytest.raises(InputError, match=r"--set label.positive='\"yes\"'"):
        load(problem, {"label.positive": "yes"})


def test_smoke_is_the_same_problem_on_a_small_sample(problem):
    loaded, whole = load(problem, smoke=True), load(problem)
    assert loaded.problem.data.sample_rows == 2000
    assert loaded.configs(TRAINING)["register"].smoke
    assert whole.problem.data.sample_rows is None
    assert loaded.digest() != whole.digest()


@pytest.mark.parametrize(
    "name", ["../../evil", "/evil", ".", "..", "a/b", "a b", "1st", "-a", "a.b", "a\0", "a\n", "", "{a}", "a" * 65]
)
def test_a_source_that_is_not_called_by_a_plain_name_is_refused_by_its_line(problem, name):
    """Folders, files and locks are named after sources."""
    text = problem.read_text()
    line = text.partition("    people: {")[0].count("\n") + 1
    problem.write_text(text.replace("    people: {", f"    {json.dumps(name)}: {{"))
    with pytest.raises(InputError) as caught:
        load(problem)
    assert str(caught.value).startswith(
        f"{problem}:{line}: data.sources.{name}: {name!r} cannot be the name of a source; "
    )
    assert "use letters, digits, _ and -" in str(caught.value)


def test_a_source_from_the_command_line_is_refused_by_its_setting(problem):
    with pytest.raises(InputError, match=r"^--set data\.sources=.*'\.\./x' cannot be the name of a source"):
        load(problem, {"data.sources": "{../x: {path: people.csv}}"})


@pytest.mark.parametrize("name", ["people", "_", "a-1", "Größe_2", "a" * 64])
def test_a_source_may_be_called_by_any_plain_name(problem, name):
    problem.write_text(problem.read_text().replace("    people: {", f"    {name}: {{"), encoding="utf-8")
    assert list(load(problem).configs(TRAINING)["ingest"].sources) == [name]


def test_all_faults_are_told_at_once(problem):
    text = problem.read_text().replace("owner: head of sales\n", "").replace("at_least: 0.55", "at_least: good")
    problem.write_text(text)
    with pytest.raises(InputError) as caught:
        load(problem)
    assert "'owner' is missing" in str(caught.value)
    assert "good" in str(caught.value)


def test_where_it_runs_on_sagemaker_changes_neither_digest_nor_any_stages_config(problem):
    elsewhere = load(problem, {"sagemaker.train.spot": "true", "sagemaker.max_dollars": "50"})
    assert elsewhere.problem.sagemaker.train.spot
    assert elsewhere.digest() == load(problem).digest()
    assert elsewhere.configs(TRAINING) == load(problem).configs(TRAINING)


def test_a_section_sagemaker_that_contradicts_itself_is_refused_by_its_line(problem):
    problem.write_text(problem.read_text() + "\nsagemaker:\n  subnets: [subnet-1]\n")
    with pytest.raises(InputError, match=r"problem.yaml:\d+: .*subnets without security_groups"):
        load(problem)


def test_the_schema_for_editors_and_the_reference_for_people_are_those_that_the_types_give():
    run = "run: python tests/support/problem_reference.py"
    assert SCHEMA.read_text(encoding="utf-8") == text(), run
    assert REFERENCE.read_text(encoding="utf-8") == reference(), run


def test_the_schema_describes_every_field_that_a_person_may_write():
    whole = schema()
    bare = [
        f"{name}.{field}"
        for name, definition in {"Problem": whole, **whole["$defs"]}.items()
        for field, value in definition.get("properties", {}).items()
        if "description" not in value and "$ref" not in value and field != "notes"
    ]
    assert [name for name in bare if not name.startswith(("Problem.", "Expectation"))] == []


@pytest.mark.parametrize(
    "example", sorted((ROOT / "examples").glob("*/problem.yaml")), ids=lambda path: path.parent.name
)
def test_every_example_is_a_valid_problem(example):
    assert load(example).problem.success


@given(st.text(max_size=200))
def test_no_text_makes_the_reader_of_yaml_break(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("y") / "problem.yaml"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    with contextlib.suppress(InputError):
        assert isinstance(read(path).content, dict)


def test_the_digest_of_a_problem_does_not_depend_on_the_order_of_its_keys(problem):
    before = load(problem).digest()
    lines = problem.read_text().split("\n")
    lines.remove("owner: head of sales")
    problem.write_text("\n".join([*lines, "owner: head of sales"]))
    assert load(problem).digest() == before
    assert json.loads(json.dumps(load(problem).problem.model_dump(mode="json")))


def test_a_credential_in_a_uri_is_refused_with_its_line_and_without_its_value(problem):
    text = problem.read_text()
    for addition, sentence in (
        ("tracking_uri: http://me:CANARY@host:5000\n", "tracking_uri: holds a user name or password, .*MLFLOW_TRACKING_USERNAME"),
        ("tracking_uri: https://host/?token=CANARY\n", "tracking_uri: holds the credential token"),
    ):  # fmt: skip
        problem.write_text(f"{text}\n{addition}")
        with pytest.raises(InputError, match=rf"problem\.yaml:\d+: {sentence}") as refused:
            load(problem)
        assert "CANARY" not in str(refused.value)
    problem.write_text(text)
    (name,) = load(problem).problem.data.sources
    signed = "https://host/a.csv?X-Amz-Signature=CANARY"
    for value in (signed, f"[a.csv, '{signed}']"):
        with pytest.raises(InputError, match="holds the credential X-Amz-Signature, which would be copied"):
            load(problem, {f"data.sources.{name}.path": value})


def test_the_command_line_shows_no_credential_of_what_it_refuses(problem):
    result = fourscore("plan", problem, "--set", "tracking_uri=http://me:CANARY@host:5000", cwd=problem.parent)
    assert result.returncode == 2
    assert "holds a user name or password" in result.stderr
    assert "CANARY" not in result.stdout + result.stderr
    assert not (problem.parent / ".fourscore").exists()
    assert fourscore("plan", problem, cwd=problem.parent).returncode == 0
    assert (problem.parent / ".fourscore").stat().st_mode & 0o077 == 0, "a workspace is its owner's"
