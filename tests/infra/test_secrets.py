"""What counts as a credential in a URI, and what is left of a text without them."""

import io
import logging
import subprocess
import sys

import pytest

from infra.secrets import RedactedLines, credentials_in, redacted


@pytest.mark.parametrize(
    ("uri", "secret"),
    [
        ("https://me:CANARY@host/a.csv", "a user name or password"),
        ("https://CANARY@host/a.csv", "a user name or password"),
        ("postgresql+psycopg://me:CANARY@db:5432/mlflow", "a user name or password"),
        ("s3://AKIA:CANARY@bucket/key", "a user name or password"),
        ("https://b.s3.amazonaws.com/a.csv?X-Amz-Date=1&X-Amz-Signature=CANARY", "the credential X-Amz-Date"),
        ("https://host/a.csv?X%2DGoog%2DSignature=CANARY", "the credential X-Goog-Signature"),
        ("https://x.blob.core.windows.net/c/a.csv?sv=2024&sig=CANARY", "the credential sig"),
        ("https://host/a.csv?AWSAccessKeyId=A&Signature=CANARY", "the credential AWSAccessKeyId"),
        ("https://host/a.csv?private_token=CANARY", "the credential private_token"),
        ("https://host/a.csv?page=2&api_key=CANARY", "the credential api_key"),
        ("https://host/a.csv#access_token=CANARY", "the credential access_token"),
    ],
)
def test_a_credential_is_named_and_its_value_is_not_shown(uri, secret):
    assert credentials_in(uri) == secret
    assert "%2D" in uri or "CANARY" not in redacted(f"error: '{uri}', tried twice")
    assert "tried twice" in redacted(f"error: '{uri}', tried twice")


@pytest.mark.parametrize(
    "uri",
    [
        "s3://bucket/a.csv?versionId=3", "https://host/@user/a.csv?author=me&monkey=1", "package://flights/data/a.csv",
        "sqlite:////home/me@work/mlflow.db", "data/a@b.csv", "http://[bad", "https://host/a.csv?key_column=id",
    ],
)  # fmt: skip
def test_what_is_no_credential_is_left_alone(uri):
    assert credentials_in(uri) is None
    assert redacted(uri) == uri


def test_lines_of_a_log_are_redacted_in_whatever_pieces_they_come():
    log = io.StringIO()
    stream = RedactedLines(log)
    for piece in (
        "no answer of https://me:CAN",
        "ARY@host/a.csv?to",
        "ken=CANARY tried ",
        "twice\nhttp://u:CANARY@h\n",
    ):
        stream.write(piece)
        stream.flush()
    handler = logging.StreamHandler(stream)
    handler.emit(logging.makeLogRecord({"msg": "retry of %s", "args": ("postgresql://me:CANARY@db/x",)}))
    lines = ["no answer of https://host/a.csv?token=*** tried twice", "http://h", "retry of postgresql://db/x"]
    assert log.getvalue().splitlines() == lines


def test_the_traceback_of_a_process_whose_output_is_a_log_is_redacted():
    program = "from infra.secrets import redact_output; redact_output(); raise ValueError('https://me:CANARY@host/?sig=CANARY')"
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert process.stderr.splitlines()[-1] == "ValueError: https://host/?sig=***"
