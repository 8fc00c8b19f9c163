"""Registered models: once per run, never an alias that was not earned, and loadable where pickle is forbidden."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tracked
from tracked import SCHEMA, rows_of

from infra.runs import records
from infra.sources import champion as champions
from infra.sources.champion import Champion
from infra.store.local import LocalStore
from infra.tracking import follower, registry, versions
from infra.tracking.database import registered as registered_in
from infra.tracking.mlflow_client import connect, default_uri
from infra.tracking.projection import Projection
from infra.tracking.state import read_state
from model_code.digest import directory_digest
from pipelines.predict import model_directory
from steps.errors import FourscoreError, GateRefused, InputError
from steps.training.document import ModelSchema

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader:DeprecationWarning")  # MLflow's own

NAME = "late flights"


def load_registered(workspace, reference, **options):
    return registry.load(workspace, None, reference, tracked.open_local_store, lambda tags: None, **options)


@pytest.fixture(scope="session")
def saved(model, tmp_path_factory):
    """The pyfunc folder as MLflow keeps it."""
    target = tmp_path_factory.mktemp("pyfunc") / "saved"
    versions.save(target, model)
    return target


@pytest.fixture(scope="session")
def registered(tmp_path_factory, database, model, project):
    """A workspace with one registered version, only to be read."""
    place = tmp_path_factory.mktemp("registered %20ü") / ".fourscore"
    place.mkdir()
    shutil.copy(database, place / "mlflow.db")
    project(place, model=model)
    return place


@pytest.fixture(scope="session")
def project(write_run):
    def project(place, *arguments, **options):
        state = tracked.project(write_run(place, *arguments, **options), default_uri(place))
        assert state["status"] == "complete", state["message"]
        return state

    return project


def aliases(place):
    registered = connect(place, default_uri(place)).get_registered_model(NAME).aliases
    return {alias: str(version) for alias, version in registered.items()}


def test_a_passed_run_becomes_a_version_with_its_digests_and_the_candidate_alias(place, model, project):
    state = project(place, model=model)
    assert state["model"] == {"name": NAME, "version": "1", "alias": "candidate"}
    version = connect(place, default_uri(place)).get_model_version(NAME, "1")
    expected = {
        "model_digest": directory_digest(model),
        "data_digest": "d",
        "problem_digest": "p",
        "verdict": "pass",
        "fourscore.run": "flights-1",
    }
    assert version.tags.items() >= expected.items()
    assert version.run_id == state["parent"]
    assert "Will it be late?" in version.description
    assert aliases(place) == {"candidate": "1"}


@pytest.mark.parametrize("unfit", [{"status": "rejected"}, pytest.param({"smoke": True}, marks=pytest.mark.slow)])
def test_a_model_that_may_not_be_used_stays_with_its_run_and_is_never_the_latest_version(place, model, project, unfit):
    project(place, "good", model=model)
    state = project(place, "unfit", model=model, number=2, **unfit)
    assert state["model"] is None
    client = connect(place, default_uri(place))
    assert [version.tags["fourscore.run"] for version in client.search_model_versions(f"name = '{NAME}'")] == ["good"]
    assert aliases(place) == {"candidate": "1"}
    assert len(client.get_run(state["parent"]).outputs.model_outputs) == 1
    with pytest.raises(FourscoreError, match="no candidate"):
        tracked.promote(place, "unfit", None)


def test_a_run_without_register_stage_registers_nothing(place, project):
    assert project(place)["model"] is None
    assert rows_of(place / "mlflow.db")["logged_models"] == 0


def test_an_old_run_that_is_projected_late_does_not_take_the_alias_back(place, model, project):
    project(place, "second", model=model, number=2)
    project(place, "first", model=model, number=1)
    assert aliases(place) == {"candidate": "1"}


def test_a_run_that_a_wrong_clock_put_into_the_future_keeps_no_later_run_from_becoming_candidate(place, model, project):
    project(place, "future", model=model, started="2027-12-31T00:00:00+00:00", number=1)
    project(place, "later", model=model, started="2026-11-30T00:00:00+00:00", number=2)
    assert aliases(place) == {"candidate": "2"}


def test_a_candidate_of_an_earlier_release_or_another_workspace_gives_way_to_the_next_version(place, model, project):
    project(place, "first", model=model, number=7)
    client = connect(place, default_uri(place))
    client.set_model_version_tag(NAME, "1", versions.WORKSPACE, "another")
    project(place, "second", model=model, number=1)
    assert aliases(place) == {"candidate": "2"}


def test_a_registry_that_was_made_anew_gives_the_champion_its_alias_again(place, database, model, project, tmp_path):
    state = project(place, "first", model=model)
    digest = directory_digest(model)
    copy = shutil.copytree(place, tmp_path / "copy")
    champions.write(LocalStore(copy), Champion(NAME, "first", "train-first", digest, "7", since=records.now()))
    shutil.copy(database, copy / "mlflow.db")
    assert tracked.sync(copy, None) == {"first": "complete"}
    assert aliases(copy) == {"candidate": "1", "champion": "1"}
    assert read_state(copy, "first")["parent"] != state["parent"]


def test_an_upload_that_was_cut_off_is_done_again_in_the_same_place(place, model, write_run):
    """The logged model is there and pending, as a projector killed between the two leaves it."""
    run_file = write_run(place, model=model)
    record = records.load(place, "flights-1")
    projection = Projection(place, "flights-1", default_uri(place), tracked.open_local_store)
    assert projection.advance(final=False)["parent"]
    projection.client.create_logged_model(
        projection.experiment, NAME, projection.parent.id, {"model_digest": directory_digest(model)}
    )
    assert tracked.project(run_file, default_uri(place))["model"]["version"] == "1"
    (logged,) = projection.client.search_logged_models([projection.experiment])
    assert (str(logged.status), record.status) == ("READY", "pass")


def change(place, stage, name, old, new):
    """Other bytes, the same length."""
    path = place / "store" / f"{stage}-flights-1" / name
    data = path.read_bytes()
    assert (old in data, len(old)) == (True, len(new))
    path.write_bytes(data.replace(old, new, 1))


CHANGED = {
    "a weight": ("train", "model/model.pt2", b"PK\x03\x04", b"\0\0\0\0"),
    "the request": ("register", "registration/registration.json", b'"late flights"', b'"another name"'),
    "a document": ("register", "registration/model_card.md", b"card", b"c\0rd"),
    "a journal": ("evaluate", "journal.jsonl", b"0.8", b"0.9"),
}


# Each case projects two runs; "a document" is a file of the same stage as "the request".
@pytest.mark.parametrize("what", [pytest.param(w, marks=pytest.mark.slow) if w == "a document" else w for w in CHANGED])
def test_nothing_is_registered_of_a_run_whose_files_changed_after_it_was_published(place, model, write_run, what):
    stage, name, old, new = CHANGED[what]
    write_run(place, model=model)
    write_run(place, "another", model=model)
    change(place, stage, name, old, new)
    statuses = tracked.sync(place, None)
    assert statuses["another"] == "complete"
    assert statuses["flights-1"].startswith("error")
    state = read_state(place, "flights-1")
    assert (state["status"], state["model"]) == ("error", None)
    assert f"{Path(name).name} differs from its manifest" in state["message"]
    assert "nothing was registered" in state["message"]
    client = connect(place, default_uri(place))
    (version,) = client.search_model_versions(f"name = '{NAME}'")
    assert version.tags["fourscore.run"] == "another"
    run = client.get_run(state["parent"])
    assert run.data.metrics.get("model/roc_auc") == (None if what == "a journal" else 0.8)
    uploaded = {entry.path for entry in client.list_artifacts(state["parent"])}
    assert ("model_card.md" in uploaded) == (what in ("a weight", "a journal"))


def test_a_model_that_is_whole_but_not_the_one_that_was_asked_for_is_not_registered(place, model, write_run):
    """The store vouches for every file; the request was written for another model."""
    write_run(place, model=model)
    directory = place / "store/train-flights-1"
    manifest = LocalStore(place).look("train-flights-1")
    (directory / "manifest.json").unlink()
    (directory / "model/schema.json").write_text(json.dumps(SCHEMA | {"target": "early"}))
    manifest.files.clear()
    LocalStore(place).publish(directory, manifest)
    (reply,) = tracked.sync(place, None).values()
    assert "the request is for" in reply
    assert "nothing was registered" in reply
    assert connect(place, default_uri(place)).search_registered_models() == []
    assert rows_of(place / "mlflow.db")["logged_models"] == 0


def test_what_was_registered_before_it_rotted_stays_registered(place, model, project):
    project(place, model=model)
    change(place, "train", "model/model.pt2", b"PK\x03\x04", b"\0\0\0\0")
    state = tracked.project(records.path_of(place, "flights-1"), default_uri(place))
    assert state["model"] == {"name": NAME, "version": "1", "alias": "candidate"}
    assert aliases(place) == {"candidate": "1"}


def test_the_next_run_takes_the_alias_and_promotion_moves_the_champion_which_remembers_the_other(place, model, project):
    project(place, "first", model=model, number=1)
    assert project(place, "second", model=model, number=2)["model"]["version"] == "2"
    assert aliases(place) == {"candidate": "2"}
    assert tracked.promote(place, "first", None) == "1"
    assert tracked.promote(place, "second", None) == "2"
    assert tracked.promote(place, "second", None) == "2"
    assert aliases(place) == {"candidate": "2", "champion": "2", "previous": "1"}
    client = connect(place, default_uri(place))
    assert client.get_model_version(NAME, "2").tags["previous_champion"] == "1"
    assert client.get_model_version(NAME, "1").tags["succeeded_by"] == "2"


def test_promoting_a_run_that_was_not_projected_projects_it_first(place, model, write_run):
    write_run(place, model=model)
    assert tracked.promote(place, "flights-1", None) == "1"


def test_promoting_a_run_that_registered_nothing_says_so(place, write_run):
    write_run(place)
    with pytest.raises(FourscoreError, match="registered no model version: it has no candidate; nothing was changed"):
        tracked.promote(place, "flights-1", None)


@pytest.mark.parametrize(
    "reference", [NAME, f"{NAME}@candidate", f"{NAME}/1", f"models:/{NAME}/1", f"models:/{NAME}@candidate"]
)
def test_a_registered_model_is_found_by_name_alias_or_version(registered, model, reference):
    directory = load_registered(registered, reference)
    assert (directory / "model.pt2").read_bytes() == (model / "model.pt2").read_bytes()
    assert registry._own_by_name(registered, reference.removeprefix("models:/"), lambda tags: None) == directory, (
        "without MLflow"
    )


def test_a_plain_name_means_the_champion_before_the_candidate(place, model, project):
    project(place, "first", model=model, number=1)
    tracked.promote(place, "first", None)
    project(place, "second", model=model, number=2)
    assert registry._resolve(connect(place, default_uri(place)), NAME).version == 1
    aliases, versions = registered_in(place / "mlflow.db", NAME)
    assert registry._choice(NAME, aliases, versions) == "1"
    assert registry._choice(f"{NAME}@candidate", aliases, versions) == "2"


def test_a_version_that_was_deleted_is_none_for_the_reader_of_the_database_either(place, model, project):
    project(place, "first", model=model, number=1)
    connect(place, default_uri(place)).delete_model_version(NAME, "1")
    aliases, versions = registered_in(place / "mlflow.db", NAME)
    assert registry._choice(NAME, aliases, versions) is None


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("no such", "registered are: late flights"),
        (f"{NAME}@nobody", f"known are: {NAME}/1, {NAME}@candidate"),
        (f"{NAME}/7", f"known are: {NAME}/1"),
        (f"{NAME}/x", f"known are: {NAME}/1"),
        ("it's", "registered are: late flights"),
    ],
)
def test_a_model_that_is_not_there_is_answered_with_what_is(registered, reference, message):
    with pytest.raises(InputError, match=message):
        load_registered(registered, reference)


def test_an_empty_registry_says_so(place):
    with pytest.raises(InputError, match="none is registered yet"):
        load_registered(place, "flights")


def test_the_saved_folder_holds_no_pickle(saved):
    for path in saved.rglob("*"):
        if path.is_file():
            assert path.suffix not in (".pkl", ".pickle", ".joblib", ".cloudpickle", ".pyc"), path
            assert path.read_bytes()[:2] not in (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"), path
    assert (saved / "code" / "model_code" / "serving.py").is_file()


def test_the_saved_folder_pins_what_it_needs(saved):
    lines = (saved / "requirements.txt").read_text().split()
    assert {line.partition("==")[0] for line in lines} == {"mlflow", *versions.REQUIREMENTS}
    assert all("==" in line and "+" not in line for line in lines)


def assert_no_places(description, *places):
    """None of these, no absolute path and no file URI."""
    text = description.read_text()
    assert not re.search(r"file:|(^|[\s'\"])/\w", text), text
    assert not [place for place in (*places, Path.cwd(), Path.home()) if str(place) in text]


def test_the_saved_folder_says_nothing_of_the_places_on_this_machine(saved, model):
    assert_no_places(saved / "MLmodel", saved, model)


def test_what_is_registered_says_nothing_of_the_places_on_this_machine(registered):
    client = connect(registered, default_uri(registered))  # MLflow looks models up in the place of the last client
    directory = registry._downloaded(default_uri(registered), client.get_model_version(NAME, "1"))
    assert_no_places(directory.parent.parent / "MLmodel", registered)


CSV = {
    "whole numbers": "age,price,when,code,place\n1,2,2024-01-02,1,north\n30,4,2024-06-02,2,süd 'x'\n",
    "missing values": "age,price,when,code,place\n,,2024-01-02 10:00:00,1,\n30,4.5,,,north\n",
    "all missing": "age,price,when,code,place\n,,,,\n,,,,\n",
    "unknown categories": "age,price,when,code,place\n1,2.5,2024-01-02T10:00:00Z,99,elsewhere\n",
    "another order and more columns": "place,x,code,when,price,age\nnorth,9,3,2024-01-02,1.0,-5\n",
}
LOADED = """
import json, sys
import mlflow, pandas
model = mlflow.pyfunc.load_model(sys.argv[1])
answers = [model.predict(pandas.read_csv(path)).to_dict("list") for path in sys.argv[2:]]
print(json.dumps({"answers": answers, "from": sys.modules["model_code"].__file__}))
"""


def test_it_loads_in_another_process_with_pickle_forbidden_and_answers_as_serving_does(saved, model, tmp_path):
    """What pandas reads from a file gets the answer that the model's own predictor gives to the typed table."""
    import polars as pl

    from model_code.serving import load

    paths = []
    for number, text in enumerate(CSV.values()):
        paths.append(tmp_path / f"{number}.csv")
        paths[-1].write_text(text)
    environment = os.environ | {
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": "",
    }
    argv = [sys.executable, "-P", "-c", LOADED, str(saved), *map(str, paths)]
    result = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    reply = json.loads(result.stdout)
    assert Path(reply["from"]).is_relative_to(saved)
    predictor = load(model)
    types = {
        "age": pl.Float64,
        "price": pl.Float64,
        "when": pl.String,
        "code": pl.String,
        "place": pl.String,
    }
    for path, answer in zip(paths, reply["answers"], strict=True):
        frame = pl.read_csv(path, schema_overrides=types)
        when = (
            frame["when"]
            .str.strip_suffix("Z")
            .str.replace("T", " ")
            .str.to_datetime(strict=False, format="%Y-%m-%d %H:%M:%S")
        )
        day = frame["when"].str.to_datetime(strict=False, format="%Y-%m-%d")
        expected = predictor.answers(frame.with_columns(when=when.fill_null(day)))
        assert answer == expected.to_dict(as_series=False), path.read_text()


