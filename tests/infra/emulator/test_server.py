"""The server answers its own clients only, and every request."""

import http.client
import json

import pytest
from botocore.exceptions import ClientError


def test_requests_under_another_host_name_or_without_its_key_are_refused(lab):
    request = {"X-Amz-Target": "SageMaker.ListPipelineExecutions", "Content-Length": "2"}
    assert answer(lab, {"Authorization": signed(lab), **request}, b"{}")[0] == 400, "it is not refused"
    foreign = signed(lab).replace(lab.address.access_key, "testing")
    for headers in ({}, {"Authorization": foreign}, {"Authorization": signed(lab), "Host": "evil.example"}):
        assert answer(lab, headers | request, b"{}")[0] == 403


def test_a_client_talks_to_it_whatever_the_environment_says(lab, monkeypatch):
    for name, value in {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_PROFILE": "no-such-profile",
        "AWS_ACCESS_KEY_ID": "real",
        "AWS_SECRET_ACCESS_KEY": "real",
        "AWS_SESSION_TOKEN": "real",
        "AWS_REGION": "eu-west-1",
    }.items():
        monkeypatch.setenv(name, value)
    assert (
        lab.address.client("logs").describe_log_streams(logGroupName="g", logStreamNamePrefix="x")["logStreams"] == []
    )


def test_a_request_that_breaks_the_server_is_answered_all_the_same(lab):
    with pytest.raises(ClientError, match="InternalFailure"):
        lab.logs.get_log_events(logGroupName="g", logStreamName="no/log", limit=1)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Length": str(10**15)}, 413),
        ({"Content-Length": "-1"}, 411),
        ({"Content-Length": "many"}, 411),
        ({"Content-Length": "²"}, 411),
        ({"Transfer-Encoding": "chunked"}, 411),
    ],
)
def test_a_body_that_is_too_long_or_of_no_length_is_refused_before_it_is_read(lab, headers, status):
    assert answer(lab, {"Authorization": signed(lab), **headers})[0] == status


def test_a_stranger_is_refused_before_the_body_is_read(lab):
    assert answer(lab, {"Content-Length": "1000000"})[0] == 403


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"{}", b"3", b'{"PipelineDefinition": 3}', b"\xff" * 100, b"[" * 100_000]
)
def test_a_body_that_is_no_request_is_an_error_of_the_client(lab, body):
    target = {"X-Amz-Target": "SageMaker.CreatePipeline", "Content-Length": str(len(body))}
    status, content = answer(lab, {"Authorization": signed(lab), **target}, body)
    assert status == 400
    assert json.loads(content)["__type"] == "ValidationException"


def test_another_method_is_refused(lab):
    assert answer(lab, {"Authorization": signed(lab)}, method="PUT")[0] == 501


def signed(lab):
    return f"AWS4-HMAC-SHA256 Credential={lab.address.access_key}/20260101/us-east-1/s3/aws4_request, SignedHeaders=, Signature="


def answer(lab, headers, body=b"", method="POST"):
    """Return status and content of the answer to a request whose headers say what they like."""
    connection = http.client.HTTPConnection(lab.address.endpoint.removeprefix("http://"), timeout=20)
    try:
        connection.putrequest(method, "/", skip_host="Host" in headers)
        for name, value in headers.items():
            connection.putheader(name, value.encode())
        connection.endheaders(body)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()
