"""The cloud that the emulator works against: its clients, and S3 as SageMaker's data agents use it."""

from __future__ import annotations

import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from steps.errors import FourscoreError

BIG = 8 << 20
"""Bytes from which a file is uploaded in parts."""


class DataFailure(FourscoreError):
    """Input data is not there or cannot be laid down; becomes the failure reason of a job."""


@dataclass
class Cloud:
    """One account in one region behind one endpoint."""

    endpoint: str | None
    region: str
    account: str
    access_key: str
    secret_key: str
    _clients: dict[str, Any] = field(default_factory=dict, repr=False)

    def client(self, service: str) -> Any:
        """A client of the service, made once; clients may be used by many threads."""
        if service not in self._clients:
            self._clients[service] = self.new_client(service)
        return self._clients[service]

    def new_client(self, service: str) -> Any:
        import boto3
        from botocore.config import Config

        session = boto3.session.Session()
        config = Config(retries={"mode": "standard", "max_attempts": 10}, max_pool_connections=32)
        return session.client(
            service,
            endpoint_url=self.endpoint,
            region_name=self.region,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=config,
        )

    def environment(self) -> dict[str, str]:
        """What makes any AWS SDK in a process talk to this cloud and to no other."""
        found = {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        return found | ({"AWS_ENDPOINT_URL": self.endpoint} if self.endpoint else {})

    def arn(self, kind: str, name: str) -> str:
        return f"arn:aws:sagemaker:{self.region}:{self.account}:{kind}/{name}"

    def any_object(self, uri: str) -> bool:
        bucket, key = split(uri)
        return next(self._keys(bucket, key), None) is not None

    def _keys(self, bucket: str, prefix: str) -> Iterator[str]:
        from botocore.exceptions import ClientError

        pages = self.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        try:
            for page in pages:
                yield from (entry["Key"] for entry in page.get("Contents", ()))
        except ClientError as error:
            raise DataFailure(f"s3://{bucket}/{prefix}: {error}") from None

    def read(self, uri: str) -> bytes:
        bucket, key = split(uri)
        body: bytes = self.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
        return body

    def download(self, uri: str, directory: Path, shard: tuple[int, int] = (0, 1)) -> int:
        """Lay down every object whose key begins with the URI's, as File mode does; returns how many there were.

        The prefix is one of strings: ``.../train`` takes ``.../train-2/x`` too. ``shard`` (i, n) takes every n-th.
        """
        bucket, prefix = split(uri)
        directory.mkdir(parents=True, exist_ok=True)
        keys = list(self._keys(bucket, prefix))
        for key in keys[shard[0] :: shard[1]]:
            path = directory / _below(key, prefix)
            if not path.resolve().is_relative_to(directory.resolve()):
                raise DataFailure(f"s3://{bucket}/{key}: its name leads out of the directory that it belongs in")
            if key.endswith("/"):
                path.mkdir(parents=True, exist_ok=True)
                continue
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                body = self.client("s3").get_object(Bucket=bucket, Key=key)["Body"]
                with path.open("wb") as file:
                    for chunk in body.iter_chunks(1 << 20):
                        file.write(chunk)
            except (FileExistsError, NotADirectoryError, IsADirectoryError):
                raise DataFailure(f"s3://{bucket}/{key}: a file and a folder of the same name cannot be laid down") from None  # fmt: skip
        return len(keys)

    def upload(self, path: Path, uri: str) -> None:
        from boto3.s3.transfer import TransferConfig

        bucket, key = split(uri)
        if path.stat().st_size < BIG:
            self.client("s3").put_object(Bucket=bucket, Key=key, Body=path.read_bytes())
            return
        config = TransferConfig(multipart_threshold=BIG, multipart_chunksize=BIG, use_threads=False)
        self.client("s3").upload_file(str(path), bucket, key, Config=config)

    def upload_directory(self, directory: Path, uri: str, known: dict[Path, tuple[int, int]] | None = None) -> None:
        """Upload the files of a directory; symbolic links are passed over, as SageMaker does.

        With ``known`` only what changed since the last call; a file that goes away meanwhile is passed over.
        """
        for path in files_of(directory):
            try:
                status = path.stat()
                seen = (status.st_mtime_ns, status.st_size)
                if known is not None and known.get(path) == seen:
                    continue
                target = f"{uri.rstrip('/')}/{path.relative_to(directory).as_posix()}"
                if known is not None and status.st_size >= BIG:
                    self._upload_copy(path, target)
                else:
                    self.upload(path, target)
            except FileNotFoundError:
                if known is None:
                    raise
                continue
            if known is not None:
                known[path] = seen

    def _upload_copy(self, path: Path, uri: str) -> None:
        """A file that may still be written to, as it is now: the parts of an upload must not be of two versions."""
        with tempfile.TemporaryDirectory() as scratch:
            copy = Path(scratch) / "copy"
            shutil.copyfile(path, copy)
            self.upload(copy, uri)

    def upload_archive(self, directory: Path, uri: str, scratch: Path) -> None:
        """The directory as one ``.tar.gz``, which is how SageMaker keeps a model unless told otherwise."""
        with tarfile.open(scratch, "w:gz") as archive:
            for path in files_of(directory):
                archive.add(path, path.relative_to(directory).as_posix(), recursive=False)
        self.upload(scratch, uri)
        scratch.unlink()


def files_of(directory: Path) -> list[Path]:
    found = [Path(folder) / name for folder, _, names in os.walk(directory) for name in names]
    return sorted(path for path in found if not path.is_symlink())


def split(uri: str) -> tuple[str, str]:
    """``s3://bucket/some/key`` -> bucket, key.

    Raises:
        DataFailure: it is none.
    """
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not uri.startswith("s3://") or not bucket:
        raise DataFailure(f"{uri!r}: wanted s3://bucket/key")
    return bucket, key


def _below(key: str, prefix: str) -> PurePosixPath:
    """Where an object stands below the directory: behind its prefix's last folder, a single object by its name."""
    if key == prefix:
        return PurePosixPath(PurePosixPath(key).name)
    if prefix.endswith("/") or not prefix or not key.startswith(f"{prefix}/"):
        return PurePosixPath(key[prefix.rfind("/") + 1 :])
    return PurePosixPath(key[len(prefix) + 1 :])