def test_a_frame_without_a_column_is_refused_by_name(saved):
    import mlflow
    import pandas as pd

    loaded = mlflow.pyfunc.load_model(str(saved))
    with pytest.raises(ValueError, match=r"column 'place' is missing.*\nthe columns are: age, price, when, code"):
        loaded.predict(pd.DataFrame({name: [1] for name in ("age", "price", "when", "code")}))


def test_the_signature_types_every_answer_and_leaves_the_inputs_to_the_model():
    signature = versions.signature(ModelSchema.model_validate(SCHEMA))
    assert signature.inputs is None
    assert signature.outputs.input_names() == ["prediction", "probability_no", "probability_yes"]
    regression = versions.signature(ModelSchema.model_validate(SCHEMA | {"classes": []}))
    assert regression.outputs.input_names() == ["prediction"]


def post(app, body, kind):
    """Send a request to MLflow's scoring server in this process; the status and the document."""
    import asyncio

    messages = []

    async def receive():
        return {"type": "http.request", "body": body}

    async def send(message):
        messages.append(message)

    scope = {"type": "http", "method": "POST", "path": "/invocations", "query_string": b"", "scheme": "http"}
    scope |= {"http_version": "1.1", "headers": [(b"content-type", kind.encode())], "client": ("127.0.0.1", 1)}
    asyncio.run(app(scope | {"server": ("127.0.0.1", 80), "raw_path": b"/invocations"}, receive, send))
    return messages[0]["status"], json.loads(b"".join(message.get("body", b"") for message in messages))


