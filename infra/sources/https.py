"""Files fetched over https into the workspace, again only if they changed, and never half-written."""

import hashlib
import json
import urllib.error
import urllib.request
from http.client import HTTPException, HTTPMessage
from pathlib import Path, PurePosixPath
from typing import IO, Any
from urllib.parse import unquote, urlsplit

from infra.files import arriving, locked, write_json
from steps.errors import FourscoreError, InputError

TIMEOUT = 30
"""Seconds without a response."""
LARGEST = 64 << 30
"""Bytes; a server that goes on sending must not fill the disk."""
_CHUNK = 1 << 20
LOCAL = ("localhost", "127.0.0.1", "::1")


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect must not leave https."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        check_scheme(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def check_scheme(url: str) -> None:
    """Accept https, and plain http to this machine only: elsewhere anyone on the way could change the data.

    Raises:
        InputError: the URL is another one.
    """
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOCAL):
        raise InputError(f"{url}: wanted https://, which nobody can change on the way")


def fetch(url: str, directory: Path) -> Path:
    """Return the content of a URL as a file, fetched if it is new or changed.

    Raises:
        InputError: the server does not have it.
        FourscoreError: the server cannot be reached.
    """
    check_scheme(url)
    folder = directory / hashlib.sha256(url.encode()).hexdigest()[:16]
    name = unquote(PurePosixPath(urlsplit(url).path).name).replace("/", "_").replace("\0", "_")
    path, memory = folder / "content" / (name if name not in ("", ".", "..") else "data"), folder / "answer.json"
    with locked(folder / "lock"):
        path.parent.mkdir(exist_ok=True)
        conditions = _conditions(memory) if path.is_file() else {}
        headers = {"User-Agent": "fourscore", "Accept-Encoding": "identity", **conditions}
        request = urllib.request.Request(url, headers=headers)  # noqa: S310 - check_scheme looked at it
        try:
            with urllib.request.build_opener(_SafeRedirects).open(request, timeout=TIMEOUT) as response:
                _save(response, path, url)
                validators = {"etag": response.headers.get("ETag"), "modified": response.headers.get("Last-Modified")}
                write_json(memory, validators)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code != 304:
                kind = InputError if error.code in (400, 401, 403, 404, 410) else FourscoreError
                raise kind(f"{url}: the server answered {error.code} {error.reason}") from None
        except (OSError, HTTPException) as error:
            copy = f"; an earlier copy is {path}, name that to use it" if conditions else ""
            raise FourscoreError(f"{url}: cannot be fetched: {getattr(error, 'reason', error)}{copy}") from None
    return path


def _conditions(memory: Path) -> dict[str, str]:
    try:
        validators: dict[str, Any] = json.loads(memory.read_bytes())
    except (OSError, ValueError):
        return {}
    headers = {"If-None-Match": validators.get("etag"), "If-Modified-Since": validators.get("modified")}
    return {name: value for name, value in headers.items() if value}


def _save(response: Any, path: Path, url: str) -> None:
    size = 0
    with arriving(path) as file:
        while chunk := response.read(_CHUNK):
            size += len(chunk)
            if size > LARGEST:
                raise InputError(f"{url}: more than {LARGEST >> 30} GiB; fetch it yourself and name the file")
            file.write(chunk)
        expected = response.headers.get("Content-Length")
        if expected is not None and int(expected) != size:
            raise FourscoreError(f"{path.name}: the server promised {expected} bytes and sent {size}; run again")
