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
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from infra.files import write_atomically

LONG = 2048
"""Bytes from which a body is a file of its own."""
KEPT = ("REQUEST_METHOD", "PATH_INFO", "QUERY_STRING", "RAW_URI", "REQUEST_URI", "CONTENT_TYPE", "SERVER_PROTOCOL")
DROPPED = ("HTTP_CONNECTION", "HTTP_EXPECT", "HTTP_TRANSFER_ENCODING", "HTTP_ACCEPT_ENCODING", "HTTP_AMZ_SDK_REQUEST",
           "HTTP_AMZ_SDK_INVOCATION_ID", "HTTP_USER_AGENT", "HTTP_HOST", "HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH")  # fmt: skip
"""What a replay does without; conditions were met when the request was answered."""
PRESERVED = "moto.preserved_header_names"
Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


class Journal:
    """The requests that changed something, on disk."""

    def __init__(self, directory: Path) -> None:
        self.path, self.bodies = directory / "journal.jsonl", directory / "bodies"
        self.bodies.mkdir(parents=True, exist_ok=True)
        self.count = 0

    def add(self, number: int, environ: Mapping[str, Any], body: bytes) -> None:
        """Write one request down; returns when the kernel has it, so that the end of this process loses nothing."""
        entry: dict[str, Any] = {"n": number, "environ": kept(environ)}
        if len(body) < LONG:
            entry["body"] = base64.b64encode(body).decode("ascii")
        else:
            entry["file"] = digest = hashlib.sha256(body).hexdigest()
            path = self.bodies / digest
            if not path.exists():
                write_quickly(path, body)
        with self.path.open("ab") as file:
            file.write(json.dumps(entry).encode() + b"\n")
        self.count = number

    def load(self) -> list[dict[str, Any]]:
        """The entries; a last line that is not whole is cut off."""
        if not self.path.exists():
            return []
        content = self.path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            self.path.write_bytes(whole)
        return [json.loads(line) for line in whole.splitlines()]

    def body(self, entry: Mapping[str, Any]) -> bytes:
        return (self.bodies / entry["file"]).read_bytes() if "file" in entry else base64.b64decode(entry["body"])

    def compact(self) -> list[dict[str, Any]]:
        """Forget objects that were overwritten or deleted later, and the bodies that nothing refers to any more."""
        entries = self.load()
        rest = without_superseded(entries)
        if len(rest) < len(entries):
            write_atomically(self.path, "".join(json.dumps(each) + "\n" for each in rest))
        wanted = {each.get("file") for each in rest}
        for path in self.bodies.iterdir():
            if path.name not in wanted:
                path.unlink()
        return rest

    def replay(self, application: Application, seed: Callable[[int], None]) -> tuple[int, list[str]]:
        """Do everything again; returns how many requests that were, and what could not be done again."""
        entries, failed = self.compact(), []
        for entry in entries:
            self.count = entry["n"]
            seed(entry["n"])
            try:
                status, _, answer = call(application, environ_of(entry, self.body(entry)))
            except Exception as error:  # noqa: BLE001 -- one request that moto chokes on must not cost all the others
                status, answer = "500", repr(error).encode()
            if not status.startswith("2"):
                environ = entry["environ"]
                failed.append(f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}: {status} {answer[:200]!r}")
        return len(entries), failed


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


def without_superseded(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Drop plain puts and deletes of an object that a later plain put or delete of the same object makes irrelevant.

    Objects that were the source of a copy are left alone, as is everything that is not a plain put or delete.
    """
    copied = {
        unquote(source).lstrip("/").partition("?")[0]
        for each in entries
        if (source := each["environ"].get("HTTP_X_AMZ_COPY_SOURCE"))
    }
    last: dict[str, int] = {}
    for index, entry in enumerate(entries):
        if name := plain_object(entry["environ"]):
            last[name] = index
    kept_entries = []
    for index, entry in enumerate(entries):
        name = plain_object(entry["environ"])
        if not name or name in copied or last[name] == index:
            kept_entries.append(entry)
    return kept_entries


def plain_object(environ: Mapping[str, Any]) -> str | None:
    """``bucket/key`` where the request puts or deletes one whole object and nothing else."""
    s3 = "/s3/aws4_request" in environ.get("HTTP_AUTHORIZATION", "")
    name = environ["PATH_INFO"].lstrip("/")
    plain = environ["REQUEST_METHOD"] in ("PUT", "DELETE") and not environ.get("QUERY_STRING")
    return name if s3 and plain and "/" in name.rstrip("/") and "HTTP_X_AMZ_COPY_SOURCE" not in environ else None


def write_quickly(path: Path, content: bytes) -> None:
    """Whole or not at all for whoever looks, without waiting for the disk: only the machine's own end can lose it."""
    temporary = path.with_suffix(".part")
    temporary.write_bytes(content)
    temporary.replace(path)
