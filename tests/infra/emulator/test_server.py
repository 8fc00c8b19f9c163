"""The server answers its own clients only, and every request."""

import http.client

import pytest
from botocore.exceptions import ClientError


def status_of(lab, path="/fourscore-local?list-type=2", **headers):
    """Return the status of the answer to a GET."""
    connection = http.client.HTTPConnection(lab.address.endpoint.removeprefix("http://"))
    try:
        connection.request("GET", path, headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()


def test_requests_under_another_host_name_or_without_its_key_are_refused(lab):
    scope = "20260101/us-east-1/s3/aws4_request, SignedHeaders=, Signature="
    signed = f"AWS4-HMAC-SHA256 Credential={lab.address.access_key}/{scope}"
    assert status_of(lab, Authorization=signed) == 200
    assert status_of(lab, Authorization=signed, Host="evil.example") == 403
    assert status_of(lab) == 403
    assert status_of(lab, Authorization=signed.replace(lab.address.access_key, "testing")) == 403


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
    assert lab.address.client("s3").list_objects_v2(Bucket="fourscore-local")["IsTruncated"] is False


def test_a_request_that_breaks_the_server_is_answered_all_the_same(lab):
    with pytest.raises(ClientError, match="InternalFailure"):
        lab.logs.get_log_events(logGroupName="g", logStreamName="no/log", limit=1)
