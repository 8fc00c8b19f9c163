"""Credentials in texts: each way to write one is masked, though texts without any of its marks are not searched."""

import re

import pytest

from steps.credentials import ANY, masked

LONG, DIGITS = "Ab1" * 13, "0123456789abcdef" * 2
AFTER = [
    *("gho_", "ghp_", "ghs_", "ghu_", "ghr_", "github_pat_", "glpat-", "xoxb-", "https://hooks.slack.com/services/"),
    *("pk_live_", "rk_test_", "sk_live_", "whsec_", "AIza", "ya29.", "sk-", "npm_", "hf_", "Bearer ", "bearer "),
]
NAMES = [
    *("password", "passwd", "pwd", "accountkey", "sharedaccesskey", "sharedaccesssignature", "clientsecret"),
    *("client_secret", "secretkey", "secret_key", "secretaccesskey", "secret_access_key", "apikey", "api_key"),
    *("accesstoken", "access_token", "authtoken", "auth_token"),
]
CREDENTIALS = [
    *(f"{start}ABCDEFGHIJKLMNOP" for start in ("AKIA", "ASIA", "ABIA", "ACCA")),
    *(start + LONG for start in AFTER),
    *(f"pypi-{LONG}{LONG}", f"dop_v1_{DIGITS}{DIGITS}", f"SG.{LONG}.{LONG}", f"SK{DIGITS}", f"eyJ{LONG}.eyJ{LONG}"),
    *("-----BEGIN RSA PRIVATE KEY-----abc", "postgres://me:word@host/x"),
    *(f"{form}=hunter22" for name in NAMES for form in (name, name.upper(), name.replace("s", "\u017f"))),
]


@pytest.mark.parametrize("credential", CREDENTIALS)
def test_a_credential_is_masked_however_it_is_written(credential):
    assert (
        masked(f"found '{credential}' here")
        == re.sub(ANY, "***", f"found '{credential}' here")
        != f"found '{credential}' here"
    )


def test_ordinary_text_is_left_as_it_is():
    text = "the task took 3 s: see https://host/a.csv, column 'password'"
    assert masked(text) == text
