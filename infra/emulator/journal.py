"""Everything that was done to the simulated cloud, as a journal of requests that is replayed when the cloud starts anew.

moto keeps its state in memory. Each request that changed something is one line of ``journal.jsonl``; long bodies are
files named by their digest. Before each of them moto's source of randomness is seeded with the number in the line, so
that a replay makes the same identifiers and version ids. What was answered is in the journal or was never answered: the
line is written before the answer goes out. A line cut off by a kill belongs to a request that nobody got an answer to.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

from infra.files import append_lines, write_atomically

LONG = 2048
"""Bytes from which a body is a file of its own."""
KEPT = ("REQUEST_METHOD", "PATH_INFO", "QUERY_STRING", "RAW_URI", "REQUEST_URI", "CONTENT_TYPE", "SERVER_PROTOCOL")
DROPPED = ("HTTP_CONNECTION", "HTTP_EXPECT", "HTTP_TRANSFER_ENCODING", "HTTP_ACCEPT_ENCODING", "HTTP_AMZ_SDK_REQUEST",
           "HTTP_AMZ_SDK_INVOCATION_ID", "HTTP_USER_AGENT", "HTTP_HOST", "HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH")  # fmt: skip
"""What a replay does without; conditions were met when the request was answered."""
UPLOAD_ID = re.compile(rb"<UploadId>([^<]+)</UploadId>")
PRESERVED = "moto.preserved_header_names"
Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


class Journal:
    """The requests that changed something, on disk."""

    def __init__(self, directory: Path) -> None:
        self.path, self.bodies = directory / "journal.jsonl", directory / "bodies"
        self.bodies.mkdir(parents=True, exist_ok=True)
        self.count = 0
        self.superseded = Superseded()
        self.digests: dict[int, str] = {}
        """Entry -> its body's file; only of entries that still matter."""

    def add(self, number: int, environ: Mapping[str, Any], body: bytes, answer: bytes = b"") -> None:
        """Write one request down; returns when the kernel has it, so that the end of this process loses nothing."""
        entry: dict[str, Any] = {"n": number, "environ": kept(environ)}
        if "uploads" in entry["environ"].get("QUERY_STRING", "") and (made := UPLOAD_ID.search(answer)):
            entry["upload"] = made.group(1).decode()
        if len(body) < LONG:
            entry["body"] = base64.b64encode(body).decode("ascii")
        else:
            entry["file"] = digest = hashlib.sha256(body).hexdigest()
            if not (self.bodies / digest).exists():
                write_quickly(self.bodies / digest, body)
        append_lines(self.path, [json.dumps(entry).encode()])
        self.count = number
        self._forget(self._seen(entry))

    def _seen(self, entry: Mapping[str, Any]) -> list[int]:
        if "file" in entry:
            self.digests[entry["n"]] = entry["file"]
        return self.superseded.by(entry)

    def _forget(self, numbers: list[int]) -> None:
        """Remove bodies that no replay will ask for; their entries go when the journal is next loaded."""
        gone = {digest for number in numbers if (digest := self.digests.pop(number, None))}
        for digest in gone - set(self.digests.values()) if gone else ():
            (self.bodies / digest).unlink(missing_ok=True)

    def load(self) -> list[dict[str, Any]]:
        """The entries that still matter; lines that are none are dropped, and so is a last one that is not whole."""
        self.superseded, self.digests = Superseded(), {}
        entries: dict[int, dict[str, Any]] = {}
        lines = self.path.read_bytes().splitlines(keepends=True) if self.path.exists() else []
        for line in lines:
            try:
                entry = json.loads(line) if line.endswith(b"\n") else None
            except ValueError:
                entry = None
            if entry:
                entries[entry["n"]] = entry
                for number in self._seen(entry):
                    entries.pop(number, None)
                    self.digests.pop(number, None)
        if len(entries) < len(lines):
            write_atomically(self.path, "".join(json.dumps(each) + "\n" for each in entries.values()))
        for path in self.bodies.iterdir():
            if path.name not in set(self.digests.values()):
                path.unlink()
        return list(entries.values())

    def body(self, entry: Mapping[str, Any]) -> bytes:
        return (self.bodies / entry["file"]).read_bytes() if "file" in entry else base64.b64decode(entry["body"])

    def replay(self, application: Application, seed: Callable[[int], None]) -> tuple[int, list[str]]:
        """Do everything again; returns how many requests that were, and what could not be done again."""
        entries, failed = self.load(), []
        for entry in entries:
            self.count = max(self.count, entry["n"])
            seed(entry["n"])
            try:
                status, _, answer = call(application, environ_of(entry, self.body(entry)))
            except Exception as error:  # noqa: BLE001 -- one request that moto chokes on must not cost all the others
                status, answer = "500", repr(error).encode()
            if not status.startswith("2"):
                environ = entry["environ"]
                failed.append(f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}: {status} {answer[:200]!r}")
        return len(entries), failed