@pytest.fixture(scope="module")
def scoring_server(saved):
    import mlflow
    from mlflow.pyfunc import scoring_server

    return scoring_server.init(mlflow.pyfunc.load_model(str(saved)))


@pytest.mark.filterwarnings("ignore:column")
def test_the_scoring_server_answers_csv_and_every_json_form_alike(scoring_server):
    import io

    import pandas as pd

    text = CSV["missing values"]
    frame = pd.read_csv(io.StringIO(text))
    forms = {"dataframe_split": frame.to_json(orient="split"), "dataframe_records": frame.to_json(orient="records")}
    forms |= {"instances": forms["dataframe_records"]}
    status, expected = post(scoring_server, text.encode(), "text/csv")
    assert (status, len(expected["predictions"])) == (200, 2)
    for name, body in forms.items():
        assert post(scoring_server, f'{{"{name}": {body}}}'.encode(), "application/json") == (200, expected), name


def test_the_scoring_server_refuses_with_the_sentence_of_the_model(scoring_server):
    status, reply = post(scoring_server, b"age,price,when,code,place\nold,2,2024-01-02,1,north\n", "text/csv")
    assert status == 400
    assert "column 'age': 1 value cannot be read as a whole number (row 1): 'old'; training had" in reply["message"]


def test_a_workspace_that_was_moved_still_has_its_models(place, model, project):
    project(place, model=model)
    elsewhere = place.rename(place.with_name("moved"))
    assert load_registered(elsewhere, NAME).is_relative_to(elsewhere / "store")
    shutil.rmtree(elsewhere / "store")
    directory = load_registered(elsewhere, NAME, trust=True)
    assert directory.is_relative_to(elsewhere / "mlartifacts")
    assert (directory / "model.pt2").read_bytes() == (model / "model.pt2").read_bytes()
    shutil.rmtree(elsewhere / "mlartifacts")
    with pytest.raises(
        InputError, match=r"version 1: its files are neither where MLflow looks .* run the problem again"
    ):
        load_registered(elsewhere, NAME)


