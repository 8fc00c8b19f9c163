"""Credentials in URIs: refused where they would be written down, and left out of whatever is written or shown.

A problem file is copied to run files, manifests, MLflow and shared stores, so it must hold none. A tracking URI may come
with a password on the command line; it reaches the server and nothing else.
"""

import io
import re
import sys
from typing import TextIO
from urllib.parse import parse_qsl, urlsplit

from steps.credentials import masked

UNSAFE = "which would be copied to run files, MLflow and shared stores; fetch the file yourself and name it"
"""What is wrong with a source that holds credentials, and what would work."""
_USER = re.compile(r"(?<=://)[^\s/?#'\"<>]*@")
_NAME = (
    r"(?:x-(?:amz|goog)-[\w-]+|[\w.-]*(?:token|secret|password|passwd|pwd|signature|credentials?|api[-_]?key|access[-_]?key"
    r"(?:id)?|accessid)|sig|key|auth|authorization|jwt)"
)
_FIELD = re.compile(rf"([?&;#]{_NAME}=)[^\s&;#'\"<>]+", re.IGNORECASE)


def redacted(text: str) -> str:
    """Return a text without credentials, in which no URI has a user name, a password, a signature or a token."""
    return masked(_FIELD.sub(r"\1***", _USER.sub("", text)))


class RedactedLines(io.TextIOBase):
    """A stream that passes on lines of text, each redacted: a credential may come in pieces."""

    def __init__(self, stream: TextIO) -> None:
        self.stream, self.rest = stream, ""

    def write(self, text: str) -> int:
        lines, newline, self.rest = (self.rest + text).rpartition("\n")
        self.stream.write(redacted(lines + newline))
        return len(text)

    def flush(self) -> None:
        self.stream.flush()


def redact_output() -> None:
    """Redact what this process writes from now on, since its output is a log: tracebacks and libraries name URIs."""
    sys.stdout, sys.stderr = RedactedLines(sys.stdout), RedactedLines(sys.stderr)


def credentials_in(uri: str) -> str | None:
    """Return what in a URI is a credential, in words; None if nothing is."""
    if _USER.search(uri):
        return "a user name or password"
    try:
        parts = urlsplit(uri)
    except ValueError:
        return None
    fields = [name for part in (parts.query, parts.fragment) for name, _ in parse_qsl(part)]
    secret = [name for name in fields if re.fullmatch(_NAME, name, re.IGNORECASE)]
    return f"the credential {secret[0]}" if secret else None
