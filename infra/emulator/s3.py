"""S3 as folders: each object is a file below cloud/s3/BUCKET/, so what was uploaded outlives the local cloud.

It knows the requests of infra/s3 and no others: conditional writes and reads (If-None-Match, If-Match), ranges, uploads
in parts, SHA-256 checksums, listings. tests/infra/emulator/test_s3.py compares it with moto's S3. Bodies are held in
memory, since clients send and read large files in parts.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import secrets
import shutil
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import formatdate
from pathlib import Path
from urllib.parse import quote
from xml.sax.saxutils import escape

PAGE = 1000
"""Objects of one page of a listing."""


@dataclass(frozen=True)
class Request:
    """A request to S3."""

    method: str
    bucket: str
    key: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """By their names in lower case."""
    body: bytes


@dataclass(frozen=True)
class Reply:
    """The answer to a request; ``length`` is what HEAD says of a body that it does not send."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    length: int | None = None


@dataclass
class S3Error(Exception):
    """An error as S3 returns it."""

    code: str
    message: str
    status: int


class Buckets:
    """The objects of all buckets as files."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.parts = directory, directory / ".parts"
        self._lock = threading.Lock()
        shutil.rmtree(self.parts, ignore_errors=True)
        self.parts.mkdir(parents=True)

    def path(self, bucket: str, key: str = "") -> Path:
        """Return where the object lies, whether or not it exists.

        Raises:
            S3Error: there is no such bucket, or the key is not a path.
        """
        root = self.directory / bucket
        if not re.fullmatch(r"[a-z0-9][a-z0-9.-]+", bucket) or not root.is_dir():
            raise S3Error("NoSuchBucket", f"the local cloud has no bucket {bucket!r}", 404)
        names = key.split("/") if key else []
        if {"", ".", ".."} & set(names):
            raise S3Error("InvalidArgument", f"the local cloud keeps objects as files, and {key!r} is not a path", 400)
        return root.joinpath(*names)

    def keys(self, bucket: str, prefix: str) -> list[str]:
        """Return the keys that begin with the prefix, in the order of a listing."""
        root = self.path(bucket)
        folder = self.path(bucket, prefix.rpartition("/")[0])
        keys = [path.relative_to(root).as_posix() for path in folder.rglob("*") if path.is_file()]
        return sorted((key for key in keys if key.startswith(prefix)), key=os.fsencode)

    def new_file(self) -> Path:
        """Return the path of a file for content that :meth:`put` then takes."""
        return self.parts / secrets.token_hex(16)

    def put(self, content: Path, bucket: str, key: str, conditions: Mapping[str, str] | None = None) -> str:
        """Make a file the object, if the conditions hold; return the tag of the new object."""
        target = self.path(bucket, key)
        with self._lock:
            check_conditions(target, conditions or {})
            target.parent.mkdir(parents=True, exist_ok=True)
            content.replace(target)
            return tag_of(target.stat())

    def delete(self, bucket: str, key: str, conditions: Mapping[str, str]) -> None:
        target = self.path(bucket, key)
        with self._lock:
            check_conditions(target, conditions)
            target.unlink(missing_ok=True)


def tag_of(status: os.stat_result) -> str:
    """Return the tag of an object: every version is a new file, so its number and time are its identity."""
    return f'"{status.st_mtime_ns:x}{status.st_ino:x}{status.st_size:x}"'


def check_conditions(path: Path, headers: Mapping[str, str]) -> None:
    """Raise S3Error unless the conditions in the headers hold for the object at the path."""
    exists = path.is_file()
    if "if-none-match" in headers and exists:
        raise S3Error("PreconditionFailed", "there is an object of this name", 412)
    if "if-match" in headers and not exists:
        raise S3Error("NoSuchKey", path.name, 404)
    if "if-match" in headers and headers["if-match"].strip('"') != tag_of(path.stat()).strip('"'):
        raise S3Error("PreconditionFailed", "the object is not of this version", 412)


def answer(buckets: Buckets, request: Request) -> Reply:
    """Answer a request; an error is an answer too."""
    try:
        return _dispatch(buckets, request)
    except S3Error as error:
        return _xml("Error", f"<Code>{error.code}</Code><Message>{escape(error.message)}</Message>", error.status)


def _dispatch(buckets: Buckets, request: Request) -> Reply:
    match request.method, "uploadId" in request.query:
        case "GET", _ if not request.key:
            return _list(buckets, request)
        case "GET" | "HEAD", _:
            return _read(buckets, request)
        case "PUT", in_parts:
            return _write(buckets, request, _upload(buckets, request) if in_parts else None)
        case "POST", True:
            return _join_parts(buckets, request, _upload(buckets, request))
        case "POST", False if "uploads" in request.query:
            upload = buckets.new_file()
            upload.mkdir()
            return _xml("InitiateMultipartUploadResult", f"<UploadId>{upload.name}</UploadId>")
        case "DELETE", True:
            shutil.rmtree(_upload(buckets, request))
            return Reply(204)
        case "DELETE", False:
            buckets.delete(request.bucket, request.key, request.headers)
            return Reply(204)
    raise S3Error("NotImplemented", f"the local cloud does not know this {request.method}", 501)


def _list(buckets: Buckets, request: Request) -> Reply:
    """ListObjectsV2, without delimiters and with the keys encoded, as botocore asks for it."""
    query = request.query
    after, size = os.fsencode(query.get("continuation-token", "")), int(query.get("max-keys", PAGE))
    keys = [key for key in buckets.keys(request.bucket, query.get("prefix", "")) if os.fsencode(key) > after]
    entries = []
    for key in keys[:size]:
        with suppress(FileNotFoundError):  # deleted meanwhile
            status = buckets.path(request.bucket, key).stat()
            modified = datetime.fromtimestamp(status.st_mtime, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
            entries.append(
                f"<Contents><Key>{quote(key)}</Key><LastModified>{modified}</LastModified>"
                f"<ETag>{escape(tag_of(status))}</ETag><Size>{status.st_size}</Size></Contents>"
            )
    more = len(keys) > size
    rest = f"<NextContinuationToken>{escape(keys[size - 1])}</NextContinuationToken>" if more else ""
    head = f"<IsTruncated>{str(more).lower()}</IsTruncated><EncodingType>url</EncodingType>{rest}"
    return _xml("ListBucketResult", head + "".join(entries))


def _read(buckets: Buckets, request: Request) -> Reply:
    path = buckets.path(request.bucket, request.key)
    check_conditions(path, request.headers)
    try:
        file = path.open("rb")
    except OSError:
        raise S3Error("NoSuchKey", f"there is no object {request.key!r}", 404) from None
    with file:
        status = os.fstat(file.fileno())
        size = status.st_size
        headers = {"ETag": tag_of(status), "Last-Modified": formatdate(status.st_mtime, usegmt=True)}
        if request.method == "HEAD":
            if "x-amz-checksum-mode" in request.headers:
                headers["x-amz-checksum-sha256"] = _base64(hashlib.file_digest(file, "sha256").digest())
            return Reply(200, headers, length=size)
        if match := re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", "")):
            start, end = int(match[1]), min(int(match[2] or size), size - 1)
            if start > end:
                raise S3Error("InvalidRange", f"the object has {size} bytes", 416)
            file.seek(start)
            return Reply(206, headers | {"Content-Range": f"bytes {start}-{end}/{size}"}, file.read(end + 1 - start))
        return Reply(200, headers, file.read())


def _write(buckets: Buckets, request: Request, upload: Path | None) -> Reply:
    """Write an object, or a part of an upload."""
    claimed = request.headers.get("x-amz-checksum-sha256")
    if claimed not in (None, _base64(hashlib.sha256(request.body).digest())):
        raise S3Error("BadDigest", "the content is not that of the checksum", 400)
    path = upload / str(int(request.query["partNumber"])) if upload else buckets.new_file()
    path.write_bytes(request.body)
    tag = tag_of(path.stat()) if upload else buckets.put(path, request.bucket, request.key, request.headers)
    return Reply(200, {"ETag": tag})


def _upload(buckets: Buckets, request: Request) -> Path:
    upload = request.query["uploadId"]
    place = buckets.parts / upload
    if not re.fullmatch("[0-9a-f]{32}", upload) or not place.is_dir():
        raise S3Error("NoSuchUpload", "the upload was completed or aborted", 404)
    return place


def _join_parts(buckets: Buckets, request: Request, upload: Path) -> Reply:
    path = buckets.new_file()
    with path.open("wb") as whole:
        for number in re.findall(rb"<PartNumber>(\d+)</PartNumber>", request.body):
            with (upload / number.decode()).open("rb") as part:
                shutil.copyfileobj(part, whole)
    tag = buckets.put(path, request.bucket, request.key, request.headers)
    shutil.rmtree(upload, ignore_errors=True)
    return _xml("CompleteMultipartUploadResult", f"<ETag>{escape(tag)}</ETag>")


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


def _xml(name: str, content: str, status: int = 200) -> Reply:
    text = f"<?xml version='1.0' encoding='UTF-8'?><{name}>{content}</{name}>"
    return Reply(status, {"Content-Type": "application/xml"}, text.encode())
