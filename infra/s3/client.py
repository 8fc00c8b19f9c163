"""The S3 client, made in one place, with its retries and the rights that a store needs."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from infra import aws_errors
from infra.aws_errors import ATTEMPTS, CONNECTIONS, translate_aws_errors

TRANSFERS = CONNECTIONS - 2
"""Parallel requests."""
_DENIED = (
    "the credentials in use may not do this, or it is not there; a store takes s3:ListBucket on the bucket, s3:GetObject, "
    "s3:PutObject and s3:DeleteObject below the prefix, and kms:Decrypt and kms:GenerateDataKey on the key if it has one"
)


def client(uri: str, region: str | None = None, attempts: int = ATTEMPTS) -> Any:
    """Return an S3 client (:func:`infra.aws_errors.client`), whose errors name the URI."""
    with translate_s3_errors(uri):
        return aws_errors.client("s3", region, attempts)


def translate_s3_errors(uri: str) -> AbstractContextManager[None]:
    """Turn errors of S3, of the network and of the credentials into one message each (:mod:`infra.aws_errors`)."""
    return translate_aws_errors(uri, "S3", _DENIED)
