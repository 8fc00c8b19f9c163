"""The account in use: without a region or credentials the message says what to do."""

import pytest

from infra.aws.account import account
from steps.errors import InputError


@pytest.fixture
def signed_out(monkeypatch):
    for name in ("DEFAULT_REGION", "REGION", "PROFILE", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "ENDPOINT_URL"):
        monkeypatch.delenv(f"AWS_{name}", raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.mark.parametrize(
    ("region", "words"),
    [(None, "no region: pass --region"), ("frankfurt", "'frankfurt' is not a region"), ("eu-central-1", "sign in")],
)
def test_what_is_missing_is_named(signed_out, region, words):
    with pytest.raises(InputError, match=words):
        account(region)
