"""MLflow's page is for whoever has the link: nobody else on the machine reads it, and nobody writes by accident."""

import asyncio
import base64
import hashlib
import json
import subprocess

import pytest
from showdown import NODE

from infra.tracking.ui_app import CHOICES, ENTRANCE, POLICY, SCRIPT, Guard

TOKEN, ORIGIN = "secret-token", "http://127.0.0.1:5000"
SEARCH, ALIAS = "/ajax-api/2.0/mlflow/runs/search", "/api/2.0/mlflow/registered-models/alias"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


async def application(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"mlflow"})


def request(path="/", method="GET", headers=None, query="", write=False):
    """Return the status and the headers of the answer."""
    messages = []

    async def send(message):
        messages.append(message)

    raw = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    scope = {"type": "http", "method": method, "path": path, "query_string": query.encode(), "headers": raw}
    asyncio.run(Guard(application, TOKEN, ORIGIN, write=write)(scope, None, send))
    return messages[0]["status"], {name.decode(): value.decode() for name, value in messages[0]["headers"]}


def test_the_link_sets_a_cookie_with_which_the_page_answers():
    status, headers = request("//evil.example/x", query=f"token={TOKEN}&a=1")
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'sha256-")
    cookie, *attributes = headers["set-cookie"].split("; ")
    assert set(attributes) == {"HttpOnly", "SameSite=Strict", "Path=/"}
    assert request(headers={"Cookie": f"other=1; {cookie}"})[0] == 200


@pytest.mark.skipif(NODE is None, reason="no node on this machine")
def test_the_entrance_opens_the_view_of_models_and_keeps_what_a_person_chose():
    """The script in a small browser of our own: real ones are asked by hand, since they need seconds."""
    assert set(CHOICES) == {"mlflow.workflowType_v1", "mlflow.assistant.fab.autoOpenedOnFirstLoad_v1"}
    browser = (
        "const storage = new Map(JSON.parse(process.argv[1]));"
        "globalThis.localStorage = {getItem: name => storage.get(name) ?? null, setItem: (name, value) => storage.set(name, value)};"
        "globalThis.location = {search: '?token=secret&a=1', hash: '#/experiments', replace: place => { goal = place; }};"
        "let goal;" + SCRIPT + "console.log(JSON.stringify([goal, [...storage]]));"
    )
    for stored, view in (([], '"machine_learning"'), ([["mlflow.workflowType_v1", '"genai"']], '"genai"')):
        command = [NODE, "-e", browser, json.dumps(stored)]
        goal, storage = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        assert goal == "/?a=1#/experiments"
        assert dict(storage)["mlflow.workflowType_v1"] == view


def test_only_the_script_of_the_entrance_may_run():
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    assert f"default-src 'none'; script-src 'sha256-{digest}'" == POLICY
    assert ENTRANCE.count("<script") == 1
    assert f"<script>{SCRIPT}</script>" in ENTRANCE


@pytest.mark.parametrize(
    "headers",
    [{}, {"Cookie": "fourscore-ui-5000=guess"}, {"Cookie": "fourscore-ui-5000"}, {"Authorization": "Bearer é"}],
    ids=str,
)
def test_without_the_token_nothing_is_answered(headers):
    assert request(headers=headers)[0] == 401
    assert request(ALIAS, "POST", headers, query="token=guess")[0] == 401


@pytest.mark.parametrize("origin", ["http://localhost:5000", "http://127.0.0.1:9999", "https://evil.example", "null"])
def test_pages_of_other_servers_are_refused_though_they_share_the_cookie(origin):
    headers = {"Cookie": f"fourscore-ui-5000={TOKEN}", "Origin": origin}
    assert request(headers=headers)[0] == 403
    assert request(ALIAS, "POST", headers, write=True)[0] == 403


@pytest.mark.parametrize(
    "headers", [{"Content-Length": str(2 << 20)}, {"Content-Length": "-1"}, {"Transfer-Encoding": "chunked"}], ids=str
)
def test_a_query_that_is_too_long_or_of_no_length_is_refused_before_it_is_read(headers):
    assert request(SEARCH, "POST", {**BEARER, **headers})[0] == 413
    assert request(SEARCH, "POST", {**BEARER, "Content-Length": "100"})[0] == 200


@pytest.mark.parametrize("headers", [{"Content-Length": str(40 << 20)}, {"Transfer-Encoding": "chunked"}], ids=str)
def test_whoever_may_write_sends_long_files_but_no_long_requests(headers):
    assert request(ALIAS, "POST", {**BEARER, **headers}, write=True)[0] == 413
    assert request(ALIAS, "POST", {**BEARER, "Content-Length": str(2 << 20)}, write=True)[0] == 200
    assert request("/api/2.0/mlflow-artifacts/artifacts/x", "PUT", {**BEARER, **headers}, write=True)[0] == 200


def test_searches_are_answered_and_changes_are_refused_unless_writing_was_allowed():
    for path in (
        SEARCH,
        "/graphql",
        "/ajax-api/3.0/mlflow/traces/search",
        "/api/2.0/mlflow/registered-models/get-latest-versions",
    ):
        assert request(path, "POST", BEARER)[0] == 200
    changes = [("POST", ALIAS), ("DELETE", ALIAS), ("PATCH", SEARCH), ("POST", SEARCH + "/x"), ("POST", "/x" + SEARCH)]
    changes += [("POST", "/ajax-api/2.0/mlflow/upload-artifact"), ("PUT", "/api/2.0/mlflow-artifacts/artifacts/x")]
    for method, path in changes:
        assert request(path, method, BEARER)[0] == 403
        assert request(path, method, BEARER, write=True)[0] == 200


@pytest.mark.parametrize(
    "path", ["/gateway/x", "/ajax-api/3.0/mlflow/assistant/chat", "/ajax-api/2.0/mlflow/gateway-proxy"]
)
def test_parts_of_mlflow_that_call_other_servers_are_not_served(path):
    assert request(path, headers=BEARER, write=True)[0] == 403
