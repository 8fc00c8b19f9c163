"""The S3 client, made in one place, with its retries and the rights that a store needs."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from infra.aws_errors import ATTEMPTS, translate_aws_errors
from steps.errors import InputError, install

TRANSFERS = 10
"""Parallel requests."""
_DENIED = (
    "the credentials in use may not do this, or it is not there; a store takes s3:ListBucket on the bucket, s3:GetObject, "
    "s3:PutObject and s3:DeleteObject below the prefix, and kms:Decrypt and kms:GenerateDataKey on the key if it has one"
)


def client(uri: str, region: str | None = None, attempts: int = ATTEMPTS) -> Any:
    """Return an S3 client for the region and endpoint of the environment, as every tool that uses boto3 has it.

    Args:
        uri: named in messages.
        region: instead of the environment's.
        attempts: how often a request is sent before its failure counts.

    Raises:
        InputError: boto3 is missing, or the environment names a profile that does not exist.
    """
    try:
        import botocore.session  # not boto3, which imports its transfers, a fifth of a plan's time
        from botocore.config import Config
    except ImportError:
        raise InputError(f"{uri}: S3 needs boto3; {install('aws')}") from None
    config = Config(
        retries={"mode": "adaptive", "total_max_attempts": attempts},
        max_pool_connections=TRANSFERS + 2,  # and two for other requests meanwhile
        connect_timeout=10,
        read_timeout=60,
    )
    with translate_s3_errors(uri):
        return botocore.session.get_session().create_client("s3", region, config=config)


def translate_s3_errors(uri: str) -> AbstractContextManager[None]:
    """Turn errors of S3, of the network and of the credentials into one message each (:mod:`infra.aws_errors`)."""
    return translate_aws_errors(uri, "S3", _DENIED)