def test_a_copied_workspace_takes_its_own_model_and_not_that_of_the_original(registered, tmp_path):
    copy = shutil.copytree(registered, tmp_path / "copy")
    assert load_registered(copy, NAME).is_relative_to(copy)


def test_a_model_that_changed_in_the_workspace_is_not_taken_for_the_registered_one(registered, tmp_path):
    copy = shutil.copytree(registered, tmp_path / "copy")
    path = next(copy.glob("store/train-*/model/schema.json"))
    path.write_text(path.read_text().replace("late", "soon"))
    assert not load_registered(copy, NAME).is_relative_to(copy / "store")


def test_a_rejected_version_of_an_earlier_release_is_read_only_by_those_who_ask_for_it(registered, tmp_path, capsys):
    copy = shutil.copytree(registered, tmp_path / "copy")
    connect(copy, default_uri(copy)).set_model_version_tag(NAME, "1", "verdict", "rejected")
    for uri in (None, default_uri(copy)):
        with pytest.raises(GateRefused, match=r"model late flights/1 was rejected, so .*\nto look .* say --rejected"):
            model_directory(f"{NAME}/1", copy, uri, rejected=False)
        assert model_directory(f"{NAME}/1", copy, uri, rejected=True).is_dir()
        assert "model late flights/1 was rejected, so its model must not be used" in capsys.readouterr().err