class Superseded:
    """Which requests about objects no longer matter, because the object was written or deleted anew.

    Objects that were the source of a copy keep all their requests, since the copy is made again from what they were.
    """

    def __init__(self) -> None:
        self.current: dict[str, list[int]] = {}
        """Object -> the entries that made it what it is."""
        self.uploads: dict[str, list[int]] = {}
        self.copied: set[str] = set()

    def by(self, entry: Mapping[str, Any]) -> list[int]:
        """The numbers of the entries that this next one makes irrelevant."""
        environ, number = entry["environ"], entry["n"]
        if source := environ.get("HTTP_X_AMZ_COPY_SOURCE"):
            self.copied.add(unquote(source).lstrip("/").partition("?")[0])
        name = environ["PATH_INFO"].lstrip("/")
        if "/s3/aws4_request" not in environ.get("HTTP_AUTHORIZATION", "") or "/" not in name.rstrip("/"):
            return []
        method, query = environ["REQUEST_METHOD"], parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
        upload = entry.get("upload") or query.get("uploadId", [""])[0]
        if upload:
            self.uploads.setdefault(upload, []).append(number)
            if method == "DELETE":
                return self.uploads.pop(upload)
            if method != "POST" or "uploadId" not in query:
                return []
            return self._written(name, self.uploads.pop(upload))
        if query.keys() & {"tagging", "acl"}:
            self.current.setdefault(name, []).append(number)
            return []
        return self._written(name, [number]) if method in ("PUT", "DELETE") and query.keys() <= {"x-id"} else []

    def _written(self, name: str, numbers: list[int]) -> list[int]:
        before, self.current[name] = self.current.get(name, []), numbers
        return [] if name in self.copied else before


def kept(environ: Mapping[str, Any]) -> dict[str, Any]:
    headers = {name: value for name, value in environ.items() if name.startswith("HTTP_") and name not in DROPPED}
    return {name: environ[name] for name in (*KEPT, PRESERVED) if name in environ} | headers


def environ_of(entry: Mapping[str, Any], body: bytes) -> dict[str, Any]:
    """A request as the server would hand it over."""
    return {
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "SCRIPT_NAME": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "HTTP_HOST": "127.0.0.1",
        "CONTENT_LENGTH": str(len(body)),
        **entry["environ"],
    }


def call(application: Application, environ: dict[str, Any]) -> tuple[str, list[tuple[str, str]], bytes]:
    """Status, headers and body of the answer of a WSGI application."""
    said: list[Any] = []
    answer = application(environ, lambda status, headers, *_: said.extend((status, headers)))
    body = b"".join(answer)
    if close := getattr(answer, "close", None):
        close()
    return said[0], said[1], body


def write_quickly(path: Path, content: bytes) -> None:
    """Whole or not at all for whoever looks, without waiting for the disk: only the machine's own end can lose it."""
    temporary = path.with_suffix(".part")
    temporary.write_bytes(content)
    temporary.replace(path)
