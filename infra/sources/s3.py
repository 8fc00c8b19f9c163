"""Objects of S3 fetched into the workspace, each version once."""

import hashlib
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any

from infra.files import arriving, locked
from infra.s3.objects import s3_client, translate_s3_errors
from steps.errors import InputError


def fetch_objects(uri: str, directory: Path) -> Sequence[Path]:
    """Return the objects of ``s3://bucket/key``, with ``*`` in the key or ``?versionId=...`` after it, as files.

    Raises:
        InputError: boto3 is missing, there is no such object, or it may not be read.
        FourscoreError: S3 cannot be reached.
    """
    bucket, _, rest = uri.removeprefix("s3://").partition("/")
    key, _, version = rest.partition("?versionId=")
    if not bucket or not key or key.endswith("/"):
        raise InputError(f"{uri}: wanted s3://bucket/key, s3://bucket/prefix/*.csv or s3://bucket/key?versionId=ID")
    client = s3_client(uri)
    with translate_s3_errors(uri):
        keys = _matching(client, bucket, key, uri) if "*" in key else [key]
        return [_object(client, bucket, item, version, directory) for item in keys]


def _matching(client: Any, bucket: str, pattern: str, uri: str) -> list[str]:
    prefix = pattern.partition("*")[0]
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    contents = [entry["Key"] for page in pages for entry in page.get("Contents", ())]
    keys = sorted(key for key in contents if fnmatchcase(key, pattern) and not key.endswith("/"))
    if not keys:
        raise InputError(f"{uri}: no object matches; under {prefix!r}: {', '.join(contents[:5]) or 'no objects'}")
    return keys


def _object(client: Any, bucket: str, key: str, version: str, directory: Path) -> Path:
    """Return the file of an object; its folder is a digest of the version, or of the ETag if the bucket keeps no versions."""
    query = {"Bucket": bucket, "Key": key, **({"VersionId": version} if version else {})}
    head = client.head_object(**query)
    identity = head.get("VersionId") or head["ETag"]
    folder = directory / hashlib.sha256(f"{bucket}\n{key}\n{identity}".encode()).hexdigest()[:16]
    path = folder / PurePosixPath(key).name
    with locked(folder / "lock"):
        if not path.is_file() or path.stat().st_size != head["ContentLength"]:
            body = client.get_object(**query, IfMatch=head["ETag"])["Body"]
            with arriving(path) as file:
                for chunk in body.iter_chunks(1 << 20):
                    file.write(chunk)
    return path
