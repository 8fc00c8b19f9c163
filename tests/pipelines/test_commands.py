"""The command line on a small problem: every command, every exit code, the document that machines read."""

import hashlib
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest
import signed
from cli import fourscore, small_example
from page_numbers import unsourced
from pseudoterminal import in_terminal

from infra.files import digest_of
from infra.tracking.mlflow_client import connect, default_uri
from pipelines.pages.report.gather import gather

ROOT = Path(__file__).parents[2]
STAGES = ["define", "ingest", "validate", "label", "split", "train", "evaluate", "register"]


def in_a_process(*arguments, cwd, **more):
    """The same command in a process of its own, as a person starts it."""
    return subprocess.run(
        [sys.executable, "-m", "pipelines", *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
        stdin=subprocess.DEVNULL,
        **more,
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory, database):
    """A folder with the example and a workspace in which it has been run once, tracked."""
    folder = tmp_path_factory.mktemp("a 0'%20 [ünïcode]")
    small_example(folder / "example")
    (folder / ".fourscore").mkdir()
    shutil.copy(database, folder / ".fourscore")
    result = fourscore("run", "example/problem.yaml", "--json", cwd=folder)
    assert result.returncode == 0, result.stderr
    (folder / "first.json").write_text(result.stdout)
    return folder


@pytest.fixture(scope="module")
def first(place):
    return json.loads((place / "first.json").read_text())


@pytest.fixture(scope="module")
def champion(place, first):
    key = signed.key_file(place / "key", 1)
    fourscore("approvers", "init", "--key", key, cwd=place)
    for command in (
        ["approve", first["run"], "--key", key, "--anyway", "--reason", "good enough"],
        ["promote", first["run"]],
    ):
        result = fourscore(*command, "--json", cwd=place)
        assert result.returncode == 0, result.stderr
    return first


def test_a_run_that_passes_says_all_that_a_machine_wants_to_know(first):
    assert first["verdict"] == "pass"
    assert [stage["name"] for stage in first["stages"]] == STAGES
    assert {stage["status"] for stage in first["stages"]} == {"ran"}
    (threshold,) = first["thresholds"]
    assert threshold["met"] is True
    assert threshold["interval"][0] <= threshold["value"] <= threshold["interval"][1]
    assert {"constant", "trees"} <= set(first["yardsticks"])
    assert (first["model"]["name"], str(first["model"]["version"])) == ("breast-cancer", "1")


def test_metrics_of_all_four_layers_come_from_a_single_run(first):
    names = set(first["metrics"])
    expected = {
        "data/rows", "data/expectations_failed", "framework/samples_per_second", "framework/peak_memory_mb",
        "model/roc_auc", "model/roc_auc_low", "model/roc_auc_high", "application/predict_p50_ms", "application/model_mb",
    }  # fmt: skip
    assert expected <= names
    assert {name.split("/")[0] for name in names} == {"data", "framework", "model", "application"}


def test_the_tracking_store_holds_the_run_its_stages_and_the_candidate(place, first):
    client = connect(place / ".fourscore", default_uri(place / ".fourscore"))
    experiment = client.get_experiment_by_name("breast-cancer")
    runs = client.search_runs([experiment.experiment_id])
    (parent,) = (run for run in runs if "mlflow.parentRunId" not in run.data.tags)
    assert (len(runs), parent.info.status) == (9, "FINISHED")
    assert len(parent.data.metrics) >= 20
    assert client.get_model_version_by_alias("breast-cancer", "candidate").tags["verdict"] == "pass"


def test_every_number_of_the_report_is_one_of_the_document_that_it_comes_from(place, first):
    facts = gather(place / ".fourscore", first["run"])
    html = facts.report_path.read_text(encoding="utf-8")
    listing, strangers = unsourced(html, facts)
    assert strangers == []
    assert listing > 150
    result = re.search(r'class="value">([\d.]+)<', html)[1]
    assert unsourced(html.replace(f">{result}<", f">{float(result) - 0.111:.3f}<"), facts)[1], "it would notice"


def test_a_second_run_is_cached_whole_and_is_the_same_run(place, first):
    result = fourscore("run", "example/problem.yaml", "--json", cwd=place)
    assert result.returncode == 0
    assert "8 stages, 8 cached" in result.stderr
    again = json.loads(result.stdout)
    assert (again["run"], again["metrics"]) == (first["run"], first["metrics"])
    assert (first["reused"], again["reused"]) == (False, True)
    assert {stage["status"] for stage in again["stages"]} == {"cached"}


@pytest.mark.usefixtures("first")
def test_the_plan_names_the_setting_that_changed(place):
    result = fourscore("plan", "example/problem.yaml", "--set", "split.test_fraction=0.25", "--json", cwd=place)
    stages = {stage["name"]: stage for stage in json.loads(result.stdout)["stages"]}
    assert stages["label"]["status"] == "cached"
    assert stages["split"]["reason"] == "config split.test_fraction changed 0.2 -> 0.25"
    assert stages["train"]["status"] == "runs"


@pytest.mark.usefixtures("first")
def test_the_plan_says_which_promises_the_test_rows_leave_little_room_for(place):
    promise = "success=[{metric: recall, at_least: 0.97}, {metric: roc_auc, at_least: 0.6}]"
    result = fourscore("plan", "example/problem.yaml", "--set", promise, cwd=place)
    assert result.returncode == 0, result.stderr
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("recall >= 0.97 (95 % bound): ")]
    assert "positive test rows cannot reach it, not even without an error" in line


