"""plan: what a run would refuse at its start is refused with file and line, and nothing is run."""

import shutil
from pathlib import Path

import pytest
from cli import fourscore

GOOD = Path(__file__).parents[2] / "wrong_inputs/good"


@pytest.fixture
def planned(tmp_path):
    """Plan the good problem with a text replaced; returns the result and the line of a text in the file."""

    def plan(*changes, settings=()):
        shutil.copytree(GOOD, tmp_path / "p")
        file = tmp_path / "p/problem.yaml"
        text = file.read_text(encoding="utf-8")
        for old, new in changes:
            assert old in text
            text = text.replace(old, new, 1)
        file.write_text(text, encoding="utf-8")
        options = [part for setting in settings for part in ("--set", setting)]
        result = fourscore("plan", "p/problem.yaml", *options, cwd=tmp_path)
        assert not list(tmp_path.glob(".fourscore/store/*")), "something ran"
        return result, {line.strip(): number for number, line in enumerate(text.splitlines(), 1)}

    return plan


SUCCESS = "success:\n"


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("target: bought", "target: bougth", "target: bougth", "target: the data has no column 'bougth'; did you mean 'bought'"),
        (SUCCESS, f"{SUCCESS}  - {{metric: rocauc, at_least: 0.5}}\n", "- {metric: rocauc, at_least: 0.5}", "'rocauc' is not a metric"),
        (SUCCESS, f"{SUCCESS}  - {{metric: rmse, at_most: 3}}\n", "- {metric: rmse, at_most: 3}", "it is a metric of regression"),
        (SUCCESS, f"{SUCCESS}  - {{metric: accuracy, at_least: 1.5}}\n", "- {metric: accuracy, at_least: 1.5}", "no model can reach it"),
        (SUCCESS, f"{SUCCESS}  - {{metric: log_loss, at_least: 0.1}}\n", "- {metric: log_loss, at_least: 0.1}", "would reward a worse model"),
        (SUCCESS, f"{SUCCESS}  - {{metric: f1, at_least: 0.1, slice: plaec=a}}\n", "- {metric: f1, at_least: 0.1, slice: plaec=a}", "no column 'plaec'"),
    ],
)  # fmt: skip
def test_what_define_refuses_is_refused_by_plan_with_its_line(planned, old, new, line, message):
    result, lines = planned((old, new))
    assert result.returncode == 2, result.stdout
    assert message in result.stderr
    assert f"p/problem.yaml:{lines[line]}: " in result.stderr


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("split.by=group", "split.by: group needs split.column, or one column of role group; no column has it"),
        ("split={by: group, column: custmer}", "split.column: the data has no column 'custmer'"),
        ("split={by: time, column: bought}", "split.column: 'bought' is the target"),
        (
            "data.columns.age={monotone: increasing}",
            "none of the candidates can keep it; add trees to train.candidates",
        ),
        ("costs={miss: 50}", "false_alarm"),
        ("split.key=[agee]", "split.key: the data has no column 'agee'; did you mean 'age'"),
        ("split.allow_proxies={agee: known}", "split.allow_proxies: the data has no column 'agee'"),
        ("data.columns.agee={role: ignore}", "data.columns: the data has no column 'agee'"),
        ("evaluate.slices=[plaec]", "evaluate.slices: the data has no column 'plaec'"),
        ("evaluate.behaviour=[{rises_with: agee}]", "evaluate.behaviour: the data has no column 'agee'; did you mean"),
        (
            "evaluate.behaviour=[{falls_with: city}]",
            "evaluate.behaviour.0: 'city' is of type category; only a number rises",
        ),
        ("task=regression", "is not a metric of regression"),
        ("data.query=SELECT age FROM people", "target: the data has no column 'bought'"),
        ("question=' '", "question: it is blank"),
    ],
)
def test_what_data_cannot_make_possible_is_refused_by_its_setting(planned, setting, message):
    result, _ = planned(settings=[setting])
    assert result.returncode == 2, result.stdout
    assert message in result.stderr
    assert f"--set {setting.partition('=')[0]}" in result.stderr or setting[:5] in ("task=", "data.")


def test_a_suite_about_another_column_is_refused(tmp_path):
    shutil.copytree(GOOD, tmp_path / "p")
    suite = tmp_path / "p/expectations.json"
    suite.write_text(suite.read_text().replace('"bought"', '"bougth"'))
    result = fourscore("plan", "p/problem.yaml", cwd=tmp_path)
    assert result.returncode == 2
    assert "the data has no column 'bougth'; did you mean 'bought'" in result.stderr
    assert "p/expectations.json: expectation 1 " in result.stderr


def test_all_faults_are_named_at_once_and_a_good_problem_has_none(planned, tmp_path):
    result, _ = planned(settings=["evaluate.slices=[plaec]", "split.key=[agee]"])
    assert len(result.stderr.strip().splitlines()) == 2
    assert fourscore("plan", "p/problem.yaml", cwd=tmp_path).returncode == 0


def test_a_query_whose_columns_depend_on_types_is_left_to_the_run(planned):
    result, _ = planned(settings=["data.query=SELECT *, age / 2 AS half FROM people"])
    assert result.returncode == 0, result.stderr
