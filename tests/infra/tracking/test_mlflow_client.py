"""Tracking URIs: refused by name when MLflow cannot use them, and never shown with their password."""

import pytest
from tracked import free_port, open_local_store, project, sync

from infra.runs import records
from infra.tracking import registry
from infra.tracking.mlflow_client import default_uri, without_credentials
from infra.tracking.mlflow_server import serve
from infra.tracking.state import state_path
from steps.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader:DeprecationWarning")  # MLflow's own


def test_a_plain_folder_is_no_tracking_server_and_the_message_says_what_is(place, write_run):
    state = project(write_run(place), "file:///tmp/mlruns")
    assert state["status"] == "error"
    assert "use sqlite:///FILE, http(s)://HOST:PORT or a database URI" in state["message"]


def test_a_password_in_the_uri_is_written_nowhere(place, write_run):
    uri = f"http://someone:secret@127.0.0.1:{free_port()}"
    project(write_run(place), uri)
    assert "secret" not in state_path(place, "flights-1").read_text()
    assert without_credentials(uri) == uri.replace("someone:secret@", "")


def test_no_byte_that_a_run_leaves_holds_a_credential_whichever_way_it_came_in(place, write_run):
    """The problem file is refused with one; old run files, messages of servers and redirects may bring one yet."""
    path = write_run(place)
    record = records.load(place, path.stem)
    signed = "https://data.example.com/a.csv?X-Amz-Signature=CANARY&versionId=3"
    record.problem |= {"tracking_uri": "http://me:CANARY@127.0.0.1:5000", "data": {"sources": {"a": {"path": signed}}}}
    record.overrides = {"tracking_uri": "postgresql://me:CANARY@db/mlflow?password=CANARY"}
    record.message = f"{signed}: the server answered 403; https://CANARY@host/x#access_token=CANARY"
    record.stages[1].reason = record.message
    records.save(place, record)
    assert project(path, default_uri(place))["status"] == "complete"
    with_secret = [str(file) for file in place.rglob("*") if file.is_file() and b"CANARY" in file.read_bytes()]
    assert with_secret == []
    assert "versionId=3" in path.read_text()


@pytest.mark.parametrize(
    "use",
    [
        sync,
        lambda place, uri: serve(place, uri, 5000, print),
        lambda place, uri: registry.load(place, uri, "model", open_local_store, lambda tags: None),
    ],
    ids=["sync", "ui", "predict"],
)
def test_what_is_no_uri_is_refused_by_name_without_its_password(place, use, write_run):
    write_run(place)
    with pytest.raises(InputError, match=r"'http://\[bad': .*use sqlite:///FILE, http\(s\)://HOST:PORT") as refused:
        use(place, "http://me:secret@[bad")
    assert "secret" not in str(refused.value)
    with pytest.raises(InputError, match="invalid characters") as refused:
        use(place, "http://me:secret@a\u2100b")
    assert "secret" not in str(refused.value)