def test_a_threshold_that_is_not_met_ends_with_3_and_makes_no_candidate(place):
    result = fourscore(
        "run", "example/problem.yaml", "--json", "--no-tracking", "--set", "success.0.at_least=0.9999", cwd=place
    )
    assert result.returncode == 3
    document = json.loads(result.stdout)
    assert document["verdict"] == "rejected"
    assert "roc_auc >= 0.9999" in document["message"]
    statuses = {stage["name"]: stage["status"] for stage in document["stages"]}
    assert statuses["ingest"] == "cached"
    assert statuses["register"] == "ran"
    registration = place / ".fourscore/store" / document["stages"][-1]["key"] / "registration/registration.json"
    assert json.loads(registration.read_text())["alias"] is None
    refused = fourscore("promote", document["run"], cwd=place)
    assert refused.returncode == 3
    assert "was rejected" in refused.stderr


def test_a_failed_critical_expectation_ends_with_3_and_the_report_says_why(place):
    suite = {
        "expectations": [
            {"type": "expect_column_values_to_be_between", "kwargs": {"column": "mean_radius", "min_value": 10}}
        ]
    }
    shutil.copytree(place / "example", place / "strict")
    (place / "strict/expectations.json").write_text(json.dumps(suite))
    result = fourscore("run", "strict/problem.yaml", "--json", "--no-tracking", cwd=place)
    assert result.returncode == 3
    document = json.loads(result.stdout)
    assert "mean_radius" in document["message"]
    assert "mean_radius" in Path(place, document["report"]).read_text()


def test_every_way_to_name_a_model_predicts_the_same(place, first):
    shutil.copy(ROOT / "tests/golden/breast-cancer-rows.csv", place / "rows.csv")
    answers = []
    for model in (first["run"], first["model"]["path"], "breast-cancer@candidate", "breast-cancer/1"):
        result = fourscore("predict", model, "rows.csv", "answers.csv", "--json", cwd=place)
        assert result.returncode == 0, result.stderr
        assert json.loads(result.stdout)["rows"] == 5
        answers.append((place / "answers.csv").read_text())
    assert len(set(answers)) == 1
    assert answers[0].startswith("row,prediction,probability_false,probability_true\n1,")


def test_predicting_rows_without_a_column_that_the_model_needs_ends_with_2(place, first):
    (place / "narrow.csv").write_text("mean_radius,mean_texture\n1.0,2.0\n")
    result = fourscore("predict", first["run"], "narrow.csv", "none.csv", cwd=place)
    assert result.returncode == 2
    assert "narrow.csv: column 'mean_perimeter' is missing; the model needs a number there" in result.stderr
    assert not (place / "none.csv").exists()


def test_predicting_never_overwrites_its_input_nor_makes_folders(place, first):
    rows = place / "kept.csv"
    shutil.copy(ROOT / "tests/golden/breast-cancer-rows.csv", rows)
    before = rows.read_bytes()
    (place / "link.csv").symlink_to(rows)
    for output, phrase in (
        ("kept.csv", "is also the input"),
        ("link.csv", "is also the input"),
        ("no/o.csv", "no such folder"),
    ):
        result = fourscore("predict", first["run"], rows, output, cwd=place)
        assert (result.returncode, phrase in result.stderr) == (2, True), result.stderr
    assert rows.read_bytes() == before


