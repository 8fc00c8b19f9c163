"""How credentials are written: access keys, tokens, private keys and passwords in texts."""

from __future__ import annotations

import re

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


def masked(text: str) -> str:
    """Return a text with ``***`` for whatever looks like a credential."""
    return re.sub(ANY, "***", text)
