"""``fourscore monitor``: captured requests beside training, as a run like any other."""

import json
from datetime import timedelta

import pytest
from cli import fourscore
from monitored import RUN, START, captured, line, trained_run

from infra.deployments import state
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
    page = workspace.parent / first.stdout.partition("report")[2].split()[0]
    assert "Quiet: requests and answers look like training." in page.read_text()
    assert fourscore("report", page.stem, cwd=workspace.parent).stdout.split() == [
        str(page.relative_to(workspace.parent))
    ]
    assert monitor(workspace, folder).stderr.count("cached") == first.stderr.count("ran ") == 6


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


def labelled(folder, tmp_path, shuffle=False):
    """Labels of all requests; shuffled ones have nothing to do with the answers."""
    captured(folder, 3, count=400, labels=tmp_path / "labels.csv")
    if shuffle:
        lines = (tmp_path / "labels.csv").read_text().splitlines()
        outcomes = [line.rpartition(",")[2] for line in lines[1:]]
        moved = [
            f"{line.rpartition(',')[0]},{outcome}"
            for line, outcome in zip(lines[1:], outcomes[7:] + outcomes, strict=False)
        ]
        (tmp_path / "labels.csv").write_text("\n".join([lines[0], *moved]))
    return tmp_path / "labels.csv"


def test_labels_say_whether_promises_are_kept_in_use(workspace, tmp_path):
    folder = tmp_path / "requests"
    labels = labelled(folder, tmp_path)
    content = json.loads(monitor(workspace, folder, "--labels", labels, "--json").stdout)
    (block,) = content["performance"]["blocks"]
    (promise,) = block["promises"]
    assert (block["rows"], promise["outcome"], content["proposal"]["retrain"]) == (1200, "kept", False)
    assert 0.85 < promise["result"]["value"] < 0.95


def test_a_broken_promise_is_an_alarm_and_a_reason_to_train_again(workspace, tmp_path):
    folder = tmp_path / "requests"
    labels = labelled(folder, tmp_path, shuffle=True)
    result = monitor(workspace, folder, "--labels", labels)
    assert result.returncode == 3
    assert "The promise “roc_auc >= 0.8 (95 % bound)” is broken: 0.5" in result.stdout
    assert "propose to train again: fourscore run" in result.stdout


def test_lasting_drift_without_labels_is_a_reason_to_train_again_but_missing_values_are_one_to_look(
    workspace, tmp_path
):
    folder = captured(tmp_path / "requests", 3, {2: 1.0})
    proposal = json.loads(monitor(workspace, folder, "--json").stdout)["proposal"]
    assert (proposal["retrain"], proposal["columns"], proposal["since"][:10]) == (True, ["income"], "2026-03-03")
    with (folder / "later.jsonl").open("w") as file:
        for number in range(30):
            row = {"income": None, "colour": "red" if number % 2 else "green"}
            file.write(line(START + timedelta(days=9), f"m{number}", [row] * 10, []))
    proposal = json.loads(monitor(workspace, folder, "--json").stdout)["proposal"]
    assert any("Look at the source of" in text and "income" in text for text in proposal["advice"])


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("labels.txt", "outcome\n", "labels are a file .csv, .parquet, .jsonl or .ndjson"),
        ("labels.csv", "request_id,row,outcom\nr0-0,1,good\n", "no column 'outcome'; did you mean 'outcom'"),
        ("labels.csv", "outcome\ngood\n", "request_id and row, or a key of yours"),
        ("labels.csv", "request_id,outcome\nr0-0,good\n", "need a column row"),
        ("labels.csv", "customer,outcome\n7,good\n", "no column 'customer'"),
    ],
)
def test_labels_that_do_not_fit_are_refused(workspace, tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    folder = captured(tmp_path / "requests", 1, count=40)
    result = monitor(workspace, folder, "--labels", tmp_path / name)
    assert (result.returncode, message in result.stderr) == (2, True), result.stderr


def test_labels_of_unknown_classes_and_too_few_of_them_are_noted(workspace, tmp_path):
    folder = captured(tmp_path / "requests", 1, count=40)
    (tmp_path / "labels.csv").write_text("request_id,row,outcome\nr0-0,1,good\nr0-0,2,excellent\nunknown,1,bad\n")
    notes = json.loads(monitor(workspace, folder, "--labels", tmp_path / "labels.csv", "--json").stdout)["performance"][
        "notes"
    ]
    assert notes == [
        "1 labels are not one of the classes bad, good and do not count",
        "1 labelled rows are too few for metrics; 30 are needed",
    ]


def test_a_deployment_names_folder_and_run_itself(workspace, tmp_path):
    version = state.Version(RUN, "b" * 64, ["ada"], "2026-02-02T00:00:00+00:00")
    for name, capture in (("credit", True), ("quiet", False)):
        target = state.Desired(name, 1, "127.0.0.1", 0, None, version, capture=capture)
        state.change(state.directory_of(workspace, name), "deployed", lambda _, target=target: target)
    captured(state.directory_of(workspace, "credit") / "capture", 2)
    result = fourscore("monitor", "credit", "--no-tracking", cwd=workspace.parent)
    assert (result.returncode, result.stdout.splitlines()[0]) == (0, "QUIET")
    for name, message in (("quiet", "deploy with --capture"), ("other", "the deployments: credit, quiet")):
        refusal = fourscore("monitor", name, cwd=workspace.parent)
        assert (refusal.returncode, message in refusal.stderr) == (2, True), refusal.stderr


def test_new_alarms_are_told_once_and_the_name_of_a_column_calls_nobody(workspace, tmp_path):
    folder, alerts = captured(tmp_path / "requests", 3, {2: 1.0}), tmp_path / "alerts.jsonl"
    for _ in range(2):
        assert monitor(workspace, folder, "--alert", alerts).returncode == 3
    (alert,) = [json.loads(text) for text in alerts.read_text().splitlines()]
    assert alert["subject"] == "Fourscore: 1 alarm about the model of run credit-1"
    assert (alert["alarms"][0]["column"], alert["retrain"], "<" in alert["text"]) == ("income", True, False)
    with (folder / "later.jsonl").open("w") as file:
        for number in range(40):
            file.write(
                line(
                    START + timedelta(days=3), f"v{number}", [{"income": 0.1 * number - 2, "colour": "violet"}] * 10, []
                )
            )
    monitor(workspace, folder, "--alert", alerts)
    second = json.loads(alerts.read_text().splitlines()[1])
    assert {"new values", "distribution"} == {
        entry["measure"] for entry in second["alarms"] if entry["column"] == "colour"
    }
    assert "2026-03-03" not in second["text"]
    assert monitor(workspace, folder, "--alert", "http://example.org/").returncode == 2