@pytest.mark.usefixtures("champion")
def test_promoting_makes_a_champion_and_leaves_the_run_cached(place):
    again = fourscore("run", "example/problem.yaml", cwd=place)
    assert "8 stages, 8 cached" in again.stderr
    assert "it is the champion" in again.stdout
    assert "fourscore promote" not in again.stdout
    other = fourscore("plan", "example/problem.yaml", "--set", "train.seed=3", "--json", cwd=place)
    stages = {stage["name"]: stage for stage in json.loads(other.stdout)["stages"]}
    assert "champion changed" in stages["evaluate"]["reason"]


def test_a_later_run_is_compared_with_the_champion_on_the_same_rows(place, champion):
    result = fourscore("run", "example/problem.yaml", "--set", "train.seed=1", "--json", "--no-tracking", cwd=place)
    assert result.returncode == 0, result.stderr
    key = json.loads(result.stdout)["stages"][6]["key"]
    evaluation = json.loads((place / ".fourscore/store" / key / "evaluation/evaluation.json").read_text())
    assert evaluation["champion"]["metrics"]["roc_auc"]["value"] == champion["metrics"]["model/roc_auc"]
    assert evaluation["comparisons"]["champion"]["better"] in {"model", "champion", "neither"}


def test_a_champion_that_is_lost_stops_the_run_and_is_not_quietly_left_out(place, champion, tmp_path):
    shutil.copytree(place / ".fourscore", tmp_path / "lost")
    train = next(stage["key"] for stage in champion["stages"] if stage["name"] == "train")
    shutil.rmtree(tmp_path / "lost/store" / train)
    other = ["run", "example/problem.yaml", "--no-tracking", "--workspace", tmp_path / "lost", "--set"]
    result = fourscore(*other, "train.seed=2", cwd=place)
    assert result.returncode == 1
    assert "champion cannot be read" in result.stderr
    assert not (tmp_path / "lost/store" / train).exists()
    rebuilt = fourscore(*other[:-1], cwd=place)
    assert rebuilt.returncode == 0, rebuilt.stderr


def test_a_smoke_run_passes_through_every_stage_and_makes_no_candidate(place):
    result = fourscore("run", "example/problem.yaml", "--smoke", "--json", "--no-tracking", cwd=place)
    assert result.returncode == 0, result.stderr
    document = json.loads(result.stdout)
    assert document["smoke"] is True
    assert [stage["name"] for stage in document["stages"]] == STAGES
    assert {stage["status"] for stage in document["stages"]} <= {"ran", "cached"}
    assert fourscore("promote", document["run"], cwd=place).returncode == 2


def test_runs_show_report_and_doctor_answer_people_and_machines(place, first):
    listed = json.loads(fourscore("runs", "--json", cwd=place).stdout)["runs"]
    assert first["run"] in {run["run"] for run in listed}
    link = fourscore("show", first["run"], cwd=place)
    assert "validate" in link.stdout
    assert json.loads(fourscore("show", first["run"], "--json", cwd=place).stdout)["run"] == first["run"]
    report = json.loads(fourscore("report", first["run"], "--json", cwd=place).stdout)["report"]
    assert "Is this mass malignant?" in Path(place, report).read_text()
    healthy = fourscore("doctor", "--json", cwd=place)
    assert json.loads(healthy.stdout)["healthy"] is True, healthy.stdout


def test_a_row_is_found_in_the_part_that_it_is_in(place, first):
    parts = [
        json.loads(fourscore("trace", first["run"], "--row", row, "--json", cwd=place).stdout)["runs"][0]["part"]
        for row in range(1, 12)
    ]
    assert set(parts) == {"train_set", "test_set"}
    missing = fourscore("trace", first["run"], "--row", "100000", cwd=place)
    assert (missing.returncode, "has no row 100000" in missing.stderr) == (2, True)


@pytest.fixture(scope="module")
def bundle(place, champion):
    result = fourscore("review", "pack", champion["run"], "bundle.tar", cwd=place)
    assert result.returncode == 0, result.stderr
    return place / "bundle.tar"


