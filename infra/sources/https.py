"""Files fetched over https into the workspace: asked for again only if they changed, never half-written."""

from __future__ import annotations

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
"""Seconds without an answer."""
LARGEST = 64 << 30
"""Bytes; a server that goes on sending must not fill the disk."""
_CHUNK = 1 << 20
_LOCAL = ("localhost", "127.0.0.1", "::1")


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect must not leave https."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        check_scheme(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def check_scheme(url: str) -> None:
    """Plain http is for this machine only: on the way data could be read and changed by anyone.

    Raises:
        InputError: the URL is plain http to elsewhere, or something else altogether.
    """
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOCAL):
        raise InputError(f"{url}: wanted https://, which nobody can change on the way")


def fetch(url: str, directory: Path) -> Path:
    """The content of a URL as a file, fetched if it is new or changed.

    Raises:
        InputError: the server does not have it.
        FourscoreError: the server cannot be reached.
    """
    check_scheme(url)
    folder = directory / hashlib.sha256(url.encode()).hexdigest()[:16]
    name = unquote(PurePosixPath(urlsplit(url).path).name).replace("/", "_").replace("\0", "_")
    path = folder / "content" / (name if name not in ("", ".", "..") else "data")
    with locked(folder / "lock"):
        path.parent.mkdir(exist_ok=True)
        memory = _memory(folder / "answer.json") if path.is_file() else {}
        opener = urllib.request.build_opener(_SafeRedirects)
        try:
            with opener.open(_request(url, memory), timeout=TIMEOUT) as answer:
                size = _write(answer, path, url)
                _keep(path, size, answer.headers, folder / "answer.json")
        except urllib.error.HTTPError as error:
            error.close()
            if error.code != 304:
                kind = InputError if error.code in (400, 401, 403, 404, 410) else FourscoreError
                raise kind(f"{url}: the server answered {error.code} {error.reason}") from None
        except (OSError, HTTPException) as error:
            copy = f"; an earlier copy is {path}, name that to use it" if memory else ""
            raise FourscoreError(f"{url}: cannot be fetched: {getattr(error, 'reason', error)}{copy}") from None
    return path


def _memory(path: Path) -> dict[str, Any]:
    try:
        memory: dict[str, Any] = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return memory


def _request(url: str, memory: dict[str, Any]) -> urllib.request.Request:
    headers = {"User-Agent": "fourscore", "Accept-Encoding": "identity"}
    if memory.get("etag"):
        headers["If-None-Match"] = memory["etag"]
    if memory.get("modified"):
        headers["If-Modified-Since"] = memory["modified"]
    return urllib.request.Request(url, headers=headers)  # noqa: S310 - check_scheme looked at it


def _write(answer: IO[bytes], path: Path, url: str) -> int:
    size = 0
    with arriving(path) as file:
        while chunk := answer.read(_CHUNK):
            size += len(chunk)
            if size > LARGEST:
                raise InputError(f"{url}: more than {LARGEST >> 30} GiB; fetch it yourself and name the file")
            file.write(chunk)
    return size


def _keep(path: Path, size: int, headers: HTTPMessage, answer: Path) -> None:
    promised = headers.get("Content-Length")
    if promised is not None and int(promised) != size:
        path.unlink()
        raise FourscoreError(f"{path.name}: the server promised {promised} bytes and sent {size}; run again")
    write_json(answer, {"etag": headers.get("ETag"), "modified": headers.get("Last-Modified")})
