"""The objects below a root s3://bucket/prefix/: read, written, listed, and files brought there and back, several at once."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from infra.aws_errors import Denied, code_of
from infra.s3 import client as s3_client
from infra.s3.client import translate_s3_errors
from steps.errors import FourscoreError, InputError

PART = 32 << 20
"""Files of so many bytes and more travel in parts of so many; S3 takes 10,000 parts, and s3transfer makes them larger then."""
WRITE_ONCE = "store/"
"""Below it no object is ever overwritten: every write says ``If-None-Match: *``."""
_ROOT = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(?P<prefix>(?:[^/]+/)*))?")
_CONFLICTS = ("PreconditionFailed", "ConditionalRequestConflict", "NoSuchUpload", "412", "409")
"""Someone else wrote it: before, or just now; or this very request did, and the answer to it was lost."""
_ABSENT = ("NoSuchKey", "404")

Entry = Mapping[str, Any]
"""What a manifest says of a file: its ``size`` and ``sha256``."""


class NameTaken(FourscoreError):
    """An object that is written once is there already, or is being written."""


class Absent(FourscoreError):
    """There is no object of that name."""


@dataclass(frozen=True)
class Listed:
    """An object as a listing shows it."""

    name: str
    size: int
    tag: str
    age: float
    """Seconds since it was written, by S3's own clock."""


def parse_root(uri: str) -> tuple[str, str]:
    """Bucket and prefix; the prefix is empty or ends in ``/``, which may be left out.

    Raises:
        InputError: it is no root.
    """
    match = _ROOT.fullmatch(uri if uri.endswith("/") else f"{uri}/")
    if not match:
        raise InputError(
            f"{uri!r} is no place for a store; wanted s3://bucket/prefix/, such as s3://my-team/fourscore/"
            " (a bucket has 3 to 63 of a-z, 0-9, - and .)"
        )
    return match["bucket"], match["prefix"] or ""