def test_a_third_party_computes_every_number_of_a_bundle_anew_and_its_verdict_counts(place, champion, bundle, tmp_path):
    fourscore("review", "pack", champion["run"], tmp_path / "again.tar", cwd=place)
    assert (tmp_path / "again.tar").read_bytes() == bundle.read_bytes()
    people = [signed.approver("owner", 1, "reviewer", "admin"), signed.approver("auditor", 2, "auditor")]
    content = json.dumps(signed.approvers(*people, quorum={"reviewer": 1, "auditor": 1}))
    (tmp_path / "approvers.yaml").write_text(content)
    key = signed.key_file(place / "key", 1)
    adopted = fourscore("approvers", "adopt", tmp_path / "approvers.yaml", "--key", key, "--reason", "audit", cwd=place)
    assert adopted.returncode == 0, adopted.stderr
    waiting = fourscore("promote", champion["run"], cwd=place)
    assert (waiting.returncode, "it wants 1 more of role auditor" in waiting.stderr) == (3, True)
    fourscore("review", "pack", champion["run"], tmp_path / "new.tar", cwd=place)
    options = (
        "--sign",
        "verdict",
        "--reason",
        "computed anew",
        "--key",
        signed.key_file(tmp_path / "key", 2),
        "--json",
    )
    result = fourscore("review", "verify", tmp_path / "new.tar", *options, cwd=tmp_path)
    document = json.loads(result.stdout)
    assert (document["outcome"], document["different"], document["environment"]) == ("equal", {}, [])
    assert document["equal"] > 500
    added = fourscore("review", "add", tmp_path / "verdict", cwd=place)
    assert "auditor approves run" in added.stdout, added.stderr
    assert fourscore("promote", champion["run"], cwd=place).returncode == 0
    assert fourscore("review", "add", tmp_path / "verdict", cwd=place).returncode == 2, "it is there already"
    assert "all verified" in fourscore("review", "log", cwd=place).stdout


def test_a_number_that_was_changed_with_its_digests_is_named(bundle, tmp_path):
    """Whoever changes a number can change the digests in the bundle, but not what the model answers."""

    def change(name, data):
        if name.endswith("evaluation.json"):
            content = json.loads(data)
            content["metrics"]["roc_auc"]["value"] += 0.001
            return json.dumps(content).encode()
        return data

    _repack(bundle, tmp_path / "changed.tar", change)
    result = fourscore("review", "verify", "changed.tar", "--json", cwd=tmp_path)
    assert result.returncode == 3
    assert list(json.loads(result.stdout)["different"]) == ["evaluation.json: metrics.roc_auc.value"]


def _repack(bundle, target, change):
    """Write a bundle whose files were changed, and the manifests with them."""
    with tarfile.open(bundle) as archive:
        files = {entry.name: archive.extractfile(entry).read() for entry in archive}
    files = {name: change(name, data) for name, data in files.items()}
    for name, data in files.items():
        if name.endswith("manifest.json"):
            content = json.loads(data)
            for path, entry in content["files"].items():
                if current := files.get(f"{Path(name).parent}/{path}"):
                    entry |= {"size": len(current), "sha256": hashlib.sha256(current).hexdigest()}
            content["digest"] = digest_of(content)
            files[name] = json.dumps(content).encode()
    with tarfile.open(target, "w") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("report.html", lambda data: data + b" ", "report.html is not the file that was packed"),
        ("model.pt2", lambda data: data + b" ", "differs from its manifest"),
        ("bundle.json", lambda data: b"{}", "it has no whole bundle.json"),
        ("bundle.json", lambda data: data.replace(b'"registration"', b'"other"'), "it has no whole bundle.json"),
    ],
)
def test_a_bundle_with_another_file_is_refused(bundle, tmp_path, name, change, message):
    with tarfile.open(bundle) as archive, tarfile.open(tmp_path / "bundle.tar", "w") as target:
        for entry in archive:
            data = archive.extractfile(entry).read()
            if entry.name.endswith(name):
                data = change(data)
            entry.size = len(data)
            target.addfile(entry, io.BytesIO(data))
    result = fourscore("review", "verify", "bundle.tar", cwd=tmp_path)
    assert result.returncode in (1, 2)
    assert message in result.stderr


@pytest.mark.parametrize("name", ["../outside", "/outside", "link"])
def test_a_bundle_writes_nothing_outside(tmp_path, name):
    with tarfile.open(tmp_path / "bundle.tar", "w") as archive:
        entry = tarfile.TarInfo(name)
        if name == "link":
            entry.type, entry.linkname = tarfile.SYMTYPE, "/etc"
        archive.addfile(entry, io.BytesIO(b""))
    result = fourscore("review", "verify", "bundle.tar", cwd=tmp_path)
    assert (result.returncode, "no plain file of a bundle" in result.stderr) == (2, True)
    (tmp_path / "text.tar").write_text("words")
    for other, message in (("text.tar", "is no bundle"), ("nothing.tar", "no file nothing.tar")):
        assert message in fourscore("review", "verify", other, cwd=tmp_path).stderr


