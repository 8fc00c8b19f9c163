"""How credentials are written: access keys, tokens, private keys and passwords in texts."""

from __future__ import annotations

import re
from functools import lru_cache

KINDS = {
    "AWS access keys": r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b",
    "GitHub tokens": r"\b(?:gh[opsur]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{22,})",
    "GitLab tokens": r"\bglpat-[A-Za-z0-9_-]{20,}",
    "Slack tokens": r"\bxox[abeoprs]-[A-Za-z0-9_-]{10,}|\bhooks\.slack\.com/services/[A-Za-z0-9_/]{20,}",
    "Stripe keys": r"\b[prs]k_(?:live|test)_[A-Za-z0-9]{10,}|\bwhsec_[A-Za-z0-9]{20,}",
    "Google keys": r"\bAIza[A-Za-z0-9_-]{35}|\bya29\.[A-Za-z0-9_-]{20,}",
    "API keys": (
        r"\bsk-[A-Za-z0-9_-]{20,}|\bnpm_[A-Za-z0-9]{36}|\bpypi-[A-Za-z0-9_-]{40,}|\bhf_[A-Za-z0-9]{30,}|\bdop_v1_[0-9a-f]{60,}"
        r"|\bSG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}|\bSK[0-9a-f]{32}\b"
    ),
    "private keys": r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?(?:-----[A-Za-z0-9+/=\\\s]*)?",
    "JSON web tokens": r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?",
    "bearer tokens": r"\b[Bb]earer\s+[A-Za-z0-9_.~+/-]{20,}=*",
    "passwords": (
        r"\b(?i:password|passwd|pwd|accountkey|sharedaccesskey|sharedaccesssignature|client_?secret|secret_?(?:access_?)?key"
        r"|api_?key|access_?token|auth_?token)(?:[\"']?\s?=\s?[\"']?|[\"']\s?:\s?[\"']|:)[^\s;,&\"'*{\[(][^\s;,&\"'*]{3,}"
    ),
    "addresses with a password": r"\b[A-Za-z][A-Za-z0-9+.-]*://[^\s/:@*]+:[^\s/@*]+@",
}
"""Kinds of credentials and how each is written: regular expressions that polars knows, too, where `\\w` is a large class."""
ANY = "|".join(KINDS.values())
_MARKS = {
    "AWS access keys": ("AKIA", "ASIA", "ABIA", "ACCA"),
    "GitHub tokens": ("gho_", "ghp_", "ghs_", "ghu_", "ghr_", "github_pat_"),
    "GitLab tokens": ("glpat-",),
    "Slack tokens": ("xox", "hooks.slack.com"),
    "Stripe keys": ("k_live_", "k_test_", "whsec_"),
    "Google keys": ("AIza", "ya29."),
    "API keys": ("sk-", "npm_", "pypi-", "hf_", "dop_v1_", "SG.", "SK"),
    "private keys": ("-----BEGIN",),
    "JSON web tokens": ("eyJ",),
    "bearer tokens": ("earer",),
    "passwords": (
        *("password", "passwd", "pwd", "accountkey", "sharedaccess", "secret", "apikey", "api_key"),
        *("accesstoken", "access_token", "authtoken", "auth_token"),
    ),
    "addresses with a password": ("://",),
}
"""What each kind of credential contains: most texts contain none of it, which is seen a hundred times as fast."""


def masked(text: str) -> str:
    """Return a text with ``***`` for whatever looks like a credential."""
    texts = (text, text.casefold())
    kinds = tuple(kind for kind in KINDS if any(mark in form for mark in _MARKS[kind] for form in texts))
    return _pattern(kinds).sub("***", text) if kinds else text


@lru_cache
def _pattern(kinds: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(KINDS[kind] for kind in kinds))
