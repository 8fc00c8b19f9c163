"""Errors of AWS as messages for a person: one table of codes for all services."""

import contextlib
from collections.abc import Iterator
from typing import Any

from steps.errors import FourscoreError, InputError
from steps.wording import install

ATTEMPTS = 10
"""How often a request is sent before it counts as failed; nothing else tries again on top of this."""
CONNECTIONS = 12
"""Connections of a client: parallel transfers, and two for other requests meanwhile."""
_SIGN_IN = "sign in: run 'aws configure' or 'aws sso login', set AWS_PROFILE, or give the machine or job a role"
_HINTS = {
    code: hint
    for codes, hint in {
        "NoSuchBucket": "there is no such bucket; check its name",
        "404 NoSuchKey": "there is no such object; check bucket and key",
        "KMS.DisabledException": "enable the key in the AWS console (KMS), or use another one",
        "RequestTimeTooSkewed": "the clock of this machine is wrong",
        "KeyTooLongError": "a key has 1,024 bytes at most; shorten the prefix or the file's name",
        "ResourceLimitExceeded": "request a higher quota in the AWS console (Service Quotas), or choose another instance type",
        "PermanentRedirect AuthorizationHeaderMalformed": "the bucket is in another region; set AWS_DEFAULT_REGION to it",
        "InvalidAccessKeyId SignatureDoesNotMatch ExpiredToken ExpiredTokenException InvalidToken InvalidClientTokenId "
        "UnrecognizedClientException": f"the credentials in use are wrong or have expired; {_SIGN_IN}",
    }.items()
    for code in codes.split()
}
_BUSY = ("SlowDown", "Throttling", "ThrottlingException", "RequestTimeout")
_DENIED = "the credentials in use may not do this, or it does not exist; docs/aws.md has the rights that are needed"


class Denied(InputError):
    """The credentials in use may not do it; or it does not exist, which S3 says only to those who may list."""


class ResourceNotFound(FourscoreError):
    """AWS does not know it, or not any more."""


@contextlib.contextmanager
def translate_aws_errors(subject: str, service: str = "AWS", denied: str = _DENIED) -> Iterator[None]:
    """Turn what botocore raises into one message each.

    Args:
        subject: what was asked for, which begins the message: a URI, a name, an ARN.
        service: who answers, in messages.
        denied: the advice to those who lack a right.

    Raises:
        InputError: a person can fix it: the extra, a name, credentials, rights, a quota.
        ResourceNotFound: it does not exist.
        FourscoreError: AWS or the network failed; the same again may work.
    """
    unreachable = f"{subject}: {service} cannot be reached or does not answer"
    try:
        from botocore import exceptions

        missing = exceptions.NoCredentialsError, exceptions.PartialCredentialsError, exceptions.CredentialRetrievalError
        try:
            yield
        except exceptions.ClientError as error:
            raise _of_response(f"{subject}: {service}", error, denied) from None
        except missing as error:
            raise InputError(f"{subject}: there are no AWS credentials here ({error}); {_SIGN_IN}") from None
        except (exceptions.ProfileNotFound, exceptions.TokenRetrievalError, exceptions.SSOError) as error:
            raise InputError(f"{subject}: {error}; {_SIGN_IN}") from None
        except exceptions.NoRegionError:
            raise InputError(f"{subject}: no region is set; set AWS_DEFAULT_REGION, such as eu-central-1") from None
        except (exceptions.ParamValidationError, exceptions.InvalidEndpointDiscoveryConfigurationError) as error:
            raise InputError(f"{subject}: {error}") from None
        except Exception as error:
            # s3transfer's RetriesExceededError is known only where files were transferred
            if not isinstance(error, exceptions.BotoCoreError) and type(error).__name__ != "RetriesExceededError":
                raise
            raise FourscoreError(f"{unreachable}: {error}; run again later") from None
    except ImportError:
        raise InputError(f"{subject}: {service} needs boto3; {install('aws')}") from None


def client(service: str, region: str | None = None, attempts: int = ATTEMPTS) -> Any:
    """Return a client for the region and endpoint of the environment, as every tool that uses boto3 has it.

    Args:
        region: instead of the environment's.
        attempts: how often a request is sent before its failure counts.
    """
    from botocore.config import Config
    from botocore.session import get_session  # not boto3, which imports its transfers, a fifth of a plan's time

    retries = {"mode": "adaptive", "total_max_attempts": attempts}
    config = Config(retries=retries, max_pool_connections=CONNECTIONS, connect_timeout=10, read_timeout=60)
    return get_session().create_client(service, region, config=config)


def listed(client: Any, operation: str, field: str, **request: Any) -> Iterator[Any]:
    """Yield the entries of every page of a listing, such as ``listed(client, "list_pipelines", "PipelineSummaries")``."""
    for page in client.get_paginator(operation).paginate(**request):
        yield from page.get(field, ())


@contextlib.contextmanager
def ignore_errors(*words: str) -> Iterator[None]:
    """Suppress errors of AWS whose code or message has any of these words."""
    from botocore.exceptions import ClientError

    try:
        yield
    except ClientError as error:
        if not any(text in str(error) for text in words):
            raise


def code_of(error: Any) -> str:
    """Return the code of a botocore ClientError, such as ``NoSuchKey``, or ``404`` where the response had no body."""
    return str(error.response.get("Error", {}).get("Code", ""))


def _of_response(sender: str, error: Any, denied: str) -> FourscoreError:
    code, message = code_of(error), error.response.get("Error", {}).get("Message", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    answer = f"{sender} answered {code} {message}".rstrip()
    if status >= 500 or code in _BUSY:
        return FourscoreError(f"{answer}, {ATTEMPTS} times in a row; run again later")
    if code in _HINTS:
        return InputError(f"{answer}; {_HINTS[code]}")
    if code == "ResourceNotFound":
        return ResourceNotFound(answer)
    if status == 403 or code in ("AccessDenied", "AccessDeniedException"):
        return Denied(f"{answer}; {denied}")
    return FourscoreError(answer)