def test_a_server_that_is_away_makes_syncing_fail_and_nothing_else(place, first, champion):
    result = fourscore("runs", "--sync", "--tracking-uri", "http://user:hunter2@127.0.0.1:9", "--json", cwd=place)
    assert result.returncode == 1
    assert all(what.startswith("away") for what in json.loads(result.stdout)["sync"].values())
    assert "hunter2" not in result.stdout + result.stderr
    promoted = fourscore("promote", first["run"], cwd=place)
    assert promoted.returncode == 0, promoted.stderr  # it is still tracked where it was


def test_the_ui_does_not_lead_to_what_else_listens_on_its_port(place):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        result = fourscore("ui", "--port", port, cwd=place)
    assert (result.returncode, f"port {port} of 127.0.0.1 is in use" in result.stderr) == (2, True)
    assert "http://" not in result.stderr


def test_doctor_finds_what_rots_in_the_store(place, first, tmp_path):
    for folder in ("store", "seals"):
        shutil.copytree(place / ".fourscore" / folder, tmp_path / ".fourscore" / folder)
    victim = next((tmp_path / ".fourscore/store").glob("*/table/data.parquet"))
    victim.write_bytes(victim.read_bytes()[:-1] + b"?")
    bare, garbled = [path.parent for path in sorted((tmp_path / ".fourscore/store").glob("*/model"))[:1]] + [
        path.parent for path in sorted((tmp_path / ".fourscore/store").glob("*/evaluation"))[:1]
    ]
    (bare / "manifest.json").unlink()
    (garbled / "manifest.json").write_text("[]")
    result = fourscore("doctor", "--json", cwd=tmp_path)
    assert result.returncode == 1
    (bad,) = [check for check in json.loads(result.stdout)["checks"] if not check["ok"]]
    assert all(name in bad["found"] for name in ("data.parquet", bare.name, garbled.name))


def trains(folder):
    """Whether a run in a folder has divided its rows and trains."""
    return bool(list(folder.glob(".fourscore/working/*/checkpoints"))) or bool(
        list(folder.glob(".fourscore/store/*/test_set"))
    )


TO_TRAIN = ("run", "example/problem.yaml", "--until", "train")


def test_a_terminated_run_ends_with_130_is_marked_and_goes_on_when_asked_again(place, tmp_path):
    (tmp_path / "example").symlink_to(place / "example")
    arguments = [sys.executable, "-m", "pipelines", *TO_TRAIN, "--json", "--no-tracking"]
    process = subprocess.Popen(arguments, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not trains(tmp_path):
        time.sleep(0.05)
        assert process.poll() is None
    time.sleep(1)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert json.loads(out)["status"] == "interrupted"
    assert list(tmp_path.glob(".fourscore/working/*")) == []
    again = fourscore(*TO_TRAIN, "--json", "--no-tracking", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert {stage["name"]: stage["status"] for stage in json.loads(again.stdout)["stages"]}["split"] == "cached"


def test_control_c_in_a_terminal_says_once_how_to_go_on_also_while_the_tracking_server_is_busy(place, tmp_path):
    (tmp_path / "example").symlink_to(place / "example")
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes the connection and never answers
        uri = f"http://127.0.0.1:{silent.getsockname()[1]}"
        code, screen = in_terminal(
            [sys.executable, "-m", "pipelines", *TO_TRAIN, "--tracking-uri", uri],
            80,
            cwd=tmp_path,
            interrupt_when=lambda: trains(tmp_path),
        )
    text = "\n".join(screen.lines)
    assert code == 130, text
    assert text.count("interrupted") == text.count("run the same command to go on") == 1
    assert "Traceback" not in text
    assert "error" not in text.lower()
    assert any("telling MLflow how the run ended" in line for line in screen.live)


def test_until_records_what_was_not_asked_for_and_promises_nothing(place):
    result = fourscore("run", "example/problem.yaml", "--until", "split", "--json", "--no-tracking", cwd=place)
    document = json.loads(result.stdout)
    assert [stage["status"] for stage in document["stages"]] == ["cached"] * 5 + ["skipped"] * 3
    assert document["message"] == "stopped after split, as asked"
    assert fourscore("promote", document["run"], cwd=place).returncode == 2


def test_a_run_that_breaks_ends_with_1_and_names_the_stage(place, tmp_path):
    """A library that is broken is nobody's input and no gate."""
    (tmp_path / "broken/lightgbm").mkdir(parents=True)
    (tmp_path / "broken/lightgbm/__init__.py").write_text("raise RuntimeError('this installation is broken')")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "broken")}
    result = in_a_process(
        "run", place / "example/problem.yaml", "--no-tracking", "--json", cwd=tmp_path, env=environment
    )
    assert result.returncode == 1, result.stderr
    document = json.loads(result.stdout)
    assert document["verdict"] == "error"
    assert [stage["name"] for stage in document["stages"] if stage["status"] == "failed"] == ["train"]
    assert "this installation is broken" in document["message"]
    assert "Traceback" not in result.stderr
    assert list(tmp_path.glob(".fourscore/working/*")) == []


