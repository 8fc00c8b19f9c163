"""``fourscore monitor``: captured requests beside training, as a run like any other."""

import json
from datetime import timedelta

import pytest
from cli import fourscore
from monitored import RUN, START, captured, line, trained_run

from infra.runs import records


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    return trained_run(tmp_path_factory.mktemp("monitored") / ".fourscore")


def monitor(workspace, folder, *arguments):
    return fourscore("monitor", folder, "--run", RUN, "--no-tracking", *arguments, cwd=workspace.parent)


def test_quiet_days_end_with_zero_and_a_second_call_runs_nothing(workspace, tmp_path):
    folder = captured(tmp_path / "requests", 3)
    first = monitor(workspace, folder)
    assert (first.returncode, first.stdout.splitlines()[0]) == (0, "QUIET")
    assert "1,200 in 3 windows" in first.stdout
    assert monitor(workspace, folder).stderr.count("cached") == first.stderr.count("ran ") == 4


def test_a_shift_is_an_alarm_that_names_column_and_day_and_ends_with_three(workspace, tmp_path):
    folder = captured(tmp_path / "requests", 4, {3: 1.0})
    result = monitor(workspace, folder, "--json")
    assert result.returncode == 3
    content = json.loads(result.stdout)
    assert [day["state"] for day in content["days"]] == ["quiet", "quiet", "quiet", "alarm"]
    (episode,) = content["episodes"]
    assert (episode["column"], episode["since"][:10], episode["ongoing"]) == ("income", "2026-03-04", True)


def test_a_run_of_monitoring_is_recorded_as_one_and_its_journal_has_the_states(workspace, tmp_path):
    content = json.loads(monitor(workspace, captured(tmp_path / "requests", 2, {1: 1.0}), "--json").stdout)
    record = records.load(workspace, content["run"])
    assert (record.pipeline, record.status, record.problem_name) == ("monitoring", "pass", "credit-monitoring")
    journal = (workspace / record.stage("judge").journal).read_text().splitlines()
    states = [event["value"] for event in map(json.loads, journal) if event.get("name") == "application/state"]
    assert states == [0, 2]


def test_a_file_that_grows_is_read_up_to_its_last_whole_line(workspace, tmp_path):
    folder = captured(tmp_path / "requests", 2)
    with (folder / "capture-001.jsonl").open("a") as file:
        file.write('{"time": "2026-03-02T23:00:00+00:00", "request_id": "half')
    assert monitor(workspace, folder).returncode == 0


def test_budgets_of_errors_and_of_seconds_are_judged_from_the_log_of_the_server(workspace, tmp_path):
    folder = captured(tmp_path / "requests", 1)
    with (folder / "server.log").open("w") as log:
        log.write("not JSON\n")
        for number in range(200):
            moment = (START + timedelta(minutes=number)).isoformat()
            status, milliseconds = 500 if number < 20 else 200, 3000 if number % 4 == 0 else 5
            fields = {"time": moment, "event": "answer", "request_id": f"q{number}", "status": status}
            log.write(json.dumps(fields | {"milliseconds": milliseconds}) + "\n")
    result = monitor(workspace, folder)
    assert result.returncode == 3
    assert "failed to answer 10 % of the requests; 0.1 % are allowed." in result.stdout
    assert "25 % of the requests took too long; 1.0 % may." in result.stdout
    assert "1 lines of the capture cannot be read; the first: 2-server.log:1" in result.stderr


def test_rows_that_cannot_be_read_are_counted_and_are_no_drift(workspace, tmp_path):
    folder = captured(tmp_path / "requests", 1)
    with (folder / "more.jsonl").open("w") as file:
        for number in range(10):
            file.write(line(START, f"w{number}", [{"income": "much", "colour": "red"}] * 10, []))
    findings = json.loads(monitor(workspace, folder, "--json").stdout)["days"][0]["findings"]
    assert [finding["measure"] for finding in findings] == ["unreadable"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "hour=3"], "there is no such setting; there are: hours,"),
        (["--set", "hours=-3"], "--set hours=-3: Input should be greater than 0"),
        (["--set", "hours=0.001"], "set hours to more"),
    ],
)
def test_wrong_settings_end_in_one_message(workspace, tmp_path, arguments, message):
    result = monitor(workspace, captured(tmp_path / "requests", 2, count=20), *arguments)
    assert result.returncode == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_folders_and_runs_that_do_not_fit_are_refused(workspace, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other/capture.jsonl").write_text('{"a": 1}\n[]\n')
    for folder, message in (
        ("nowhere", "no such folder"),
        ("empty", "was anything captured"),
        ("other", "no line of 1 files"),
    ):
        result = monitor(workspace, tmp_path / folder)
        assert (result.returncode, message in result.stderr) == (2, True), result.stderr
    folder = captured(tmp_path / "requests", 1, count=10)
    result = fourscore("monitor", folder, "--run", "nothing", cwd=workspace.parent)
    assert (result.returncode, "no run 'nothing'" in result.stderr) == (2, True)
