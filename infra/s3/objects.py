"""The objects below a root s3://bucket/prefix/: get, put, list, delete, and parallel transfers of files."""

import base64
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from infra import aws_errors
from infra.aws_errors import ATTEMPTS, CONNECTIONS, Denied, code_of, translate_aws_errors
from steps.errors import FourscoreError, InputError

TRANSFERS = CONNECTIONS - 2
"""Parallel requests."""
_DENIED = (
    "the credentials in use may not do this, or it is not there; a store takes s3:ListBucket on the bucket, s3:GetObject, "
    "s3:PutObject and s3:DeleteObject below the prefix, and kms:Decrypt and kms:GenerateDataKey on the key if it has one"
)
PART = 32 << 20
"""Files of at least so many bytes travel in parts; beyond S3's limit of 10,000 parts s3transfer makes the parts larger."""
WRITE_ONCE = "store/"
"""Below it no object is ever overwritten: every write says ``If-None-Match: *``."""
_ROOT = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(?P<prefix>(?:[^/]+/)*))?")
_CONFLICT = ("PreconditionFailed", "ConditionalRequestConflict", "NoSuchUpload", "412", "409")
"""Codes of an object that another request wrote, or this very request whose response was lost."""
_ABSENT = ("NoSuchKey", "404")

Entry = Mapping[str, Any]
"""A file in a manifest: ``size`` and ``sha256``."""


def s3_client(uri: str, attempts: int = ATTEMPTS) -> Any:
    """Return an S3 client (:func:`infra.aws_errors.client`), whose errors name the URI."""
    with translate_s3_errors(uri):
        return aws_errors.client("s3", attempts=attempts)


def translate_s3_errors(uri: str) -> AbstractContextManager[None]:
    """Turn errors of S3, of the network and of the credentials into one message each (:mod:`infra.aws_errors`)."""
    return translate_aws_errors(uri, "S3", _DENIED)


class Conflict(FourscoreError):
    """An object that is written once exists already, or is being written."""


class Absent(FourscoreError):
    """No object has that name."""


@dataclass(frozen=True)
class Listed:
    """An object as a listing shows it."""

    name: str
    size: int
    tag: str
    age: float
    """Seconds since it was written, by S3's own clock."""


def parse_root(uri: str) -> tuple[str, str]:
    """Return bucket and prefix; the prefix is empty or ends in ``/``, which may be left out.

    Raises:
        InputError: the URI is not a root.
    """
    match = _ROOT.fullmatch(uri if uri.endswith("/") else f"{uri}/")
    if not match:
        raise InputError(
            f"{uri!r} is not a place for a store; wanted s3://bucket/prefix/, such as s3://my-team/fourscore/"
            " (a bucket has 3 to 63 of a-z, 0-9, - and .)"
        )
    return match["bucket"], match["prefix"] or ""