def test_a_name_that_is_taken_by_another_run_is_refused(place, first):
    arguments = ["run", "example/problem.yaml", "--until", "define", "--no-tracking", "--name", "mine"]
    assert fourscore(*arguments, cwd=place).returncode == 0
    result = fourscore(*arguments, "--set", "owner=somebody else", cwd=place)
    assert result.returncode == 2
    assert "'mine' exists" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "--json"],
        ["run", "example/problem.yaml", "--until", "lunch", "--json"],
        ["run", "example/problem.yaml", "--set", "seed", "--json"],
        ["plan", "example/problem.yaml", "--bogus", "--json"],
        ["new", "other", "--data", "x.csv", "--json"],
        ["approve", "nothing", "--json"],
        ["predict", "--json"],
        ["runs", "--workspace", "example/problem.yaml", "--json"],
        ["brew", "--json"],
    ],
)
def test_a_usage_error_too_is_one_document_where_one_was_asked_for(place, arguments):
    result = fourscore(*arguments, cwd=place)
    assert result.returncode == 2
    document = json.loads(result.stdout)
    assert document["exit_code"] == 2
    prefix = "error: " if "lunch" in arguments else "Error: "  # the plan knows the stages, the parser does not
    assert document["message"].split() == result.stderr.partition(prefix)[2].split()


@pytest.mark.parametrize("name", ["../escaped", "/escaped", "a/b", "", ".hidden", "x.tracking", "n" * 300, "a\nb"])
def test_a_run_has_a_name_that_leads_nowhere_else(place, name):
    before = sorted(path.name for path in place.rglob("*"))
    result = fourscore("run", "example/problem.yaml", "--name", name, "--until", "define", "--no-tracking", cwd=place)
    assert (result.returncode, result.stderr.startswith("error: --name")) == (2, True), result.stderr
    assert sorted(path.name for path in place.rglob("*")) == before


def test_what_lies_beside_the_runs_is_no_run(place, first):
    result = fourscore("show", "../memory/modules", cwd=place)
    assert result.returncode == 2
    assert "no run" in result.stderr


def test_json_of_a_run_goes_to_standard_output_alone(place):
    result = in_a_process("run", "example/problem.yaml", "--json", "--no-tracking", cwd=place)
    json.loads(result.stdout)
    assert "stages" in result.stderr


NOISY = """
import os
from pipelines.__main__ import main
from pipelines.commands.options import as_json, print_json

@main.command()
@as_json
def noisy(as_json):
    print("a library that prints")
    os.write(1, b"a Fortran routine that complains")
    os.system("echo a child that talks")
    print_json({"only": "this"})

main()
"""


def test_what_libraries_write_to_standard_output_does_not_mix_with_the_document(tmp_path):
    result = subprocess.run(
        [sys.executable, "-c", NOISY, "noisy", "--json"], cwd=tmp_path, capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert json.loads(result.stdout) == {"only": "this"}
    assert all(phrase in result.stderr for phrase in ("library", "Fortran", "child"))


@pytest.mark.parametrize(
    "command",
    [
        "new",
        "plan",
        "run",
        "report",
        "predict",
        "runs",
        "show",
        "approve",
        "reject",
        "revoke",
        "promote",
        "rollback",
        "ui",
        "doctor",
    ],
)
def test_every_command_explains_itself(command, tmp_path):
    result = fourscore(command, "--help", cwd=tmp_path)
    assert result.returncode == 0
    assert "Usage:" in result.stdout