def test_files_that_no_run_of_the_workspace_registered_are_refused_unless_they_are_trusted(registered, tmp_path):
    """Somebody who may write to MLflow exchanges the files and the tags of a version."""
    copy = shutil.copytree(registered, tmp_path / "copy")
    client = connect(copy, default_uri(copy))
    (version,) = client.search_model_versions(f"name='{NAME}'")
    foreign = tmp_path / "foreign/artifacts/model"
    shutil.copytree(next(copy.glob("store/train-*/model")), foreign)
    (foreign / "schema.json").write_text((foreign / "schema.json").read_text().replace("late", "soon"))
    tags = version.tags | {"model_digest": directory_digest(foreign)}
    forged = client.create_model_version(NAME, str(tmp_path / "foreign"), tags=tags)
    reference = f"{NAME}/{forged.version}"
    with pytest.raises(InputError, match=r"its files are not those of a run of .* --trust"):
        load_registered(copy, reference)
    assert (load_registered(copy, reference, trust=True) / "schema.json").read_text() == (
        foreign / "schema.json"
    ).read_text()


# Both begin with a tracked run; "False" tracks another one in the copy too.
@pytest.mark.parametrize("is_tracked", [pytest.param(True, marks=pytest.mark.slow), False])
def test_promoting_in_a_copied_workspace_writes_nothing_to_the_original(
    place, model, project, write_run, tmp_path, is_tracked
):
    """MLflow remembers where an experiment's artifacts are; in a copy that is the original's folder."""
    project(place, "first", model=model)
    if not is_tracked:
        write_run(place, "second", model=model, number=2)
    copy = shutil.copytree(place, tmp_path / "copy")
    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file() and path.suffix != ".lock"}
    run, version = ("first", "1") if is_tracked else ("second", "2")
    assert tracked.promote(copy, run, None) == version
    assert {path: path.read_bytes() for path in place.rglob("*") if path.is_file() and path.suffix != ".lock"} == before
    assert (aliases(place), aliases(copy)["champion"]) == ({"candidate": "1"}, version)
    parent = read_state(copy, run)["parent"]
    assert connect(copy, default_uri(copy)).get_run(parent).info.artifact_uri.startswith(copy.as_uri())


def test_a_copied_state_of_the_version_before_names_the_copy_too(place, model, project, tmp_path):
    project(place, model=model)
    state = read_state(place, "flights-1") | {"uri": default_uri(place)}
    (place / "runs/flights-1.tracking.json").write_text(json.dumps(state))
    copy = shutil.copytree(place, tmp_path / "copy")
    assert follower.place_of(copy, records.load(copy, "flights-1")) == default_uri(copy)
    assert tracked.promote(copy, "flights-1", None) == "1"
    assert "champion" not in aliases(place)