class Objects:
    """The objects below a root; names are relative to it, and below ``store/`` each is written once."""

    def __init__(self, root: str, kms_key: str | None = None, client: Callable[[], Any] | None = None) -> None:
        self.part = PART
        self.bucket, self.prefix = parse_root(root)
        self.root = f"s3://{self.bucket}/{self.prefix}"
        self.encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key} if kms_key else {}
        self._make_client = client or (lambda: s3_client(self.root))

    @cached_property
    def client(self) -> Any:
        """The client, made when first needed: a run that finds all results on this machine imports no boto3."""
        client = self._make_client()
        for operation in ("PutObject", "CompleteMultipartUpload"):
            event = f"before-parameter-build.s3.{operation}"
            client.meta.events.register(event, self._once, unique_id=f"{self.root} {operation}")
        return client

    def _once(self, params: dict[str, Any], **_: Any) -> None:
        if params["Bucket"] == self.bucket and params["Key"].startswith(self.prefix + WRITE_ONCE):
            params.setdefault("IfNoneMatch", "*")

    @contextmanager
    def _request(self, name: str) -> Iterator[dict[str, str]]:
        """Yield the arguments that name an object; turn errors into :class:`Absent`, :class:`Conflict` or a message."""
        assert self.client  # first, since it says in plain words that botocore is missing
        from botocore.exceptions import ClientError

        with translate_s3_errors(self.uri(name)):
            try:
                yield {"Bucket": self.bucket, "Key": self.prefix + name}
            except ClientError as error:
                if code_of(error) in _ABSENT:
                    raise Absent(name) from None
                if code_of(error) in _CONFLICT:
                    raise Conflict(name) from None
                raise

    def uri(self, name: str) -> str:
        return f"{self.root}{name}"

    def get(self, name: str) -> bytes | None:
        """Return the content; None if there is no such object."""
        content, _ = self.read(name) or (None, None)
        return content

    def read(self, name: str) -> tuple[bytes, str] | None:
        """Return the content and its tag, which another content does not have; None if there is no such object."""
        try:
            with self._request(name) as target:
                answer = self.client.get_object(**target)
                return answer["Body"].read(), answer["ETag"]
        except Absent:
            return None
        except Denied:  # also the response for a missing object to a role that may list only below some prefix
            folder, _, last = name.rpartition("/")
            if last in self.list(f"{folder}/"):
                raise
            return None

    def put(self, name: str, data: bytes, *, absent: bool = False, tag: str | None = None) -> bool:
        """Write a small object.

        Args:
            absent: only if there is none yet; always so below ``store/``.
            tag: only if the object still is the one with this tag.

        Returns:
            Whether it was written.
        """
        condition = {"IfNoneMatch": "*"} if absent else {"IfMatch": tag} if tag else {}
        try:
            with self._request(name) as target:
                self.client.put_object(**target, **condition, Body=data, ChecksumAlgorithm="SHA256", **self.encryption)
        except (Absent, Conflict):
            return False
        return True

    def delete(self, name: str, tag: str) -> None:
        """Remove the version with this tag; leave any other."""
        with suppress(Absent, Conflict), self._request(name) as target:
            self.client.delete_object(**target, IfMatch=tag)

    def list(self, prefix: str) -> dict[str, Listed]:
        """Return the objects below a prefix by their names from there on, without the console's folder markers."""
        objects: dict[str, Listed] = {}
        with self._request(prefix) as target:
            for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=target["Key"]):
                now = parsedate_to_datetime(page["ResponseMetadata"]["HTTPHeaders"]["date"])
                for item in page.get("Contents", ()):
                    name, age = item["Key"].removeprefix(target["Key"]), (now - item["LastModified"]).total_seconds()
                    if name and not name.endswith("/"):
                        objects[name] = Listed(item["Key"].removeprefix(self.prefix), item["Size"], item["ETag"], age)
        return objects

    def holds(self, name: str, entry: Entry) -> bool:
        """Return whether the object has that content, by the checksum that S3 computed when it was written."""
        try:
            with self._request(name) as target:
                head = self.client.head_object(**target, ChecksumMode="ENABLED")
        except Absent:
            return False
        if head["ContentLength"] != entry["size"]:
            return False
        if "ChecksumSHA256" in head and "-" not in head["ETag"]:
            return bool(head["ChecksumSHA256"] == _base64(entry))
        # It came in parts, and S3 has only their checksums: trust the uploader's digest of the whole.
        return bool(head["Metadata"].get("sha256") == entry["sha256"])

    def upload(self, files: Mapping[str, Path], entries: Mapping[str, Entry]) -> None:
        """Upload files to the names, several at once; S3 refuses one that differs from its entry.

        Raises:
            Conflict: one exists already; others may have been uploaded.
        """

        def start(manager: Any, name: str, path: Path) -> Any:
            extra = self.encryption | self._checksums(entries[name])
            return manager.upload(str(path), self.bucket, self.prefix + name, extra_args=extra)

        self._transfer(files, start)

    def download(self, files: Mapping[str, Path]) -> None:
        """Download objects to files, several at once.

        Raises:
            Absent: there is no such object.
        """

        def start(manager: Any, name: str, path: Path) -> Any:
            path.parent.mkdir(parents=True, exist_ok=True)
            return manager.download(self.bucket, self.prefix + name, str(path))

        self._transfer(files, start)

    def _transfer(self, files: Mapping[str, Path], start: Callable[[Any, str, Path], Any]) -> None:
        if not files:
            return
        client = self.client
        from s3transfer.manager import TransferConfig, TransferManager

        config = TransferConfig(
            multipart_threshold=self.part, multipart_chunksize=self.part, max_request_concurrency=TRANSFERS
        )
        with TransferManager(client, config) as manager:
            futures = {name: start(manager, name, path) for name, path in files.items()}
            for name, future in futures.items():
                with self._request(name):
                    future.result()

    def _checksums(self, entry: Entry) -> dict[str, Any]:
        """Return arguments by which S3 itself compares a file in one part; of parts it makes its own checksums."""
        whole = {"ChecksumSHA256": _base64(entry)} if entry["size"] < self.part else {}
        return {"ChecksumAlgorithm": "SHA256", "Metadata": {"sha256": entry["sha256"]}, **whole}


def _base64(entry: Entry) -> str:
    return base64.b64encode(bytes.fromhex(entry["sha256"])).decode()
