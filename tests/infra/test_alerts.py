"""Alerts reach a file, a webhook or a topic, or say why not; where a webhook is stays out of messages."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from infra import alerts
from steps.errors import FourscoreError, InputError

ALERT = {"subject": "Fourscore: 1 alarm", "text": "income differs"}


@contextmanager
def webhook(*statuses, location=None):
    """A server that answers with these statuses, the last one again and again, and the bodies that it was sent."""
    bodies, left = [], list(statuses)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(left.pop(0) if len(left) > 1 else left[0])
            if location:
                self.send_header("Location", location)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hooks/secret", bodies
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_file_gets_a_line(tmp_path):
    for _ in range(2):
        alerts.deliver(ALERT, str(tmp_path / "alerts.jsonl"))
    assert [json.loads(line) for line in (tmp_path / "alerts.jsonl").read_text().splitlines()] == [ALERT, ALERT]


def test_a_webhook_that_is_busy_is_asked_again():
    with webhook(503, 204) as (address, bodies):
        alerts.deliver(ALERT, address)
    assert bodies == [ALERT, ALERT]


@pytest.mark.parametrize(("status", "location"), [(404, None), (302, "https://elsewhere.example/")])
def test_what_is_not_delivered_is_said_without_the_path_of_the_webhook(status, location):
    with webhook(status, location=location) as (address, bodies), pytest.raises(FourscoreError) as error:
        alerts.deliver(ALERT, address)
    assert len(bodies) == 1
    assert "secret" not in str(error.value)
    assert "run the same command again" in str(error.value)


def test_a_webhook_that_is_away_is_said(monkeypatch):
    monkeypatch.setattr(alerts, "RETRIES", 0)
    with pytest.raises(FourscoreError, match=r"could not be delivered to 127\.0\.0\.1:1: "):
        alerts.deliver(ALERT, "http://127.0.0.1:1/hooks/secret")


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("http://example.org/hook", "wanted a file, https:// or an SNS topic"),
        ("ftp://example.org/hook", "wanted a file"),
        ("https://user:password@example.org/hook", "holds a user name or password"),
        ("arn:aws:sqs:eu-central-1:123456789012:queue", "ARN of an SNS topic"),
        ("nowhere/alerts.jsonl", "there is no folder nowhere"),
    ],
)
def test_addresses_that_cannot_be_told_are_refused_before_anything_runs(address, message):
    with pytest.raises(InputError, match=message) as error:
        alerts.check_address(address)
    assert "password@" not in str(error.value)


@pytest.mark.parametrize(
    "address",
    ["https://hooks.example.org/T0/B0", "http://localhost:9000/", "arn:aws:sns:eu-central-1:123456789012:alarms"],
)
def test_other_addresses_are_fine(address):
    alerts.check_address(address)


@pytest.mark.slow
def test_a_topic_gets_the_alert_as_json(monkeypatch):
    boto3 = pytest.importorskip("boto3")
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "ENDPOINT_URL": f"http://{host}:{port}",
        "ACCESS_KEY_ID": "a",
        "SECRET_ACCESS_KEY": "b",
    }.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    try:
        region = {"region_name": "eu-central-1"}
        topic = boto3.client("sns", **region).create_topic(Name="alarms")["TopicArn"]
        queue = boto3.client("sqs", **region).create_queue(QueueName="inbox")["QueueUrl"]
        boto3.client("sns", **region).subscribe(
            TopicArn=topic, Protocol="sqs", Endpoint="arn:aws:sqs:eu-central-1:123456789012:inbox"
        )
        alerts.deliver(ALERT, topic)
        (message,) = boto3.client("sqs", **region).receive_message(QueueUrl=queue)["Messages"]
        with pytest.raises(FourscoreError, match="could not be delivered to SNS"):
            alerts.deliver(ALERT, f"{topic}-other")
    finally:
        server.stop()
    assert json.loads(json.loads(message["Body"])["Message"]) == ALERT
