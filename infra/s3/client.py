"""The client of S3, made in one place: how often it tries again, and what its errors mean to a person."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from steps.errors import FourscoreError, InputError, install

TRANSFERS = 10
"""Requests that are under way at once."""
ATTEMPTS = 10
"""How often a request is sent before it counts as failed; nothing else tries again on top of this."""
_SILENT = "S3 cannot be reached or does not answer"
_CREDENTIALS = "run 'aws configure' or 'aws sso login', set AWS_PROFILE, or give the machine or job a role"
_HINTS = {
    "NoSuchBucket": "there is no such bucket; check its name",
    "404": "there is no such object; check bucket and key",
    "NoSuchKey": "there is no such object; check bucket and key",
    "PermanentRedirect": "the bucket is in another region; set AWS_DEFAULT_REGION to it",
    "AuthorizationHeaderMalformed": "the bucket is in another region; set AWS_DEFAULT_REGION to it",
    "RequestTimeTooSkewed": "the clock of this machine is wrong",
    "KeyTooLongError": "a key has 1,024 bytes at most; shorten the prefix or the file's name",
} | dict.fromkeys(
    ("InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "ExpiredTokenException", "InvalidToken"),
    f"the credentials in use are wrong or have expired; {_CREDENTIALS}",
)
_DENIED = (
    "the credentials in use may not do this, or it is not there; a store takes s3:ListBucket on the bucket, s3:GetObject, "
    "s3:PutObject and s3:DeleteObject below the prefix, and kms:Decrypt and kms:GenerateDataKey on the key if it has one"
)


def client(uri: str, region: str | None = None) -> Any:
    """A client of S3 in the region and at the endpoint that the environment says, as every tool that uses boto3.

    Args:
        uri: what it is for, to be named in messages.
        region: another one than the environment's.

    Raises:
        InputError: boto3 is missing, or the environment names a profile that does not exist.
    """
    try:
        import botocore.session  # boto3 itself brings its transfers along, a fifth of a plan's time
        from botocore.config import Config
    except ImportError:
        raise InputError(f"{uri}: S3 needs boto3; {install('aws')}") from None
    config = Config(
        retries={"mode": "adaptive", "total_max_attempts": ATTEMPTS},
        max_pool_connections=TRANSFERS + 2,  # and one for whoever lists or asks meanwhile
        connect_timeout=10,
        read_timeout=60,
    )
    with said_plainly(uri):
        return botocore.session.get_session().create_client("s3", region, config=config)


@contextlib.contextmanager
def said_plainly(uri: str) -> Iterator[None]:
    """Errors of S3, of the way there and of the credentials, as one message each.

    Raises:
        InputError: what a person must mend: a name, credentials, permissions.
        FourscoreError: S3 or the network; the same again may work.
    """
    from botocore import exceptions as known

    try:
        yield
    except known.ClientError as error:
        raise _of_answer(uri, error) from None
    except (known.NoCredentialsError, known.PartialCredentialsError, known.CredentialRetrievalError) as error:
        raise InputError(f"{uri}: there are no AWS credentials here ({error}); {_CREDENTIALS}") from None
    except (known.ProfileNotFound, known.TokenRetrievalError, known.SSOError) as error:
        raise InputError(f"{uri}: {error}; {_CREDENTIALS}") from None
    except known.NoRegionError:
        raise InputError(f"{uri}: no region is set; set AWS_DEFAULT_REGION, such as eu-central-1") from None
    except (known.ParamValidationError, known.InvalidEndpointDiscoveryConfigurationError) as error:
        raise InputError(f"{uri}: {error}") from None
    except known.BotoCoreError as error:
        raise FourscoreError(f"{uri}: {_SILENT}: {error}; run again later") from None
    except Exception as error:
        if type(error).__name__ != "RetriesExceededError":  # s3transfer's, known only where files were brought
            raise
        raise FourscoreError(f"{uri}: {_SILENT}: {error}; run again later") from None


class Denied(InputError):
    """The credentials in use may not do it; or it is not there, which S3 says only to those who may list."""


def code_of(error: Any) -> str:
    """The code of a botocore ClientError, such as ``NoSuchKey``, or ``404`` where the answer had no body."""
    return str(error.response.get("Error", {}).get("Code", ""))


def _of_answer(uri: str, error: Any) -> FourscoreError:
    code, said = code_of(error), error.response.get("Error", {}).get("Message", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    answer = f"{uri}: S3 answered {code} {said}".rstrip()
    if status >= 500 or code in ("SlowDown", "Throttling", "RequestTimeout"):
        return FourscoreError(f"{answer}, {ATTEMPTS} times in a row; run again later")
    if status == 403 and code not in _HINTS:
        return Denied(f"{answer}; {_DENIED}")
    return InputError(f"{answer}; {_HINTS[code]}" if code in _HINTS else answer)