class Objects:
    """Names are relative to the root; below ``store/`` each is written once."""

    def __init__(self, root: str, kms_key: str | None = None, client: Callable[[], Any] | None = None) -> None:
        self.bucket, self.prefix = parse_root(root)
        self.root = f"s3://{self.bucket}/{self.prefix}"
        self.encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key} if kms_key else {}
        self._client = client

    @cached_property
    def client(self) -> Any:
        """Made when it is first needed: a run that finds everything here imports no boto3."""
        client = self._client() if self._client else s3_client.client(self.root)
        for operation in ("PutObject", "CompleteMultipartUpload"):
            client.meta.events.register(
                f"before-parameter-build.s3.{operation}", self._once, unique_id=f"{self.root} {operation}"
            )
        return client

    def _once(self, params: dict[str, Any], **_: Any) -> None:
        if params["Bucket"] == self.bucket and params["Key"].startswith(self.prefix + WRITE_ONCE):
            params.setdefault("IfNoneMatch", "*")

    @contextmanager
    def _asking(self, name: str) -> Iterator[dict[str, str]]:
        """What names an object in a request; errors become :class:`Absent`, :class:`NameTaken` or a plain message."""
        assert self.client  # before botocore is needed: it says in plain words if that is missing
        from botocore.exceptions import ClientError

        with translate_s3_errors(self.uri(name)):
            try:
                yield {"Bucket": self.bucket, "Key": self.prefix + name}
            except ClientError as error:
                if code_of(error) in _ABSENT:
                    raise Absent(name) from None
                if code_of(error) in _CONFLICTS:
                    raise NameTaken(name) from None
                raise

    def uri(self, name: str) -> str:
        return f"{self.root}{name}"

    def get(self, name: str) -> bytes | None:
        """The content; None where there is no such object."""
        listing = self.get_with_tag(name)
        return listing[0] if listing else None

    def get_with_tag(self, name: str) -> tuple[bytes, str] | None:
        """The content and the tag of this very version, for a write that must not go over another."""
        try:
            with self._asking(name) as request:
                answer = self.client.get_object(**request)
                return answer["Body"].read(), answer["ETag"]
        except Absent:
            return None
        except Denied:  # said also of what is not there, to a role that may list only below some prefix
            folder, _, last = name.rpartition("/")
            if last in self.list(f"{folder}/"):
                raise
            return None

    def put(self, name: str, data: bytes, *, absent: bool = False, tag: str | None = None) -> bool:
        """Write a small object.

        Args:
            absent: only where there is none yet, as always below ``store/``.
            tag: only over the version of this tag.

        Returns:
            Whether it was written.
        """
        only = {"IfMatch": tag} if tag else {"IfNoneMatch": "*"} if absent else {}
        try:
            with self._asking(name) as request:
                self.client.put_object(**request, **only, Body=data, ChecksumAlgorithm="SHA256", **self.encryption)
        except (Absent, NameTaken):
            return False
        return True

    def delete(self, name: str, tag: str) -> None:
        """Remove the version of this tag; another one is left alone."""
        try:
            with self._asking(name) as request:
                self.client.delete_object(**request, IfMatch=tag)
        except (Absent, NameTaken):
            return

    def list(self, prefix: str) -> dict[str, Listed]:
        """What is below a prefix, by its name from there on; what the console makes to show folders is left out."""
        listing: dict[str, Listed] = {}
        with self._asking(prefix) as request:
            pages = self.client.get_paginator("list_objects_v2").paginate(
                Bucket=request["Bucket"], Prefix=request["Key"]
            )
            for page in pages:
                now = parsedate_to_datetime(page["ResponseMetadata"]["HTTPHeaders"]["date"])
                for listed in page.get("Contents", ()):
                    name = listed["Key"].removeprefix(request["Key"])
                    if name and not name.endswith("/"):
                        age = (now - listed["LastModified"]).total_seconds()
                        listing[name] = Listed(self._name(listed["Key"]), listed["Size"], listed["ETag"], age)
        return listing

    def _name(self, key: str) -> str:
        return key.removeprefix(self.prefix)

    def holds(self, name: str, entry: Entry) -> bool:
        """Whether the object has that content, by the checksum that S3 made of it when it was written."""
        try:
            with self._asking(name) as request:
                head = self.client.head_object(**request, ChecksumMode="ENABLED")
        except Absent:
            return False
        if head["ContentLength"] != entry["size"]:
            return False
        if "ChecksumSHA256" in head and "-" not in head["ETag"]:
            return bool(head["ChecksumSHA256"] == _base64(entry))
        # It came in parts, and S3 has checksums of those only: for the whole, the uploader's word is taken.
        return bool(head["Metadata"].get("sha256") == entry["sha256"])

    def upload(self, files: Mapping[str, Path], entries: Mapping[str, Entry]) -> None:
        """Bring files to where the names say, several at once; S3 refuses one that is not what its entry says.

        Raises:
            NameTaken: one is there already; others may have been brought.
        """
        self._transfer(files, lambda manager, name, path: manager.upload(
            str(path), self.bucket, self.prefix + name, extra_args=self.encryption | _described(entries[name])
        ))  # fmt: skip

    def download(self, files: Mapping[str, Path]) -> None:
        """Bring objects here.

        Raises:
            Absent: there is no such object.
        """
        for path in files.values():
            path.parent.mkdir(parents=True, exist_ok=True)
        self._transfer(files, lambda manager, name, path: manager.download(
            self.bucket, self.prefix + name, str(path)
        ))  # fmt: skip

    def _transfer(self, files: Mapping[str, Path], start: Any) -> None:
        if not files:
            return
        client = self.client
        from s3transfer.manager import TransferConfig, TransferManager

        config = TransferConfig(
            multipart_threshold=PART, multipart_chunksize=PART, max_request_concurrency=s3_client.TRANSFERS
        )
        with TransferManager(client, config) as manager:
            under_way = {name: start(manager, name, path) for name, path in files.items()}
            for name, future in under_way.items():
                with self._asking(name):
                    future.result()


def _described(entry: Entry) -> dict[str, Any]:
    """With the digest of a file in one part S3 itself compares what arrives; of parts it makes its own."""
    checksum = {"ChecksumSHA256": _base64(entry)} if entry["size"] < PART else {}
    return {"ChecksumAlgorithm": "SHA256", "Metadata": {"sha256": entry["sha256"]}, **checksum}


def _base64(entry: Entry) -> str:
    return base64.b64encode(bytes.fromhex(entry["sha256"])).decode()
