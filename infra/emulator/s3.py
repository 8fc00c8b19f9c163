"""S3 as folders: each object is a file below cloud/s3/BUCKET/, so what was uploaded outlives the local cloud.

It has what infra/s3, infra/store and the jobs ask for: conditional writes and reads (If-None-Match, If-Match), ranges,
uploads in parts, SHA-256 checksums, listings. Source: Amazon S3 API Reference. tests/infra/emulator/test_s3.py compares
it with moto's S3.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import secrets
import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import formatdate
from pathlib import Path
from typing import IO
from urllib.parse import quote
from xml.sax.saxutils import escape

from infra.emulator.responses import ApiError

PAGE = 1000
"""Objects of one page of a listing."""


@dataclass(frozen=True)
class Request:
    """A request whose body has not been read yet."""

    method: str
    bucket: str
    key: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """By their names in lower case."""
    body: Iterator[bytes]


@dataclass
class Reply:
    """What is sent back: headers, and a body that is text or a part of a file."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    file: IO[bytes] | None = None
    """Open at the place where the body begins."""
    length: int = 0
    """Bytes of ``file`` that are sent."""


class Buckets:
    """The objects of all buckets."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.parts = directory, directory / ".parts"
        self._lock = threading.Lock()
        shutil.rmtree(self.parts, ignore_errors=True)
        self.parts.mkdir(parents=True)

    def path(self, bucket: str, key: str = "") -> Path:
        """Return where the object lies, whether or not it exists.

        Raises:
            ApiError: there is no such bucket, or the key is not a path.
        """
        root = self.directory / bucket
        if not re.fullmatch(r"[a-z0-9][a-z0-9.-]+", bucket) or not root.is_dir():
            raise ApiError("NoSuchBucket", f"the local cloud has no bucket {bucket!r}", 404)
        names = key.split("/") if key else []
        if any(name in ("", ".", "..") or "\0" in name or len(os.fsencode(name)) > 255 for name in names):
            raise ApiError("InvalidArgument", f"the local cloud keeps objects as files, and {key!r} is not a path", 400)
        return root.joinpath(*names)

    def keys(self, bucket: str, prefix: str) -> list[str]:
        """Return the keys that begin with the prefix, in the order of a listing."""
        root = self.path(bucket)
        folder = self.path(bucket, prefix.rpartition("/")[0])
        paths = [Path(place) / name for place, _, names in os.walk(folder) for name in names]
        keys = [path.relative_to(root).as_posix() for path in paths]
        return sorted((key for key in keys if key.startswith(prefix)), key=os.fsencode)

    @contextmanager
    def arriving(self) -> Iterator[Path]:
        """Provide the path of a new file for content that is on its way to :meth:`commit`."""
        path = self.parts / secrets.token_hex(16)
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    def commit(self, content: Path, bucket: str, key: str, conditions: Mapping[str, str] | None = None) -> str:
        """Move a file to where the object lies, if the conditions hold; return the tag of the new object."""
        target = self.path(bucket, key)
        with self._lock:
            check_conditions(target, conditions or {})
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                content.replace(target)
            except (NotADirectoryError, IsADirectoryError, FileExistsError):
                message = f"the local cloud keeps objects as files, and {key!r} would be a file and a folder"
                raise ApiError("OperationAborted", message, 409) from None
            return tag_of(target.stat())

    def copy(self, source: Path, bucket: str, key: str) -> None:
        """Write a copy of a file as an object; the file may still change."""
        with self.arriving() as path:
            shutil.copyfile(source, path)
            self.commit(path, bucket, key)

    def delete(self, bucket: str, key: str, conditions: Mapping[str, str]) -> None:
        with self._lock:
            target = self.path(bucket, key)
            if target.is_file():
                check_conditions(target, conditions)
                target.unlink()
            elif "if-match" in conditions:
                raise ApiError("NoSuchKey", key, 404)


def tag_of(status: os.stat_result) -> str:
    """Return the tag of an object: every version is a new file, so its number and time are its identity."""
    return f'"{status.st_mtime_ns:x}{status.st_ino:x}{status.st_size:x}"'


def check_conditions(path: Path, headers: Mapping[str, str]) -> None:
    """Raise ApiError unless the conditions in the headers hold for the object at the path."""
    exists = path.is_file()
    if headers.get("if-none-match") == "*" and exists:
        raise ApiError("PreconditionFailed", "there is an object of this name", 412)
    if "if-match" in headers and not exists:
        raise ApiError("NoSuchKey", path.name, 404)
    if "if-match" in headers and headers["if-match"].strip('"') != tag_of(path.stat()).strip('"'):
        raise ApiError("PreconditionFailed", "the object is not of this version", 412)


def answer(buckets: Buckets, request: Request) -> Reply:
    """Answer a request; an error is an answer too."""
    query = request.query
    try:
        match request.method:
            case "GET" if not request.key:
                return _list(buckets, request)
            case "GET" | "HEAD":
                return _read(buckets, request)
            case "PUT" if "uploadId" in query:
                return _write_part(buckets, request)
            case "PUT" if request.key and "x-amz-copy-source" not in request.headers:
                return _write(buckets, request)
            case "POST" if "uploads" in query:
                upload = secrets.token_hex(16)
                (buckets.parts / upload).mkdir()
                return _xml("InitiateMultipartUploadResult", f"<UploadId>{upload}</UploadId>")
            case "POST" if "uploadId" in query:
                return _join_parts(buckets, request)
            case "DELETE" if "uploadId" in query:
                shutil.rmtree(_upload(buckets, request), ignore_errors=True)
                return Reply(204)
            case "DELETE":
                buckets.delete(request.bucket, request.key, request.headers)
                return Reply(204)
    except ApiError as error:
        return _error(error)
    return _error(ApiError("NotImplemented", f"the local cloud does not know this {request.method}", 501))


def _error(error: ApiError) -> Reply:
    return _xml("Error", f"<Code>{error.code}</Code><Message>{escape(error.message)}</Message>", error.status)


def _list(buckets: Buckets, request: Request) -> Reply:
    """ListObjectsV2, without delimiters."""
    query = request.query
    if query.get("list-type") != "2" or "delimiter" in query:
        raise ApiError("NotImplemented", "the local cloud knows ListObjectsV2 without a delimiter", 501)
    keys = buckets.keys(request.bucket, query.get("prefix", ""))
    after, size = query.get("continuation-token", ""), int(query.get("max-keys", PAGE))
    keys = [key for key in keys if os.fsencode(key) > os.fsencode(after)]
    entries = []
    for key in keys[:size]:
        try:
            status = buckets.path(request.bucket, key).stat()
        except FileNotFoundError:
            continue
        modified = datetime.fromtimestamp(status.st_mtime, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        name = quote(key) if query.get("encoding-type") == "url" else escape(key)
        entries.append(
            f"<Contents><Key>{name}</Key><LastModified>{modified}</LastModified><ETag>{escape(tag_of(status))}</ETag>"
            f"<Size>{status.st_size}</Size></Contents>"
        )
    more = len(keys) > size
    rest = f"<NextContinuationToken>{escape(keys[size - 1])}</NextContinuationToken>" if more else ""
    encoding = f"<EncodingType>{escape(query['encoding-type'])}</EncodingType>" if "encoding-type" in query else ""
    return _xml("ListBucketResult", f"<IsTruncated>{str(more).lower()}</IsTruncated>{encoding}{rest}{''.join(entries)}")


def _read(buckets: Buckets, request: Request) -> Reply:
    path = buckets.path(request.bucket, request.key)
    if not request.key:
        return Reply()
    check_conditions(path, request.headers)
    try:
        file = path.open("rb")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        raise ApiError("NoSuchKey", f"there is no object {request.key!r}", 404) from None
    status = os.fstat(file.fileno())
    reply = Reply(200, {"ETag": tag_of(status), "Last-Modified": formatdate(status.st_mtime, usegmt=True)}, file=file)
    start, end = 0, status.st_size
    if match := re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", "")):
        start, end = int(match[1]), min(end, int(match[2] or end) + 1)
        reply.status = 206
        reply.headers["Content-Range"] = f"bytes {start}-{end - 1}/{status.st_size}"
    if request.method == "HEAD" and request.headers.get("x-amz-checksum-mode") == "ENABLED":
        digest = hashlib.file_digest(file, "sha256").digest()
        reply.headers["x-amz-checksum-sha256"] = base64.b64encode(digest).decode()
    file.seek(start)
    reply.length = end - start
    return reply


def _receive(request: Request, path: Path) -> None:
    """Write the body to a file and compare it with the checksum that the client sent."""
    if "aws-chunked" in request.headers.get("content-encoding", ""):
        raise ApiError("NotImplemented", "the local cloud takes no aws-chunked bodies", 501)
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for chunk in request.body:
            digest.update(chunk)
            file.write(chunk)
    claimed = request.headers.get("x-amz-checksum-sha256")
    if claimed not in (None, base64.b64encode(digest.digest()).decode()):
        raise ApiError("BadDigest", "the content is not that of the checksum", 400)


def _write(buckets: Buckets, request: Request) -> Reply:
    with buckets.arriving() as path:
        _receive(request, path)
        return Reply(200, {"ETag": buckets.commit(path, request.bucket, request.key, request.headers)})


def _upload(buckets: Buckets, request: Request) -> Path:
    upload = request.query["uploadId"]
    place = buckets.parts / upload
    if not re.fullmatch("[0-9a-f]{32}", upload) or not place.is_dir():
        raise ApiError("NoSuchUpload", "the upload was completed or aborted", 404)
    return place


def _write_part(buckets: Buckets, request: Request) -> Reply:
    path = _upload(buckets, request) / str(int(request.query["partNumber"]))
    _receive(request, path)
    return Reply(200, {"ETag": tag_of(path.stat())})


def _join_parts(buckets: Buckets, request: Request) -> Reply:
    place = _upload(buckets, request)
    numbers = re.findall(rb"<PartNumber>(\d+)</PartNumber>", b"".join(request.body))
    with buckets.arriving() as path:
        with path.open("wb") as whole:
            for number in numbers:
                with (place / str(int(number))).open("rb") as part:
                    shutil.copyfileobj(part, whole)
        tag = buckets.commit(path, request.bucket, request.key, request.headers)
    shutil.rmtree(place, ignore_errors=True)
    return _xml("CompleteMultipartUploadResult", f"<ETag>{escape(tag)}</ETag>")


def _xml(name: str, content: str, status: int = 200) -> Reply:
    text = f"<?xml version='1.0' encoding='UTF-8'?><{name}>{content}</{name}>"
    return Reply(status, {"Content-Type": "application/xml"}, text.encode())
